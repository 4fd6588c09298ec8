"""From what a URI says to the hops that lead there: NAPTR, SRV, A and AAAA (RFC 3263, RFC 2782)."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.resolver

from engine.sip.hop import DEFAULT_PORTS, Hop, Target, Transport
from engine.sip.uri import is_ip

log = logging.getLogger(__name__)

LEAST_TTL, LONGEST_TTL = 10.0, 3600.0
"""Seconds that an answer is kept, whatever its TTL says."""
SYSTEM_TTL = 60.0
"""Seconds for what the system's own resolver says, which tells no TTL."""
ANSWER_WAIT = 4.0
STALE_WAIT = 1.0
"""Seconds for DNS to answer: the first for a name that is new, the second where an old answer is at hand."""
MAX_KEPT = 256
MAX_RECORDS = 8
"""Records of one answer that are followed, and addresses of one name."""

Family = Literal["IPv4", "IPv6"]

_SERVICES: dict[str, Transport] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV: dict[Transport, str] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


class ResolveError(Exception):
    """A host name without an address; the text is one plain sentence."""


class Weighted(NamedTuple):
    priority: int
    weight: int
    host: str
    port: int


def in_order(records: Sequence[Weighted], draw: Callable[[int, int], int] = random.randint) -> list[Weighted]:
    """SRV records by priority, and within one by chance as their weights say (RFC 2782)."""
    ordered: list[Weighted] = []
    left = sorted(records, key=lambda r: (r.priority, r.weight > 0))
    while left:
        alike = [r for r in left if r.priority == left[0].priority]
        point, total = draw(0, sum(r.weight for r in alike)), 0
        for record in alike:
            total += record.weight
            if total >= point:
                break
        ordered.append(record)
        left.remove(record)
    return ordered


class _Kept(NamedTuple):
    hops: list[Hop]
    until: float


class Resolver:
    """Finds hops and remembers them for their TTL, the one that worked first.

    `family` is the only one that we can send to. `dns` replaces the system's resolver configuration.
    """

    def __init__(self, family: Family, dns_: dns.asyncresolver.Resolver | None = None) -> None:
        self._family = family
        self._dns = dns_ or _system_dns()
        self._kept: dict[Target, _Kept] = {}
        self.now: Callable[[], float] = time.monotonic

    def kept(self, target: Target) -> list[Hop] | None:
        """The hops without asking anybody: of an address, or while an answer lasts."""
        if is_ip(target.host):
            return [target.hop]
        found = self._kept.get(target)
        return list(found.hops) if found and found.until > self.now() else None

    def worked(self, hop: Hop) -> None:
        """A hop has answered: it comes first from now on."""
        for kept in self._kept.values():
            if hop in kept.hops[1:]:
                kept.hops.remove(hop)
                kept.hops.insert(0, hop)

    async def resolve(self, target: Target) -> list[Hop]:
        """Every hop, best first. Raises ResolveError; where there were hops before, they still count."""
        if (known := self.kept(target)) is not None:
            return self._of_family(target, known)
        before = self._kept.get(target)
        try:
            lookup = _Lookup(target, self._dns, self._family)
            async with asyncio.timeout(STALE_WAIT if before else None):
                hops = self._of_family(target, await lookup.run())
        except (ResolveError, TimeoutError) as error:
            if before is None:
                raise
            log.warning("%s; what was known before is used", str(error) or f"no DNS for {target.host}")
            hops, ttl = before.hops, SYSTEM_TTL
        else:
            ttl = min(max(lookup.ttl, LEAST_TTL), LONGEST_TTL)
        if before and before.hops[0] in hops:  # it works: stay with it
            hops = [before.hops[0], *(h for h in hops if h != before.hops[0])]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[target] = _Kept(list(hops), self.now() + ttl)
        return list(hops)

    def _of_family(self, target: Target, hops: list[Hop]) -> list[Hop]:
        mine = [hop for hop in hops if (":" in hop.host) == (self._family == "IPv6")]
        if not mine and hops:
            listen = "[::]:0" if self._family == "IPv4" else "0.0.0.0:0"
            raise ResolveError(
                f"{target.host} has no {self._family} address, and sip.listen is one: set it to {listen}"
            )
        return mine


class _Lookup:
    """One target's way through DNS; `ttl` is the shortest of the records used."""

    def __init__(self, target: Target, dns_: dns.asyncresolver.Resolver | None, family: Family) -> None:
        self._target = target
        self._dns = dns_ if _in_dns(target.host) else None
        self._family = family
        self.ttl = LONGEST_TTL

    async def run(self) -> list[Hop]:
        host, port, transport = self._target
        if port:
            return await self._addresses(host, port, transport or "udp")
        for name, kind in await self._services(host, transport):
            records = await self._ask(name, "SRV")
            services = [
                Weighted(r.priority, r.weight, r.target.to_text(omit_final_dot=True), r.port)
                for r in records
                if r.target.to_text() != "."
            ]
            hops: list[Hop] = []
            for service in in_order(services):
                try:
                    hops += await self._addresses(service.host, service.port, kind)
                except ResolveError as error:
                    log.info("%s", error)
            if hops:
                return list(dict.fromkeys(hops))
        transport = transport or "udp"
        return await self._addresses(host, DEFAULT_PORTS[transport], transport)

    async def _services(self, host: str, transport: Transport | None) -> list[tuple[str, Transport]]:
        """Names of SRV records and the transports that they stand for, best first (RFC 3263, 4.1)."""
        if transport:
            return [(f"{_SRV[transport]}.{host}", transport)]
        found = []
        for record in await self._ask(host, "NAPTR"):
            service = record.service.decode("ascii", "replace").upper()
            if service in _SERVICES and record.flags.lower() == b"s":
                rank = (record.order, record.preference)
                found.append((rank, record.replacement.to_text(omit_final_dot=True), _SERVICES[service]))
        if found:
            return [(name, kind) for _, name, kind in sorted(found)]
        return [(f"{prefix}.{host}", kind) for kind, prefix in _SRV.items()]

    async def _addresses(self, host: str, port: int, transport: Transport) -> list[Hop]:
        if is_ip(host):
            return [Hop(host, port, transport)]
        kinds = ("A", "AAAA") if self._family == "IPv4" else ("AAAA", "A")
        for kind in kinds:
            if records := await self._ask(host, kind):
                return [Hop(r.address, port, transport) for r in records]
        return [Hop(address, port, transport) for address in await self._from_system(host)]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """The records of a name, at most `MAX_RECORDS`; none where there are none."""
        if self._dns is None:
            return []
        try:
            answer = await self._dns.resolve(name, kind, search=False, lifetime=ANSWER_WAIT)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return []
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            log.info("no DNS for %s %s: %s", kind, name, error)
            self._dns = None  # nobody answers; the system's resolver has the last word
            return []
        self.ttl = min(self.ttl, float(answer.rrset.ttl if answer.rrset else LEAST_TTL))
        return list(answer)[:MAX_RECORDS]

    async def _from_system(self, host: str) -> list[str]:
        """What /etc/hosts and the like say. Raises ResolveError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ResolveError(f"{host} has no address ({reason})") from None
        self.ttl = min(self.ttl, SYSTEM_TTL)
        return list(dict.fromkeys(str(info[4][0]) for info in found))[: 2 * MAX_RECORDS]


def _in_dns(host: str) -> bool:
    """Names that only this machine knows are not asked of DNS (RFC 6761, 6.3, 6.4)."""
    last = host.rstrip(".").rpartition(".")
    return bool(last[0]) and last[2].lower() not in ("localhost", "local", "invalid", "test")


def _system_dns() -> dns.asyncresolver.Resolver | None:
    try:
        return dns.asyncresolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return None
