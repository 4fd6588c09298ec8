"""re-INVITEs of either side: hold, resume, codec changes, glare (RFC 3261, 14; RFC 3264, 8)."""

from __future__ import annotations

import pytest
from charts import Chart, answer, sdp
from pyVoIP.VoIP import InvalidStateError

from engine.legs import LegState
from engine.sip.dialog import Dialog
from engine.sip.message import Message


def port_of(chart: Chart, description: bytes) -> int:
    return int(description.split(b"m=audio ")[1].split()[0])


class TestTheirs:
    def test_a_re_invite_is_answered_and_moves_the_audio(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, body=sdp(port=42000, codecs="0"))
        assert chart.take() == ["200 OK"]
        assert chart.media.connected[call.id][1:3] == (42000, (("PCMU", 0),))

    @pytest.mark.parametrize(("codecs", "rise"), [("0", 1), ("8 0 101", 0)])
    def test_the_answers_version_rises_where_it_changes_and_its_session_stays(
        self, chart: Chart, codecs: str, rise: int
    ) -> None:
        """RFC 3264, 8."""
        call, invite = chart.answered()
        chart.request("INVITE", call, body=sdp(codecs=codecs))
        before = invite.sdp.split(b"\r\n")[1].split()
        after = chart.last("200").sdp.split(b"\r\n")[1].split()
        assert before[1] == after[1]
        assert int(after[2]) == int(before[2]) + rise

    def test_its_answer_is_repeated_until_the_ack_and_no_longer(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, cseq=7, body=sdp())
        chart.clock.advance(1.6)
        assert chart.times("200") == [0.0, 0.5, 1.5]
        chart.request("ACK", call, cseq=7)
        chart.sent.clear()
        chart.clock.advance(60)
        assert chart.take() == []
        assert call.progress is LegState.ANSWERED

    def test_an_answer_that_is_never_acknowledged_ends_the_call(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, body=sdp())
        chart.clock.advance(32.1)
        assert call.cause is not None
        assert call.cause.name == "timeout"
        assert chart.last().method == "BYE"

    @pytest.mark.parametrize(
        ("theirs", "ours", "held"),
        [("sendonly", "recvonly", True), ("inactive", "inactive", True), ("recvonly", "sendonly", False)],
    )
    def test_hold_by_the_far_end(self, chart: Chart, theirs: str, ours: str, held: bool) -> None:
        call = chart.taken()
        chart.request("INVITE", call, cseq=2, body=sdp(direction=theirs))
        assert f"a={ours}\r\n".encode() in chart.last("200").sdp
        assert call.far_held is held
        assert chart.media.connected[call.id][4] == ours
        chart.request("ACK", call, cseq=2)
        chart.request("INVITE", call, cseq=3, body=sdp())
        assert b"a=sendrecv\r\n" in chart.last("200").sdp
        assert not call.far_held

    def test_the_old_hold_by_address_zero(self, chart: Chart) -> None:
        call = chart.taken()
        chart.request("INVITE", call, cseq=2, body=sdp(host="0.0.0.0"))
        assert call.far_held
        assert chart.media.connected[call.id][4] == "inactive"

    def test_one_without_an_offer_gets_ours_and_its_ack_holds_the_answer(self, chart: Chart) -> None:
        call = chart.taken()
        chart.request("INVITE", call, cseq=2, body=sdp(direction="sendonly"))
        chart.request("ACK", call, cseq=2)
        chart.request("INVITE", call, cseq=3)
        assert b"a=sendrecv\r\n" in chart.last("200").sdp
        chart.request("ACK", call, cseq=3, body=sdp(port=43000))
        assert chart.media.connected[call.id][1] == 43000
        assert not call.far_held

    def test_one_that_cannot_be_met_is_refused_and_changes_nothing(self, chart: Chart) -> None:
        call, _ = chart.answered()
        before = chart.media.connected[call.id]
        chart.request("INVITE", call, body=sdp(codecs="18"))
        assert chart.take() == ["488 Not Acceptable Here"]
        assert chart.media.connected[call.id] == before
        assert call.progress is LegState.ANSWERED

    def test_it_moves_the_target_of_our_next_request(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, body=sdp(), contact="<sip:callee@192.0.2.21:5081>")
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.21", 5081)

    def test_a_flood_of_them_without_acks_is_bounded(self, chart: Chart) -> None:
        call, _ = chart.answered()
        for n in range(1, 20):
            chart.request("INVITE", call, cseq=n, body=sdp())
        codes = [sent.message.code for sent in chart.sent]
        assert codes == [200] * 16 + [500] * 3


class TestOurs:
    def test_hold_and_resume(self, chart: Chart) -> None:
        call, invite = chart.answered()
        call.hold(True)
        hold = chart.last("INVITE")
        assert b"a=sendonly\r\n" in hold.sdp
        assert port_of(chart, hold.sdp) == port_of(chart, invite.sdp)
        assert (hold.to.tag, hold.from_.tag, hold.cseq) == ("far", invite.from_.tag, invite.cseq + 1)
        assert not call.held
        chart.answer(hold, 200, body=sdp(direction="recvonly"))
        assert call.held
        assert chart.media.connected[call.id][4] == "sendonly"
        call.hold(False)
        chart.answer(chart.last("INVITE"), 200, body=sdp())
        assert not call.held
        assert chart.media.connected[call.id][4] == "sendrecv"
        assert chart.take() == ["INVITE", "ACK", "INVITE", "ACK"]

    def test_while_held_their_re_invite_does_not_resume_it(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 200, body=sdp(direction="recvonly"))
        chart.request("INVITE", call, body=sdp())
        assert b"a=sendonly\r\n" in chart.last("200").sdp
        assert chart.media.connected[call.id][4] == "sendonly"

    def test_a_refused_hold_leaves_the_call_as_it_was_and_says_why(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 488, "Not Acceptable Here")
        assert not call.held
        assert call.reinvite_failed == "488 Not Acceptable Here"
        assert call.progress is LegState.ANSWERED
        assert chart.take() == ["INVITE", "ACK"]

    @pytest.mark.parametrize("code", [408, 481])
    def test_a_dialog_that_is_gone_ends_the_call(self, chart: Chart, code: int) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), code)
        assert call.cause is not None
        assert call.cause.name == "timeout"
        assert chart.take() == ["INVITE", "ACK", "BYE"]

    def test_silence_ends_the_call_too(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.clock.advance(32.1)
        assert call.progress is LegState.ENDED
        assert chart.last().method == "BYE"

    def test_while_ours_is_under_way_theirs_is_refused_491(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.request("INVITE", call, body=sdp())
        assert chart.take() == ["INVITE", "491 Request Pending"]

    def test_one_in_an_early_dialog_of_our_call_too(self, chart: Chart) -> None:
        """RFC 3261, 14.2: our INVITE is in progress."""
        _, invite = chart.dial()
        chart.answer(invite, 183, body=sdp())
        chart.request("INVITE", Dialog.as_caller(invite, Message(answer(invite, 183))), body=sdp())
        assert chart.last().code == 491

    def test_ours_waits_for_the_ack_of_theirs(self, chart: Chart) -> None:
        """RFC 3261, 14.1: no INVITE while another is in progress either way; the last wish counts."""
        call, _ = chart.answered()
        chart.request("INVITE", call, cseq=7, body=sdp())
        call.hold(True)
        call.hold(False)
        call.hold(True)
        assert chart.take() == ["200 OK"]
        chart.request("ACK", call, cseq=7)
        assert chart.take() == ["INVITE"]

    def test_also_right_after_our_answer_to_their_call(self, chart: Chart) -> None:
        """RFC 3261, 14.1."""
        call = chart.ringing()
        call.accept()
        call.hold(True)
        assert chart.take() == ["180 Ringing", "200 OK"]
        chart.request("ACK", call)
        assert b"a=sendonly" in chart.last("INVITE").sdp

    def test_one_that_waits_is_forgotten_with_the_call(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("INVITE", call, cseq=7, body=sdp())
        call.hold(True)
        chart.request("BYE", call, cseq=8)
        chart.request("ACK", call, cseq=7)
        assert "INVITE" not in chart.take()

    @pytest.mark.parametrize("theirs", ["recvonly", "inactive"])
    def test_the_far_end_may_answer_our_hold_in_two_ways(self, chart: Chart, theirs: str) -> None:
        """RFC 3264, 8.4 and 6.1."""
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 200, body=sdp(direction=theirs))
        assert call.held
        ours = {"recvonly": "sendonly", "inactive": "inactive"}[theirs]
        assert chart.media.connected[call.id][4] == ours

    def test_after_glare_ours_is_tried_once_more(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 491)
        chart.clock.advance(2.0)
        assert chart.take() == ["INVITE", "ACK"]
        chart.clock.advance(2.0)
        chart.answer(chart.last("INVITE"), 200, body=sdp(direction="recvonly"))
        assert call.held

    def test_and_not_a_third_time(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 491)
        chart.clock.advance(4.0)
        chart.answer(chart.last("INVITE"), 491, "Request Pending")
        chart.clock.advance(60)
        assert len({sent.message.cseq for sent in chart.sent if sent.message.method == "INVITE"}) == 2
        assert call.reinvite_failed == "491 Request Pending"

    def test_a_hangup_while_waiting_to_try_again_is_the_end(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 491)
        call.hangup_leg()
        chart.answer(chart.last("BYE"), 200)
        chart.sent.clear()
        chart.clock.advance(60)
        assert chart.take() == []

    def test_a_lost_ack_is_sent_again(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        hold = chart.last("INVITE")
        chart.answer(hold, 200, body=sdp(direction="recvonly"))
        chart.answer(hold, 200, body=sdp(direction="recvonly"))
        acks = [sent.message.raw for sent in chart.sent if sent.message.method == "ACK"]
        assert len(acks) == 2
        assert acks[0] == acks[1]

    def test_a_challenged_hold_is_sent_again_with_credentials(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        header = 'Proxy-Authenticate: Digest realm="r", nonce="n"'
        chart.answer(chart.last("INVITE"), 407, headers=[header])
        assert "Proxy-Authorization" in dict(chart.last("INVITE").fields)
        chart.answer(chart.last("INVITE"), 200, body=sdp(direction="recvonly"))
        assert call.held

    def test_only_an_answered_call_can_be_held_and_only_one_change_at_a_time(self, chart: Chart) -> None:
        call, invite = chart.dial()
        with pytest.raises(InvalidStateError):
            call.hold(True)
        chart.answer(invite, 200, body=sdp())
        call.hold(True)
        with pytest.raises(InvalidStateError):
            call.hold(True)


def test_a_hold_that_is_never_finally_answered_is_taken_back(chart: Chart) -> None:
    call, _ = chart.answered()
    call.hold(True)
    hold = chart.last("INVITE")
    chart.answer(hold, 100)
    chart.take()
    chart.clock.advance(33)
    assert "CANCEL" in chart.take()
    chart.answer(hold, 487, "Request Terminated")
    assert call.progress is LegState.ANSWERED
    assert not call.held
    assert call.reinvite_failed.startswith("487")
    call.hold(True)  # may be asked for again
    assert chart.take()[-1] == "INVITE"
