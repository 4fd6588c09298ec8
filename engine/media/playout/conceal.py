"""Packet loss concealed: ITU-T G.711 Appendix I's method, from both sides of the hole where both are known.

The last pitch period is played on, from 10 ms of loss on the last two, from 20 ms the last three, weaker by a
fifth each 10 ms after the first, and cross-faded into what comes next. Where Appendix I holds all audio back
by 3.75 ms to smooth the beginning, here the difference at the seam is faded out, which costs no delay.

A jitter buffer often holds what comes after the hole. That is then played backwards into it in the same way,
with its own pitch period, and the two are cross-faded.
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
_SHORTEST, _LONGEST = 40, 120
"""Pitch periods looked for: 5 to 15 ms."""
_SEAM = 24
REACH = LONGEST
"""Longest hole, in samples, into which what follows it is played backwards."""
BEYOND = 280
"""So many samples of what follows are enough."""
_LEAST_BEYOND = 160
_NEARBY = 0.6, 1.6
"""The pitch period beyond the hole is looked for among those so far from the one before it."""

Float = npt.NDArray[np.float32]


def _fade(size: int) -> Float:
    return ((np.arange(size) + 0.5) / size).astype(np.float32)


_ENVELOPE: Float = np.concatenate(
    (np.ones(_STEP), np.linspace(1, 0, LONGEST - _STEP, endpoint=False))).astype(np.float32)
_SEAM_FADE: Float = (0.5 + 0.5 * np.cos(np.pi * (np.arange(_SEAM) + 0.5) / _SEAM)).astype(np.float32)
_SEAM_FADE.flags.writeable = _ENVELOPE.flags.writeable = False


def pitch(history: Float, shortest: int = _SHORTEST, longest: int = _LONGEST, compared: int = 160) -> int:
    """The lag in samples, 5 to 15 ms unless told otherwise, at which the end of a signal repeats best."""
    template = history[-compared:]
    region = history[-compared - longest : len(history) - shortest]
    squares = np.concatenate((np.zeros(1), np.cumsum(np.square(region, dtype=np.float64))))
    energy = squares[compared:] - squares[:-compared]
    found = np.correlate(region, template, "valid") / np.sqrt(np.maximum(energy, 1.0))
    return longest - int(found.argmax())


def _seamless(wave: Float, history: Float, period: int) -> Float:
    """Fade out, at the beginning of a continuation, the step that it would begin with."""
    wave[:_SEAM] += (history[-1] - history[-1 - period]) * _SEAM_FADE
    return wave


def _rounded(wave: npt.NDArray[np.floating]) -> Pcm:
    pcm: Pcm = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
    return pcm


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
        return _seamless(wave, x, period)

    def take(self, count: int) -> Pcm:
        """The next samples."""
        at, self.made = self.made, self.made + count
        out = np.zeros(count, np.int16)
        piece = self._wave[at : self.made]
        out[: len(piece)] = _rounded(piece)
        return out

    def bridge(self, gap: int, beyond: Pcm) -> Pcm:
        """The rest of a hole, `gap` samples, whose other side is known, and then that side."""
        backward = self._backward(gap, beyond) if gap <= REACH and len(beyond) >= _LEAST_BEYOND else None
        if backward is None:
            return np.concatenate((self.take(gap), self.join(beyond)))
        forward = np.zeros(gap, np.float32)
        piece = self._wave[self.made : self.made + gap]
        forward[: len(piece)] = piece
        share = 0.5 - 0.5 * np.cos(np.pi * (np.arange(gap) + 0.5) / gap)
        self.made += gap
        return np.concatenate((_rounded(forward + (backward - forward) * share), beyond))

    def _backward(self, gap: int, beyond: Pcm) -> Float | None:
        """What follows, continued backwards; None where it shows no pitch period like ours."""
        x = beyond[:HISTORY][::-1].astype(np.float32)
        compared = 160 if len(x) >= BEYOND else 80
        shortest = max(_SEAM, int(self.period * _NEARBY[0]))
        longest = min(len(x) - compared, int(self.period * _NEARBY[1]))
        if longest <= shortest:
            return None
        period = pitch(x, shortest, longest, compared)
        wave = _seamless(np.resize(x[-period:], max(gap, _SEAM)), x, period)[:gap]
        return (wave * _ENVELOPE[:gap])[::-1]

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
        joined[:size] = _rounded(mixed)
        return joined
