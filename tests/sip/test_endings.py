"""What a call leaves behind: nothing is repeated, kept or ended that is not its own (RFC 3261, 9, 13, 15)."""

from __future__ import annotations

import pytest
from charts import Chart, sdp, text

from engine.legs import LegState
from engine.sip.dialog import SavedInvite
from engine.sip.message import MAX_LINE, Message

CALLEES_OWN_ADDRESS = ("203.0.113.5", 5060)


class TestOfAnInboundCall:
    def test_a_cancel_of_another_invite_with_its_call_id_leaves_it_ringing(self, chart: Chart) -> None:
        """RFC 3261, 9.2: CANCEL ends the transaction that it names, here the merged request's (8.2.2.2)."""
        call = chart.ringing(branch="z9hG4bKone")
        chart.request("INVITE", body=sdp(), branch="z9hG4bKtwo")
        chart.request("CANCEL", branch="z9hG4bKtwo")
        assert chart.take() == ["180 Ringing", "482 Loop Detected", "200 OK"]
        assert call.progress is LegState.RINGING
        chart.request("CANCEL", branch="z9hG4bKone")
        assert call.progress is LegState.ENDED

    def test_its_answer_is_not_repeated_after_a_bye_that_was_faster_than_the_ack(self, chart: Chart) -> None:
        """RFC 3261, 13.3.1.4: the 2xx is repeated for a dialog's sake; that is over (15.1.2)."""
        call = chart.ringing()
        call.accept()
        chart.sent.clear()
        chart.request("BYE", call, cseq=2)
        chart.clock.advance(40)
        assert chart.take() == ["200 OK"]
        assert len(chart.agent.layer) == 0

    def test_both_hang_up_before_the_ack(self, chart: Chart) -> None:
        """Our BYE, which waits for the ACK (15), has nothing to end any more; theirs gets its 200."""
        call = chart.ringing()
        call.accept()
        call.hangup_leg()
        chart.sent.clear()
        chart.request("BYE", call, cseq=2)
        chart.clock.advance(40)
        assert chart.take() == ["200 OK"]
        assert not chart.agent.knows(call.call_id)

    def test_the_ack_that_our_bye_waits_for_may_come_straight_from_the_caller(self, chart: Chart) -> None:
        """Without Record-Route it does not come by way of the trunk."""
        call = chart.ringing()
        call.accept()
        call.hangup_leg()
        chart.sent.clear()
        chart.request("ACK", call, source=CALLEES_OWN_ADDRESS, trusted=False)
        assert chart.take() == ["BYE"]


class TestOfACallThatWasUp:
    def test_our_answer_to_a_re_invite_is_not_repeated_after_our_bye(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, body=sdp(version=2))
        call.hangup_leg()
        chart.answer(chart.last("BYE"), 200)
        chart.sent.clear()
        chart.clock.advance(40)
        assert chart.take() == []
        assert len(chart.agent.layer) == 0

    def test_the_answer_of_an_ack_after_the_end_connects_nothing(self, chart: Chart) -> None:
        """A re-INVITE without an offer, and its ACK once the port has gone back."""
        call = chart.ringing()
        call.accept()
        chart.request("INVITE", call, cseq=2)
        call.hangup_leg()
        chart.request("ACK", call, cseq=2, body=sdp())  # FakeMedia knows its streams
        assert chart.media.ports == {}

    def test_its_2xx_that_comes_very_late_once_more_is_acknowledged_and_ends_nothing(
        self, chart: Chart
    ) -> None:
        """After timer M nothing knows of it but the dialog that it belongs to (13.2.2.4)."""
        call, invite = chart.answered()
        chart.clock.advance(40)
        chart.answer(invite, 200, "OK", body=sdp())
        assert chart.take() == ["ACK"]
        assert call.progress is LegState.ANSWERED

    def test_what_a_redirecting_target_described_is_not_taken_for_the_next_ones_answer(
        self, chart: Chart
    ) -> None:
        """RFC 3264, 5: the offer of the second INVITE has no answer yet."""
        chart.phone.on_redirect = lambda call, number: True
        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp())
        contact = ["Contact: <sip:5559999@192.0.2.10>"]
        chart.answer(invite, 302, "Moved", contact=None, headers=contact)
        chart.answer(chart.last("INVITE"), 200, "OK", tag="other")
        assert call.progress is LegState.ENDED
        assert call.cause is not None
        assert call.cause.reason == "the answer held no session description"
        assert [m.message.method for m in chart.sent[-2:]] == ["ACK", "BYE"]


class TestAtTheLimits:
    """What we copy may make our message longer than we take one: nothing may hang on that."""

    @pytest.mark.parametrize("room", [0, 8, 40])
    def test_a_to_as_long_as_can_be_rings_and_is_refused(self, chart: Chart, room: int) -> None:
        tail = " <sip:1001@192.0.2.10>"
        to = '"' + "x" * (MAX_LINE - len('To: ""') - len(tail) - room) + '"' + tail
        call = chart.ringing(to=to)
        chart.clock.advance(chart.account.ring_timeout)
        assert call.progress is LegState.ENDED
        assert any(raw.startswith(b"SIP/2.0 480") for raw in chart.raw)
        assert chart.media.ports == {}

    def test_a_caller_whose_name_doubles_when_quoted_is_hung_up_on(self, chart: Chart) -> None:
        call = chart.ringing(from_="\\" * 8000 + " <sip:1@192.0.2.10>;tag=far")
        call.accept()
        dialog = call.dialog
        assert dialog is not None
        data = text(
            "ACK sip:1001@h SIP/2.0",
            ["Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa", "From: <sip:1@192.0.2.10>;tag=far",
             f"To: <sip:1001@h>;tag={dialog.local.tag}", f"Call-ID: {dialog.call_id}", "CSeq: 1 ACK"],
        )  # fmt: skip
        chart.receive(data)
        call.hangup_leg()
        assert call.progress is LegState.ENDED
        assert any(raw.startswith(b"BYE ") for raw in chart.raw)

    @pytest.mark.parametrize("port", [65536, 99999])
    def test_a_via_with_no_such_port_begins_nothing(self, chart: Chart, port: int) -> None:
        """Its answer could not be sent, where rport is absent (18.2.2)."""
        data = text(
            "INVITE sip:1001@h SIP/2.0",
            [f"Via: SIP/2.0/UDP 192.0.2.10:{port};branch=z9hG4bKa", "From: <sip:a@h>;tag=1",
             "To: <sip:1001@h>", "Call-ID: c", "CSeq: 1 INVITE", "Contact: <sip:a@192.0.2.10>"], sdp(),
        )  # fmt: skip
        chart.receive(data)
        assert chart.raw[-1].startswith(b"SIP/2.0 400 ")
        assert (chart.inbound, chart.agent.malformed) == ([], 1)


def test_beside_rport_received_is_given_too(chart: Chart) -> None:
    """RFC 3581, 4: even where it is what Via says already."""
    chart.request("OPTIONS")
    params = chart.last().via.params
    assert (params["rport"], params["received"]) == ("5060", "192.0.2.10")


def test_what_is_kept_for_a_restart_holds_no_answer_to_a_challenge(chart: Chart) -> None:
    call, invite = chart.dial()
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n"'
    chart.answer(invite, 407, headers=[challenge])
    response = (chart.last("INVITE").get("Proxy-Authorization") or "").partition('response="')[2][:32]
    saved = chart.saved[call.id]
    assert isinstance(saved, SavedInvite)
    assert len(response) == 32
    assert response not in saved.invite
    assert Message(saved.invite.encode()).via.branch == chart.last("INVITE").via.branch


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_request_that_fails_here_is_500_and_nothing_of_it_is_kept(chart: Chart, method: str) -> None:
    """RFC 3261, 21.5.1; the error itself is the socket's to log."""

    def fail(*_: object) -> list[tuple[str, str]]:
        raise RuntimeError("a mistake of ours")

    chart.agent.on_inbound = fail  # type: ignore[assignment]
    chart.agent.capabilities = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        chart.request(method, body=sdp() if method == "INVITE" else "", branch="z9hG4bKone")
    refusal = chart.last("500")
    assert len(chart.sent) == 1
    if method == "INVITE":
        chart.request("ACK", to=refusal.get("To") or "", branch="z9hG4bKone")
    chart.clock.advance(40)
    assert len(chart.agent.layer) == 0


def test_a_cancelled_call_leaves_no_timer(chart: Chart) -> None:
    call, invite = chart.dial()
    before = chart.clock.pending
    chart.answer(invite, 180, "Ringing")
    call.hangup_leg()
    chart.answer(chart.last("CANCEL"), 200)
    chart.answer(invite, 487)
    chart.clock.advance(6.0)  # timer K of CANCEL (5 s) is over, timer D of the INVITE (32 s) is not
    assert chart.clock.pending == before - 1
