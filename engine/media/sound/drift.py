"""Between a sound card's clock and ours: neither growing delay nor underruns.

Card and RTP differ by up to some hundred ppm. What waits between them is measured where it is
lowest, just after each reading, and the speed is trimmed by at most 0.5 % (9 cents: inaudible) to
hold that at a margin. A card that delivers in big lumps gets as much buffer as its lumps need, no more.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from engine.media.codec import Pcm

MAX_TRIM = 0.005
STILL = 48
"""Samples around the margin within which nothing is trimmed: 6 ms."""
TAPS = 16
"""Samples that an output sample is made from."""
PHASES = 256

_Float = npt.NDArray[np.float32]


@functools.cache
def _table() -> _Float:
    """Windowed-sinc interpolation, one row a phase; every row sums to 1."""
    offset = np.arange(TAPS) - (TAPS // 2 - 1)
    rows = []
    for phase in range(PHASES + 1):
        x = offset - phase / PHASES
        row = np.sinc(x) * np.cos(np.pi * np.clip(x / (TAPS + 1), -0.5, 0.5)) ** 2
        rows.append(row / row.sum())
    return np.array(rows, np.float32)


class Stretcher:
    """Trims the speed: with `trim` above 1 fewer samples come out. Delays by 8 samples, never more."""

    def __init__(self) -> None:
        self._rows = _table()
        self._span = np.arange(TAPS)
        self._held: _Float = np.zeros(TAPS, np.float32)
        self._at = 0.0
        self.trim = 1.0

    def process(self, pcm: Pcm) -> Pcm:
        """Any number of samples in; about as many out."""
        x = np.concatenate((self._held, pcm.astype(np.float32)))
        if self.trim == 1.0:
            out, after = self._unchanged(x)
        else:
            out, after = self._trimmed(x, self.trim)
        used = min(int(after), len(x))
        self._held = x[used:]
        self._at = after - used
        stretched: Pcm = np.rint(out).clip(-32768, 32767).astype(np.int16)
        return stretched

    def _unchanged(self, x: _Float) -> tuple[_Float, float]:
        """As `_trimmed` by 1, in a fifth of the time: every sample is of the same phase."""
        first = int(self._at)
        count = len(x) - TAPS - first + 1
        if count <= 0:
            return x[:0], self._at
        row = self._rows[round((self._at - first) * PHASES)]
        return np.correlate(x[first:], row), self._at + count

    def _trimmed(self, x: _Float, step: float) -> tuple[_Float, float]:
        """What can be made of the samples held and new, and the place of the next."""
        count = max(0, int((len(x) - TAPS - self._at) / step) + 1)
        places = self._at + step * np.arange(count)
        whole = places.astype(np.intp)
        usable = whole + TAPS <= len(x)
        whole, places = whole[usable], places[usable]
        phases = np.rint((places - whole) * PHASES).astype(np.intp)
        out = np.einsum("ij,ij->i", x[whole[:, None] + self._span], self._rows[phases])
        return out, float(places[-1] + step) if len(places) else self._at


class DriftControl:
    """Tells how fast a queue should be read from the least that was left in it of late.

    `margin` and what `update` is given are samples at 8 kHz.
    """

    def __init__(self, margin: int, excess: int) -> None:
        self._margin = margin
        self._excess = excess

    def update(self, least: int) -> tuple[float, int]:
        """Twice a second: the speed to read at (above 1 empties), and samples to throw away at once."""
        over = least - self._margin
        if over > self._excess:
            return 1.0, over
        if abs(over) <= STILL:
            return 1.0, 0
        return 1.0 + max(-MAX_TRIM, min(MAX_TRIM, over / 16000)), 0
