"""What rings at this desk, and when it stops."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from engine.config import Config
from engine.legs import LegState
from engine.media import orders
from engine.media.orders import RING
from engine.ringer import Ringer

RING_TONE = orders.Play(RING, orders.ToneSource("de", "ringback"), loop=True)


class Desk:
    def __init__(self, wait_tone: str = "ringback") -> None:
        config = msgspec.convert({"dialer": {"wait_tone": wait_tone}}, Config)
        self.ordered: list[orders.Order] = []
        self.ringer = Ringer(config, self.ordered.append, "de")

    def leg(self, name: str, state: LegState, role: str = "inbound", forwarded_to: str = "") -> None:
        leg = SimpleNamespace(id=name, role=role, state=state, forwarded_to=forwarded_to)
        self.ringer.leg(leg)  # type: ignore[arg-type]


@pytest.mark.parametrize("then", [LegState.ANSWERED, LegState.ENDED])
def test_a_call_that_comes_in_rings_until_it_is_answered_or_over(then):
    desk = Desk()
    desk.leg("a", LegState.RINGING)
    desk.leg("a", LegState.RINGING)
    assert desk.ordered == [RING_TONE]
    desk.leg("a", then)
    assert desk.ordered == [RING_TONE, orders.StopPlay(RING)]


def test_of_two_calls_the_second_rings_on():
    desk = Desk()
    desk.leg("a", LegState.RINGING)
    desk.leg("b", LegState.RINGING)
    desk.leg("a", LegState.ENDED)
    assert desk.ordered == [RING_TONE]
    desk.leg("b", LegState.ENDED)
    assert desk.ordered[-1] == orders.StopPlay(RING)


def test_calls_that_we_place_do_not_ring_here():
    desk = Desk()
    desk.leg("a", LegState.RINGING, "callee")
    desk.leg("b", LegState.RINGING, "agent")
    assert desk.ordered == []


def test_a_call_that_goes_on_to_a_number_does_not_ring_here():
    desk = Desk()
    desk.leg("a", LegState.RINGING, forwarded_to="5551234")
    assert desk.ordered == []


def test_while_a_callee_waits_for_the_operator_the_wait_tone_is_heard(tmp_path):
    desk = Desk(str(tmp_path / "moment.wav"))
    desk.ringer.attempt(1, True)
    assert desk.ordered == [orders.Play(RING, orders.WavSource(str(tmp_path / "moment.wav")), loop=True)]
    desk.leg("a", LegState.RINGING)
    assert desk.ordered[-1] == RING_TONE
    desk.leg("a", LegState.ENDED)
    desk.ringer.attempt(1, False)
    assert desk.ordered[-1] == orders.StopPlay(RING)
