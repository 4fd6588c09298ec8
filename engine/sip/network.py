"""Everything below the user agent: the UDP socket, the streams and DNS, behind one way to send."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence

from engine.sip.framing import PING
from engine.sip.hop import Hop, Target
from engine.sip.resolver import ResolveError, Resolver
from engine.sip.streams import Streams
from engine.sip.tls import TlsTerms
from engine.sip.transport import UdpTransport

log = logging.getLogger(__name__)

Receive = Callable[[bytes, Hop, bool], None]
PORT_TRIES = 8


class Network:
    """Opened by `open`; `receive(data, source, trusted)` gets what comes, over every transport.

    `trunk` are the targets whose addresses are trusted, the first of them where calls go. Set
    `on_traffic(data, peer, sent)` to see every message pass.
    """

    def __init__(self, receive: Receive, trunk: Sequence[Target], tls: TlsTerms, resolver: Resolver) -> None:
        self._receive = receive
        self._trunk = trunk
        self._tls = tls
        self._resolver = resolver
        self._hosts: dict[Target, set[str]] = {}
        self._names: dict[str, str] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self.udp: UdpTransport
        self.streams: Streams
        self.on_traffic: Callable[[bytes, Hop, bool], None] = lambda data, peer, sent: None

    async def open(self, listen: tuple[str, int], *, tcp: bool) -> None:
        """Bind; where `tcp`, take connections on the same port too. Raises OSError."""
        for left in reversed(range(PORT_TRIES)):
            self.udp = await UdpTransport.open(listen, self._receive)
            source = None if listen[0] in ("0.0.0.0", "::") else listen[0]
            self.streams = Streams(source, self._tls.context, self._server_name)
            try:
                if tcp:
                    await self.streams.listen(*self.udp.bound[:2])
                break
            except BaseException as error:  # a free UDP port need not be free for TCP
                self.udp.close()
                if not isinstance(error, OSError) or listen[1] or not left or error.errno != errno.EADDRINUSE:
                    raise
        self.udp.on_traffic = self._traffic
        self.streams.on_message = self._from_stream
        self.streams.may_connect = lambda host: host in self.udp.trusted

    def _traffic(self, data: bytes, peer: Hop, sent: bool) -> None:
        self.on_traffic(data, peer, sent)

    def _from_stream(self, data: bytes, hop: Hop) -> None:
        trusted = hop.host in self.udp.trusted
        if self.udp.gate.admits(data, hop.host, trusted, asyncio.get_running_loop().time()):
            self.on_traffic(data, hop, False)
            self._receive(data, hop, trusted)

    def send(self, data: bytes, hop: Hop) -> None:
        if hop.transport == "udp":
            self.udp.send(data, hop)
        else:
            self.on_traffic(data, hop, True)
            self.streams.send(data, hop)

    def connected(self, hop: Hop) -> bool:
        return hop.transport == "udp" or self.streams.connected(hop)

    def keep_alive(self, flow: Hop) -> None:
        """A double CRLF keeps a NAT's mapping open, and tells a dead connection (RFC 5626, 3.5.1)."""
        if flow.transport == "udp":
            self.udp.send(PING, flow)
        self.streams.keep_alive()

    # --- names ------------------------------------------------------------------------------------

    async def resolve(self, target: Target) -> list[Hop]:
        """The hops of a target, best first. Raises ResolveError."""
        hops = await self._resolver.resolve(target)
        self._note(target, hops)
        return hops

    def locate(self, target: Target, found: Callable[[Sequence[Hop], str], None]) -> None:
        """`resolve` for the user agent: at once where the answer is known, else later."""
        known = self._resolver.kept(target)
        if known is not None:
            self._note(target, known)
            found(known, "")
            return
        task = asyncio.get_running_loop().create_task(self._look_up(target, found))
        self._lookups.add(task)
        task.add_done_callback(self._lookups.discard)

    async def _look_up(self, target: Target, found: Callable[[Sequence[Hop], str], None]) -> None:
        try:
            hops, why = await self.resolve(target), ""
        except ResolveError as error:
            log.warning("not sent: %s", error)
            hops, why = [], str(error)
        found(hops, why)

    def worked(self, hop: Hop) -> None:
        self._resolver.worked(hop)

    def _note(self, target: Target, hops: Sequence[Hop]) -> None:
        """Trust the trunk's addresses, and know which name the certificate of each must be for."""
        trunk = target in self._trunk
        if trunk:
            self._hosts[target] = {hop.host for hop in hops}
            self.udp.trusted = set().union(*self._hosts.values())
        if len(self._names) > 1024:
            self._names.clear()
        for hop in hops:
            # whoever else the trunk sends us to can't change the name that the trunk itself must show
            if trunk or not any(hop.host in hosts for hosts in self._hosts.values()):
                self._names[hop.host] = target.host

    def _server_name(self, hop: Hop) -> str:
        of_trunk = any(hop.host in hosts for hosts in self._hosts.values())
        if of_trunk and self._tls.server_name:
            return self._tls.server_name
        return self._names.get(hop.host, hop.host)

    def close(self) -> None:
        for task in self._lookups:
            task.cancel()
        self.streams.close()
        self.udp.close()
