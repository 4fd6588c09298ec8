"""RTCP's sockets: each stream's reports go out and come in beside its audio, never before it in a tick."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from engine.media.network import udp
from engine.media.network.inbound import Inbound
from engine.media.network.outbound import Outbound
from engine.media.network.reception import Reception
from engine.media.network.rtcp import MAX_COMPOUND
from engine.media.network.rtcp_session import RtcpSession
from engine.media.orders import Control

if TYPE_CHECKING:
    from engine.media.stream import RtpStream

SERVED_EVERY = 5
"""Ticks between two looks at the sockets."""
MAX_DRAIN = 4
"""Datagrams taken from one socket at a look; with the socket's small buffer this bounds a flood's cost."""
RECEIVE_BUFFER = 16384
_SO_TIMESTAMPNS = 35  # Linux's; Python 3.11 has no name for it
_TIMESPEC = struct.Struct("@qq")


class ControlChannel:
    """One stream's RTCP, by SDP on a port of its own or on the audio's.

    Only the host that the audio comes from, or before any came the one that SDP names, is listened to.
    Reports go to where the far end's come from, before that to SDP's address.
    """

    def __init__(self, inbound: Inbound, reception: Reception, out: Outbound) -> None:
        self.session = RtcpSession(reception, out)
        self.sock: socket.socket | None = None
        self._inbound = inbound
        self._out = out
        self._terms: Control | None = None
        self._expected: bytes | None = None
        self._source: bytes | None = None
        self.last_heard: float | None = None
        self.foreign = 0
        """Datagrams from other hosts, or not encrypted as agreed."""

    def open(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.sock = sock

    def set_remote(self, terms: Control | None, host: str, port: int, clock: int) -> None:
        """What SDP says; `host` and `port` are the audio's, `clock` that of what we send, in Hz."""
        family = self.sock.family if self.sock is not None else socket.AF_UNSPEC
        expected = None
        if terms is not None and not terms.mux:
            expected = udp.sockaddr(terms.host or host, terms.port or port + 1, family)
        if (terms, expected) != (self._terms, self._expected):
            self._source = None
        self._terms, self._expected = terms, expected
        self.session.clock = clock

    @property
    def muxed(self) -> bool:
        return self._terms is not None and self._terms.mux

    def serve(self, now: float) -> None:
        """Send the report that is due, if one is."""
        if self._terms is not None and self._out.address is not None and self.session.due(now):
            self._send(self.session.report(now, time.time()))

    def collided(self, now: float) -> None:
        """The far end has our SSRC: say goodbye to it and take another."""
        self._say_goodbye(now)
        self._out.new_source()

    def _say_goodbye(self, now: float) -> None:
        if self._terms is not None and (last := self.session.goodbye(now, time.time())) is not None:
            self._send(last)

    def close(self, now: float) -> None:
        """Say goodbye and close the socket."""
        self._say_goodbye(now)
        if self.sock is not None:
            self.sock.close()

    def _send(self, data: bytes) -> None:
        fd = self._out.fd if self.muxed else self.sock.fileno() if self.sock is not None else -1
        address = self._address()
        if fd < 0 or address is None:
            return
        encryption = self._out.encryption
        if self._inbound.encrypted and encryption is None:
            return
        secret = data if encryption is None else encryption.protect_rtcp(data)
        if secret is not None:
            udp.send(fd, secret, address)

    def _address(self) -> bytes | None:
        if self.muxed:
            return self._out.address
        audio = self._inbound.source
        if self._source is not None:
            return self._source
        if audio is None or self._expected is None or udp.same_host(audio, self._expected):
            return self._expected
        return udp.next_port(audio)  # SDP's address is not where the far end is

    def take(self, data: bytes, source: bytes, now: float) -> None:
        """A datagram that came at `now`."""
        known = self._inbound.source or self._expected or self._inbound.expected
        if self._terms is None or known is None or not udp.same_host(source, known):
            self.foreign += 1
            return
        clear: bytes | None = data
        if self._inbound.encrypted:
            decryption = self._inbound.decryption
            clear = decryption.unprotect_rtcp(data) if decryption is not None else None
        if clear is None:
            self.foreign += 1
        elif self.session.receive(clear, now):
            self.last_heard = now
            if not self.muxed:
                self._source = source

    def drain(self) -> None:
        """Take what has arrived, each at the time that the kernel noted."""
        if self.sock is None:
            return
        for _ in range(MAX_DRAIN):
            try:
                data, ancillary, _, address = self.sock.recvmsg(MAX_COMPOUND + 1, 64)
            except OSError:
                return
            now = time.monotonic()
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(value) >= _TIMESPEC.size:
                    seconds, ns = _TIMESPEC.unpack_from(value)
                    now -= min(1.0, max(0.0, time.time() - seconds - ns / 1e9))
            source = udp.sockaddr(address[0], address[1], self.sock.family)
            if source is not None:
                self.take(data, source, now)


class ControlPorts:
    """The RTCP sockets of every stream in one epoll, looked at a few times a second."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._streams: dict[int, RtpStream] = {}

    def adopt(self, stream: RtpStream, sock: socket.socket) -> None:
        stream.control.open(sock)
        self._epoll = self._epoll or select.epoll()
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._streams[sock.fileno()] = stream

    def drop(self, stream: RtpStream) -> None:
        """Forget a stream, before it is closed."""
        sock = stream.control.sock
        if sock is not None and self._epoll is not None and sock.fileno() in self._streams:
            del self._streams[sock.fileno()]
            self._epoll.unregister(sock.fileno())

    def ready(self) -> list[RtpStream]:
        """The streams whose RTCP has come."""
        if self._epoll is None:
            return []
        return [self._streams[fd] for fd, _ in self._epoll.poll(0)]

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
