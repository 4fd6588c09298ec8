"""One INVITE, several early dialogs (RFC 3261, 12.1.2, 13.2.2.4, 16.7; RFC 6228)."""

from __future__ import annotations

import pytest
from charts import Chart, answer, sdp

from engine.legs import LegState
from engine.sip.call import Call
from engine.sip.dialog import Dialog
from engine.sip.message import Message


def early(call: Call, tag: str) -> Dialog:
    """One of a call's early dialogs."""
    assert call.caller is not None
    return next(f.dialog for f in call.caller.forks.all() if f.dialog.remote.tag == tag)


def port(chart: Chart, call: Call) -> int:
    return chart.media.connected[call.id][1]


class TestAudio:
    def test_it_follows_the_fork_that_described_its_end_last(self, chart: Chart) -> None:
        """RFC 3264, 4 and RFC 3960, 3: each early dialog has its own answer."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.answer(invite, 183, tag="b", body=sdp(port=41010))
        assert port(chart, call) == 41010
        chart.answer(invite, 180, tag="a", body=sdp(port=41000))
        assert port(chart, call) == 41000

    def test_the_answers_tag_chooses_though_it_describes_nothing(self, chart: Chart) -> None:
        """RFC 3261, 13.2.2.4: the 2xx's dialog is the call; its answer came in its own 183."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.answer(invite, 183, tag="b", body=sdp(port=41010))
        chart.answer(invite, 200, tag="a")
        assert call.progress is LegState.ANSWERED
        assert port(chart, call) == 41000
        assert chart.last("ACK").to.tag == "a"

    def test_an_answer_that_differs_from_the_183_of_its_fork_moves_it(self, chart: Chart) -> None:
        """RFC 3264, 4: what the 200 says is what the far end does."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000, codecs="8"))
        chart.answer(invite, 200, tag="a", body=sdp(port=41020, codecs="0", version=2))
        assert chart.media.connected[call.id][1:3] == (41020, (("PCMU", 0),))

    @pytest.mark.parametrize("code", [180, 181, 182, 183, 199])
    def test_a_description_counts_in_every_provisional_response(self, chart: Chart, code: int) -> None:
        """RFC 3261, 13.2.1: an answer may come in any of them."""
        call, invite = chart.dial()
        chart.answer(invite, code, tag="a", body=sdp(port=41000))
        assert call.progress is LegState.EARLY
        assert port(chart, call) == 41000

    def test_also_within_a_multipart_body(self, chart: Chart) -> None:
        """RFC 3261, 7.4.1 and RFC 5621: a trunk that adds ISUP or an account's balance."""
        call, invite = chart.dial()
        parts = [("application/isup", "xx"), ("application/sdp", sdp())]
        body = "".join(f"--Ab\r\nContent-Type: {kind}\r\n\r\n{part}\r\n" for kind, part in parts) + "--Ab--"
        data = answer(invite, 183, body=body)
        chart.receive(data.replace(b"application/sdp", b'multipart/mixed;boundary="Ab"', 1))
        assert call.progress is LegState.EARLY
        assert port(chart, call) == 41000

    def test_a_fork_that_is_over_gives_way_to_another(self, chart: Chart) -> None:
        """RFC 6228, 4: 199 ends one early dialog, not the call."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.answer(invite, 183, tag="b", body=sdp(port=41010))
        chart.answer(invite, 199, "Early Dialog Terminated", tag="b")
        assert port(chart, call) == 41000
        assert call.progress is LegState.EARLY

    def test_a_response_without_a_tag_is_early_media_too(self, chart: Chart) -> None:
        """Tolerance: RFC 2543's gateways had no To tag in provisional responses."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag=None, body=sdp(port=41000))
        assert call.progress is LegState.EARLY
        chart.answer(invite, 200, tag="a")
        assert (call.progress, port(chart, call)) == (LegState.ANSWERED, 41000)


class TestStates:
    @pytest.mark.parametrize(
        ("responses", "states"),
        [
            (((180, False), (183, True)), [LegState.RINGING, LegState.EARLY]),
            (((183, True), (180, False)), [LegState.EARLY]),
            (((183, False), (180, False)), [LegState.TRYING, LegState.RINGING]),
            (((182, False), (180, True)), [LegState.TRYING, LegState.EARLY]),
        ],
    )
    def test_in_every_order(
        self, chart: Chart, responses: tuple[tuple[int, bool], ...], states: list[LegState]
    ) -> None:
        """RFC 3261, 13.2.2.1 and RFC 3960: ringing may come before early media, after it, or never."""
        call, invite = chart.dial()
        for code, described in responses:
            chart.answer(invite, code, body=sdp() if described else "")
        assert chart.states == states
        chart.answer(invite, 200, body=sdp())
        assert call.progress is LegState.ANSWERED


class TestDialogs:
    def test_each_has_its_own_route_set_target_and_sequence(self, chart: Chart) -> None:
        """RFC 3261, 12.1.2."""
        _, invite = chart.dial()
        rel = ["Require: 100rel", "RSeq: 1"]
        for tag, host in (("a", "192.0.2.41"), ("b", "192.0.2.42")):
            headers = [*rel, f"Record-Route: <sip:{host}:5070;lr>"]
            chart.answer(invite, 183, tag=tag, contact=f"<sip:{tag}@{host}>", headers=headers)
        first, second = [s for s in chart.sent if s.message.method == "PRACK"]
        assert (first.to, second.to) == (("192.0.2.41", 5070), ("192.0.2.42", 5070))
        assert (first.message.uri_text, second.message.uri_text) == ("sip:a@192.0.2.41", "sip:b@192.0.2.42")
        assert first.message.cseq == second.message.cseq == invite.cseq + 1

    def test_the_answer_fixes_route_set_and_target(self, chart: Chart) -> None:
        """RFC 3261, 13.2.2.4: both are computed anew from the 2xx."""
        _, invite = chart.dial()
        chart.answer(invite, 183, body=sdp(), headers=["Record-Route: <sip:192.0.2.50;lr>"])
        routes = ["Record-Route: <sip:192.0.2.51;lr>"]
        chart.answer(invite, 200, body=sdp(), contact="<sip:new@192.0.2.61>", headers=routes)
        assert chart.last_sent("ACK").to == ("192.0.2.51", 5060)
        assert chart.last("ACK").uri_text == "sip:new@192.0.2.61"
        assert chart.last("ACK").all("Route") == ["<sip:192.0.2.51;lr>"]

    def test_a_re_invite_does_not_change_the_route_set(self, chart: Chart) -> None:
        """RFC 3261, 12.2: target refreshes leave the route set as it is."""
        call, _ = chart.answered(headers=["Record-Route: <sip:192.0.2.51;lr>"])
        chart.request("INVITE", call, body=sdp(), headers=["Record-Route: <sip:192.0.2.99;lr>"])
        call.hangup_leg()
        assert chart.last_sent("BYE").to == ("192.0.2.51", 5060)

    def test_a_cancel_takes_all_forks(self, chart: Chart) -> None:
        """RFC 3261, 9.1 and 16.10: one CANCEL, its proxy cancels every branch."""
        call, invite = chart.dial()
        for tag in ("a", "b"):
            chart.answer(invite, 183, tag=tag, body=sdp())
        chart.sent.clear()
        call.hangup_leg()
        assert chart.take() == ["CANCEL"]
        chart.answer(invite, 487, tag="a")
        assert call.progress is LegState.ENDED
        assert chart.media.ports == {}

    def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(self, chart: Chart) -> None:
        """RFC 3261, 9.1: the 2xx has won."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp())
        call.hangup_leg()
        chart.sent.clear()
        chart.answer(invite, 200, tag="b", body=sdp())
        assert chart.take() == ["ACK", "BYE"]
        assert call.cause is not None
        assert call.cause.name == "cancelled"

    def test_there_may_not_be_too_many(self, chart: Chart) -> None:
        call, invite = chart.dial()
        for n in range(40):
            chart.answer(invite, 183, tag=f"t{n}", body=sdp(port=41000 + 2 * n))
        assert call.caller is not None
        assert len(call.caller.forks.all()) == 32
        chart.answer(invite, 200, tag="t39", body=sdp(port=45000))
        assert port(chart, call) == 45000
        assert chart.last("ACK").to.tag == "t39"
        for n in range(40):
            chart.answer(invite, 200, tag=f"t{n}", body=sdp())
        assert len(chart.times("BYE")) == 31

    def test_a_bye_within_an_early_dialog_ends_that_fork_only(self, chart: Chart) -> None:
        """RFC 3261, 15: the call goes on until its INVITE has a final response."""
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp(port=41000))
        chart.answer(invite, 183, tag="b", body=sdp(port=41010))
        chart.request("BYE", early(call, "b"))
        assert chart.last().code == 200
        assert call.progress is LegState.EARLY
        assert port(chart, call) == 41000

    def test_a_request_in_a_dialog_that_is_none_of_them(self, chart: Chart) -> None:
        """RFC 3261, 12.2.2."""
        _, invite = chart.dial()
        chart.answer(invite, 183, tag="a", body=sdp())
        dialog = Dialog.as_caller(invite, Message(answer(invite, 180, tag="unknown")))
        chart.request("OPTIONS", dialog)
        assert chart.last().code == 481
