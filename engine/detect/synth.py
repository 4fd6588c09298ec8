"""Synthesises the tones of a plan: for the wait tone, for a simulated network, for tests."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.detect.plans import Cadence
from engine.detect.types import SAMPLE_RATE

RAMP_MS = 5
"""Each burst's edges rise and fall over this long, so that they do not click."""

AM_DEPTH = 0.85

_SINE_DBM0 = 32768 / 10 ** (3.17 / 20)  # amplitude of one int16 sine at 0 dBm0


def carrier(cadence: Cadence, samples: npt.NDArray[np.float64], level_dbm0: float) -> npt.NDArray[np.float64]:
    """The uninterrupted tone at absolute sample numbers; the level is of all frequencies together."""
    amplitude = _SINE_DBM0 * 10 ** (level_dbm0 / 20) / math.sqrt(len(cadence.frequencies))
    t = samples / SAMPLE_RATE
    wave = np.zeros(len(samples))
    for hz in cadence.frequencies:
        wave += np.sin(2 * np.pi * hz * t)
    if cadence.am_hz:
        envelope = 1 + AM_DEPTH * np.cos(2 * np.pi * cadence.am_hz * t)
        wave *= envelope / math.sqrt(1 + AM_DEPTH**2 / 2)
    return wave * amplitude


def render_cycle(cadence: Cadence, level_dbm0: float | None = None) -> npt.NDArray[np.int16]:
    """One cycle at 8 kHz, starting with the first burst.

    It may be repeated for ever without a click: every burst starts and ends at zero.
    """
    level = cadence.dbm0 if level_dbm0 is None else level_dbm0
    out = np.zeros(cadence.period_ms * SAMPLE_RATE // 1000)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(RAMP_MS * SAMPLE_RATE // 1000) + 0.5) / (RAMP_MS * 8))
    start = 0
    for burst in cadence.bursts:
        count = burst.on_ms * SAMPLE_RATE // 1000
        wave = carrier(cadence, np.arange(start, start + count, dtype=np.float64), level + burst.level_db)
        wave[: len(ramp)] *= ramp
        wave[-len(ramp) :] *= ramp[::-1]
        out[start : start + count] = wave
        start += (burst.on_ms + burst.off_ms) * SAMPLE_RATE // 1000
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
