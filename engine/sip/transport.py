"""The UDP socket around the user agent: who may speak to us, and how often."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from engine.sip.gate import Gate
from engine.sip.hop import Hop

log = logging.getLogger(__name__)


def local_address_towards(remote: Hop) -> str:
    """The address of ours from which packets to `remote` leave. Raises OSError when there is no route."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((remote[0], remote[1] or 9))
        return str(probe.getsockname()[0])


class UdpTransport(asyncio.DatagramProtocol):
    """One UDP socket. `receive(data, source, trusted)` is called for what passes the limits.

    Datagrams that `gate` does not admit are dropped before anything is parsed.
    """

    def __init__(self, receive: Callable[[bytes, Hop, bool], None]) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self.trusted: set[str] = set()
        self.gate = Gate()
        self.on_traffic: Callable[[bytes, Hop, bool], None] = lambda data, peer, sent: None

    @classmethod
    async def open(cls, local: tuple[str, int], receive: Callable[[bytes, Hop, bool], None]) -> UdpTransport:
        """Raises OSError when the address can't be bound."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: cls(receive), local_addr=local)
        return protocol

    @property
    def bound(self) -> Hop:
        assert self._transport is not None
        name = self._transport.get_extra_info("sockname")
        return Hop(str(name[0]), int(name[1]))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        source = Hop(str(addr[0]), int(addr[1]))
        trusted = source[0] in self.trusted
        if not self.gate.admits(data, source[0], trusted, asyncio.get_running_loop().time()):
            return
        try:
            self.on_traffic(data, source, False)
            self._receive(data, source, trusted)
        except Exception:  # one bad message must never end the socket
            log.exception("a SIP message could not be handled")

    def error_received(self, exc: Exception) -> None:
        log.debug("the network reported: %s", exc)

    def send(self, data: bytes, destination: Hop) -> None:
        """Send to an IP address; what can't be sent is logged."""
        if self._transport is None or self._transport.is_closing():
            return
        self.on_traffic(data, destination, True)
        try:
            self._transport.sendto(data, destination[:2])
        except (OSError, ValueError) as error:
            log.debug("not sent to %s: %s", destination, error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
