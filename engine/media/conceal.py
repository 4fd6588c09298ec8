"""Packet loss concealed: ITU-T G.711 Appendix I's method, its figures where it gives them.

The last pitch period is played on, from 10 ms of loss on the last two, from 20 ms the last three, weaker by a
fifth each 10 ms after the first, and cross-faded into what comes next. Where Appendix I holds all audio back
by 3.75 ms to smooth the beginning, here the difference at the seam is faded out, which costs no delay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.media.codec import Pcm

HISTORY = 480
"""Samples that a concealment is made from, at most."""
LONGEST = 480
"""After so many samples concealed, 60 ms, there is silence."""
_STEP = 80
_SHORTEST, _LAGS_TO = 40, 120
"""Pitch periods looked for: 5 to 15 ms."""
_COMPARED = 160
_SEAM = 24

Float = npt.NDArray[np.float32]


def _fade(size: int) -> Float:
    return ((np.arange(size) + 0.5) / size).astype(np.float32)


_ENVELOPE: Float = np.concatenate(
    (np.ones(_STEP), np.linspace(1, 0, LONGEST - _STEP, endpoint=False))).astype(np.float32)
_SEAM_FADE: Float = (0.5 + 0.5 * np.cos(np.pi * (np.arange(_SEAM) + 0.5) / _SEAM)).astype(np.float32)
_SEAM_FADE.flags.writeable = _ENVELOPE.flags.writeable = False


def pitch(history: Float) -> int:
    """The lag in samples, 5 to 15 ms, at which the end of a signal repeats best."""
    template = history[-_COMPARED:]
    region = history[-_COMPARED - _LAGS_TO : -_SHORTEST]
    squares = np.concatenate((np.zeros(1), np.cumsum(np.square(region, dtype=np.float64))))
    energy = squares[_COMPARED:] - squares[:-_COMPARED]
    found = np.correlate(region, template, "valid") / np.sqrt(np.maximum(energy, 1.0))
    return _LAGS_TO - int(found.argmax())


class Concealment:
    """One hole's filling. `history` is what was played last, `HISTORY` samples if there are so many."""

    def __init__(self, history: Pcm) -> None:
        x = np.zeros(HISTORY, np.float32)
        x[HISTORY - min(len(history), HISTORY) :] = history[-HISTORY:]
        self.period = pitch(x)
        self.made = 0
        self._wave = self._extend(x) * _ENVELOPE

    def _extend(self, x: Float) -> Float:
        period = self.period
        wave = np.empty(LONGEST, np.float32)
        quarter = period // 4
        fade = _fade(quarter)
        phase, before = 0, None
        for periods, start, end in ((1, 0, _STEP), (2, _STEP, 2 * _STEP), (3, 2 * _STEP, LONGEST)):
            length = periods * period
            loop = x[-length:].copy()
            # the loop's end leads into its beginning
            loop[-quarter:] += (x[-length - quarter : -length] - loop[-quarter:]) * fade
            # at the same place of the period, in the oldest of the periods
            phase %= length
            turns = -(-(phase + end - start + quarter) // length)
            run = np.tile(loop, turns)[phase : phase + end - start + quarter]
            wave[start:end] = run[: end - start]
            if before is not None:
                wave[start : start + quarter] = before + (run[:quarter] - before) * fade
            before = run[end - start :]
            phase = (phase + end - start) % period
        wave[:_SEAM] += (x[-1] - x[-1 - period]) * _SEAM_FADE
        return wave

    def take(self, count: int) -> Pcm:
        """The next samples."""
        at, self.made = self.made, self.made + count
        out = np.zeros(count, np.int16)
        piece = self._wave[at : self.made]
        out[: len(piece)] = np.clip(np.rint(piece), -32768, 32767)
        return out

    def join(self, pcm: Pcm) -> Pcm:
        """What comes after the hole, led into by what was made up: the longer the hole, the slower."""
        size = min(self.period // 4 + 32 * (self.made // _STEP), 80, len(pcm))
        tail = self._wave[self.made : self.made + size]
        if not len(tail):
            return pcm
        fade = _fade(size)
        joined = pcm.copy()
        mixed = pcm[:size] * fade
        mixed[: len(tail)] += tail * (1 - fade[: len(tail)])
        joined[:size] = np.clip(np.rint(mixed), -32768, 32767)
        return joined
