"""OPTIONS pings as sequence charts (RFC 3261, 11)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charts import TRUNK, Chart

from engine.sip.account import Account
from engine.sip.registration import RegistrationState

ACCOUNT = Account(*TRUNK, username="1001", password="x", register=False, keepalive_method="options")


@pytest.fixture
def changes() -> list[bool]:
    return []


@pytest.fixture
def chart(changes: list[bool]) -> Chart:
    made = Chart(ACCOUNT)
    made.phone.on_registration = lambda: changes.append(made.phone.reachable)
    return made


def test_the_trunk_is_asked_again_and_again(chart: Chart) -> None:
    ping = chart.last("OPTIONS")
    assert ping.uri_text == "sip:192.0.2.10"
    assert chart.last_sent().to == TRUNK
    for count in range(2, 5):
        chart.answer(chart.last("OPTIONS"), 200)
        chart.clock.advance(24.9)
        assert chart.last("OPTIONS").cseq == count - 1
        chart.clock.advance(0.2)
        assert chart.last("OPTIONS").cseq == count
        assert chart.last("OPTIONS").call_id == ping.call_id


@pytest.mark.parametrize("code", [200, 401, 403, 404, 405, 486, 500, 501, 600])
def test_any_answer_is_a_sign_of_life(chart: Chart, changes: list[bool], code: int) -> None:
    chart.answer(chart.last("OPTIONS"), code)
    assert chart.phone.reachable
    assert chart.phone.usable
    assert changes == []


def test_silence_makes_it_unreachable_and_an_answer_reachable(chart: Chart, changes: list[bool]) -> None:
    chart.clock.advance(31.9)
    assert chart.phone.reachable
    chart.clock.advance(0.2)  # timer F
    assert not chart.phone.usable
    chart.clock.advance(25)
    chart.answer(chart.last("OPTIONS"), 200)
    assert chart.phone.usable
    assert changes == [False, True]


@pytest.mark.parametrize("code", [408, 503])
def test_a_proxy_that_says_so_for_it_is_believed(chart: Chart, changes: list[bool], code: int) -> None:
    for _ in range(2):
        chart.answer(chart.last("OPTIONS"), code)
        chart.clock.advance(25)
    assert changes == [False]


def test_a_trunk_that_is_back_is_registered_at_at_once() -> None:
    chart = Chart(replace(ACCOUNT, register=True))
    chart.answer(chart.last("REGISTER"), 503, headers=["Retry-After: 3000"])
    chart.clock.advance(32.1 + 25)
    chart.sent.clear()
    chart.clock.advance(0.5)  # the next ping, once more
    chart.answer(chart.last("OPTIONS"), 200)
    chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 300"])
    assert chart.agent.registration.state is RegistrationState.REGISTERED
    assert chart.phone.usable


def test_no_ping_after_leaving(chart: Chart) -> None:
    chart.answer(chart.last("OPTIONS"), 200)
    chart.phone.leave(lambda: None)
    chart.sent.clear()
    chart.clock.advance(100)
    assert chart.take() == []


def test_none_by_default() -> None:
    chart = Chart()
    chart.clock.advance(100)
    assert chart.take() == []
