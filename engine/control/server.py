"""The engine's end of the control wire: a Unix socket that only its user can reach.

Each connection gets `Hello` and `Snapshot`, then a `Reply` for each request and every event. Requests
of a connection start in order and run side by side, so that a long one delays nobody's `StopAll`.
A client that reads too slowly loses `Meters` and `Spectrum` first, then its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from engine.control.endpoint import Endpoint
from engine.control.framing import TOO_LONG, BadRequest, Lines, decode_request, encode
from engine.control.messages import (
    MAX_LINE,
    WIRE_VERSION,
    Bye,
    Command,
    Event,
    GetSnapshot,
    Hello,
    Look,
    Meters,
    QueueRows,
    Reply,
    Request,
    Snapshot,
    Spectrum,
    Subscribe,
    Traced,
)

log = logging.getLogger(__name__)

SOFT_LIMIT = 256 * 1024
"""Bytes waiting for a client above which it gets no Meters and no Spectrum, and its requests wait."""

HARD_LIMIT = 4 * MAX_LINE
"""Bytes waiting for a client above which it is disconnected."""

MAX_RUNNING = 32
"""Requests of one client that run at a time; more wait in the socket."""

MAX_CLIENTS = 32

BYE_GRACE = 2.0
"""Seconds a closing connection has to take what is still waiting for it."""


_NO_SNAPSHOT = "The engine failed to tell its state; its log says how"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command: nothing to say, or why nothing was changed, or what was asked for."""

    error: str = ""
    rows: QueueRows | None = None
    trace: Traced | None = None


class Handler(Protocol):
    """The engine, as the control server sees it."""

    async def handle(self, command: Command) -> Outcome:
        """Carry out a command; `GetSnapshot`, `Subscribe` and `Look` never come here."""

    def snapshot(self) -> Snapshot: ...


class ControlServer:
    """Serves the control wire at `path`."""

    def __init__(self, path: Path, handler: Handler, *, version: str) -> None:
        self.path = path
        self.handler = handler
        self.hello = Hello(wire=WIRE_VERSION, version=version, pid=os.getpid())
        self.malformed = 0
        """Lines that were no request, since the start."""
        self.disconnected = 0
        """Clients that were disconnected because they read too slowly."""
        self._clients: set[_Client] = set()
        self._endpoint: Endpoint | None = None
        self._server: asyncio.Server | None = None

    @property
    def clients(self) -> int:
        """Connections that are up."""
        return len(self._clients)

    @property
    def looked_at(self) -> set[str]:
        """The legs whose `Spectrum` somebody wants."""
        return {client.looks_at for client in self._clients if client.looks_at}

    async def start(self) -> None:
        """Take the endpoint and listen. Raises EngineRunning, or EndpointError with one sentence."""
        endpoint = Endpoint(self.path)
        endpoint.take()
        self._endpoint = endpoint
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Client(self), sock=endpoint.sock
        )

    def publish(self, event: Event) -> None:
        """Send an event to every client, `Spectrum` to those that look. Never blocks; `Meters` and `Spectrum`
        are dropped where they don't fit."""
        if not self._clients:
            return
        line = encode(event)
        if len(line) > MAX_LINE:
            log.error("an event of %d bytes is too long for the wire and was dropped", len(line))
            return
        spare = isinstance(event, Meters | Spectrum)
        for client in list(self._clients):
            if client.wants(event):
                client.send(line, spare=spare)

    async def close(self, reason: str = "the engine is ending") -> None:
        """Say `Bye` to every client, close all connections, remove the socket."""
        if self._server is not None:
            self._server.close()
        closing = [client.bye(reason) for client in list(self._clients)]
        if closing:
            await asyncio.wait(closing, timeout=BYE_GRACE)
        for client in list(self._clients):
            client.abort()
        if self._endpoint is not None:
            self._endpoint.release()
            self._endpoint = None

    # for the connections

    def _joined(self, client: _Client) -> bool:
        if len(self._clients) >= MAX_CLIENTS:
            return False
        self._clients.add(client)
        return True

    def _left(self, client: _Client) -> None:
        self._clients.discard(client)

    def _snapshot(self) -> bytes:
        snapshot = self.handler.snapshot()
        line = encode(snapshot)
        if len(line) > MAX_LINE:
            line = encode(msgspec.structs.replace(snapshot, log=[]))
        return line


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._lines = Lines()
        self._backlog: list[Request] = []
        self._running: set[asyncio.Task[None]] = set()
        self.meters = True
        self.looks_at = ""
        self._slow = False
        self._closing = False
        self._transport: asyncio.Transport
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=SOFT_LIMIT)
        if not self._server._joined(self):
            transport.write(encode(Bye(reason=f"the engine serves {MAX_CLIENTS} consoles at most")))
            transport.close()
            self._closing = True
            return
        self.send(encode(self._server.hello))
        if not self._send_snapshot():
            self.bye(_NO_SNAPSHOT)

    def connection_lost(self, exc: Exception | None) -> None:
        # Requests that have begun are carried out to their end: a console that crashes right after
        # a command must not leave it half done.
        self._closing = True
        self._server._left(self)
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            if self._closing:
                return
            if line is TOO_LONG or not isinstance(line, bytes):
                self._refuse(None, f"The line is longer than {MAX_LINE} bytes.")
                continue
            try:
                request = decode_request(line)
            except BadRequest as error:
                self._refuse(error.id, str(error))
            else:
                self._backlog.append(request)
        self._run_backlog()

    def pause_writing(self) -> None:
        self._slow = True
        self._pace()

    def resume_writing(self) -> None:
        self._slow = False
        self._run_backlog()

    def wants(self, event: Event) -> bool:
        """Whether an event is for this client."""
        if isinstance(event, Spectrum):
            return event.leg == self.looks_at
        return self.meters or not isinstance(event, Meters)

    def send(self, line: bytes, *, spare: bool = False) -> None:
        """Queue a line. Past SOFT_LIMIT what can be spared is dropped, past HARD_LIMIT the client is."""
        if self._closing or (spare and self._slow):
            return
        if self._transport.get_write_buffer_size() + len(line) > HARD_LIMIT:
            self._server.disconnected += 1
            log.warning("a console that does not read was disconnected")
            self.bye("this connection is read too slowly")
            return
        self._transport.write(line)

    def bye(self, reason: str) -> asyncio.Future[None]:
        """Say why and close; what is still unread after BYE_GRACE is thrown away."""
        if not self._closing:
            self._closing = True
            self._transport.write(encode(Bye(reason=reason)))
            self._transport.close()
            asyncio.get_running_loop().call_later(BYE_GRACE, self.abort)
        return self._closed

    def abort(self) -> None:
        if not self._closed.done():
            self._transport.abort()

    def _send_snapshot(self) -> bool:
        try:
            self.send(self._server._snapshot())
        except Exception:
            log.exception("no snapshot could be made")
            return False
        return True

    def _refuse(self, request: int | None, error: str) -> None:
        self._server.malformed += 1
        self.send(encode(Reply(id=request, ok=False, error=error)))

    def _run_backlog(self) -> None:
        while self._backlog and not self._slow and len(self._running) < MAX_RUNNING:
            task = asyncio.get_running_loop().create_task(self._run(self._backlog.pop(0)))
            self._running.add(task)
            task.add_done_callback(self._finished)
        self._pace()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._closing:
            self._run_backlog()

    def _pace(self) -> None:
        """Read on only while there is room to work on what is read."""
        if self._closing:
            return
        with contextlib.suppress(RuntimeError):
            if self._backlog or self._slow:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    async def _run(self, request: Request) -> None:
        command = request.command
        if isinstance(command, Subscribe):
            self.meters = command.meters
            outcome = Outcome()
        elif isinstance(command, Look):
            self.looks_at = command.leg
            outcome = Outcome()
        elif isinstance(command, GetSnapshot):
            outcome = Outcome() if self._send_snapshot() else Outcome(error=f"{_NO_SNAPSHOT}.")
        else:
            outcome = await self._handle(command)
        told = Reply(
            id=request.id, ok=not outcome.error, error=outcome.error, rows=outcome.rows, trace=outcome.trace
        )
        reply = encode(told)
        if len(reply) > MAX_LINE:
            error = "The answer is longer than a line of the wire may be: ask for fewer rows at a time."
            reply = encode(Reply(id=request.id, ok=False, error=error))
        self.send(reply)

    async def _handle(self, command: Command) -> Outcome:
        try:
            return await self._server.handler.handle(command)
        except Exception:
            name = type(command).__name__
            log.exception("the command %s failed", name)
            return Outcome(error=f"The engine failed while it carried out {name}; its log says how.")
