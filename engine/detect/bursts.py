"""Cuts the tone band into bursts and gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from engine.detect.band import DELAY_MS, FLOOR, PURE_ON, RATE, STEP_MS, VALUES, Complex, Places
from engine.detect.spectrum import Spectrum, measure

PURE_OFF = 0.3
"""The band's share of all power under which a burst is interrupted."""
BRIDGED_MS = 50.0
"""A shorter interruption is none: the nulls of a modulation, a lost packet."""
SHORTEST_MS = 60.0
"""A shorter burst is none."""
SKIPPED_MS = 100.0
"""So much in a row not heard ends everything that was going on."""
_KEPT = int(RATE * 0.6)
_EDGE = 5  # values that a burst's edge smears


@dataclass(slots=True)
class Interval:
    """A burst, or (`spectrum` None) the gap after it. `begin_ms` and `end_ms` on the stream's time axis."""

    begin_ms: float
    end_ms: float
    spectrum: Spectrum | None = None
    level_db: float = 0.0
    cut: bool = False
    """The beginning was not heard."""

    @property
    def ms(self) -> float:
        return self.end_ms - self.begin_ms


@dataclass(slots=True)
class _Burst:
    begin_ms: float
    cut: bool
    peak: float = 0.0
    last_on_ms: float = 0.0
    pure: float = 0.0
    count: int = 0
    energy: float = 0.0
    kept: list[Complex] = field(default_factory=list)
    before: list[Complex] = field(default_factory=list)
    """The longest row of values before one that was not heard."""

    def rest(self) -> None:
        """Frames are missing from here on: a spectrum is one of values in a row."""
        self.before, self.kept = max(self.kept, self.before, key=len), []

    def row(self) -> list[Complex]:
        return max(self.kept, self.before, key=len)


class Segmenter:
    """Fed after the band; `done` holds bursts completed in the last frame, `burst_ms` the open one's age."""

    def __init__(self) -> None:
        self._burst: _Burst | None = None
        self._frames = 0
        self._skipped = 0
        self.last_end_ms: float | None = None

    @property
    def open(self) -> bool:
        return self._burst is not None

    def open_ms(self) -> float:
        """How long the open burst has lasted; 0 while there is none."""
        return 0.0 if self._burst is None else self._burst.last_on_ms + STEP_MS - self._burst.begin_ms

    def feed(self, band: Places) -> Interval | None:
        """One frame; the burst that turned out to be over in it, if one did."""
        whole, self._skipped = not self._skipped, 0  # the band looks back a frame
        frame, self._frames = self._frames, self._frames + 1
        burst = self._burst
        if burst is None and not band.starts:
            return None
        start = frame * VALUES * STEP_MS + STEP_MS - DELAY_MS  # when the first value happened
        heard = list(enumerate(zip(band.power, band.total, strict=True)))
        if burst is None:
            first = next(k for k, (power, total) in heard if power > FLOOR and power > PURE_ON * total)
            burst = self._burst = _Burst(max(0.0, start + first * STEP_MS - STEP_MS / 2), frame < 2)
        burst.peak = max(burst.peak * 0.9, *band.power)
        least = max(FLOOR * 0.5, burst.peak * 0.16)
        on = [each for each in heard if each[1][0] > least and each[1][0] > PURE_OFF * each[1][1]]
        if on:
            burst.last_on_ms = start + on[-1][0] * STEP_MS
            if whole:
                burst.kept.append(band.values(frame))
            if len(burst.kept) > _KEPT // VALUES:
                del burst.kept[0]
            for _, (power, total) in on:
                burst.pure += power / total
                burst.energy += power
            burst.count += len(on)
        end = burst.last_on_ms + STEP_MS / 2
        if start + (VALUES - 1) * STEP_MS - end < BRIDGED_MS:
            return None
        self._burst = None
        if end - burst.begin_ms < SHORTEST_MS or burst.count == 0:
            return None
        return self._interval(burst, end)

    def skip(self) -> bool:
        """A frame that was not heard: an open burst goes on, unless so much was missed that nobody can tell.
        False then: what was heard before no longer counts.
        """
        self._frames += 1
        self._skipped += 1
        burst = self._burst
        if self._skipped * VALUES * STEP_MS >= SKIPPED_MS:
            self._burst = None
            return False
        if burst is not None:
            burst.last_on_ms += VALUES * STEP_MS
            burst.rest()
        return True

    def peek(self) -> Interval | None:
        """The open burst as far as it has come."""
        burst = self._burst
        if burst is None or burst.count == 0:
            return None
        return self._interval(burst, burst.last_on_ms + STEP_MS / 2)

    @staticmethod
    def _interval(burst: _Burst, end: float) -> Interval:
        row = burst.row() if burst.pure >= 0.5 * burst.count else []
        spectrum = measure(np.concatenate(row)[_EDGE:-_EDGE]) if row else None
        level = 10 * math.log10(burst.energy / burst.count + 1e-9)
        return Interval(burst.begin_ms, end, spectrum or Spectrum((), 0.0), level, burst.cut)
