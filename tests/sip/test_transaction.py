"""The transaction machines and their timers, to the millisecond (RFC 3261, 17; RFC 6026)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from charts import TRUNK, VirtualClock

from engine.sip.hop import Hop, Target
from engine.sip.layer import TransactionLayer
from engine.sip.message import Message, build, response_to
from engine.sip.transaction import ServerTransaction

OPENING = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
"""Timer A: doubling without end, until timer B at 32 s."""
STEADY = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
"""Timers E and G: doubling up to T2."""


def request(method: str, branch: str = "z9hG4bKa", cseq: int = 1, to_tag: str = "") -> Message:
    return build(
        f"{method} sip:x@example.net SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP 198.51.100.7:5070;rport;branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", "<sip:a@example.net>;tag=a"),
            ("To", "<sip:x@example.net>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", "c"),
            ("CSeq", f"{cseq} {method}"),
            ("Route", "<sip:192.0.2.10;lr>"),
        ],
    )


@dataclass
class Wire:
    """A layer on a virtual clock."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(0.0))
    sent: list[tuple[float, Message]] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    requests: list[ServerTransaction] = field(default_factory=list)
    acks: list[Message] = field(default_factory=list)
    cancelled: list[ServerTransaction] = field(default_factory=list)
    strays: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layer = TransactionLayer(
            self.clock, lambda data, to: self.sent.append((round(self.clock.time(), 6), Message(data)))
        )
        self.layer.on_request = lambda message, transaction: self.requests.append(transaction)
        self.layer.on_ack = self.acks.append
        self.layer.on_cancel = lambda transaction, cancel: self.cancelled.append(transaction)
        self.layer.on_stray = lambda message, source: self.strays.append(message.code)

    def start(self, method: str) -> Message:
        message = request(method)
        self.layer.request(
            message, Target(*TRUNK), lambda r: self.got.append(r.code),
            lambda: self.timeouts.append(self.clock.time()),
        )  # fmt: skip
        return message

    def receive(self, message: Message) -> None:
        self.layer.receive(Message(message.raw), Hop(*TRUNK))

    def times(self, what: str) -> list[float]:
        return [at for at, message in self.sent if message.summary_line.startswith(what)]


@pytest.fixture
def wire() -> Wire:
    return Wire()


class TestInviteClient:
    def test_timer_a_doubles_and_timer_b_gives_up_after_32_s(self, wire: Wire) -> None:
        wire.start("INVITE")
        wire.clock.advance(31.999)
        assert wire.timeouts == []
        wire.clock.advance(100)
        assert wire.times("INVITE") == OPENING
        assert wire.timeouts == [32.0]
        assert len(wire.layer) == 0

    def test_a_provisional_response_stops_a_and_b(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        wire.clock.advance(0.6)
        wire.receive(response_to(invite, 100))
        wire.clock.advance(600)
        assert wire.times("INVITE") == [0.0, 0.5]
        assert wire.timeouts == []

    def test_timer_d_absorbs_repeated_refusals_for_32_s_with_an_ack_each(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        refusal = response_to(invite, 486, to_tag="b")
        wire.receive(refusal)
        wire.clock.advance(31.9)
        wire.receive(refusal)
        assert wire.times("ACK") == [0.0, 31.9]
        assert wire.got == [486]
        wire.clock.advance(0.2)
        assert len(wire.layer) == 0
        wire.receive(refusal)
        assert wire.strays == [486]

    def test_the_ack_of_a_refusal_copies_request_uri_via_route_and_cseq(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        wire.receive(response_to(invite, 500, to_tag="b"))
        ack = wire.sent[-1][1]
        assert ack.uri_text == invite.uri_text
        assert ack.all("Via") == invite.all("Via")
        assert ack.all("Route") == ["<sip:192.0.2.10;lr>"]
        assert (ack.cseq, ack.to.tag) == (invite.cseq, "b")

    def test_timer_m_passes_every_2xx_for_32_s(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        for tag in ("b", "b", "other"):
            wire.receive(response_to(invite, 200, to_tag=tag))
        assert wire.got == [200, 200, 200]
        assert wire.times("ACK") == []
        wire.clock.advance(31.9)
        assert len(wire.layer) == 1
        wire.clock.advance(0.2)
        assert len(wire.layer) == 0

    def test_a_refusal_after_a_2xx_is_ignored(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        wire.receive(response_to(invite, 200, to_tag="b"))
        wire.receive(response_to(invite, 486, to_tag="c"))
        assert wire.got == [200]


class TestNonInviteClient:
    def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up_after_32_s(self, wire: Wire) -> None:
        wire.start("BYE")
        wire.clock.advance(100)
        assert wire.times("BYE") == STEADY
        assert wire.timeouts == [32.0]

    def test_after_a_provisional_response_timer_e_is_t2(self, wire: Wire) -> None:
        bye = wire.start("BYE")
        wire.receive(response_to(bye, 100))
        wire.clock.advance(9)
        assert wire.times("BYE") == [0.0, 0.5, 4.5, 8.5]
        wire.clock.advance(100)
        assert wire.timeouts == [32.0]

    def test_timer_k_absorbs_repeats_for_5_s(self, wire: Wire) -> None:
        bye = wire.start("BYE")
        wire.receive(response_to(bye, 200, to_tag="b"))
        wire.clock.advance(4.9)
        wire.receive(response_to(bye, 200, to_tag="b"))
        assert wire.got == [200]
        assert len(wire.layer) == 1
        wire.clock.advance(0.2)
        assert len(wire.layer) == 0
        assert wire.times("BYE") == [0.0]

    def test_a_response_to_another_method_of_the_same_branch_is_not_its_own(self, wire: Wire) -> None:
        wire.start("INVITE")
        wire.receive(response_to(request("CANCEL"), 200))
        assert wire.got == []
        assert wire.strays == [200]


class TestInviteServer:
    def test_a_refusal_is_repeated_by_timer_g_until_timer_h(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        wire.requests[0].respond(response_to(wire.requests[0].request, 486, to_tag="b"))
        wire.clock.advance(100)
        assert wire.times("486") == STEADY
        assert len(wire.layer) == 0

    def test_its_ack_stops_it_and_timer_i_absorbs_more_for_5_s(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        wire.requests[0].respond(response_to(wire.requests[0].request, 486, to_tag="b"))
        wire.clock.advance(1.0)
        wire.receive(request("ACK", to_tag="b"))
        wire.clock.advance(4.9)
        wire.receive(request("ACK", to_tag="b"))
        assert wire.acks == []
        assert wire.times("486") == [0.0, 0.5]
        wire.clock.advance(0.2)
        assert len(wire.layer) == 0

    def test_a_2xx_is_repeated_for_32_s_and_then_reported(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        transaction = wire.requests[0]
        transaction.on_no_ack = lambda: wire.timeouts.append(wire.clock.time())
        transaction.respond(response_to(transaction.request, 200, to_tag="b"))
        wire.clock.advance(100)
        assert wire.times("200") == STEADY
        assert wire.timeouts == [32.0]

    def test_the_ack_of_a_2xx_is_the_dialogs_and_timer_l_absorbs_late_invites(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        transaction = wire.requests[0]
        transaction.on_no_ack = lambda: wire.timeouts.append(wire.clock.time())
        transaction.respond(response_to(transaction.request, 200, to_tag="b"))
        wire.receive(request("ACK", branch="z9hG4bKack", to_tag="b"))
        assert len(wire.acks) == 1
        transaction.acknowledge()
        wire.clock.advance(31.9)
        wire.receive(request("INVITE"))
        assert len(wire.requests) == 1
        wire.clock.advance(0.2)
        assert wire.times("200") == [0.0]
        assert wire.timeouts == []
        assert len(wire.layer) == 0

    def test_a_repeated_invite_gets_the_last_response_again(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        wire.receive(request("INVITE"))
        assert wire.sent == []
        wire.requests[0].respond(response_to(wire.requests[0].request, 180, to_tag="b"))
        wire.receive(request("INVITE"))
        assert wire.times("180") == [0.0, 0.0]
        assert len(wire.requests) == 1

    def test_only_one_final_response_leaves(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        for code in (486, 200, 180):
            wire.requests[0].respond(response_to(wire.requests[0].request, code, to_tag="b"))
        assert [message.code for _, message in wire.sent] == [486]

    def test_cancel_is_answered_and_names_its_invite(self, wire: Wire) -> None:
        wire.receive(request("INVITE"))
        wire.receive(request("CANCEL"))
        wire.receive(request("CANCEL"))
        assert wire.cancelled == wire.requests
        assert wire.times("200") == [0.0, 0.0]

    def test_without_the_magic_cookie_tags_and_call_id_tell_transactions_apart(self, wire: Wire) -> None:
        wire.receive(request("INVITE", branch="1"))
        wire.receive(request("INVITE", branch="2"))
        wire.receive(request("INVITE", branch="1", cseq=2))
        assert len(wire.requests) == 2


class TestNonInviteServer:
    def test_timer_j_repeats_the_response_on_demand_for_32_s(self, wire: Wire) -> None:
        wire.receive(request("BYE"))
        wire.receive(request("BYE"))
        assert wire.sent == []
        wire.requests[0].respond(response_to(wire.requests[0].request, 200, to_tag="b"))
        wire.clock.advance(31.9)
        wire.receive(request("BYE"))
        assert wire.times("200") == [0.0, 31.9]
        wire.clock.advance(0.2)
        assert len(wire.layer) == 0

    def test_beyond_the_limit_requests_are_refused_without_state(
        self, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.sip.layer.MAX_TRANSACTIONS", 3)
        for n in range(5):
            wire.receive(request("OPTIONS", branch=f"z9hG4bK{n}"))
        assert len(wire.requests) == 3
        assert wire.times("503") == [0.0, 0.0]
        assert len(wire.layer) == 3


class TestLastWord:
    """What a phone on its way out must stay for: a lost last word is asked for again after T1."""

    def test_the_response_to_a_request(self, wire: Wire) -> None:
        wire.receive(request("BYE"))
        assert not wire.layer.had_last_word(0.75)
        wire.requests[0].respond(response_to(wire.requests[0].request, 200, to_tag="b"))
        wire.clock.advance(0.5)
        assert wire.layer.had_last_word(0.75)
        wire.receive(request("BYE"))
        wire.clock.advance(0.7)
        assert wire.layer.had_last_word(0.75)
        wire.clock.advance(0.1)
        assert not wire.layer.had_last_word(0.75)

    def test_the_ack_of_a_refusal(self, wire: Wire) -> None:
        invite = wire.start("INVITE")
        assert not wire.layer.had_last_word(0.75)
        wire.receive(response_to(invite, 486, to_tag="b"))
        assert wire.layer.had_last_word(0.75)

    def test_a_request_of_ours_that_was_answered_leaves_nothing_to_say(self, wire: Wire) -> None:
        wire.receive(response_to(wire.start("BYE"), 200, to_tag="b"))
        assert not wire.layer.had_last_word(0.75)


def test_closing_ends_every_transaction_in_silence(wire: Wire) -> None:
    wire.start("INVITE")
    wire.receive(request("INVITE", branch="z9hG4bKin"))
    wire.layer.close()
    wire.clock.advance(100)
    assert wire.times("INVITE") == [0.0]
    assert wire.timeouts == []
    assert wire.clock.pending == 0
