"""Reliable provisional responses, both roles (RFC 3262)."""

from __future__ import annotations

import pytest
from charts import TRUNK, Chart, sdp

from engine.legs import LegState
from engine.sip.account import Account
from engine.sip.message import Message


def reliable(rseq: int) -> list[str]:
    return ["Require: 100rel", f"RSeq: {rseq}"]


def configured(reliable: str) -> Chart:
    return Chart(Account(*TRUNK, username="1001", password="p", register=False, reliable=reliable))  # type: ignore[arg-type]


def pracks(chart: Chart) -> list[Message]:
    return [s.message for s in chart.sent if s.message.method == "PRACK"]


class TestCaller:
    @pytest.mark.parametrize(
        ("setting", "supported", "required"),
        [("off", False, False), ("supported", True, False), ("required", True, True)],
    )
    def test_the_invite_says_what_is_configured(self, setting: str, supported: bool, required: bool) -> None:
        """RFC 3262, 4."""
        _, invite = configured(setting).dial()
        assert ("100rel" in invite.all("Supported")) is supported
        assert ("100rel" in invite.all("Require")) is required

    def test_a_reliable_response_is_acknowledged_by_prack(self, chart: Chart) -> None:
        """RFC 3262, 4 and 7.2: RAck is RSeq, CSeq and method of the response; a CSeq of its own."""
        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp(), headers=reliable(9021))
        prack = chart.last_sent("PRACK")
        assert prack.message.get("RAck") == f"9021 {invite.cseq} INVITE"
        assert prack.message.cseq == invite.cseq + 1
        assert prack.message.to.tag == "far"
        assert prack.message.via.branch != invite.via.branch
        assert prack.to == ("192.0.2.20", 5080)
        assert call.progress is LegState.EARLY
        chart.answer(prack.message, 200)
        chart.answer(invite, 200)
        assert chart.last("ACK").cseq == invite.cseq
        call.hangup_leg()
        assert chart.last("BYE").cseq == invite.cseq + 2

    def test_a_repeat_is_neither_acknowledged_again_nor_acted_on(self, chart: Chart) -> None:
        """RFC 3262, 4: retransmissions are discarded; our PRACK is repeated by its own transaction."""
        _, invite = chart.dial()
        for _ in range(3):
            chart.answer(invite, 180, headers=reliable(1))
        assert len(pracks(chart)) == 1
        chart.clock.advance(0.6)
        first, again = pracks(chart)
        assert first.raw == again.raw

    def test_one_after_a_gap_is_not_taken_until_the_missing_one_came(self, chart: Chart) -> None:
        """RFC 3262, 4: RSeq must rise by exactly one."""
        call, invite = chart.dial()
        chart.answer(invite, 180, headers=reliable(5))
        chart.answer(invite, 183, body=sdp(), headers=reliable(7))
        assert len(pracks(chart)) == 1
        assert call.progress is LegState.RINGING
        chart.answer(invite, 181, headers=reliable(6))
        chart.answer(invite, 183, body=sdp(), headers=reliable(7))
        assert [p.get("RAck") for p in pracks(chart)] == [f"{n} 1 INVITE" for n in (5, 6, 7)]
        assert call.progress is LegState.EARLY

    def test_each_fork_counts_for_itself(self, chart: Chart) -> None:
        """RFC 3262, 4: within one early dialog."""
        _, invite = chart.dial()
        chart.answer(invite, 180, tag="a", headers=reliable(7))
        chart.answer(invite, 180, tag="b", headers=reliable(3))
        sent = [(p.to.tag, p.get("RAck")) for p in pracks(chart)]
        assert sent == [("a", "7 1 INVITE"), ("b", "3 1 INVITE")]

    def test_a_challenged_prack_is_sent_again_with_credentials(self, chart: Chart) -> None:
        """RFC 3261, 22.2: PRACK is challenged like any request."""
        _, invite = chart.dial()
        chart.answer(invite, 180, headers=reliable(7))
        challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n"'
        chart.answer(chart.last("PRACK"), 407, headers=[challenge])
        first, again = pracks(chart)
        assert first.get("RAck") == again.get("RAck")
        assert again.cseq == first.cseq + 1
        assert again.get("Proxy-Authorization")

    @pytest.mark.parametrize("headers", [["Require: 100rel"], ["Require: 100rel", "RSeq: x"], ["RSeq: 4"]])
    def test_without_both_headers_it_is_an_ordinary_response(self, chart: Chart, headers: list[str]) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180, headers=headers)
        assert pracks(chart) == []
        assert call.progress is LegState.RINGING

    def test_a_lost_prack_does_not_end_the_call(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180, headers=reliable(7))
        chart.clock.advance(40)
        chart.answer(invite, 200, body=sdp())
        assert call.progress is LegState.ANSWERED


    def test_also_a_response_to_our_re_invite(self, chart: Chart) -> None:
        """RFC 3262, 4 and 5: the answer may be in it, and then need not be in the 200."""
        call, _ = chart.answered()
        call.hold(True)
        hold = chart.last("INVITE")
        for _ in range(2):
            chart.answer(hold, 183, body=sdp(direction="recvonly", port=41900), headers=reliable(3))
        assert [p.get("RAck") for p in pracks(chart)] == [f"3 {hold.cseq} INVITE"]
        assert pracks(chart)[0].cseq == hold.cseq + 1
        chart.answer(hold, 200)
        assert chart.last("ACK").cseq == hold.cseq
        assert call.held
        assert chart.media.connected[call.id][1] == 41900


class TestCallee:
    def required(self, chart: Chart, body: str | None = None) -> Message:
        chart.request("INVITE", body=sdp() if body is None else body, headers=["Require: 100rel"])
        return chart.last("180")

    def prack(self, chart: Chart, ringing: Message, cseq: int = 2, body: str = "", rack: str = "") -> None:
        value = rack or f"{ringing.get('RSeq')} 1 INVITE"
        chart.request("PRACK", chart.inbound[-1], cseq=cseq, body=body, headers=[f"RAck: {value}"])

    def test_where_required_ringing_is_repeated_until_its_prack(self, chart: Chart) -> None:
        """RFC 3262, 3: T1, doubling without T2's limit."""
        ringing = self.required(chart)
        assert ringing.all("Require") == ["100rel"]
        assert 1 <= int(ringing.get("RSeq") or "") < 2**31
        chart.clock.advance(7.6)
        assert chart.times("180") == [0.0, 0.5, 1.5, 3.5, 7.5]
        self.prack(chart, ringing)
        assert chart.last().code == 200
        chart.sent.clear()
        chart.clock.advance(40)
        assert chart.take() == []
        chart.inbound[-1].accept()
        assert chart.take() == ["200 OK"]

    def test_without_a_prack_the_call_is_refused(self, chart: Chart) -> None:
        """RFC 3262, 3: 5xx after 64*T1."""
        self.required(chart)
        chart.clock.advance(31.9)
        assert chart.inbound[-1].progress is LegState.RINGING
        chart.clock.advance(0.2)
        assert chart.last().code == 504
        call = chart.inbound[-1]
        assert call.cause is not None
        assert call.cause.name == "timeout"
        assert chart.media.ports == {}

    @pytest.mark.parametrize("rack", ["1 1 INVITE", "x", "", "99999999999 1 INVITE"])
    def test_a_prack_that_matches_nothing_is_481(self, chart: Chart, rack: str) -> None:
        """RFC 3262, 3."""
        ringing = self.required(chart)
        self.prack(chart, ringing, rack=rack or "0")
        assert chart.last().code == 481
        chart.sent.clear()
        chart.clock.advance(0.6)
        assert chart.take() == ["180 Ringing"]

    def test_a_prack_for_an_unreliable_response_is_481(self, chart: Chart) -> None:
        call = chart.ringing()
        chart.request("PRACK", call, cseq=2, headers=["RAck: 1 1 INVITE"])
        assert chart.last().code == 481
        assert call.progress is LegState.RINGING

    def test_our_final_answer_ends_the_repeats(self, chart: Chart) -> None:
        """RFC 3262, 3: a 2xx may leave before the PRACK where no offer or answer is open in the 180."""
        ringing = self.required(chart)
        call = chart.inbound[-1]
        call.accept()
        chart.request("ACK", call)
        chart.sent.clear()
        chart.clock.advance(10)
        assert chart.take() == []
        self.prack(chart, ringing)
        assert chart.take() == ["200 OK"]

    def test_where_it_is_only_supported_ringing_is_ordinary(self, chart: Chart) -> None:
        chart.ringing(headers=["Supported: 100rel"])
        assert chart.last("180").get("RSeq") is None

    def test_set_to_required_it_is_reliable_for_whoever_can(self) -> None:
        chart = configured("required")
        chart.ringing(headers=["Supported: 100rel"])
        assert chart.last("180").get("RSeq")
        chart.ringing(call_id="other")
        assert chart.last("180").get("RSeq") is None

    def test_switched_off_it_is_refused_420(self) -> None:
        """RFC 3261, 8.2.2.3."""
        chart = configured("off")
        chart.request("INVITE", body=sdp(), headers=["Require: 100rel"])
        assert chart.last().code == 420
        assert chart.last().all("Unsupported") == ["100rel"]

    def test_a_late_offer_is_ours_in_the_180_answered_in_the_prack(self, chart: Chart) -> None:
        """RFC 3262, 5: the first reliable response holds the offer, and the 200 waits for its PRACK."""
        ringing = self.required(chart, body="")
        assert b"RTP/AVP 8 0 101" in ringing.sdp
        call = chart.inbound[-1]
        call.accept()
        assert chart.take() == ["180 Ringing"]
        self.prack(chart, ringing, body=sdp(port=41700, codecs="0"))
        assert chart.take() == ["200 OK", "200 OK"]
        assert chart.media.connected[call.id][1:3] == (41700, (("PCMU", 0),))
        assert call.progress is LegState.ANSWERED

    def test_an_offer_in_a_prack_while_theirs_is_open_is_refused_for_later(self, chart: Chart) -> None:
        """RFC 3261, 13.2.1: no second offer before the first is answered."""
        ringing = self.required(chart)
        self.prack(chart, ringing, body=sdp(port=41800))
        assert chart.last().code == 500
        assert chart.last().get("Retry-After")

    def test_an_offer_in_a_further_prack_is_answered(self, chart: Chart) -> None:
        """RFC 3262, 5: once the first exchange is done a PRACK may hold another offer."""
        ringing = self.required(chart, body="")
        self.prack(chart, ringing, body=sdp(port=41700, codecs="0"))
        self.prack(chart, ringing, cseq=3, body=sdp(port=41900, codecs="8", version=2))
        assert b"RTP/AVP 8" in chart.last("200").sdp
        assert chart.media.connected[chart.inbound[-1].id][1] == 41900

    def test_early_media_waits_for_the_prack_of_the_ringing_and_the_answer_for_its_own(
        self, chart: Chart
    ) -> None:
        """RFC 3262, 3: one after the other, each RSeq one higher; no 2xx before a description's PRACK."""
        ringing = self.required(chart)
        call = chart.inbound[-1]
        call.early_media()
        assert chart.take() == ["180 Ringing"]
        self.prack(chart, ringing)
        early = chart.last("183")
        assert (early.sdp != b"", int(early.get("RSeq") or 0)) == (True, int(ringing.get("RSeq") or 0) + 1)
        call.accept()
        assert chart.take() == ["200 OK", "183 Session Progress"]
        self.prack(chart, early, cseq=3)
        assert chart.take() == ["200 OK", "200 OK"]
        assert call.progress is LegState.ANSWERED

    def test_a_hangup_of_the_caller_ends_the_repeats(self, chart: Chart) -> None:
        self.required(chart)
        chart.request("BYE", chart.inbound[-1], cseq=2)
        chart.sent.clear()
        chart.clock.advance(0.4)
        assert not [s for s in chart.sent if s.message.code == 180]
