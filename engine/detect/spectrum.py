"""Which frequencies a burst is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from engine.detect.band import CENTRE_HZ, RATE, Complex
from engine.detect.plans import Cadence

_SIZE = 1024
MAX_VALUES = 160
"""Longest stretch looked at: 400 ms, enough to tell 400 Hz from its modulation at 16 Hz."""
MIN_VALUES = 30
_WEAK = 10 ** (-13 / 10)


@dataclass(frozen=True, slots=True)
class Line:
    """A frequency in Hz and its share of the power in the band."""

    hz: float
    share: float


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A burst's lines, the strongest first, and what one can tell apart in Hz."""

    lines: tuple[Line, ...]
    width_hz: float
    _known: dict[tuple[tuple[float, ...], float, float], bool] = field(
        default_factory=dict, compare=False, repr=False
    )
    """What `matches` has found: plans share their frequencies."""

    @property
    def purity(self) -> float:
        """The lines' share of the power in the band."""
        return sum(line.share for line in self.lines)

    def describe(self) -> str:
        strong = sorted(line.hz for line in self.lines[:2] if line.share > 0.2)
        return "+".join(f"{hz:.0f}" for hz in strong) + " Hz"

    def matches(self, cadence: Cadence, tolerance_hz: float) -> bool:
        """Whether the burst is the cadence's tone: its frequencies, their modulation, and nothing else."""
        key = cadence.frequencies, cadence.am_hz, tolerance_hz
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._matches(cadence, tolerance_hz)
        return known

    def _matches(self, cadence: Cadence, tolerance_hz: float) -> bool:
        expected = set(cadence.frequencies)
        sides = {f + s * cadence.am_hz for f in expected for s in (-1, 1)} if cadence.am_hz else set()
        slack = tolerance_hz + self.width_hz / 4
        strongest = self.lines[0].share if self.lines else 1.0
        found: dict[float, float] = {}
        known = 0.0
        for line in self.lines:
            carrier = min(expected, key=lambda f: abs(f - line.hz))
            if abs(carrier - line.hz) <= slack:
                found[carrier] = found.get(carrier, 0.0) + line.share
                known += line.share
            elif any(abs(f - line.hz) <= slack for f in sides):
                known += line.share
            elif line.share > strongest / 10:
                return False
        if len(found) < len(expected) or min(found.values()) < max(found.values()) / 20:
            return False
        return known >= 0.6


@cache
def _window(count: int) -> npt.NDArray[np.float64]:
    """Hann's; its signs put 0 Hz in the middle of the spectrum."""
    window: npt.NDArray[np.float64] = np.hanning(count) * np.resize((1.0, -1.0), count)
    return window


def measure(values: Complex) -> Spectrum | None:
    """The spectrum of a burst's values, of its last 400 ms; None for one too short to tell."""
    count = len(values)
    if count < MIN_VALUES:
        return None
    if count > MAX_VALUES:
        values, count = values[-MAX_VALUES:], MAX_VALUES
    power = np.abs(np.fft.fft(values * _window(count), _SIZE))
    power *= power
    total = float(power.sum())
    if total <= 0:
        return None
    width = 4 * RATE / count  # a Hann line's, from zero to zero
    half = int(width / 2 * _SIZE / RATE) + 1
    lines: list[Line] = []
    strongest = 0.0
    for _ in range(6):
        peak = int(power.argmax())
        around: slice | npt.NDArray[np.intp] = slice(peak - half, peak + half + 1)
        if not half <= peak < _SIZE - half:
            around = np.arange(peak - half, peak + half + 1) % _SIZE
        share = float(power[around].sum()) / total
        strongest = strongest or share
        if share < strongest * _WEAK:
            break
        left, mid, right = (float(power[i % _SIZE]) ** 0.5 for i in (peak - 1, peak, peak + 1))
        curve = left - 2 * mid + right
        offset = 0.5 * (left - right) / curve if curve else 0.0
        place = peak + max(-0.5, min(0.5, offset))
        lines.append(Line(CENTRE_HZ + (place - _SIZE / 2) * RATE / _SIZE, share))
        power[around] = 0.0
    return Spectrum(tuple(lines), width)
