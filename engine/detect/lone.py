"""One steady line in noise: a tone that stands out of what lies beside it, however little of all the power it
has, and the only one that does.

A tone's frequency in noise is uncertain by some Hz, its share of the power is anything; but within 300 Hz of
it there is noise alone, of a density that averages out, and nowhere else in the band does anything stand out
as partials of a voice or of an instrument do.
"""

from __future__ import annotations

import numpy as np

from engine.detect.pure import BIN_HZ, FIRST, FLOOR_DBM0, LAST, SIZE, Floats, Spectrum, line_of
from engine.detect.silence import MILLIWATT_POWER
from engine.detect.types import SAMPLE_RATE

STANDS = 3.5
"""A frame's line is so much above what lies beside it, power against power in as many bins."""
MEAN_STANDS = 6.0
OTHERS = 3.7
"""What else stands out is no more than this, in the mean of the frames: noise."""
DRIFT_HZ = 30.0
DROPOUT = 2
SPREAD_HZ = 10.0
_FAINT = MILLIWATT_POWER * 10 ** (FLOOR_DBM0 / 10)
_WIDTH = 5
_BESIDE = 10
_LAG_MS = 1000 * SIZE / 2 / SAMPLE_RATE
_KERNEL = np.ones(_WIDTH, np.float32)
_WIDE = np.ones(2 * _BESIDE + 1, np.float32)


class LoneLine:
    """Fed every frame; `ms` is how long the line has lasted, 0 while there is none."""

    def __init__(self) -> None:
        self.begin_ms = 0.0
        self.ms = 0.0
        self.hz = 0.0
        self.spread_hz = 0.0
        self._frames = self._missing = 0
        self._power: Floats = np.zeros(1, np.float32)
        self._stands = 0.0

    def feed(self, spectrum: Spectrum, now_ms: float) -> None:
        stands = _over_neighbours(spectrum.power, spectrum.bin)
        hz = line_of(spectrum)
        faint = spectrum.tone < _FAINT
        if faint or stands < STANDS or (self._frames and abs(hz - self.hz) > DRIFT_HZ):
            self._missing += 1
            if self._missing > DROPOUT:
                self._frames = 0
                self.ms = 0.0
            return
        self._missing = 0
        at_ms = now_ms - _LAG_MS
        if not self._frames:
            self.begin_ms, self.hz, self.spread_hz = at_ms - 10, hz, 0.0
            self._power = np.zeros_like(spectrum.power)
            self._stands = 0.0
        n = self._frames = self._frames + 1
        self.spread_hz += (abs(hz - self.hz) - self.spread_hz) / n
        self.hz += (hz - self.hz) / n
        self._stands += (stands - self._stands) / n
        self._power = self._power + spectrum.power
        self.ms = at_ms + 10 - self.begin_ms

    @property
    def alone(self) -> bool:
        """Whether the line is steady and nothing else stands out."""
        if self.spread_hz > SPREAD_HZ or self._stands < MEAN_STANDS:
            return False
        power = self._power.copy()
        k = round(self.hz / BIN_HZ)
        beside = np.concatenate((power[max(0, k - 9) : k - 3], power[k + 4 : k + 10]))
        power[max(0, k - 3) : k + 4] = beside.mean()
        near = np.convolve(power, _KERNEL, "same")
        wide = np.convolve(power, _WIDE, "same") - near
        ratio = near[FIRST : LAST + 1] / (wide[FIRST : LAST + 1] + 1e-6) * (len(_WIDE) - _WIDTH) / _WIDTH
        return float(ratio.max()) <= OTHERS


def _over_neighbours(power: Floats, k: int) -> float:
    """A line's power over that of as many bins beside it."""
    line = float(power[k - 2 : k + 3].sum())
    low = max(2, k - _BESIDE)
    beside = float(power[low : k - 2].sum()) + float(power[k + 3 : k + _BESIDE + 1].sum())
    return line / (beside + 1e-6) * (k - 2 - low + _BESIDE - 2) / _WIDTH
