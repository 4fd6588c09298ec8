"""The other end of the control wire: what the console and `offhook ctl` use."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from engine.control.framing import TOO_LONG, Lines, decode_event, encode
from engine.control.messages import WIRE_VERSION, Bye, Command, Event, Hello, Reply, Request

CONNECT_TIMEOUT = 10.0
"""Seconds until the engine must have said `Hello`."""

MAX_WAITING = 10_000
"""Events kept for a reader of `events()`; the engine is made to wait while they are full."""


class ControlError(Exception):
    """The engine can't be reached, went away or speaks another version: one plain sentence."""


class ControlClient:
    """A connection to a running engine.

    `events()` yields what the engine sends, a `Snapshot` first, `Hello` and replies left out; one
    reader at a time. It ends after a `Bye` or `close()`, and raises ControlError when the engine
    went away without one.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hello: Hello
        self._reader = reader
        self._writer = writer
        self._lines = Lines()
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING)
        self._reading = False
        self._last_id = 0
        self._ended = ""
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, path: str | Path) -> ControlClient:
        """Connect to the engine at `path`. Raises ControlError."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"No engine is running at {path}: `offhook` starts one.") from None
        except PermissionError:
            raise ControlError(f"The engine at {path} is another user's.") from None
        except OSError as error:
            raise ControlError(f"The engine at {path} can't be reached: {error.strerror or error}.") from None
        client = cls(reader, writer)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await client._greet(path)
        except TimeoutError:
            await client.close()
            raise ControlError(
                f"The engine at {path} took the connection and said nothing for {CONNECT_TIMEOUT:g} seconds."
            ) from None
        except ControlError:
            await client.close()
            raise
        client._task = asyncio.create_task(client._read())
        return client

    async def send(self, command: Command) -> Reply:
        """Send a command and wait for its reply, which may be a refusal. Raises ControlError."""
        if self._ended:
            raise ControlError(self._ended)
        self._last_id += 1
        request = Request(id=self._last_id, command=command)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[request.id] = reply
        try:
            self._writer.write(encode(request))
            await self._writer.drain()
            return await reply
        except (ConnectionError, OSError):
            raise ControlError(self._ended or _GONE) from None
        finally:
            self._replies.pop(request.id, None)

    async def events(self) -> AsyncIterator[Event]:
        """Every event, in order. See the class for how it ends."""
        self._reading = True
        while (event := await self._events.get()) is not None:
            yield event
            if isinstance(event, Bye):
                return
        if self._ended == _GONE:
            raise ControlError(_GONE)

    async def close(self) -> None:
        """Close the connection; calls go on in the engine."""
        self._ended = self._ended or "The connection to the engine is closed."
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        self._end()

    async def _greet(self, path: str | Path) -> None:
        backlog = await self._messages()
        first = backlog[0] if backlog else None
        if isinstance(first, Bye):
            raise ControlError(f"The engine refused the connection: {first.reason}.")
        if not isinstance(first, Hello):
            raise ControlError(f"Whatever listens at {path} is not an Offhook engine.")
        if first.wire != WIRE_VERSION:
            raise ControlError(
                f"The engine (Offhook {first.version}, process id {first.pid}) speaks version {first.wire} "
                f"of the control wire and this program version {WIRE_VERSION}: "
                "end the engine and start it anew."
            )
        self.hello = first
        for event in backlog[1:]:
            await self._deliver(event)

    async def _messages(self) -> list[Event]:
        """At least one message, or none when the connection has ended. Raises ControlError."""
        found: list[Event] = []
        while not found:
            try:
                data = await self._reader.read(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            for line in self._lines.feed(data):
                if line is TOO_LONG or not isinstance(line, bytes):
                    raise ControlError("The engine sent a line longer than the wire allows.")
                try:
                    event = decode_event(line)
                except ValueError:
                    raise ControlError("The engine sent a line that this program can't read.") from None
                if event is not None:
                    found.append(event)
        return found

    async def _read(self) -> None:
        try:
            while messages := await self._messages():
                for event in messages:
                    await self._deliver(event)
            self._ended = self._ended or _GONE
        except ControlError as error:
            self._ended = self._ended or str(error)
        finally:
            self._end()

    async def _deliver(self, event: Event) -> None:
        if isinstance(event, Reply):
            reply = self._replies.get(event.id) if event.id is not None else None
            if reply is not None and not reply.done():
                reply.set_result(event)
            return
        if isinstance(event, Bye):
            self._ended = f"The engine has ended: {event.reason}."
        if not self._reading and self._events.full():
            self._events.get_nowait()  # nobody reads: keep the latest
        await self._events.put(event)

    def _end(self) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ControlError(self._ended))
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)


_GONE = "The engine went away without a word: its log may say why, and `offhook` starts it anew."
