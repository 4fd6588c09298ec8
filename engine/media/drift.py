"""Between a sound card's rate and clock and ours: neither growing delay nor underruns.

Card and RTP differ by up to some hundred ppm. What waits between them is measured where it is
lowest, just after each reading, and the speed is trimmed by at most 0.5 % (9 cents: inaudible) to
hold that at a margin. A card that delivers in big lumps gets as much buffer as its lumps need, no more.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from engine.media.codec import Pcm

MAX_TRIM = 0.005
STILL = 48
"""Samples around the margin within which nothing is trimmed: 6 ms."""
TAPS = 16
"""Samples of the lower rate that an output sample is made from."""
PHASES = 256

_Float = npt.NDArray[np.float32]


@functools.cache
def _table(wide: float) -> _Float:
    """Windowed-sinc interpolation, one row a phase; every row sums to 1.

    `wide` is how many input samples one output sample spans, at least 1: the kernel's width, so that
    nothing above half the lower rate gets through.
    """
    taps = math.ceil(TAPS * wide / 2) * 2
    offset = np.arange(taps) - (taps // 2 - 1)
    rows = []
    for phase in range(PHASES + 1):
        x = offset - phase / PHASES
        window = np.cos(np.pi * np.clip(x / (taps + 1), -0.5, 0.5)) ** 2
        row = np.sinc(x / wide) * window
        rows.append(row / row.sum())
    return np.array(rows, np.float32)


class Stretcher:
    """Converts between two rates and trims the speed on the way: above 1 fewer samples come out.

    Delays by 8 samples of the lower rate and never holds more back than that. (soxr's stream gives its
    output in lumps of up to 160 ms at these sizes, which no live call can afford.)
    """

    def __init__(self, source: int = 8000, target: int = 8000) -> None:
        self._step = source / target
        self._rows = _table(max(1.0, self._step))
        self._taps = self._rows.shape[1]
        self._span = np.arange(self._taps)
        self._held: _Float = np.zeros(self._taps, np.float32)
        self._at = 0.0
        self.trim = 1.0

    def process(self, pcm: Pcm) -> Pcm:
        """Any number of samples in; about as many out."""
        x = np.concatenate((self._held, pcm.astype(np.float32)))
        step = self._step * self.trim
        count = max(0, int((len(x) - self._taps - self._at) / step) + 1)
        places = self._at + step * np.arange(count)
        whole = places.astype(np.intp)
        usable = whole + self._taps <= len(x)
        whole, places = whole[usable], places[usable]
        phases = np.rint((places - whole) * PHASES).astype(np.intp)
        out = np.einsum("ij,ij->i", x[whole[:, None] + self._span], self._rows[phases])
        after = (places[-1] + step) if len(places) else self._at
        used = min(int(after), len(x))
        self._held = x[used:]
        self._at = after - used
        stretched: Pcm = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
        return stretched


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
