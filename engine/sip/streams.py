"""TCP and TLS connections: one a hop, opened when something is to be sent, and watched while they stand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from engine.sip.framing import PING, PONG, Framing, FramingError
from engine.sip.hop import Hop
from engine.sip.tls import TlsError, explain

log = logging.getLogger(__name__)

CONNECT_WAIT = 5.0
"""Seconds for a connection to come about, TLS included."""
MESSAGE_WAIT = 20.0
"""Seconds in which a message that has begun must end."""
PONG_WAIT = 10.0
"""Seconds for the answer to a keep-alive, from a far end that has answered one before (RFC 5626, 4.4.1)."""
MAX_CONNECTIONS = 32
MAX_UNSENT = 1 << 20
"""Bytes that a far end may leave unread."""
MAX_QUEUED = 64
"""Messages that wait for a connection."""
IDLE = 900.0
"""Seconds without a message after which a connection that is not the trunk's is closed."""


class Connection(asyncio.Protocol):
    """One connection; `hop` is its far end."""

    def __init__(self, streams: Streams, hop: Hop | None) -> None:
        self._streams = streams
        self._given = hop
        self._framing = Framing()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._pong_timer: asyncio.TimerHandle | None = None
        self._answers_pings = False
        self._why = ""
        self.hop = hop or Hop("", 0, "tcp")
        self.heard_at = self._loop.time()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._given is None:
            host, port, *_ = transport.get_extra_info("peername") or ("", 0)
            self.hop = Hop(str(host), int(port), "tcp")
        _watch(transport.get_extra_info("socket"))
        self._streams.made(self, accepted=self._given is None)

    def data_received(self, data: bytes) -> None:
        try:
            for item in self._framing.feed(data):
                self._stop_timer()  # what follows it has its own time
                if item == PING:
                    self.send(PONG)
                elif item == PONG:
                    self._answers_pings = True
                    self._stop_pong_timer()
                else:
                    self.heard_at = self._loop.time()
                    self._streams.take(item, self.hop)
        except FramingError as error:
            self.end(str(error))
            return
        if not self._framing.partial:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self._loop.call_later(MESSAGE_WAIT, self.end, "a message that did not end")

    def send(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() + len(data) > MAX_UNSENT:
            self.end("it does not read what we send")
        else:
            self.transport.write(data)

    def ping(self) -> None:
        """A keep-alive; its answer is waited for where the far end is known to answer."""
        self._framing.pong_due = True
        self.send(PING)
        if self._answers_pings and self._pong_timer is None:
            self._pong_timer = self._loop.call_later(PONG_WAIT, self.end, "keep-alives are not answered")

    def end(self, why: str) -> None:
        """Close at once; `why` is told to whoever waits for an answer."""
        self._why = self._why or why
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_pong_timer()
        reason = self._why or getattr(exc, "strerror", None) or (str(exc) if exc else "the far end closed it")
        self._streams.gone(self, reason)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_pong_timer(self) -> None:
        if self._pong_timer is not None:
            self._pong_timer.cancel()
            self._pong_timer = None


def _watch(sock: socket.socket | None) -> None:
    """Have the kernel notice a far end that has silently gone, within about a minute."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3),
                            ("TCP_USER_TIMEOUT", 30_000)):  # fmt: skip
            if option := getattr(socket, name, None):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Streams:
    """Every connection of one phone.

    Set `on_message(data, hop)`, `on_failed(hop, why)` for a hop that can't be reached or whose
    connection is gone, `may_connect(host)` for those that come in and `kept()`, the hop whose connection
    is never closed to make room; before anything is sent.
    """

    def __init__(
        self, source: str | None, context: Callable[[], ssl.SSLContext], server_name: Callable[[Hop], str]
    ) -> None:
        """`source` is the address that connections leave from, None for any."""
        self._source = source
        self._make_context = context
        self._context: ssl.SSLContext | None = None
        self._server_name = server_name
        self._standing: dict[Hop, Connection] = {}
        self._opening: dict[Hop, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._closing = False
        self.on_message: Callable[[bytes, Hop], None] = lambda data, hop: None
        self.on_failed: Callable[[Hop, str], None] = lambda hop, why: None
        self.may_connect: Callable[[str], bool] = lambda host: False
        self.kept: Callable[[], Hop | None] = lambda: None

    def __len__(self) -> int:
        return len(self._standing) + len(self._opening)

    async def listen(self, host: str, port: int) -> None:
        """Take TCP connections too. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self, None), host, port)

    def connected(self, hop: Hop) -> bool:
        return hop in self._standing

    def send(self, data: bytes, hop: Hop) -> None:
        """Send on the hop's connection, a new one where there is none."""
        if connection := self._standing.get(hop):
            connection.send(data)
        elif hop in self._opening:
            if len(self._opening[hop]) < MAX_QUEUED:
                self._opening[hop].append(data)
        elif not self._closing:
            self._opening[hop] = [data]
            task = asyncio.get_running_loop().create_task(self._open(hop))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def keep_alive(self) -> None:
        """Ping every connection; close those that nobody has used for long."""
        now, kept = asyncio.get_running_loop().time(), self.kept()
        for hop, connection in list(self._standing.items()):
            if hop != kept and now - connection.heard_at > IDLE:
                connection.end("nobody used it for long")
            else:
                connection.ping()

    def drop(self, why: str) -> None:
        """Close every connection at once; what waits on them is told."""
        for connection in list(self._standing.values()):
            connection.end(why)

    async def _open(self, hop: Hop) -> None:
        loop = asyncio.get_running_loop()
        name = self._server_name(hop)
        try:
            if len(self._standing) + len(self._opening) > MAX_CONNECTIONS:
                self._make_room()
            tls = hop.transport == "tls"
            context = self._tls() if tls else None
            async with asyncio.timeout(CONNECT_WAIT):
                await loop.create_connection(
                    lambda: Connection(self, hop), hop.host, hop.port, ssl=context,
                    server_hostname=name if tls else None,
                    local_addr=(self._source, 0) if self._source else None,
                )  # fmt: skip
        except TlsError as error:
            why = str(error)
        except (OSError, TimeoutError, ValueError) as error:
            why = explain(error, hop, name)
        else:
            return
        if self._opening.pop(hop, None) is not None:
            log.info("%s", why)
            self.on_failed(hop, why)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._make_context()
        return self._context

    def _make_room(self) -> None:
        others = (c for hop, c in self._standing.items() if hop != self.kept())
        longest = min(others, key=lambda c: c.heard_at, default=None)
        if longest is not None:
            longest.end("there are too many connections")

    # --- for connections ---------------------------------------------------------------------------

    def made(self, connection: Connection, *, accepted: bool) -> None:
        hop = connection.hop
        if accepted and (not self.may_connect(hop.host) or len(self) >= MAX_CONNECTIONS):
            connection.end("it may not connect")
            return
        self._standing[hop] = connection
        for data in self._opening.pop(hop, []):
            connection.send(data)

    def take(self, data: bytes, hop: Hop) -> None:
        try:
            self.on_message(data, hop)
        except Exception:  # one bad message must never end the connection
            log.exception("a SIP message could not be handled")

    def gone(self, connection: Connection, why: str) -> None:
        hop = connection.hop
        if self._standing.get(hop) is not connection:
            return
        del self._standing[hop]
        if not self._closing:
            log.info("the connection with %s is gone: %s", hop, why)
            self.on_failed(hop, f"the connection with {hop} is gone ({why})")

    def close(self) -> None:
        self._closing = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for connection in list(self._standing.values()):
            if connection.transport is not None:
                connection.transport.close()


