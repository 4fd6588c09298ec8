"""A dial tone is a network's tone that goes on; what has a cadence is none."""

from __future__ import annotations

import numpy as np
import pytest

from engine.detect.analyzer import Analyzer
from engine.detect.plans import plan
from engine.detect.synth import render_cycle
from engine.detect.types import Tone


def tone(frequencies: tuple[float, ...], seconds: float) -> np.ndarray:
    t = np.arange(int(8000 * seconds)) / 8000
    return sum(3000 * np.sin(2 * np.pi * hz * t) for hz in frequencies).astype(np.int16)  # type: ignore[union-attr]


def heard(sound: np.ndarray, country: str | None) -> list[tuple[Tone, float]]:
    """What was told, and when."""
    analyzer, found = Analyzer(country), []
    for at in range(0, len(sound) - 159, 160):
        found += [(d.tone, (at + 160) / 8000) for d in analyzer.feed(sound[at : at + 160])]
    return found


@pytest.mark.parametrize(
    ("country", "frequencies"), [("us", (350.0, 440.0)), ("cn", (450.0,)), ("de", (425.0,)), (None, (425.0,))]
)
def test_a_tone_that_goes_on_is_a_dial_tone(country: str | None, frequencies: tuple[float, ...]) -> None:
    told = heard(tone(frequencies, 12.0), country)
    assert [each for each, _ in told if each is Tone.DIAL] == [Tone.DIAL]
    assert not {each for each, _ in told} & {Tone.BUSY, Tone.RINGBACK, Tone.CONGESTION}


@pytest.mark.parametrize("which", ["ringback", "busy"])
def test_a_cadence_is_none(which: str) -> None:
    cycle = render_cycle(plan("us").cadence(which))
    sound = np.tile(cycle, 20)[: 8000 * 14].astype(np.int16)
    assert Tone.DIAL not in {each for each, _ in heard(sound, "us")}
