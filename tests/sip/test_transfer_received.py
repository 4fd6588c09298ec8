"""The far end transfers us: REFER and Replaces, as sequence charts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charts import TRUNK, Chart, sdp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.call import Call
from engine.sip.referral import Referral

OFF = Account(*TRUNK, username="1001", password="demo pass", register=False)
TARGET = "Refer-To: <sip:5559876@192.0.2.10>"


class Referred(Chart):
    """A phone that accepts transfers. `referrals` holds each REFER that awaits a decision."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.referrals: list[Referral] = []
        self.replaced: list[tuple[Call, Call]] = []
        self.phone.on_referral = self.referrals.append
        self.phone.on_replaced = lambda old, new: self.replaced.append((old, new))

    def refer(self, call: Call, cseq: int = 10, *headers: str) -> None:
        self.request("REFER", call, cseq=cseq, headers=headers or [TARGET])

    def follow(self, call: Call) -> Call:
        """The far end of a call refers, and we place the call."""
        self.refer(call)
        self.referrals[0].accept()
        self.answer(self.last("NOTIFY"), 200, "OK")
        new = self.phone.prepare_referred(self.referrals[0])
        new.begin()
        return new

    def reports(self) -> list[str]:
        """The sipfrags sent, each with its subscription's state."""
        return [
            f"{sent.message.content.decode().strip()} | {sent.message.get('Subscription-State')}"
            for sent in self.sent
            if sent.message.method == "NOTIFY"
        ]


@pytest.fixture
def chart() -> Referred:
    return Referred(replace(OFF, accept_transfer=True))


class TestDecided:
    def test_off_by_default_and_then_not_among_the_methods_allowed(self) -> None:
        """RFC 3261, 8.2.1."""
        chart = Referred(OFF)
        call, invite = chart.answered()
        assert "REFER" not in (invite.get("Allow") or "")
        chart.refer(call)
        assert chart.last().code == 405
        assert "REFER" not in chart.last().all("Allow")
        assert chart.referrals == []

    def test_on_it_is_among_the_methods_allowed(self, chart: Referred) -> None:
        _, invite = chart.answered()
        assert "REFER" in invite.all("Allow")

    def test_without_anybody_to_decide_it_is_declined(self, chart: Referred) -> None:
        """RFC 3515, 2.4.2."""
        call, _ = chart.answered()
        chart.phone.on_referral = lambda referral: referral.refuse()
        chart.refer(call)
        assert chart.take() == ["603 Decline"]

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            (["Subject: no Refer-To"], 400),
            ([TARGET, TARGET], 400),
            (["Refer-To: <sip:192.0.2.10>"], 400),
            (["Refer-To: <http://example.com/x>"], 603),
            (["Refer-To: <mailto:a@example.com>"], 603),
            (["Refer-To: <sip:5559876@192.0.2.10;method=BYE>"], 603),
            (["Refer-To: garbage"], 400),
            (["Refer-To: <sip:%0d%0aBYE@192.0.2.10>"], 400),
            (["Refer-To: <sip:" + "5" * 65 + "@192.0.2.10>"], 400),
            (["Refer-To: <sip:5@192.0.2.10?Replaces=x>"], 400),
            (["Refer-To: <sip:5@192.0.2.10?Replaces=x%0d%0a%3Bto-tag%3D1%3Bfrom-tag%3D2>"], 400),
        ],
    )
    def test_what_names_nobody_to_call_is_refused(
        self, chart: Referred, headers: list[str], code: int
    ) -> None:
        """RFC 3515, 2.4.2: 400 unless there is exactly one Refer-To."""
        call, _ = chart.answered()
        chart.request("REFER", call, cseq=10, headers=headers)
        assert chart.last().code == code
        assert chart.referrals == []
        assert call.progress is LegState.ANSWERED

    @pytest.mark.parametrize(
        ("target", "number"),
        [
            ("<sip:5559876@192.0.2.10>", "5559876"),
            ("<sip:5559876@somewhere.example:5099;transport=tcp>", "5559876"),
            ("<sips:5559876@192.0.2.10>", "5559876"),
            ("tel:+1-212-555-9876;phone-context=x", "+1-212-555-9876"),
            ('"Bob" <sip:%2B12125559876@h>;a=b', "+12125559876"),
            ("<sip:5559876@h;method=INVITE?Subject=x&Route=%3Csip%3Aevil%3E>", "5559876"),
        ],
    )
    def test_only_the_user_part_is_taken_and_dialled_at_our_trunk(
        self, chart: Referred, target: str, number: str
    ) -> None:
        call, _ = chart.answered()
        chart.request("REFER", call, cseq=10, headers=[f"Refer-To: {target}"])
        assert chart.referrals[0].asked.number == number
        chart.referrals[0].accept()
        chart.phone.prepare_referred(chart.referrals[0]).begin()
        invite = chart.last_sent("INVITE")
        assert invite.to == TRUNK
        assert invite.message.uri.host == TRUNK[0]
        assert not {"Subject", "Route"} & {name for name, _ in invite.message.fields}

    def test_one_at_a_time_and_no_more_than_eight_a_call(self, chart: Referred) -> None:
        call, _ = chart.answered()
        chart.refer(call, 10)
        chart.refer(call, 11)
        assert chart.take() == ["491 Request Pending"]
        chart.referrals[0].refuse()
        for cseq in range(12, 19):
            chart.refer(call, cseq)
            chart.referrals[-1].refuse()
        chart.refer(call, 19)
        assert len(chart.referrals) == 8
        assert chart.last().code == 603

    def test_outside_a_dialog_it_is_not_taken(self, chart: Referred) -> None:
        chart.request("REFER", headers=[TARGET])
        assert chart.last().code == 603
        assert chart.referrals == []

    def test_while_the_call_rings_it_is_declined(self, chart: Referred) -> None:
        call = chart.ringing()
        chart.refer(call, 2)
        assert chart.last().code == 603


class TestFollowed:
    def test_202_then_reports_until_the_final_one(self, chart: Referred) -> None:
        """RFC 3515, 2.4.4: an immediate NOTIFY; 2.4.5: sipfrag; RFC 6665: the subscription's states."""
        call, _ = chart.answered()
        chart.refer(call)
        chart.referrals[0].accept()
        assert [sent.message.summary_line for sent in chart.sent] == ["202 Accepted", "NOTIFY"]
        assert chart.reports() == ["SIP/2.0 100 Trying | active;expires=180"]

    def test_each_report_waits_for_the_answer_to_the_one_before(self, chart: Referred) -> None:
        """RFC 3261, 12.2.2 would have one that overtakes another refused."""
        call, _ = chart.answered()
        chart.refer(call)
        chart.referrals[0].accept()
        first = chart.last("NOTIFY")
        assert first.get("Event") == "refer;id=10"
        assert (first.get("Content-Type") or "").startswith("message/sipfrag")
        assert first.contact is not None
        new = chart.phone.prepare_referred(chart.referrals[0])
        new.begin()
        invite = chart.last("INVITE")
        chart.answer(invite, 180, "Ringing", tag="new")
        chart.answer(invite, 183, "Session Progress", tag="new", body=sdp())
        assert chart.reports() == ["SIP/2.0 100 Trying | active;expires=180"]
        chart.answer(first, 200, "OK")
        chart.answer(invite, 200, "OK", tag="new", body=sdp())
        assert chart.reports()[1:] == ["SIP/2.0 183 Session Progress | active;expires=180"]
        chart.answer(chart.last("NOTIFY"), 200, "OK")
        assert chart.reports()[2:] == ["SIP/2.0 200 OK | terminated;reason=noresource"]
        assert call.progress is new.progress is LegState.ANSWERED

    def test_referred_by_and_replaces_are_handed_on(self, chart: Referred) -> None:
        """RFC 3892, 2.2; RFC 3891, 4."""
        call, _ = chart.answered()
        chart.refer(
            call, 10,
            "Refer-To: <sip:5559876@192.0.2.10?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            'Referred-By: "Boss" <sip:boss@192.0.2.10>',
        )  # fmt: skip
        chart.referrals[0].accept()
        chart.phone.prepare_referred(chart.referrals[0]).begin()
        invite = chart.last("INVITE")
        assert invite.get("Replaces") == "abc@h;to-tag=1;from-tag=2"
        assert invite.get("Require") == "replaces"
        assert invite.get("Referred-By") == '"Boss" <sip:boss@192.0.2.10>'

    @pytest.mark.parametrize(("code", "told"), [(486, "486 Busy Here"), (603, "603 Decline")])
    def test_a_target_that_refuses_is_reported_and_the_call_goes_on(
        self, chart: Referred, code: int, told: str
    ) -> None:
        call, _ = chart.answered()
        new = chart.follow(call)
        chart.answer(chart.last("INVITE"), code, told[4:])
        assert chart.reports()[-1] == f"SIP/2.0 {told} | terminated;reason=noresource"
        assert (call.progress, new.progress) == (LegState.ANSWERED, LegState.ENDED)

    def test_a_target_that_never_answers_is_reported_as_503(self, chart: Referred) -> None:
        call, _ = chart.answered()
        chart.follow(call)
        chart.clock.advance(33)
        assert chart.reports()[-1].startswith("SIP/2.0 503 ")

    def test_reports_go_on_after_the_far_end_has_left(self, chart: Referred) -> None:
        """RFC 5057, 2."""
        call, _ = chart.answered()
        new = chart.follow(call)
        chart.request("BYE", call, cseq=11)
        chart.answer(chart.last("INVITE"), 200, "OK", tag="new", body=sdp())
        assert chart.reports()[-1].startswith("SIP/2.0 200 OK")
        assert new.progress is LegState.ANSWERED

    def test_a_far_end_that_no_longer_listens_is_told_no_more(self, chart: Referred) -> None:
        """RFC 6665, 4.2.2: 481 ends the subscription."""
        call, _ = chart.answered()
        chart.refer(call)
        chart.referrals[0].accept()
        chart.answer(chart.last("NOTIFY"), 481, "No")
        chart.phone.prepare_referred(chart.referrals[0]).begin()
        chart.answer(chart.last("INVITE"), 180, "Ringing")
        chart.answer(chart.last("INVITE"), 486, "Busy")
        assert len(chart.reports()) == 1

    def test_without_a_subscription_nothing_is_reported(self, chart: Referred) -> None:
        """RFC 4488, 4: Refer-Sub: false."""
        call, _ = chart.answered()
        chart.refer(call, 10, TARGET, "Refer-Sub: false")
        chart.referrals[0].accept()
        assert chart.last("202").get("Refer-Sub") == "false"
        chart.phone.prepare_referred(chart.referrals[0]).begin()
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp())
        assert chart.reports() == []


def replacing(chart: Referred, call: Call, more: str = "", *, call_id: str = "taker", **tags: str) -> None:
    """An INVITE that asks to take a call's place."""
    assert call.dialog is not None
    to_tag = tags.get("to_tag", call.dialog.local.tag)
    from_tag = tags.get("from_tag", call.dialog.remote.tag)
    value = f"{call.dialog.call_id};to-tag={to_tag};from-tag={from_tag}{more}"
    chart.request("INVITE", call_id=call_id, body=sdp(port=43000), headers=[f"Replaces: {value}"])


class TestReplaced:
    def test_the_new_call_is_answered_at_once_and_the_old_one_ended(self, chart: Referred) -> None:
        """RFC 3891, 3."""
        call, _ = chart.answered()
        replacing(chart, call)
        (pair,) = chart.replaced
        assert pair[0] is call
        assert pair[1].progress is LegState.ANSWERED
        assert chart.take() == ["200 OK", "BYE"]
        assert call.cause == HangupCause("normal", "us", None, "replaced by a call from +12125550199")
        assert chart.inbound == []  # it rings nobody
        assert chart.media.ports.keys() == {pair[1].id}

    def test_a_call_that_came_in_is_replaced_too(self, chart: Referred) -> None:
        call = chart.taken()
        replacing(chart, call)
        assert call.progress is LegState.ENDED

    @pytest.mark.parametrize("tags", [{"to_tag": "x"}, {"from_tag": "x"}, {"to_tag": "0"}])
    def test_both_tags_must_match(self, chart: Referred, tags: dict[str, str]) -> None:
        """RFC 3891, 3: 481 where no dialog matches."""
        call, _ = chart.answered()
        replacing(chart, call, **tags)
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]
        assert call.progress is LegState.ANSWERED

    def test_early_only_does_not_replace_what_is_answered(self, chart: Referred) -> None:
        """RFC 3891, 3: 486."""
        call, _ = chart.answered()
        replacing(chart, call, ";early-only")
        assert chart.take() == ["486 Busy Here"]

    def test_a_call_that_has_ended_is_603(self, chart: Referred) -> None:
        """RFC 3891, 3."""
        call, _ = chart.answered()
        call.hangup_leg()
        chart.sent.clear()
        replacing(chart, call)
        assert chart.take() == ["603 Decline"]

    def test_a_call_that_rings_here_is_not_replaced(self, chart: Referred) -> None:
        """RFC 3891, 3: an early dialog that this side did not begin is 481."""
        call = chart.ringing()
        chart.sent.clear()
        replacing(chart, call)
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]

    @pytest.mark.parametrize("early", ["", ";early-only"])
    def test_a_call_of_ours_that_rings_there_is_replaced(self, chart: Referred, early: str) -> None:
        """RFC 3891, 3: an early dialog that this side began is; its INVITE is taken back."""
        call, invite = chart.dial()
        chart.answer(invite, 180, "Ringing", tag="there")
        value = f"{call.call_id};to-tag={invite.from_.tag};from-tag=there{early}"
        chart.request("INVITE", call_id="pickup", body=sdp(), headers=[f"Replaces: {value}"])
        assert chart.take() == ["INVITE", "200 OK", "CANCEL"]
        chart.answer(invite, 487, "Terminated", tag="there")
        assert [old for old, _ in chart.replaced] == [call]
        assert call.progress is LegState.ENDED

    def test_in_another_request_it_is_400(self, chart: Referred) -> None:
        """RFC 3891, 3."""
        chart.request("OPTIONS", headers=["Replaces: a;to-tag=1;from-tag=2"])
        assert chart.last().code == 400

    def test_a_malformed_or_second_replaces_is_400(self, chart: Referred) -> None:
        """RFC 3891, 3 and 6.1."""
        good = "Replaces: a;to-tag=1;from-tag=2"
        for n, headers in enumerate((["Replaces: x"], [good, good])):
            chart.request("INVITE", call_id=f"r{n}", body=sdp(), headers=headers)
            assert chart.last().code == 400

    def test_an_offer_that_can_not_be_answered_leaves_the_old_call(self, chart: Referred) -> None:
        """RFC 3891, 3: the old dialog is ended only once the new one is accepted."""
        call, _ = chart.answered()
        assert call.dialog is not None
        value = f"{call.dialog.call_id};to-tag={call.dialog.local.tag};from-tag={call.dialog.remote.tag}"
        chart.request("INVITE", body=sdp(codecs="18"), headers=[f"Replaces: {value}"])
        assert chart.take() == ["488 Not Acceptable Here"]
        assert call.progress is LegState.ANSWERED

    def test_switched_off_it_is_a_call_like_any_other(self) -> None:
        chart = Referred(OFF)
        call, _ = chart.answered()
        replacing(chart, call)
        assert chart.take() == ["180 Ringing"]
        assert call.progress is LegState.ANSWERED

    def test_nobody_but_the_trunk_can(self, chart: Referred) -> None:
        call, _ = chart.answered()
        assert call.dialog is not None
        value = f"{call.dialog.call_id};to-tag={call.dialog.local.tag};from-tag={call.dialog.remote.tag}"
        chart.request(
            "INVITE", body=sdp(), headers=[f"Replaces: {value}"], source=("203.0.113.9", 5060), trusted=False
        )
        assert chart.take() == []
        assert call.progress is LegState.ANSWERED


class TestGarbage:
    @settings(max_examples=60, deadline=None)
    @given(value=st.text(alphabet=st.characters(blacklist_characters="\r\n", codec="utf-8"), max_size=60))
    @pytest.mark.parametrize("header", ["Refer-To", "Referred-By", "Refer-Sub"])
    def test_of_any_kind_in_a_refer_is_refused_or_taken(self, header: str, value: str) -> None:
        chart = Referred(replace(OFF, accept_transfer=True))
        call, _ = chart.answered()
        chart.refer(call, 10, *([] if header == "Refer-To" else [TARGET]), f"{header}: {value}")
        for referral in chart.referrals:
            referral.accept()
            try:
                chart.phone.prepare_referred(referral).begin()
            except ValueError:
                referral.report(503)
        assert chart.sent
        assert call.progress is LegState.ANSWERED

    @settings(max_examples=60, deadline=None)
    @given(value=st.text(alphabet=st.characters(blacklist_characters="\r\n", codec="utf-8"), max_size=60))
    @pytest.mark.parametrize("header", ["Event", "Subscription-State", "Content-Type"])
    def test_of_any_kind_in_a_report_is_answered(self, header: str, value: str) -> None:
        chart = Referred(OFF)
        call, _ = chart.answered()
        call.transfers.ask("5559876")
        chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
        chart.answer(chart.last("REFER"), 202, "Accepted")
        chart.sent.clear()
        headers = [*(["Event: refer"] if header != "Event" else []), f"{header}: {value}"]
        chart.request("NOTIFY", call, cseq=10, headers=headers)
        assert chart.sent[0].message.code in (200, 489)
        assert call.progress is LegState.ANSWERED

    @settings(max_examples=60, deadline=None)
    @given(value=st.text(alphabet=st.characters(blacklist_characters="\r\n", codec="utf-8"), max_size=80))
    def test_of_any_kind_in_a_replaces_is_refused(self, value: str) -> None:
        chart = Referred(replace(OFF, accept_transfer=True))
        call, _ = chart.answered()
        chart.request("INVITE", call_id="other", body=sdp(), headers=[f"Replaces: {value}"])
        assert chart.last().code in (400, 481)
        assert call.progress is LegState.ANSWERED
