"""UPDATE, before and after the answer (RFC 3311)."""

from __future__ import annotations

from charts import Chart, sdp
from test_forks import early

from engine.legs import LegState


class TestConfirmed:
    def test_an_offer_moves_the_audio_and_the_target(self, chart: Chart) -> None:
        """RFC 3311, 5.2; RFC 3261, 12.2.1.2."""
        call, _ = chart.answered()
        chart.request("UPDATE", call, body=sdp(port=42000, codecs="0"), contact="<sip:c@192.0.2.44:5099>")
        assert chart.last().code == 200
        assert b"RTP/AVP 0" in chart.last().sdp
        assert chart.media.connected[call.id][1:3] == (42000, (("PCMU", 0),))
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.44", 5099)

    def test_without_an_offer_only_the_target_moves(self, chart: Chart) -> None:
        """RFC 3311, 5.2: a refresh of the session."""
        call, _ = chart.answered()
        before = chart.media.connected[call.id]
        chart.request("UPDATE", call, contact="<sip:c@192.0.2.44:5099>")
        assert (chart.last().code, chart.last().sdp) == (200, b"")
        assert chart.media.connected[call.id] == before
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.44", 5099)

    def test_it_holds_and_resumes(self, chart: Chart) -> None:
        """RFC 3264, 8.4."""
        call, _ = chart.answered()
        chart.request("UPDATE", call, body=sdp(direction="sendonly"))
        assert call.far_held
        assert b"a=recvonly" in chart.last().sdp
        chart.request("UPDATE", call, cseq=2, body=sdp())
        assert not call.far_held

    def test_an_offer_that_cannot_be_met_changes_nothing(self, chart: Chart) -> None:
        """RFC 3311, 5.2: 488."""
        call, _ = chart.answered()
        before = chart.media.connected[call.id]
        chart.request("UPDATE", call, body=sdp(codecs="18"), contact="<sip:c@192.0.2.44:5099>")
        assert chart.last().code == 488
        assert chart.media.connected[call.id] == before
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.20", 5080)

    def test_while_our_offer_is_open_theirs_is_refused_491(self, chart: Chart) -> None:
        """RFC 3311, 5.2: glare."""
        call, _ = chart.answered()
        call.hold(True)
        chart.request("UPDATE", call, body=sdp())
        assert chart.last().code == 491
        chart.request("UPDATE", call, cseq=2)  # without an offer there is nothing to collide with
        assert chart.last().code == 200

    def test_while_our_late_offer_awaits_its_ack_too(self, chart: Chart) -> None:
        """RFC 3311, 5.2."""
        call, _ = chart.answered()
        chart.request("INVITE", call)
        chart.request("UPDATE", call, cseq=2, body=sdp())
        assert chart.last().code == 491

    def test_another_name_of_the_far_end_is_let_be(self, chart: Chart) -> None:
        """RFC 4916: connected identity; the dialog's tags stay."""
        call, _ = chart.answered()
        headers = ['P-Asserted-Identity: "Bob" <sip:bob@192.0.2.10>', "Supported: from-change"]
        chart.request("UPDATE", call, headers=headers)
        assert chart.last().code == 200
        assert call.progress is LegState.ANSWERED


class TestEarly:
    def test_in_an_early_dialog_of_our_call_it_moves_the_audio(self, chart: Chart) -> None:
        """RFC 3311, 4: an announcement first, the callee's ringing from elsewhere."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.request("UPDATE", early(call, "a"), body=sdp(port=41500, version=2))
        assert chart.last().code == 200
        assert chart.media.connected[call.id][1] == 41500
        chart.answer(invite, 200, tag="a")
        assert chart.media.connected[call.id][1] == 41500

    def test_the_answer_may_repeat_what_the_183_said_and_changes_nothing(self, chart: Chart) -> None:
        """RFC 6337, 3.1: the answer to the INVITE is the first; what changed since stays."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.request("UPDATE", early(call, "a"), body=sdp(port=41500, version=2))
        chart.answer(invite, 200, tag="a", body=sdp(port=41000))
        assert chart.media.connected[call.id][1] == 41500

    def test_in_a_fork_that_is_not_heard_it_waits_for_its_turn(self, chart: Chart) -> None:
        """RFC 3311, 5.1: each early dialog has its own session."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.answer(invite, 183, tag="b", body=sdp(port=41010))
        chart.request("UPDATE", early(call, "a"), body=sdp(port=41500, version=2))
        assert chart.media.connected[call.id][1] == 41010
        chart.answer(invite, 200, tag="a")
        assert chart.media.connected[call.id][1] == 41500

    def test_before_our_offer_has_an_answer_it_is_refused_491(self, chart: Chart) -> None:
        """RFC 3311, 5.2."""
        call, invite = chart.dial()
        chart.answer(invite, 180, tag="a")
        chart.request("UPDATE", early(call, "a"), body=sdp())
        assert chart.last().code == 491

    def test_before_we_have_answered_theirs_it_is_refused_for_later(self, chart: Chart) -> None:
        """RFC 3311, 5.2: 500 with Retry-After of 0 to 10 seconds."""
        call = chart.ringing()
        chart.request("UPDATE", call, cseq=2, body=sdp())
        assert chart.last().code == 500
        assert 0 <= int(chart.last().get("Retry-After") or "99") <= 10
        assert call.progress is LegState.RINGING

    def test_without_an_offer_it_refreshes_the_target_of_a_ringing_call(self, chart: Chart) -> None:
        """RFC 3311, 5.1."""
        call = chart.ringing()
        chart.request("UPDATE", call, cseq=2, contact="<sip:c@192.0.2.44:5099>")
        assert chart.last().code == 200
        call.accept()
        chart.request("ACK", call)
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.44", 5099)


def test_outside_a_dialog_it_is_481(chart: Chart) -> None:
    """RFC 3261, 12.2.2."""
    chart.request("UPDATE")
    assert chart.last().code == 481
