"""Cuts the tone band into bursts and gaps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.detect.band import DELAY_MS, RATE, STEP_MS, VALUES, Band, Complex
from engine.detect.spectrum import Spectrum, measure

FLOOR_DBM0 = -47.0
_FLOOR = (32768 / 2**0.5 / 10 ** (3.17 / 20)) ** 2 * 10 ** (FLOOR_DBM0 / 10)
PURE_ON, PURE_OFF = 0.5, 0.3
"""The band's share of all power at which a burst starts, and under which it is interrupted."""
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

    def feed(self, band: Band) -> Interval | None:
        """One frame; the burst that turned out to be over in it, if one did."""
        whole, self._skipped = not self._skipped, 0  # the band looks back a frame
        start = self._frames * VALUES * STEP_MS + STEP_MS - DELAY_MS  # when the first value happened
        self._frames += 1
        power, total = band.power, band.total
        burst = self._burst
        if burst is None:
            on = (power > _FLOOR) & (power > PURE_ON * total)
            if not on.any():
                return None
            first = int(on.argmax())
            cut = self._frames <= 2
            burst = self._burst = _Burst(max(0.0, start + first * STEP_MS - STEP_MS / 2), cut)
        burst.peak = max(burst.peak * 0.9, float(power.max()))
        on = (power > max(_FLOOR * 0.5, burst.peak * 0.16)) & (power > PURE_OFF * total)
        if on.any():
            last = VALUES - 1 - int(on[::-1].argmax())
            burst.last_on_ms = start + last * STEP_MS
            if whole:
                burst.kept.append(band.values)
            if len(burst.kept) > _KEPT // VALUES:
                del burst.kept[0]
            count = int(on.sum())
            burst.pure += float((power[on] / total[on]).sum())
            burst.energy += float(power[on].sum())
            burst.count += count
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
        level = 10 * np.log10(burst.energy / burst.count + 1e-9)
        return Interval(burst.begin_ms, end, spectrum or Spectrum((), 0.0), float(level), burst.cut)
