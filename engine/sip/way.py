"""Where our requests leave and where the far end reaches us: the trunk's hops, Via and Contact."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.SIP import SIPClient

from engine.sip.account import Account
from engine.sip.hop import DEFAULT_PORTS, Hop, Target, bracketed
from engine.sip.layer import Found, TransactionLayer
from engine.sip.message import Message
from engine.sip.uri import NameAddr, Uri, escape_user, is_ip, number, parse_name_addr

if TYPE_CHECKING:
    from engine.sip.registration import Registration

log = logging.getLogger(__name__)

MAX_ROUTES = 8


class Way(SIPClient):  # type: ignore[misc]
    """`local` is the address that we are bound to, `public` the one in Contact: where the registrar saw
    us. `flow` is the hop that leads to the trunk.

    `locate` and `on_answered` are the network's: the hops of a target, and which of them has answered.
    """

    layer: TransactionLayer
    registration: Registration

    def __init__(self, account: Account, local: tuple[str, int], phone: Any) -> None:
        super().__init__(
            account.host,
            account.port,
            account.username,
            account.password,
            phone,
            myIP=local[0],
            myPort=local[1],
        )
        self.account = account
        self.local = local
        self.public = local
        self.flow = account.next_hop.hop
        self.locate: Callable[[Target, Found], None] = lambda target, found: found([target.hop], "")
        self.on_answered: Callable[[Hop], None] = lambda hop: None
        self.service_route: list[NameAddr] = []
        self._trunk_hops: Sequence[Hop] = [self.flow]

    @property
    def next_hop(self) -> Target:
        return self.account.next_hop

    @property
    def call_hop(self) -> Target:
        """Where an INVITE goes: the outbound proxy, else the first of the registrar's service route."""
        if self.service_route and self.account.proxy is None:
            return self.service_route[0].uri.target
        return self.next_hop

    @property
    def preloaded_routes(self) -> list[tuple[str, str]]:
        """The Route headers of a request that begins a dialog (RFC 3608, 6.1)."""
        return [("Route", str(route)) for route in self.service_route]

    def learn_service_route(self, response: Message) -> None:
        """Take the Service-Route of a registrar's 2xx, which replaces what was before (RFC 3608, 5.1).

        Without `lr` in its first URI, or with more than eight, it is left.
        """
        routes = []
        for value in response.all("Service-Route"):
            with contextlib.suppress(ValueError):
                routes.append(parse_name_addr(value))
        loose = bool(routes) and routes[0].uri.param("lr") is not None
        self.service_route = routes if loose and len(routes) <= MAX_ROUTES else []

    def via(self, branch: str, hop: Hop | None = None) -> str:
        """Our Via, asking for rport (RFC 3581)."""
        transport = (hop or self.flow).transport.upper()
        return f"SIP/2.0/{transport} {bracketed(self.local[0])}:{self.local[1]};rport;branch={branch}"

    def _locate(self, target: Target, found: Found) -> None:
        """The hops of a target. What names the trunk without a transport takes the way that we take
        there; so does a target without a host (a tel: URI)."""
        trunk, flow = self.next_hop, self.flow
        same_name = target.host.lower() == trunk.host.lower() and target.port in (0, trunk.port)
        if not target.host or target == trunk or (target.transport is None and same_name):

            def located(hops: Sequence[Hop], why: str) -> None:
                self._trunk_hops = hops or self._trunk_hops
                found(hops, why)

            self.locate(trunk, located)
        elif target._replace(port=target.port or DEFAULT_PORTS[flow.transport]) == (*flow[:2], None):
            found([flow], "")
        else:
            self.locate(target, found)

    def _worked(self, hop: Hop, method: str) -> None:
        """A hop has answered. Where it is another of the trunk's than before, our binding moves there."""
        self.on_answered(hop)
        if hop in self._trunk_hops and hop != self.flow:
            log.info("the trunk answers at %s", hop)
            self.flow, self.public = hop, self.local
            if method != "REGISTER":
                self.registration.renew()

    def failed(self, hop: Hop, why: str) -> None:
        """A hop can't be reached, or the connection with it is gone: what waits for it is told."""
        self.layer.failed(hop, why)
        if hop == self.flow and hop.reliable:
            self.public = self.local  # that address was the connection's
            self.registration.renew()

    def move(self, host: str) -> bool:
        """Name another address of ours from here on, where it is another: this machine's network changed."""
        if host == self.local[0]:
            return False
        log.warning("our address is %s now, it was %s: registering anew", host, self.local[0])
        self.local = self.public = (host, self.local[1])
        self.registration.renew()
        return True

    @property
    def contact_uri(self) -> Uri:
        transport = self.flow.transport
        params = () if transport == "udp" else (("transport", transport),)
        return Uri("sip", escape_user(self.account.username), self.public[0], self.public[1], params)

    @property
    def contact(self) -> str:
        return f"<{self.contact_uri}>"

    def learn_address(self, response: Message) -> None:
        """Take the address that the far end saw us at (received, rport) into Contact (RFC 3581)."""
        via = response.via
        host = via.params.get("received") or self.local[0]
        port = number(via.params.get("rport"), 65536)
        if port and is_ip(host):
            self.public = (host, port)
