"""From a URI to the hops that lead there (RFC 3263, RFC 2782), asked of a DNS server on loopback."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from charts import FakeMedia
from hypothesis import given
from hypothesis import strategies as st
from nameserver import NameServer
from peers import LIMIT_S, Sipp, free_udp_port

from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.hop import Hop, Target
from engine.sip.phone import Phone
from engine.sip.resolver import ResolveError, Resolver, Weighted, in_order


@pytest.fixture
async def dns() -> AsyncIterator[NameServer]:
    made = await NameServer.open()
    yield made
    made.close()


@pytest.fixture
def resolver(dns: NameServer) -> Resolver:
    return Resolver("IPv4", dns.resolver())


async def test_an_address_is_asked_of_nobody(dns: NameServer, resolver: Resolver) -> None:
    """RFC 3263, 4.1 and 4.2: a numeric address is used as it is, by UDP unless said otherwise."""
    assert await resolver.resolve(Target("192.0.2.1")) == [Hop("192.0.2.1", 5060)]
    assert await resolver.resolve(Target("192.0.2.1", 0, "tls")) == [Hop("192.0.2.1", 5061, "tls")]
    assert dns.asked == []


async def test_an_explicit_port_leaves_only_addresses_to_ask(dns: NameServer, resolver: Resolver) -> None:
    """RFC 3263, 4.2: with a port, A and AAAA alone."""
    dns.add("a.example", "A", "192.0.2.1", "192.0.2.2")
    dns.add("_sip._udp.a.example", "SRV", "1 1 5070 other.example.")
    found = await resolver.resolve(Target("a.example", 5080))
    assert sorted(found) == [Hop("192.0.2.1", 5080), Hop("192.0.2.2", 5080)]
    assert dns.asked == ["A a.example"]


async def test_an_explicit_transport_asks_for_its_srv_records(dns: NameServer, resolver: Resolver) -> None:
    """RFC 3263, 4.1: the transport is given, so no NAPTR."""
    dns.add("_sips._tcp.a.example", "SRV", "1 1 5071 b.example.")
    dns.add("b.example", "A", "192.0.2.7")
    assert await resolver.resolve(Target("a.example", 0, "tls")) == [Hop("192.0.2.7", 5071, "tls")]
    assert dns.asked == ["SRV _sips._tcp.a.example", "A b.example"]


async def test_naptr_chooses_the_transport(dns: NameServer, resolver: Resolver) -> None:
    """RFC 3263, 4.1: order, then preference, among the transports that we have."""
    dns.add(
        "a.example", "NAPTR",
        '20 1 "s" "SIP+D2U" "" _sip._udp.a.example.', '10 9 "s" "SIP+D2T" "" _sip._tcp.b.example.',
        '10 2 "s" "SIPS+D2S" "" _sips._sctp.a.example.', '10 1 "u" "E2U+sip" "!^.*$!sip:x@y!" .',
    )  # fmt: skip
    dns.add("_sip._tcp.b.example", "SRV", "1 1 5062 c.example.")
    dns.add("c.example", "A", "192.0.2.8")
    assert await resolver.resolve(Target("a.example")) == [Hop("192.0.2.8", 5062, "tcp")]


async def test_without_naptr_the_first_transport_with_srv_records_is_taken(
    dns: NameServer, resolver: Resolver
) -> None:
    """RFC 3263, 4.1: no NAPTR, so SRV of each transport."""
    dns.add("_sip._tcp.a.example", "SRV", "2 1 5062 c.example.", "1 1 5063 c.example.")
    dns.add("c.example", "A", "192.0.2.8")
    assert await resolver.resolve(Target("a.example")) == [
        Hop("192.0.2.8", 5063, "tcp"), Hop("192.0.2.8", 5062, "tcp"),
    ]  # fmt: skip


async def test_without_any_of_them_the_default_port_of_the_address(
    dns: NameServer, resolver: Resolver
) -> None:
    """RFC 3263, 4.2; an SRV target of "." offers no service (RFC 2782)."""
    dns.add("a.example", "A", "192.0.2.9")
    dns.add("_sip._udp.a.example", "SRV", "1 1 5070 .")
    assert await resolver.resolve(Target("a.example")) == [Hop("192.0.2.9", 5060)]


async def test_a_target_without_an_address_is_passed_over(dns: NameServer, resolver: Resolver) -> None:
    dns.add("_sip._udp.a.example", "SRV", "1 1 5070 gone.invalid.", "2 1 5071 c.example.")
    dns.add("c.example", "A", "192.0.2.8")
    assert await resolver.resolve(Target("a.example")) == [Hop("192.0.2.8", 5071)]


records = st.lists(
    st.builds(Weighted, st.integers(0, 3), st.integers(0, 20), st.just("h"), st.integers(1, 9))
)


@given(records, st.integers())
def test_srv_order_loses_nothing_and_keeps_priorities(found: list[Weighted], seed: int) -> None:
    """RFC 2782: every record once, lower priority values first."""
    ordered = in_order(found, random.Random(seed).randint)
    assert sorted(ordered) == sorted(found)
    assert [r.priority for r in ordered] == sorted(r.priority for r in found)


def test_srv_weights_are_shares() -> None:
    """RFC 2782: weights 3 to 1 come first three times in four; weight 0 is rarely chosen."""
    found = [Weighted(1, 0, "zero", 1), Weighted(1, 25, "light", 1), Weighted(1, 75, "heavy", 1)]
    dice = random.Random(7)
    first = [in_order(found, dice.randint)[0].host for _ in range(2000)]
    assert 1400 < first.count("heavy") < 1600
    assert 0 < first.count("zero") < 60


async def test_answers_are_kept_for_their_ttl_and_the_hop_that_worked_comes_first(
    dns: NameServer, resolver: Resolver
) -> None:
    """RFC 3263, 4.3: what worked is used again until the TTL is over."""
    now = 100.0
    resolver.now = lambda: now
    target = Target("a.example", 5060)
    dns.add("a.example", "A", "192.0.2.1", "192.0.2.2", ttl=60)
    one, two = await resolver.resolve(target)
    resolver.worked(two)
    now += 59
    assert resolver.kept(target) == [two, one]
    now += 2
    assert resolver.kept(target) is None
    dns.add("a.example", "A", "192.0.2.3", "192.0.2.2", ttl=60)
    assert await resolver.resolve(target) == [two, Hop("192.0.2.3", 5060)]
    assert dns.asked == ["A a.example"] * 2


async def test_what_was_known_is_used_while_dns_is_away(dns: NameServer, resolver: Resolver) -> None:
    now = 0.0
    resolver.now = lambda: now
    dns.add("trunk.a.example", "A", "192.0.2.1", ttl=30)
    known = await resolver.resolve(Target("trunk.a.example", 5060))
    now += 60
    dns._records.clear()
    assert await resolver.resolve(Target("trunk.a.example", 5060)) == known


async def test_and_dns_that_does_not_answer_holds_up_no_call(
    dns: NameServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sip.resolver.STALE_WAIT", 0.05)
    now = 0.0
    resolver.now = lambda: now
    dns.add("trunk.a.example", "A", "192.0.2.1", ttl=30)
    known = await resolver.resolve(Target("trunk.a.example", 5060))
    now += 60
    dns.silent = True
    assert await resolver.resolve(Target("trunk.a.example", 5060)) == known


async def test_no_more_than_so_many_names_are_kept(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sip.resolver.MAX_KEPT", 3)
    for port in range(1, 10):
        await resolver.resolve(Target("localhost", port))
    assert len(resolver._kept) <= 3


async def test_names_of_this_machine_are_not_asked_of_dns(dns: NameServer, resolver: Resolver) -> None:
    """RFC 6761, 6.3 and 6.4."""
    assert await resolver.resolve(Target("localhost")) == [Hop("127.0.0.1", 5060)]
    with pytest.raises(ResolveError, match=r"host\.invalid has no address"):
        await resolver.resolve(Target("no.such.host.invalid"))
    assert dns.asked == []


@pytest.mark.parametrize("host", ["a" * 300, "x..y", "-", "a.example"])
async def test_a_name_without_an_address_is_told_in_a_sentence(resolver: Resolver, host: str) -> None:
    with pytest.raises(ResolveError, match="has no address"):
        await resolver.resolve(Target(host, 5060))


async def test_the_systems_resolver_has_the_last_word(
    dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of /etc/hosts that DNS does not know, and a machine without DNS at all."""

    async def hosts(self: object, host: str, port: object, **more: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.77", 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", hosts)
    target, hop = Target("pbx.office.example", 5060), Hop("192.0.2.77", 5060)
    assert await Resolver("IPv4", dns.resolver()).resolve(target) == [hop]
    monkeypatch.setattr("engine.sip.resolver._system_dns", lambda: None)
    assert await Resolver("IPv4").resolve(target) == [hop]


async def test_a_silent_dns_server_is_waited_for_once(
    dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sip.resolver.ANSWER_WAIT", 0.05)
    dns.silent = True
    with pytest.raises(ResolveError):
        await Resolver("IPv4", dns.resolver()).resolve(Target("a.example"))
    assert set(dns.asked) == {"NAPTR a.example"}


async def test_an_address_of_the_other_family_is_told_with_what_to_set(
    dns: NameServer, resolver: Resolver
) -> None:
    dns.add("six.example", "AAAA", "2001:db8::1")
    with pytest.raises(ResolveError, match=r"six\.example has no IPv4 address.*set it to \[::\]:0"):
        await resolver.resolve(Target("six.example"))
    assert await Resolver("IPv6", dns.resolver()).resolve(Target("six.example")) == [Hop("2001:db8::1", 5060)]


async def test_a_call_goes_to_the_second_target_when_the_first_is_silent(
    dns: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3263, 4.3: no answer from one, so the next, with a new branch. Every address is trusted."""
    monkeypatch.setattr("engine.sip.outgoing.PATIENCE", 0.3)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.2", 0))
    second = Sipp(tmp_path)
    second.start("far_bye")
    dns.add(
        "_sip._udp.trunk.example", "SRV",
        f"1 1 {silent.getsockname()[1]} one.trunk.example.", f"2 1 {second.port} two.trunk.example.",
    )  # fmt: skip
    dns.add("one.trunk.example", "A", "127.0.0.2")
    dns.add("two.trunk.example", "A", "127.0.0.1")
    account = Account("trunk.example", 0, username="1001", register=False, keepalive=0)
    phone = Phone("", 0, "1001", "", "127.0.0.1", None, free_udp_port(), account=account, media=FakeMedia())
    phone.resolver = Resolver("IPv4", dns.resolver())
    ended = asyncio.Event()
    phone.on_call_change = lambda call: ended.set() if call.progress is LegState.ENDED else None
    try:
        await phone.open()
        call = phone.dial("5551234")
        await asyncio.wait_for(ended.wait(), LIMIT_S)
        await asyncio.to_thread(second.wait)
        assert call.cause == HangupCause("normal", "far")
        assert silent.recv(65535).startswith(b"INVITE sip:5551234@trunk.example SIP/2.0\r\n")
        assert phone.agent is not None
        assert phone.agent.flow == Hop("127.0.0.1", second.port)
        assert phone._network is not None
        assert phone._network.udp.trusted == {"127.0.0.1", "127.0.0.2"}
        await phone.close()
    finally:
        second.close()
        silent.close()
