"""DTMF by INFO, both ways (RFC 6086 and the bodies that gateways put into it)."""

from __future__ import annotations

import logging

import pytest
from charts import Chart

from engine.sip.call import Call

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"


@pytest.fixture
def pressed(chart: Chart) -> list[tuple[str, int]]:
    """The key presses that came by INFO."""
    found: list[tuple[str, int]] = []
    chart.phone.on_digit = lambda call, digit, ms: found.append((digit, ms))
    return found


def info(chart: Chart, call: Call, body: str, kind: str = RELAY, cseq: int = 1) -> int:
    chart.request("INFO", call, cseq=cseq, body=body, kind=kind)
    return chart.last().code


class TestReceived:
    @pytest.mark.parametrize(
        ("kind", "body", "digit", "ms"),
        [
            (RELAY, "Signal=5\r\nDuration=160\r\n", "5", 160),
            (RELAY, "Signal= 5\r\nDuration= 250", "5", 250),
            (RELAY, "signal = *\nduration = 100\n", "*", 100),
            (RELAY, "Duration=100\r\nSignal=#", "#", 100),
            (RELAY, "Signal=11\r\nDuration=80", "#", 80),
            (RELAY, "Signal=10", "*", 160),
            (RELAY, "Signal=d\r\nDuration=0", "D", 160),
            (RELAY, "Signal=15\r\nDuration=999999", "D", 8000),
            ("Application/DTMF-Relay; charset=utf-8", "Signal=1", "1", 160),
            (PLAIN, "5", "5", 160),
            (PLAIN, "#\r\n", "#", 160),
            (PLAIN, "12", "A", 160),
            (PLAIN, "Signal=7\r\nDuration=90", "7", 90),
        ],
    )
    def test_a_key_press_in_each_of_its_forms(
        self, chart: Chart, pressed: list[tuple[str, int]], kind: str, body: str, digit: str, ms: int
    ) -> None:
        """RFC 6086, 4; the bodies are those of Cisco's gateways."""
        call, _ = chart.answered()
        assert info(chart, call, body, kind) == 200
        assert pressed == [(digit, ms)]

    @pytest.mark.parametrize("body", ["Signal=16", "Signal=flash\r\nDuration=200"])
    def test_a_hook_flash_is_no_digit(
        self, chart: Chart, pressed: list[tuple[str, int]], body: str
    ) -> None:
        """RFC 4733, 3.2 and 7.1.1: event 16."""
        call, _ = chart.answered()
        assert info(chart, call, body) == 200
        assert pressed == []

    @pytest.mark.parametrize("body", ["Signal=", "Signal=x", "Signal=17", "Signal=5 6", "x", "123"])
    def test_what_is_no_key_press_is_refused(
        self, chart: Chart, pressed: list[tuple[str, int]], body: str
    ) -> None:
        """RFC 3261, 21.4.1."""
        call, _ = chart.answered()
        assert info(chart, call, body, PLAIN if len(body) < 4 else RELAY) == 400
        assert pressed == []

    def test_another_body_is_refused_with_what_we_accept(self, chart: Chart) -> None:
        """RFC 6086, 4.2.2: 415."""
        call, _ = chart.answered()
        assert info(chart, call, "<media_control/>", "application/media_control+xml") == 415
        assert chart.last().all("Accept") == [RELAY, PLAIN]

    def test_one_without_a_body_is_answered(self, chart: Chart) -> None:
        """RFC 6086, 4.2.2."""
        call, _ = chart.answered()
        assert info(chart, call, "") == 200

    def test_a_repeated_request_is_one_key_press(
        self, chart: Chart, pressed: list[tuple[str, int]]
    ) -> None:
        """RFC 3261, 17.2.2: retransmissions are absorbed."""
        call, _ = chart.answered()
        for _ in range(3):
            chart.request("INFO", call, cseq=4, body="5", kind=PLAIN, branch="z9hG4bKinfo")
        assert pressed == [("5", 160)]
        assert info(chart, call, "5", PLAIN, cseq=5) == 200
        assert len(pressed) == 2

    def test_without_an_engine_the_digit_is_there_for_get_dtmf(self, chart: Chart) -> None:
        call, _ = chart.answered()
        info(chart, call, "5", PLAIN)
        assert call.get_dtmf() == "5"

    def test_before_the_answer_too(self, chart: Chart, pressed: list[tuple[str, int]]) -> None:
        call = chart.ringing()
        assert info(chart, call, "5", PLAIN, cseq=2) == 200
        assert pressed == [("5", 160)]

    def test_outside_a_dialog_it_is_481(self, chart: Chart) -> None:
        """RFC 6086, 4.2.2."""
        chart.request("INFO", body="5", kind=PLAIN)
        assert chart.last().code == 481


class TestSent:
    def test_one_at_a_time_and_as_far_apart_as_key_presses(self, chart: Chart) -> None:
        sent: list[str] = []
        chart.phone.on_digit_sent = lambda call, digit: sent.append(digit)
        call, _ = chart.answered()
        call.info.send("1#a")
        first = chart.last("INFO")
        assert first.get("Content-Type") == RELAY
        assert first.content == b"Signal=1\r\nDuration=160\r\n"
        chart.clock.advance(0.3)
        assert chart.take() == ["INFO"]  # the first is not answered yet
        chart.answer(first, 200)
        assert b"Signal=#" in chart.last("INFO").content
        chart.answer(chart.last("INFO"), 200)
        assert chart.take() == ["INFO"]  # nor has the second key been released
        chart.clock.advance(0.25)
        assert b"Signal=A" in chart.last("INFO").content
        chart.answer(chart.last("INFO"), 200)
        chart.clock.advance(10)
        assert sent == ["1", "#", "A"]
        assert chart.take() == ["INFO"]

    def test_a_far_end_that_takes_none_is_asked_once(
        self, chart: Chart, caplog: pytest.LogCaptureFixture
    ) -> None:
        call, _ = chart.answered()
        with caplog.at_level(logging.WARNING):
            call.info.send("123")
            chart.answer(chart.last("INFO"), 415, "Unsupported Media Type")
        chart.clock.advance(10)
        assert chart.take() == ["INFO"]
        assert "takes no digits by INFO (415 Unsupported Media Type)" in caplog.text

    def test_a_challenge_is_answered(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.info.send("1")
        chart.answer(chart.last("INFO"), 407, headers=['Proxy-Authenticate: Digest realm="r", nonce="n"'])
        assert chart.last("INFO").get("Proxy-Authorization")
        assert b"Signal=1" in chart.last("INFO").content

    def test_a_hangup_forgets_the_rest(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.info.send("123")
        info = chart.last("INFO")
        call.hangup_leg()
        chart.answer(info, 200)
        chart.answer(chart.last("BYE"), 200)
        chart.clock.advance(40)
        assert chart.take() == ["INFO", "BYE"]
        assert chart.clock.pending == 0

    def test_how_many_wait_is_bounded(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.info.send("1" * 10_000)
        call.info.send("2")
        for _ in range(300):
            chart.answer(chart.last("INFO"), 200)
            chart.clock.advance(0.25)
        assert len(chart.times("INFO")) == 257

    def test_what_the_far_end_refuses_goes_the_other_way(self, chart: Chart) -> None:
        call, _ = chart.answered()
        left: list[str] = []
        call.info.send("123", left.append)
        chart.answer(chart.last("INFO"), 200)
        chart.clock.advance(0.3)
        chart.answer(chart.last("INFO"), 415, "Unsupported Media Type")
        assert left == ["23"]
        assert call.info.refused
