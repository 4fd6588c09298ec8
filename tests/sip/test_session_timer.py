"""Session timers, both roles (RFC 4028)."""

from __future__ import annotations

from charts import TRUNK, Chart, sdp

from engine.legs import LegState
from engine.sip.account import Account
from engine.sip.call import Call


def configured(seconds: int) -> Chart:
    return Chart(Account(*TRUNK, username="1001", register=False, session_expires=seconds))


def up(chart: Chart, expires: str, *more: str) -> Call:
    """A call of ours whose answer carries Session-Expires."""
    return chart.answered(headers=[f"Session-Expires: {expires}", *more])[0]


def ended_with(call: Call, cause: str) -> bool:
    return call.cause is not None and call.cause.name == cause


class TestCaller:
    def test_the_invite_asks_for_a_timer(self, chart: Chart) -> None:
        """RFC 4028, 7.1."""
        _, invite = chart.dial()
        assert "timer" in invite.all("Supported")
        assert invite.get("Session-Expires") == "1800"

    def test_switched_off_it_does_not(self) -> None:
        chart = configured(0)
        call, invite = chart.dial()
        assert "timer" not in invite.all("Supported")
        assert invite.get("Session-Expires") is None
        chart.answer(invite, 200, body=sdp(), headers=["Session-Expires: 90;refresher=uas"])
        chart.clock.advance(4000)
        assert call.progress is LegState.ANSWERED

    def test_an_interval_that_is_too_small_for_the_far_end_is_raised(self, chart: Chart) -> None:
        """RFC 4028, 7.3: same Call-ID, From and To, higher CSeq, the Min-SE of the 422."""
        call, invite = chart.dial()
        chart.answer(invite, 422, "Session Interval Too Small", headers=["Min-SE: 3600"])
        again = chart.last("INVITE")
        assert chart.take() == ["INVITE", "ACK", "INVITE"]
        assert (again.call_id, again.from_.tag) == (invite.call_id, invite.from_.tag)
        assert again.cseq == invite.cseq + 1
        assert (again.get("Session-Expires"), again.get("Min-SE")) == ("3600", "3600")
        chart.answer(again, 200, body=sdp())
        assert call.progress is LegState.ANSWERED

    def test_a_far_end_that_lacks_an_extension_is_asked_without_it(self, chart: Chart) -> None:
        """RFC 3261, 8.1.3.5: 420 names in Unsupported what to leave out."""
        call, invite = chart.dial()
        chart.answer(invite, 420, "Bad Extension", headers=["Unsupported: timer"])
        again = chart.last("INVITE")
        assert (again.call_id, again.cseq) == (invite.call_id, invite.cseq + 1)
        assert again.all("Supported") == ["100rel"]
        assert again.get("Session-Expires") is None
        chart.answer(again, 420, "Bad Extension", headers=["Unsupported: timer"])
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("rejected", 420)

    def test_a_422_without_end_is_a_refusal(self, chart: Chart) -> None:
        call, _ = chart.dial()
        for n in range(1, 9):
            if call.progress is LegState.ENDED:
                break
            chart.answer(chart.last("INVITE"), 422, headers=[f"Min-SE: {n * 3600}"])
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("rejected", 422)
        assert len(chart.times("INVITE")) == 4

    def test_as_refresher_we_re_invite_at_half_the_interval_with_the_same_description(
        self, chart: Chart
    ) -> None:
        """RFC 4028, 7.2 and 10; RFC 3264, 8: an unchanged o= line restarts nothing."""
        call, invite = chart.dial()
        headers = ["Session-Expires: 200;refresher=uac", "Require: timer"]
        chart.answer(invite, 200, body=sdp(), headers=headers)
        chart.sent.clear()
        chart.clock.advance(99.9)
        assert chart.take() == []
        chart.clock.advance(0.2)
        refresh = chart.last("INVITE")
        assert refresh.sdp == invite.sdp
        assert refresh.get("Session-Expires") == "200;refresher=uac"
        chart.answer(refresh, 200, body=sdp(), headers=["Session-Expires: 200;refresher=uac"])
        chart.clock.advance(99)
        assert chart.take() == ["INVITE", "ACK"]
        chart.clock.advance(1.1)
        assert chart.take() == ["INVITE"]
        assert call.progress is LegState.ANSWERED

    def test_or_by_update_where_the_far_end_allows_it(self, chart: Chart) -> None:
        """RFC 4028, 7.4."""
        call = up(chart, "200;refresher=uac", "Allow: INVITE, ACK, BYE, UPDATE")
        chart.clock.advance(100.1)
        update = chart.last("UPDATE")
        assert (update.sdp, update.get("Session-Expires")) == (b"", "200;refresher=uac")
        assert update.contact is not None
        chart.answer(update, 200, headers=["Session-Expires: 200;refresher=uac"])
        chart.clock.advance(99)
        assert call.progress is LegState.ANSWERED

    def test_an_update_that_is_not_done_after_all_gives_way_to_a_re_invite(self, chart: Chart) -> None:
        up(chart, "200;refresher=uac", "Allow: INVITE, UPDATE")
        chart.clock.advance(100.1)
        chart.answer(chart.last("UPDATE"), 501)
        assert chart.take() == ["UPDATE", "INVITE"]

    def test_an_interval_too_small_in_a_refresh_is_raised_too(self, chart: Chart) -> None:
        """RFC 4028, 7.3."""
        call = up(chart, "200;refresher=uac", "Allow: INVITE, UPDATE")
        chart.clock.advance(100.1)
        chart.answer(chart.last("UPDATE"), 422, headers=["Min-SE: 300"])
        assert chart.last("UPDATE").get("Session-Expires") == "300;refresher=uac"
        assert call.progress is LegState.ANSWERED

    def test_a_refresh_that_finds_no_dialog_ends_the_call(self, chart: Chart) -> None:
        """RFC 4028, 7.4; RFC 5057."""
        call = up(chart, "200;refresher=uac", "Allow: INVITE, UPDATE")
        chart.clock.advance(100.1)
        chart.answer(chart.last("UPDATE"), 481)
        assert ended_with(call, "timeout")
        assert chart.last().method == "BYE"

    def test_a_refresh_that_is_refused_is_tried_again_until_the_session_runs_out(self, chart: Chart) -> None:
        """RFC 4028, 10."""
        call = up(chart, "200;refresher=uac", "Allow: INVITE, UPDATE")
        chart.clock.advance(100.1)
        chart.answer(chart.last("UPDATE"), 500)
        chart.clock.advance(25.1)
        chart.answer(chart.last("UPDATE"), 500)
        assert len(chart.times("UPDATE")) == 2
        chart.clock.advance(50)
        assert ended_with(call, "timeout")

    def test_without_the_far_ends_refresh_the_call_ends_before_the_session(self, chart: Chart) -> None:
        """RFC 4028, 10: BYE min(32 s, a third) before the expiry."""
        call = up(chart, "1800;refresher=uas")
        chart.clock.advance(1767.9)
        assert call.progress is LegState.ANSWERED
        chart.clock.advance(0.2)
        assert ended_with(call, "timeout")
        assert chart.take()[-1:] == ["BYE"]

    def test_a_short_one_ends_a_third_before(self, chart: Chart) -> None:
        call = up(chart, "60;refresher=uas")
        chart.clock.advance(39.9)
        assert call.progress is LegState.ANSWERED
        chart.clock.advance(0.2)
        assert call.progress is LegState.ENDED

    def test_an_answer_without_session_expires_has_no_timer(self, chart: Chart) -> None:
        """RFC 4028, 7.2."""
        call, _ = chart.answered()
        chart.clock.advance(10000)
        assert call.progress is LegState.ANSWERED
        assert chart.take() == []

    def test_their_refresh_starts_the_interval_anew(self, chart: Chart) -> None:
        """RFC 4028, 9 and 10: seen from this request the far end is the UAC."""
        call = up(chart, "300;refresher=uas")
        for n in range(1, 4):
            chart.clock.advance(200)
            headers = ["Supported: timer", "Session-Expires: 300;refresher=uac"]
            chart.request("UPDATE", call, cseq=n, headers=headers)
            assert chart.last().get("Session-Expires") == "300;refresher=uac"
            assert chart.last().all("Require") == ["timer"]
        chart.clock.advance(269)
        assert ended_with(call, "timeout")

    def test_a_hold_refreshes_the_session_and_keeps_the_roles(self, chart: Chart) -> None:
        """RFC 4028, 7.4: every re-INVITE is a refresh."""
        call = up(chart, "300;refresher=uas")
        chart.clock.advance(200)
        call.hold(True)
        hold = chart.last("INVITE")
        assert hold.get("Session-Expires") == "300;refresher=uas"
        chart.answer(
            hold, 200, body=sdp(direction="recvonly"), headers=["Session-Expires: 300;refresher=uas"]
        )
        chart.clock.advance(200)
        assert call.held
        assert call.progress is LegState.ANSWERED

    def test_after_glare_the_refresh_is_tried_again(self, chart: Chart) -> None:
        """RFC 3261, 14.1; RFC 4028, 7.4."""
        call = up(chart, "200;refresher=uac")
        chart.clock.advance(100.1)
        chart.answer(chart.last("INVITE"), 491)
        chart.clock.advance(4.1)
        assert len({s.message.cseq for s in chart.sent if s.message.method == "INVITE"}) == 2
        chart.answer(chart.last("INVITE"), 200, body=sdp(), headers=["Session-Expires: 200;refresher=uac"])
        chart.clock.advance(90)
        assert call.progress is LegState.ANSWERED
        assert call.reinvite_failed == ""

    def test_values_that_are_none_are_no_timer(self, chart: Chart) -> None:
        for value in ("x", "0", "-5", "99999999999", ";refresher=uac"):
            call = up(chart, value)
            assert call.timer.interval == 0
            call.hangup_leg()

    def test_a_timer_leaves_nothing_behind(self, chart: Chart) -> None:
        call = up(chart, "200;refresher=uac")
        call.hangup_leg()
        chart.answer(chart.last("BYE"), 200)
        chart.clock.advance(100)
        assert chart.clock.pending == 0


class TestCallee:
    def ring(self, chart: Chart, *headers: str) -> Call:
        call = chart.ringing(headers=headers)
        call.accept()
        chart.request("ACK", call)
        return call

    def test_the_callers_choice_of_refresher_is_kept(self, chart: Chart) -> None:
        """RFC 4028, 9."""
        self.ring(chart, "Supported: timer", "Session-Expires: 600;refresher=uas")
        ok = chart.last("200")
        assert (ok.get("Session-Expires"), ok.all("Require")) == ("600;refresher=uas", [])
        chart.sent.clear()
        chart.clock.advance(300.1)
        assert chart.take() == ["INVITE"]

    def test_without_a_choice_it_is_the_caller(self, chart: Chart) -> None:
        """RFC 4028, 9: and Require: timer then stands in the 2xx."""
        call = self.ring(chart, "Supported: timer", "x: 600")
        ok = chart.last("200")
        assert (ok.get("Session-Expires"), ok.all("Require")) == ("600;refresher=uac", ["timer"])
        chart.clock.advance(568.1)
        assert ended_with(call, "timeout")

    def test_a_caller_who_supports_it_but_asks_for_none_gets_ours(self, chart: Chart) -> None:
        """RFC 4028, 9."""
        self.ring(chart, "Supported: timer")
        assert chart.last("200").get("Session-Expires") == "1800;refresher=uac"

    def test_a_caller_who_does_not_support_it_has_us_refresh(self, chart: Chart) -> None:
        """RFC 4028, 9: a proxy had put Session-Expires in."""
        self.ring(chart, "Session-Expires: 600")
        ok = chart.last("200")
        assert (ok.get("Session-Expires"), ok.all("Require")) == ("600;refresher=uas", [])

    def test_a_caller_who_knows_nothing_of_it_has_none(self, chart: Chart) -> None:
        call = self.ring(chart)
        assert chart.last("200").get("Session-Expires") is None
        assert call.timer.interval == 0

    def test_an_interval_below_ours_is_refused_422(self, chart: Chart) -> None:
        """RFC 4028, 9 and 5: 90 seconds are the least."""
        chart.request("INVITE", body=sdp(), headers=["Supported: timer", "Session-Expires: 89"])
        assert (chart.last().code, chart.last().get("Min-SE")) == (422, "90")
        assert chart.inbound == []

    def test_also_in_a_refresh(self, chart: Chart) -> None:
        call = self.ring(chart, "Supported: timer")
        for n, method in enumerate(("UPDATE", "INVITE"), 2):
            headers = ["Supported: timer", "Session-Expires: 60"]
            chart.request(method, call, cseq=n, body=sdp(), headers=headers)
            assert chart.last().code == 422
        assert call.timer.interval == 1800

    def test_a_refresh_may_keep_the_interval_that_runs_however_short(self, chart: Chart) -> None:
        """RFC 4028, 9: 422 is for what we would not agree to; this one we have."""
        call = up(chart, "8;refresher=uas")
        headers = ["Supported: timer", "Session-Expires: 8;refresher=uac"]
        chart.request("UPDATE", call, cseq=1, headers=headers)
        assert (chart.last().code, chart.last().get("Session-Expires")) == (200, "8;refresher=uac")
        headers = ["Supported: timer", "Session-Expires: 7;refresher=uac"]
        chart.request("UPDATE", call, cseq=2, headers=headers)
        assert chart.last().code == 422

    def test_our_own_refresh_as_callee_names_us_uac(self, chart: Chart) -> None:
        """RFC 4028, 7.4: the roles are those of the refresh's own transaction."""
        self.ring(chart, "Supported: timer", "Allow: UPDATE", "Session-Expires: 600;refresher=uas")
        chart.clock.advance(300.1)
        assert chart.last("UPDATE").get("Session-Expires") == "600;refresher=uac"

    def test_switched_off_a_requirement_is_refused(self) -> None:
        """RFC 3261, 8.2.2.3."""
        chart = configured(0)
        chart.request("INVITE", body=sdp(), headers=["Require: timer"])
        assert chart.last().code == 420
