"""The operator's microphone and levels: push-to-talk, mute, gain."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from virtual_time import virtual_time

from engine.config import Config
from engine.media import orders
from engine.voice import Voice


class Around:
    """What a voice needs of an engine."""

    def __init__(self, **audio: Any) -> None:
        self.config = msgspec.convert({"audio": audio}, Config)
        self.given: list[Any] = []
        self.flows = 0
        self.station = SimpleNamespace(media=SimpleNamespace(order=self.given.append))
        self.line = SimpleNamespace(legs={}, set_gain=lambda leg: self.given.append(leg))
        self.desk = SimpleNamespace(tell_flow=self.told)
        self.voice = Voice(self)  # type: ignore[arg-type]

    def told(self) -> None:
        self.flows += 1

    def take(self) -> list[Any]:
        given = list(self.given)
        self.given.clear()
        return given


def closed(on: bool) -> list[Any]:
    return [orders.Mute(orders.SOUND, on)]


@virtual_time
async def test_the_microphone_closes_by_itself_when_nobody_asks_for_more():
    around = Around(push_to_talk=True)
    around.voice.start()
    assert around.take()[:1] == closed(True)
    assert around.voice.talk(True, 2.0) == ""
    assert around.take() == closed(False)
    await asyncio.sleep(1.5)
    around.voice.talk(True, 2.0)
    await asyncio.sleep(1.9)
    assert around.take() == []
    await asyncio.sleep(0.2)
    assert around.take() == closed(True)
    assert around.flows == 2
    assert not around.voice.talking


@virtual_time
async def test_letting_go_closes_it_at_once():
    around = Around(push_to_talk=True)
    around.voice.talk(True, 60)
    around.voice.talk(False, 60)
    assert around.take() == closed(False) + closed(True)
    await asyncio.sleep(100)
    assert around.take() == []


@virtual_time
async def test_who_is_muted_stays_so_whatever_is_pressed():
    around = Around(push_to_talk=True)
    around.voice.mute(True)
    around.voice.talk(True, 10)
    assert around.take() == closed(True) * 2
    around.voice.mute(False)
    assert around.take() == closed(False)
    around.voice.close()


@virtual_time
async def test_without_push_to_talk_the_key_changes_nothing_and_says_so():
    around = Around()
    around.voice.start()
    assert around.take()[:1] == closed(False)
    assert "open all the time" in around.voice.talk(True, 2)
    assert "up to 3600 seconds" in Around(push_to_talk=True).voice.talk(True, 4000)
    assert around.take() == []


@virtual_time
async def test_mute_reaches_every_agents_phone_and_those_called_later():
    around = Around()
    around.line.legs = {"a": SimpleNamespace(role="agent", stream="s-a"), "c": SimpleNamespace(role="callee")}
    around.voice.mute(True)
    assert around.take() == [*closed(True), orders.Mute("s-a", True)]
    around.voice.follow(SimpleNamespace(stream="s-b"))  # type: ignore[arg-type]
    assert around.take() == [orders.Mute("s-b", True)]


@pytest.mark.parametrize("level", [-30.1, 20.5, float("nan"), float("inf")])
def test_levels_out_of_bounds_are_refused(level: float) -> None:
    around = Around()
    assert "-30 to +20" in around.voice.gain(None, level, None)
    assert "-30 to +20" in around.voice.gain(None, None, level)
    assert around.take() == []


def test_the_headsets_levels_begin_as_configured_and_stay() -> None:
    around = Around(input_gain=6.0, output_gain=-3.0)
    around.voice.start()
    assert around.take()[-1] == orders.Gain(orders.SOUND, 6.0, -3.0)
    assert around.voice.gain(None, None, 9.0) == ""
    assert around.take() == [orders.Gain(orders.SOUND, 9.0, -3.0)]
    assert (around.voice.received_gain, around.voice.sent_gain) == (-3.0, 9.0)
