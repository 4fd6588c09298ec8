"""What music is made of: partials that stay where they are, without the pauses of speech; and whether a
sound's spectrum moves at all, as that of noise, hum and a network's tones does not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.detect.types import FRAME_SAMPLES

SIZE = 1024
"""Samples of the window: 128 ms, which tells 16 Hz apart."""
FRAMES = 4
"""Frames from one look to the next: 80 ms."""
LOOKS = 20
"""Looks that count: the last 1.6 s of sound."""
ENOUGH = 14
FIRST, LAST = 58, 440
"""Bins looked at: 450 to 3430 Hz, above the stronger harmonics of the mains' hum."""
AROUND = 12
PEAK = 3.0
"""A peak is so much above the mean of what is around it."""
LEAST, LOWEST = 3e-4, 5
"""Weaker against the strongest line above 40 Hz, it is none: what a codec makes of hum."""
STEADY, SHARE = 2.0, 0.3
"""So many steady peaks in the mean, with such a share of the power, are notes."""
FAINT_STEADY, DIFFERENT, CHANGING = 0.8, 9, 2.0
"""In noise: so many steady peaks in the mean, so many different ones, and so many times the mean."""
DIP = 10**-1.5
DIPS = 0.2
"""More of the frames than this are 15 dB under the loud ones in speech: its syllables and pauses."""

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
_WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


class Notes:
    """Whether what is heard is notes: peaks of the spectrum that stay within 8 Hz for a quarter of a second,
    where a voice glides, and no pauses. Fed every frame of sound that no tone explains."""

    def __init__(self) -> None:
        self._samples: Floats = np.zeros(SIZE, np.float32)
        self.forget()

    def forget(self) -> None:
        """Another sound follows."""
        self._fed = 0
        self._before: list[Bools] = []
        self._looks: list[tuple[int, float, float]] = []
        self._lines: list[Bools] = []
        self._powers: list[float] = []
        self.heard = False

    def pause(self) -> None:
        """A frame without sound: nothing is steady across it."""
        self._fed = 0
        self._before.clear()
        self._level(0.0)
        self.heard = self.heard and self._notes()

    def feed(self, frame: Floats) -> None:
        samples = self._samples
        samples[:-FRAME_SAMPLES] = samples[FRAME_SAMPLES:]
        samples[-FRAME_SAMPLES:] = frame
        self._level(float(frame.dot(frame)))
        self._fed += 1
        if self._fed * FRAME_SAMPLES < SIZE or self._fed % FRAMES:
            return
        peaks, power = _peaks(samples)
        if len(self._before) == 2:
            steady = peaks & self._before[0] & self._before[1]
            wide = _widened(steady)
            share = float(power.dot(wide))
            self._looks.append((int(np.count_nonzero(steady)), share, float(power.sum())))
            self._lines.append(wide)
            del self._looks[:-LOOKS], self._lines[:-LOOKS], self._before[0]
            self.heard = self._notes()
        self._before.append(_widened(peaks))

    def _level(self, power: float) -> None:
        self._powers.append(power)
        del self._powers[: -LOOKS * FRAMES]

    def changing(self) -> bool:
        """Whether steady lines come and go, be it in noise: a melody's, where hum has always the same."""
        count = len(self._looks)
        steady = sum(x[0] for x in self._looks)
        if count < ENOUGH or steady < FAINT_STEADY * count:
            return False
        all_of_them = np.logical_or.reduce(self._lines)
        different = int(np.count_nonzero(all_of_them[1:] > all_of_them[:-1]))
        return different >= max(DIFFERENT, CHANGING * steady / count)

    def _notes(self) -> bool:
        looks = self._looks
        if len(looks) < ENOUGH or sum(x[0] for x in looks) < STEADY * len(looks):
            return False
        if sum(x[1] for x in looks) < SHARE * sum(x[2] for x in looks):
            return False
        powers = sorted(self._powers)
        loud = powers[int(0.9 * len(powers))] * DIP
        return sum(p < loud for p in powers) <= DIPS * len(powers)


def _widened(bins: Bools) -> Bools:
    wide = bins.copy()
    wide[1:] |= bins[:-1]
    wide[:-1] |= bins[1:]
    return wide


def _peaks(samples: Floats) -> tuple[Bools, Floats]:
    """Where the spectrum has peaks, and its power."""
    spectrum = np.fft.rfft(samples * _WINDOW)[: LAST + AROUND + 1]
    power = spectrum.real**2 + spectrum.imag**2
    band = power[FIRST:LAST]
    total = np.cumsum(power)
    around = total[FIRST + AROUND : LAST + AROUND] - total[FIRST - AROUND - 1 : LAST - AROUND - 1]
    least = np.maximum(around * (PEAK / (2 * AROUND + 1)), float(power[LOWEST:].max()) * LEAST)
    left, right = power[FIRST - 1 : LAST - 1], power[FIRST + 1 : LAST + 1]
    found: Bools = (band > left) & (band >= right) & (band > least)
    return found, band.astype(np.float32)


class Movement:
    """Counts how often the spectrum has changed of late: each tenth of a second is laid against the one
    before.

    Every frequency counts alike, for each is measured by its own mean, so that noise of any colour is alike
    throughout (0.95); the two strongest lines do not count, so that a tone that comes and goes is no change,
    nor is what a lost packet does to the little that a line has besides a tone.
    """

    _SIMILAR = 0.9
    _KEPT = 30
    _MEAN = 15
    _LINES = 2
    _REST = 0.02

    def __init__(self) -> None:
        self._sum: Floats = np.zeros(1, np.float32)
        self._mean: Floats | None = None
        self._before: Floats | None = None
        self._steps = 0
        self._frames = 0
        self._changed: list[bool] = []
        self.tonality = 0.0
        """The strongest line's share of the power over 250 Hz, in the mean of 1.5 s."""

    def feed(self, power: Floats) -> None:
        """A frame's power spectrum."""
        self._sum = self._sum + power
        self._frames += 1
        if self._frames < 5:
            return
        now = self._sum[8:110]
        self._sum, self._frames = np.zeros(1, np.float32), 0
        if float(now.max()) < 1.0:
            return
        self._steps = min(self._steps + 1, self._MEAN)
        line = int(now.argmax())
        share = float(now[max(0, line - 2) : line + 3].sum()) / float(now.sum())
        self.tonality += (share - self.tonality) / self._steps
        mean = now.copy() if self._mean is None else self._mean
        mean += (now - mean) / np.float32(self._steps)
        self._mean = mean
        if self._before is not None:
            self._changed.append(self._alike(now, self._before, mean) < self._SIMILAR)
            del self._changed[: -self._KEPT]
        self._before = now

    def _alike(self, now: Floats, before: Floats, mean: Floats) -> float:
        floor = mean + np.float32(1e-3) * mean.max()
        a, b = np.sqrt(now / floor), np.sqrt(before / floor)
        for spectrum in (now.copy(), before.copy()):
            least = float(spectrum.sum()) * self._REST
            for _ in range(self._LINES):
                line = int(spectrum.argmax())
                around = slice(max(0, line - 2), line + 3)
                spectrum[around] = a[around] = b[around] = 0.0
            if float(spectrum.sum()) < least:
                return 1.0
        norm = float(a.dot(a)) * float(b.dot(b))
        return float(a.dot(b)) / norm**0.5 if norm > 0 else 1.0

    @property
    def count(self) -> int:
        return sum(self._changed)
