from __future__ import annotations

import numpy as np
import pytest
from line_sounds import Pcm, named, silence, tone

from engine.detect.plans import plan, plans

DIALS = [(c, n) for c, p in sorted(plans().items()) for n in range(len(p.dials))]


def steady(hz: tuple[float, ...], am_hz: float, ms: int) -> Pcm:
    t = np.arange(8 * ms) / 8000
    x = sum(np.sin(2 * np.pi * f * t) for f in hz) * (1 + 0.9 * np.cos(2 * np.pi * am_hz * t) * (am_hz > 0))
    return np.asarray(5000 * x / len(hz)).astype(np.int16)


@pytest.mark.parametrize(("country", "which"), DIALS)
def test_each_plans_dial_tones_are_told(country, which):
    dial = plan(country).dials[which]
    if dial.bursts:
        pcm = np.concatenate((silence(300), tone(dial, 8000)))
    else:
        pcm = np.concatenate((silence(300), steady(dial.frequencies, dial.am_hz, 5000)))
    assert named(pcm, country) == ["dial"]


@pytest.mark.parametrize("country", ["us", "de", "au", "il", "za", None])
def test_a_dial_tone_of_any_country_is_told_whatever_the_plan(country):
    assert named(steady((350, 440), 0, 5000), country) == ["dial"]
