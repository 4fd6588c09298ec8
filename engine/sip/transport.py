"""The UDP socket around the user agent: who may speak to us, and how often."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from engine.sip.gate import Gate
from engine.sip.hop import Hop

log = logging.getLogger(__name__)

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR of Linux, which the socket module does not name."""
_ERROR_QUEUE = 0x2000  # MSG_ERRQUEUE, likewise
MAX_DATAGRAM = 65535
MAX_DROPPED_AT_ONCE = 64
"""Datagrams over their rate that are read before the loop turns to other things."""
RECEIVE_BUFFER = 1 << 20
"""Bytes that the kernel keeps for us, where it may."""


def local_address_towards(remote: Hop) -> str:
    """The address of ours from which packets to `remote` leave. Raises OSError when there is no route."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((remote[0], remote[1] or 9))
        return str(probe.getsockname()[0])


class UdpTransport:
    """One UDP socket. `receive(data, source, trusted)` is called for what passes the limits.

    Datagrams that `gate` does not admit are dropped before anything is parsed. They are read many at a time:
    at a loop iteration each, a flood would have to be dropped by the kernel, and our calls' messages with it.
    """

    def __init__(self, sock: socket.socket, receive: Callable[[bytes, Hop, bool], None]) -> None:
        self._sock = sock
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self.trusted: set[str] = set()
        self.gate = Gate()
        self.on_traffic: Callable[[bytes, Hop, bool], None] = lambda data, peer, sent: None
        self.on_unreachable: Callable[[Hop, bytes], None] = lambda hop, quoted: None
        name = sock.getsockname()
        self.bound = Hop(str(name[0]), int(name[1]))
        self._loop.add_reader(sock, self._readable)

    @classmethod
    async def open(cls, local: tuple[str, int], receive: Callable[[bytes, Hop, bool], None]) -> UdpTransport:
        """Raises OSError when the address can't be bound."""
        loop = asyncio.get_running_loop()
        (family, kind, protocol, _, address), *_ = await loop.getaddrinfo(*local, type=socket.SOCK_DGRAM)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            sock.setsockopt(*_RECVERR[sock.family], 1)
            sock.bind(address)
            return cls(sock, receive)
        except BaseException:
            sock.close()
            raise

    def _readable(self) -> None:
        """One message that is looked at, and what is dropped before it."""
        for _ in range(MAX_DROPPED_AT_ONCE):
            try:
                data, addr = self._sock.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                self._read_errors()  # they alone make the socket readable, too
                return
            except OSError as error:
                log.debug("the network reported: %s", error)
                self._read_errors()
                return
            host = str(addr[0])
            trusted = host in self.trusted
            if self.gate.admits(data, host, trusted, self._loop.time()):
                self._take(data, Hop(host, int(addr[1])), trusted)
                return

    def _read_errors(self) -> None:
        """Tell of every datagram that ICMP said did not arrive, by what it quotes (RFC 3261, 18.4)."""
        for _ in range(MAX_DROPPED_AT_ONCE):
            try:
                quoted, _, _, address = self._sock.recvmsg(2048, 0, _ERROR_QUEUE)
            except OSError:
                return
            if address:
                self.on_unreachable(Hop(str(address[0]), int(address[1])), quoted)

    def _take(self, data: bytes, source: Hop, trusted: bool) -> None:
        try:
            self.on_traffic(data, source, False)
            self._receive(data, source, trusted)
        except Exception:  # one bad message must never end the socket
            log.exception("a SIP message could not be handled")

    def send(self, data: bytes, destination: Hop) -> None:
        """Send to an IP address; what can't be sent is logged."""
        if self._sock.fileno() < 0:
            return
        self.on_traffic(data, destination, True)
        # an earlier datagram's error would be reported in place of sending this one; its report stays queued
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            self._sock.sendto(data, destination[:2])
        except (OSError, ValueError) as error:
            log.debug("not sent to %s: %s", destination, error)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
