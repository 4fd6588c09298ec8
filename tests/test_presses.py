"""One press is one digit whichever ways carried it, and two presses are two."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.presses import DigitMerge

WAYS = ("rtp", "inband", "info")
COMBINATIONS = [ways for count in (1, 2, 3) for ways in itertools.combinations(WAYS, count)]
DELAYS = {"rtp": (0.0, 0.06), "inband": (-0.03, 0.26), "info": (0.0, 0.85)}
"""The least and the most by which each way is behind the network."""


def counted(keys: str, ways: dict[str, float], *, down: float = 0.08, up: float = 0.06) -> str:
    """What a merge counts of keys that come by several ways, each so much later (in seconds)."""
    told: list[tuple[float, int, str, str]] = []  # when, is it the end, way, key
    for n, key in enumerate(keys):
        pressed = 100 + n * (down + up)
        for way, late in ways.items():
            if way == "rtp":
                told.append((pressed + late + 0.02, 0, way, key))
            elif way == "inband":
                told.append((pressed + late + 0.06, 0, way, key))
            if way == "info":
                told.append((pressed + late + down, 0, way, key))
            else:
                told.append((pressed + late + down + 0.02, 1, way, key))
    merge, heard = DigitMerge(), ""
    known = {"rtp": 20, "inband": 60, "info": round(down * 1000)}
    for at, is_end, way, key in sorted(told):
        if is_end:
            merge.ended(key, way, at)
        elif merge.is_new(key, way, at, known[way]):
            heard += key
    return heard


@pytest.mark.parametrize("keys", ["5", "222", "2222222222", "1122", "123321", "*#*#"])
@pytest.mark.parametrize("ways", COMBINATIONS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_each_press_is_counted_once_by_any_ways_and_delays(keys, ways, share):
    for late in itertools.product((0.0, share), repeat=len(ways)):
        delays = {way: DELAYS[way][0] + (DELAYS[way][1] - DELAYS[way][0]) * part
                  for way, part in zip(ways, late, strict=True)}
        assert counted(keys, delays) == keys, delays


@settings(max_examples=300, deadline=None)
@given(st.text("15#", max_size=30), st.sampled_from(COMBINATIONS), st.data())
def test_whatever_is_keyed_is_counted_once(keys, ways, data):
    delays = {way: data.draw(st.floats(*DELAYS[way]), way) for way in ways}
    down, up = data.draw(st.floats(0.04, 0.4), "down"), data.draw(st.floats(0.04, 0.4), "up")
    assert counted(keys, delays, down=down, up=up) == keys


@pytest.mark.parametrize("way", WAYS)
def test_the_same_key_again_by_the_same_way_is_always_new(way):
    merge = DigitMerge()
    assert all(merge.is_new("2", way, 10 + n * 0.1, 40) for n in range(50))


@pytest.mark.parametrize("lost", WAYS)
def test_a_way_that_misses_presses_costs_none(lost):
    merge = DigitMerge()
    heard = 0
    for n in range(9):
        for way, late in (("rtp", 0.02), ("inband", 0.1), ("info", 0.25)):
            if way != lost or n % 3 == 0:
                heard += merge.is_new("7", way, 10 + n * 0.5 + late, 80)
                merge.ended("7", way, 10 + n * 0.5 + late + 0.06)
    assert heard == 9


def test_a_tone_that_leaks_before_its_event_is_no_press_of_its_own():
    merge = DigitMerge()
    assert merge.is_new("5", "inband", 10.06, 60)
    merge.ended("5", "inband", 10.08)
    assert not merge.is_new("5", "rtp", 10.09, 20)


def test_an_info_at_the_end_of_a_long_press_is_that_press():
    merge = DigitMerge()
    assert merge.is_new("0", "rtp", 10.0, 20)
    assert not merge.is_new("0", "info", 14.3, 160)
    merge.ended("0", "rtp", 14.0)
    assert merge.is_new("0", "rtp", 14.4, 20)


@pytest.mark.parametrize(
    ("one", "other", "apart"), [("rtp", "info", 1.5), ("rtp", "inband", 0.8), ("inband", "info", 1.5)]
)
def test_the_same_digit_by_another_way_much_later_is_new(one, other, apart):
    for first, second in ((one, other), (other, one)):
        merge = DigitMerge()
        assert merge.is_new("5", first, 10.0, 60)
        merge.ended("5", first, 10.1)
        assert merge.is_new("5", second, 10.1 + apart, 60)


def test_another_digit_is_new():
    merge = DigitMerge()
    assert merge.is_new("5", "rtp", 10.0, 60)
    assert merge.is_new("6", "inband", 10.1, 60)
    assert not merge.is_new("5", "info", 10.1, 60)
