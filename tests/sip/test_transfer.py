"""Transfers that we ask for (REFER), as sequence charts."""

from __future__ import annotations

import pytest
from charts import Chart, sdp
from pyVoIP.VoIP import InvalidStateError

from engine.legs import HangupCause, LegState
from engine.sip.call import Call
from engine.sip.message import Message
from engine.sip.past import MAX_DIALOGS, MAX_SUBSCRIPTIONS
from engine.sip.refer import parse_replaces
from engine.sip.transfer import Transfer

SIPFRAG = "message/sipfrag;version=2.0"


@pytest.fixture
def reports(chart: Chart) -> list[str]:
    """What was said of transfers, in order."""
    said: list[str] = []

    def report(call: Call, transfer: Transfer) -> None:
        if transfer.in_words not in said[-1:]:
            said.append(transfer.in_words)

    chart.phone.on_transfer = report
    return said


def asked(chart: Chart) -> tuple[Call, Message]:
    """A call that was held and whose far end was asked to call 5559876; the REFER."""
    call, _ = chart.answered()
    call.transfers.ask("5559876")
    chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
    return call, chart.last("REFER")


def notify(chart: Chart, call: Call, cseq: int, line: str, state: str = "active;expires=60") -> None:
    headers = ["Event: refer", f"Subscription-State: {state}"]
    chart.request("NOTIFY", call, cseq=cseq, headers=headers, body=line, kind=SIPFRAG)


class TestBlind:
    def test_the_call_is_held_and_then_referred(self, chart: Chart) -> None:
        """RFC 3515, 2.1 and 2.2; RFC 3892, 2.1; RFC 5589, 6.1."""
        call, refer = asked(chart)
        assert call.held
        assert chart.take() == ["INVITE", "ACK", "REFER"]
        assert refer.get("Refer-To") == "<sip:5559876@192.0.2.10>"
        assert refer.get("Referred-By") == "<sip:1001@192.0.2.10>"
        assert refer.contact is not None
        assert refer.uri_text == "sip:callee@192.0.2.20:5080"
        assert (refer.to.tag, refer.cseq) == ("far", 3)

    def test_reports_are_answered_and_success_ends_the_call(self, chart: Chart, reports: list[str]) -> None:
        """RFC 3515, 2.4.4 and 2.4.5; RFC 5589, 6.1: BYE once the final report has come."""
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        chart.sent.clear()
        notify(chart, call, 10, "SIP/2.0 100 Trying")
        notify(chart, call, 11, "SIP/2.0 180 Ringing")
        assert call.progress is LegState.ANSWERED
        notify(chart, call, 12, "SIP/2.0 200 OK", "terminated;reason=noresource")
        assert chart.take() == ["200 OK", "200 OK", "200 OK", "BYE"]
        assert call.cause == HangupCause("normal", "us", None, "transferred to 5559876")
        assert reports == [
            "asking the far end to call 5559876",
            "the far end is calling 5559876",
            "the transfer to 5559876: 100 Trying",
            "the transfer to 5559876: 180 Ringing",
            "transferred to 5559876",
        ]

    def test_a_report_may_outrun_the_202(self, chart: Chart) -> None:
        """RFC 3515, 2.4.4: the first NOTIFY may arrive before the answer to REFER."""
        call, refer = asked(chart)
        notify(chart, call, 10, "SIP/2.0 200 OK", "terminated")
        assert chart.last().method == "BYE"
        chart.answer(refer, 202, "Accepted")
        assert call.transfers.sent is not None
        assert call.transfers.sent.state == "done"

    def test_a_target_that_is_busy_leaves_the_call_up_and_takes_it_back(
        self, chart: Chart, reports: list[str]
    ) -> None:
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        notify(chart, call, 10, "SIP/2.0 486 Busy Here", "terminated;reason=noresource")
        assert reports[-1] == "the transfer to 5559876 failed: 486 Busy Here"
        resume = chart.last("INVITE")
        assert b"a=sendrecv" in resume.sdp
        chart.answer(resume, 200, "OK", body=sdp(version=3))
        assert (call.progress, call.held) == (LegState.ANSWERED, False)

    @pytest.mark.parametrize(("code", "reason"), [(405, "Method Not Allowed"), (503, "No"), (603, "Decline")])
    def test_a_refusal_is_said_and_the_call_goes_on(
        self, chart: Chart, reports: list[str], code: int, reason: str
    ) -> None:
        """RFC 3515, 2.4.2."""
        call, refer = asked(chart)
        chart.answer(refer, code, reason)
        assert reports[-1] == f"the transfer to 5559876 failed: the far end refused: {code} {reason}"
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(version=3))
        assert (call.progress, call.held) == (LegState.ANSWERED, False)
        call.transfers.ask("5550000")  # another may follow

    def test_a_challenge_is_answered(self, chart: Chart) -> None:
        _, refer = asked(chart)
        chart.answer(refer, 407, "Auth", headers=['Proxy-Authenticate: Digest realm="r", nonce="n"'])
        again = chart.last("REFER")
        assert again.get("Proxy-Authorization")
        assert again.cseq == refer.cseq + 1
        assert again.get("Refer-To") == refer.get("Refer-To")

    def test_a_request_that_is_never_answered_times_out(self, chart: Chart, reports: list[str]) -> None:
        call, _ = asked(chart)
        chart.clock.advance(32)
        assert reports[-1].endswith("the far end did not answer the request")
        assert call.progress is LegState.ANSWERED

    def test_reports_that_never_come_time_out(self, chart: Chart, reports: list[str]) -> None:
        """RFC 6665, 4.1.2.4: timer N."""
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        chart.clock.advance(31.9)
        assert not call.transfers.sent.over  # type: ignore[union-attr]
        chart.clock.advance(0.2)
        assert reports[-1] == "the transfer to 5559876 failed: the far end accepted, then said nothing"
        assert call.progress is LegState.ANSWERED

    def test_a_final_report_that_never_comes_times_out_by_the_expiry(
        self, chart: Chart, reports: list[str]
    ) -> None:
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        notify(chart, call, 10, "SIP/2.0 180 Ringing", "active;expires=50")
        chart.clock.advance(49)
        assert reports[-1].endswith("180 Ringing")
        chart.clock.advance(2)
        assert reports[-1].endswith("failed: the far end never said what became of it")

    def test_a_subscription_that_ends_without_a_result_is_no_success(
        self, chart: Chart, reports: list[str]
    ) -> None:
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        notify(chart, call, 10, "SIP/2.0 100 Trying", "terminated;reason=timeout")
        assert reports[-1].endswith("failed: the far end stopped reporting before it had a result")
        assert call.progress is LegState.ANSWERED

    def test_a_far_end_that_leaves_may_report_afterwards(self, chart: Chart, reports: list[str]) -> None:
        """RFC 5057, 2: the subscription outlives the INVITE's usage of the dialog."""
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        chart.request("BYE", call, cseq=10)
        assert call.progress is LegState.ENDED
        notify(chart, call, 11, "SIP/2.0 180 Ringing")
        notify(chart, call, 12, "SIP/2.0 200 OK", "terminated")
        notify(chart, call, 13, "SIP/2.0 200 OK", "terminated")
        assert chart.take()[-4:] == ["200 OK", "200 OK", "200 OK", "481 Call/Transaction Does Not Exist"]
        assert reports[-1] == "transferred to 5559876"
        chart.clock.advance(300)
        assert chart.clock.pending == 0

    def test_a_far_end_that_leaves_and_says_nothing_is_forgotten(
        self, chart: Chart, reports: list[str]
    ) -> None:
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        chart.request("BYE", call, cseq=10)
        chart.clock.advance(300)
        assert reports[-1].startswith("transferred to 5559876: it left without a word")
        assert len(chart.agent.past) == 0
        assert chart.clock.pending == 0

    def test_norefersub_is_put_up_with(self, chart: Chart, reports: list[str]) -> None:
        """RFC 4488, 4: no reports will come; the far end's BYE tells."""
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted", headers=["Refer-Sub: false"])
        chart.request("BYE", call, cseq=10)
        assert call.cause is not None
        assert call.cause.by == "far"

    def test_where_holding_is_refused_the_far_end_is_asked_all_the_same(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.transfers.ask("5559876")
        chart.answer(chart.last("INVITE"), 488, "No")
        refer = chart.last("REFER")
        chart.answer(refer, 603, "Decline")
        assert chart.take() == ["INVITE", "ACK", "REFER"]  # there is no hold to take back

    def test_where_the_hold_is_not_answered_the_far_end_is_asked_all_the_same(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.transfers.ask("5559876")
        chart.answer(chart.last("INVITE"), 100, "Trying")
        chart.clock.advance(5.1)
        assert chart.last().method == "REFER"

    def test_a_call_that_was_held_stays_held_after_a_failure(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hold(True)
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
        call.transfers.ask("5559876")
        chart.answer(chart.last("REFER"), 603, "Decline")
        assert call.held
        assert chart.take() == ["INVITE", "ACK", "REFER"]

    def test_only_one_at_a_time_and_only_of_a_call_that_is_up(self, chart: Chart) -> None:
        call, invite = chart.dial()
        with pytest.raises(InvalidStateError, match="not answered"):
            call.transfers.ask("5559876")
        chart.answer(invite, 200, "OK", body=sdp())
        call.transfers.ask("5559876")
        with pytest.raises(InvalidStateError, match="already"):
            call.transfers.ask("5559876")

    def test_hanging_up_meanwhile_ends_it(self, chart: Chart) -> None:
        call, _ = asked(chart)
        call.hangup_leg()
        assert chart.last().method == "BYE"
        chart.answer(chart.last(), 200, "OK")
        chart.clock.advance(300)
        assert len(chart.agent.past) == 0
        assert chart.clock.pending == 0


class TestReportsThatAreNone:
    def test_a_report_that_nobody_asked_for_is_481(self, chart: Chart) -> None:
        """RFC 6665, 4.1.3."""
        call, _ = chart.answered()
        notify(chart, call, 10, "SIP/2.0 200 OK")
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]
        assert call.progress is LegState.ANSWERED

    def test_another_event_package_is_489(self, chart: Chart) -> None:
        """RFC 6665, 4.1.3: Bad Event."""
        call, _ = asked(chart)
        chart.sent.clear()
        headers = ["Event: dialog", "Subscription-State: active"]
        chart.request("NOTIFY", call, cseq=10, headers=headers, body="SIP/2.0 200 OK", kind=SIPFRAG)
        assert chart.last().code == 489
        assert chart.last().get("Allow-Events") == "refer"
        assert call.progress is LegState.ANSWERED

    @pytest.mark.parametrize(
        "line", ["", "garbage", "SIP/2.0 999 No", "SIP/2.0 2000 No", "HTTP/1.1 200 OK", "SIP/2.0 20"]
    )
    def test_a_body_that_is_no_sipfrag_is_no_success(self, chart: Chart, line: str) -> None:
        """RFC 3420."""
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        notify(chart, call, 10, line)
        assert call.progress is LegState.ANSWERED
        assert chart.last().code == 200

    def test_a_body_of_another_type_is_no_success(self, chart: Chart) -> None:
        call, refer = asked(chart)
        chart.answer(refer, 202, "Accepted")
        chart.request(
            "NOTIFY", call, cseq=10, headers=["Event: refer"], body="SIP/2.0 200 OK", kind="text/plain"
        )
        assert call.progress is LegState.ANSWERED


class TestAttended:
    def test_refer_to_names_the_dialog_whose_place_is_to_be_taken(self, chart: Chart) -> None:
        """RFC 3891, 6.1; RFC 5589, 7.1; escaped as RFC 3261, 19.1.1 has it."""
        first, _ = chart.answered()
        consulted, _ = chart.answered(tag="b-tag", contact="<sip:b@192.0.2.77:5090;ob>")
        assert consulted.dialog is not None
        consulted.dialog.call_id = "a84b4c@pc33;x"  # as a far end's might be
        first.transfers.ask("5551234", consulted)
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
        refer = chart.last("REFER")
        value = refer.get("Refer-To") or ""
        ours = consulted.dialog.local.tag
        assert value == (
            "<sip:b@192.0.2.77:5090;ob?Replaces=a84b4c%40pc33%3Bx%3Bto-tag%3Db-tag%3Bfrom-tag%3D" + ours + ">"
        )
        assert refer.call_id == first.call_id

    def test_success_ends_both(self, chart: Chart) -> None:
        """RFC 5589, 7.1: the consulted party hangs up by itself, or else we do."""
        first, _ = chart.answered()
        consulted, _ = chart.answered(tag="b-tag")
        first.transfers.ask("5551234", consulted)
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
        chart.answer(chart.last("REFER"), 202, "Accepted")
        notify(chart, first, 10, "SIP/2.0 200 OK", "terminated")
        assert (first.progress, consulted.progress) == (LegState.ENDED, LegState.ANSWERED)
        chart.clock.advance(5.1)
        assert consulted.cause == HangupCause("normal", "us", None, "transferred")

    def test_failure_leaves_both_up(self, chart: Chart) -> None:
        first, _ = chart.answered()
        consulted, _ = chart.answered(tag="b-tag")
        first.transfers.ask("5551234", consulted)
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
        chart.answer(chart.last("REFER"), 202, "Accepted")
        notify(chart, first, 10, "SIP/2.0 481 No Such Call", "terminated")
        chart.clock.advance(6)
        assert (first.progress, consulted.progress) == (LegState.ANSWERED, LegState.ANSWERED)

    def test_the_other_call_must_be_up(self, chart: Chart) -> None:
        first, _ = chart.answered()
        ringing, _ = chart.dial()
        with pytest.raises(InvalidStateError, match="other call"):
            first.transfers.ask("5551234", ringing)


class TestReplacesHeader:
    def test_parameters_come_in_any_order_and_case(self) -> None:
        """RFC 3891, 6.1."""
        found = parse_replaces("98732@sip.example.com ;From-Tag=r33;TO-TAG=ff87;early-only")
        assert (found.call_id, found.to_tag, found.from_tag) == ("98732@sip.example.com", "ff87", "r33")
        assert found.early_only

    @pytest.mark.parametrize(
        "text",
        [
            "", "x", "x;to-tag=1", "x;from-tag=1", "x;to-tag=1;to-tag=2;from-tag=3", "x;to-tag=;from-tag=1",
            "x y;to-tag=1;from-tag=2", "x;to-tag=a b;from-tag=2", ";to-tag=1;from-tag=2",
            "x;to-tag=1;from-tag=2" + "0" * 2000,
        ],
    )  # fmt: skip
    def test_what_it_does_not_allow_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="Replaces"):
            parse_replaces(text)


def test_what_outlives_calls_is_bounded(chart: Chart) -> None:
    """Neither reports that never come nor dialogs that have ended pile up."""
    call, _ = asked(chart)
    transfer, dialog = call.transfers.sent, call.dialog
    assert transfer is not None
    assert dialog is not None
    for n in range(3 * MAX_SUBSCRIPTIONS):
        chart.agent.past.keep(f"call-{n}", transfer)
        chart.agent.past.remember(dialog)
    assert len(chart.agent.past) == MAX_SUBSCRIPTIONS
    assert len(chart.agent.past._dialogs) == MAX_DIALOGS
    assert chart.agent.knows("call-0")  # its reports get past the gate against floods
    chart.agent.past.drop("call-0")
    assert not chart.agent.knows("call-0")
