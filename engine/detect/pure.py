"""Single tones anywhere in the telephone's band: where one begins, how high it is, where it ends.

Special information tones, fax tones, beeps and dial tones are all told from these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.silence import MILLIWATT_POWER
from engine.detect.types import SAMPLE_RATE

SIZE = 256
"""Samples of the window: 32 ms, of which each frame brings 20."""
BIN_HZ = SAMPLE_RATE / SIZE
LOWEST_HZ, HIGHEST_HZ = 300.0, 3400.0
PURE = 0.48
"""A tone's share of all the power, at least: what white noise of the same power leaves."""
FLOOR_DBM0 = -52.0
DRIFT_HZ = 14.0
"""Further from the tone's mean than this, it is another one."""
KEPT = 16
"""Tones remembered: noise and lost packets cut one into several."""
NEAR, AROUND = 3, 10
"""Bins from a line's: what lies between is around it."""
DROPOUT = 2
"""Frames that may be missing inside one tone: a lost packet smears into two."""

Floats = npt.NDArray[np.float32]
_WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)
_SCALE = np.float32(1.0 / (float((_WINDOW**2).sum()) * SIZE / 2))
_NOTHING = np.zeros(SIZE // 2 + 1, np.float32)
_AROUND = np.arange(-2, 3)
FIRST, LAST = int(LOWEST_HZ / BIN_HZ), int(HIGHEST_HZ / BIN_HZ)
_CENTRE_MS = 1000 * SIZE / 2 / SAMPLE_RATE


@dataclass(slots=True)
class Steady:
    """A tone that goes on or has ended. Times are ms of stream time, `share` the mean share of the power."""

    begin_ms: float
    end_ms: float
    hz: float
    dbm0: float
    share: float
    frames: int = 1
    spread_hz: float = 0.0
    """Mean deviation of the frames' frequencies from the tone's."""

    @property
    def ms(self) -> float:
        return self.end_ms - self.begin_ms


@dataclass(slots=True)
class Spectrum:
    """A frame's, with its strongest line."""

    power: Floats
    """Bins of `BIN_HZ`, whose sum is the mean square."""
    bin: int
    tone: float
    """The line's power."""
    share: float
    """Of it in all the power."""


def spectra(samples: Floats) -> list[Spectrum]:
    """Of many frames: rows of their last `SIZE` samples."""
    power: Floats = np.abs(np.fft.rfft(samples * _WINDOW))
    power *= power
    power *= _SCALE
    bins = power[:, FIRST : LAST + 1].argmax(axis=1) + FIRST
    around = power[np.arange(len(power))[:, None], bins[:, None] + _AROUND]
    tones = around.sum(axis=1)
    shares = tones / (power[:, 2:].sum(axis=1) + np.float32(1e-9))
    rows = zip(power, bins.tolist(), tones.tolist(), shares.tolist(), strict=True)
    return [Spectrum(*row) for row in rows]


class PureTones:
    """Fed frame after frame. `open` is the tone that sounds now, `ended` the last ones, oldest first."""

    def __init__(self) -> None:
        self._missing = 0
        self.power: Floats = _NOTHING
        """The last frame's power spectrum; bins of `BIN_HZ`, whose sum is the mean square."""
        self.open: Steady | None = None
        self.ended: list[Steady] = []
        self.share = 0.0
        """Of the strongest line in the last frame's power."""
        self.closed: Steady | None = None
        """The tone that ended with the last frame."""

    def feed(self, spectrum: Spectrum, now_ms: float) -> None:
        """One frame; `now_ms` is when it ends."""
        self.power, self.share = spectrum.power, spectrum.share
        self.closed = None
        line = _line(spectrum) if spectrum.share >= PURE else None
        if line is None:
            self._miss(now_ms)
        else:
            self._hear(*line, now_ms - _CENTRE_MS)

    def rest(self, now_ms: float) -> None:
        """A frame so quiet, after one as quiet, that no tone can be in it."""
        self.power = _NOTHING
        self.share = 0.0
        self.closed = None
        self._miss(now_ms)

    def _hear(self, hz: float, dbm0: float, share: float, at_ms: float) -> None:
        tone = self.open
        if tone is not None and abs(hz - tone.hz) <= DRIFT_HZ:
            self._missing = 0
            n = min(tone.frames, 20)
            tone.spread_hz += (abs(hz - tone.hz) - tone.spread_hz) / (n + 1)
            tone.hz += (hz - tone.hz) / (n + 1)
            tone.dbm0 += (dbm0 - tone.dbm0) / (n + 1)
            tone.share += (share - tone.share) / (n + 1)
            tone.frames += 1
            tone.end_ms = at_ms + 10
            return
        self._close()
        self.open = Steady(at_ms - 10, at_ms + 10, hz, dbm0, share)
        self._missing = 0

    def _miss(self, now_ms: float) -> None:
        if self.open is not None:
            self._missing += 1
            if self._missing > DROPOUT:
                self._close()

    def _close(self) -> None:
        if self.open is not None:
            self.closed = self.open
            self.ended.append(self.open)
            del self.ended[:-KEPT]
        self.open = None
        self._missing = 0


def _line(spectrum: Spectrum) -> tuple[float, float, float] | None:
    """Frequency, level and share of a spectrum's one tone, if it is strong enough."""
    level = dbm0(spectrum.tone)
    if level < FLOOR_DBM0:
        return None
    return line_of(spectrum), level, spectrum.share


def dbm0(power: float) -> float:
    """A mean square as a level."""
    return 10 * math.log10(power / MILLIWATT_POWER + 1e-12)


def stands_out(spectrum: Spectrum, by: float) -> bool:
    """Whether the strongest line, at 630 Hz or more, has `by` times the power of the bins around it."""
    k, power = spectrum.bin, spectrum.power
    around = float(power[k - AROUND : k - NEAR + 1].sum() + power[k + NEAR : k + AROUND + 1].sum())
    return spectrum.tone >= by / 3 * around


def line_of(spectrum: Spectrum) -> float:
    """The frequency of a spectrum's strongest line, in Hz."""
    k = spectrum.bin
    a, b, c = (math.log(p + 1e-9) for p in spectrum.power[k - 1 : k + 2].tolist())
    curve = a - 2 * b + c
    return (k + (0.5 * (a - c) / curve if curve else 0.0)) * BIN_HZ
