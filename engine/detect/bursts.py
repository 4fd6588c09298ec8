"""Cuts the tone band into bursts and gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from engine.detect.band import DELAY_MS, FLOOR, PURE_ON, RATE, STEP_MS, VALUES, Complex, Places
from engine.detect.spectrum import Spectrum, measure

_LEAST = FLOOR / 100
PURE_OFF = 0.3
"""The band's share of all power under which a burst is interrupted."""
NOISE_FACTOR = 4.0
"""A tone's power is so much above the noise's in the band."""
NOISE_BIAS = 1.7
"""The mean of noise by the least of its 20 ms means."""
NOISE_RISE, NOISE_RISE_OPEN = 10 ** (0.05 / 10), 10 ** (0.02 / 10)
"""The noise is believed to rise by so much a frame, and while a burst goes on."""
NOTHING_FRAMES = 5
"""So many frames of nothing may be lost packets; more are a line without noise."""
EXAMINED_MS, AGAIN_MS = 160.0, 300.0
"""So old, and then so often, a burst is looked at: without lines it is noise."""
LINED = 0.75
"""The share of the band that a tone's three strongest lines have, its modulation's among them."""
PIECE = 7
"""So many frames show whether there are lines."""
LOUDER = 6.0
"""What is so much stronger than the burst that it began in is another."""
RISEN_MS = 2 * DELAY_MS + 2 * STEP_MS
"""So long after its beginning a tone has its level in the band; what grows later grew out of noise."""
BELOW_PEAK = 0.16
"""A burst goes on while its power is not so much less than its peak's."""
SMOOTHED = 4
"""Values over which the power is averaged where noise is near: it fluctuates."""
SAME_HZ, SAME_DB = 2.0, 2.5
"""A tone comes back at the same height, whatever the line's speed, and as strong,"""
LONE, LESS_LONE = 0.85, 0.2
"""and a single line with about the same share of the band: notes of voices or music are less alike."""
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

    @property
    def ms(self) -> float:
        return self.end_ms - self.begin_ms

    def comes_back(self, other: Interval, louder_db: float = 0.0) -> bool:
        """Whether both are the same tone, as far as the shorter one tells. This one is to be
        louder by `louder_db`.
        """
        one, two = self.spectrum, other.spectrum
        if one is None or two is None or not one.lines or not two.lines:
            return False
        if abs(self.level_db - other.level_db - louder_db) > SAME_DB:
            return False
        shares = one.lines[0].share, two.lines[0].share
        width = max(one.width_hz, two.width_hz)
        if max(shares) < LONE:
            return any(abs(two.lines[0].hz - line.hz) <= 2 * SAME_HZ + width / 8 for line in one.lines[:2])
        near = abs(two.lines[0].hz - one.lines[0].hz) <= SAME_HZ + width / 16
        return near and min(shares) >= max(shares) - LESS_LONE


@dataclass(slots=True)
class _Burst:
    begin_ms: float
    peak: float = 0.0
    last_on_ms: float = 0.0
    pure: float = 0.0
    count: int = 0
    energy: float = 0.0
    examine_ms: float = EXAMINED_MS
    kept: list[Complex] = field(default_factory=list)
    before: list[Complex] = field(default_factory=list)
    """The longest row of values before one that was not heard."""

    def rest(self) -> None:
        """Frames are missing from here on: a spectrum is one of values in a row."""
        self.before, self.kept = max(self.kept, self.before, key=len), []

    def row(self) -> list[Complex]:
        return max(self.kept, self.before, key=len)


class Segmenter:
    """Fed every frame's band; `open` tells whether a burst goes on, `open_ms` how old it is."""

    def __init__(self) -> None:
        self._burst: _Burst | None = None
        self._frames = 0
        self._skipped = 0
        self.dropped_db: float | None = None
        """Level of what the last frame ended that was no burst: noise, or too short."""
        self._noise = _LEAST
        self._nothing = 0
        self._before: list[float] = []

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
        self.dropped_db = None
        power, noise = band.power, self._noise_now(band.power)
        before, self._before = self._before, power[-SMOOTHED + 1 :]
        burst, least = self._burst, max(FLOOR, noise)
        if burst is not None and self._outgrown(burst, power, frame):
            burst, least = None, max(least, BELOW_PEAK * max(power))
        start = _start_ms(frame)
        if burst is None:
            self._burst = None
            if not band.starts:
                return None
            on = _above(power, band.total, before, least, noise, PURE_ON)
            if not on:
                return None
            burst = self._burst = _Burst(max(0.0, start + on[0] * STEP_MS - STEP_MS / 2))
        burst.peak = max(burst.peak * 0.9, *power)
        least = max(FLOOR * 0.5, burst.peak * BELOW_PEAK, noise)
        on = _above(power, band.total, before, least, noise, PURE_OFF)
        if on:
            burst.last_on_ms = start + on[-1] * STEP_MS
            if whole:
                burst.kept.append(band.values(frame))
            if len(burst.kept) > _KEPT // VALUES:
                del burst.kept[0]
            for k in on:
                burst.pure += power[k] / band.total[k]
                burst.energy += power[k]
            burst.count += len(on)
        end = burst.last_on_ms + STEP_MS / 2
        if self._is_noise(burst, start):
            return self._dropped(burst)
        if start + (VALUES - 1) * STEP_MS - end < BRIDGED_MS:
            return None
        if end - burst.begin_ms < SHORTEST_MS or burst.count == 0:
            return self._dropped(burst)
        self._burst = None
        return self._interval(burst, end)

    def _dropped(self, burst: _Burst) -> Interval | None:
        self._burst = None
        self.dropped_db = _db(burst)
        return None

    def _noise_now(self, power: list[float]) -> float:
        """What a tone has to be above, by the quietest of late; a few lost packets tell nothing."""
        mean = sum(power) / VALUES
        self._nothing = self._nothing + 1 if mean <= _LEAST else 0
        if self._nothing > NOTHING_FRAMES:
            self._noise = _LEAST
        elif mean > _LEAST:
            risen = self._noise * (NOISE_RISE if self._burst is None else NOISE_RISE_OPEN)
            self._noise = max(_LEAST, min(mean, risen))
        return self._noise * NOISE_BIAS * NOISE_FACTOR

    @staticmethod
    def _outgrown(burst: _Burst, power: list[float], frame: int) -> bool:
        """Whether a tone began in what was noise."""
        old = _start_ms(frame) - burst.begin_ms >= RISEN_MS
        return old and sum(power) / VALUES * burst.count > LOUDER * burst.energy

    def _is_noise(self, burst: _Burst, now_ms: float) -> bool:
        """Whether an open burst has no lines; its power is the noise's then."""
        if now_ms - burst.begin_ms < burst.examine_ms:
            return False
        burst.examine_ms += AGAIN_MS
        row = burst.row()
        pieces = (row[at : at + PIECE] for at in range(0, len(row) - PIECE + 1, 2))
        if not row or _lined(row) or any(map(_lined, pieces)):
            return False  # where a packet was lost the phase turns; between two of them there are lines
        self._noise = max(_LEAST, burst.energy / burst.count / NOISE_BIAS)
        return True

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
        return Interval(burst.begin_ms, end, spectrum or Spectrum((), 0.0), _db(burst))


def _lined(row: list[Complex]) -> bool:
    """Whether there are lines in it, as a tone has."""
    spectrum = measure(np.concatenate(row)[_EDGE:])
    return spectrum is None or sum(line.share for line in spectrum.lines[:3]) >= LINED


def _start_ms(frame: int) -> float:
    """When the first value of a frame happened."""
    return frame * VALUES * STEP_MS + STEP_MS - DELAY_MS


def _db(burst: _Burst) -> float:
    return 10 * math.log10(burst.energy / max(1, burst.count) + 1e-9)


def _above(
    power: list[float], total: list[float], before: list[float], least: float, noise: float, pure: float
) -> list[int]:
    """The places whose power is above `least` and has the share `pure` of `total`. Where the noise is near
    the power is averaged over a few values first."""
    level = power
    if noise >= least / 4 and len(before) == SMOOTHED - 1:
        row = [*before, *power]
        level = [sum(row[k : k + SMOOTHED]) / SMOOTHED for k in range(VALUES)]
    return [k for k in range(VALUES) if level[k] > least and power[k] > pure * total[k]]
