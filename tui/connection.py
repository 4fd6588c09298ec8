"""The console's line to the engine: connect, read events, send commands, notice that it is gone."""

from __future__ import annotations

from collections.abc import Callable

from engine.control.client import ControlClient, ControlError
from engine.control.messages import Command, Event, Hello, Reply


class Connection:
    """One connection at a time. Problems come as one sentence, never as an exception."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._client: ControlClient | None = None

    @property
    def up(self) -> bool:
        return self._client is not None

    async def run(self, on_hello: Callable[[Hello], None], on_event: Callable[[Event], None]) -> str:
        """Connect and hand every event over until the connection ends; returns why it ended."""
        try:
            client = await ControlClient.connect(self.path)
        except ControlError as error:
            return str(error)
        self._client = client
        reason = ""
        try:
            on_hello(client.hello)
            async for event in client.events():
                on_event(event)
        except ControlError as error:
            reason = str(error)
        finally:
            self._client = None
            await client.close()
        return reason or "The engine has ended."

    async def send(self, command: Command) -> Reply:
        """Send a command; a connection that is not there counts as a refusal."""
        client = self._client
        if client is None:
            return Reply(id=None, ok=False, error="Not connected to the engine: nothing was sent.")
        try:
            return await client.send(command)
        except ControlError as error:
            return Reply(id=None, ok=False, error=str(error))
