"""Speech made a little longer or shorter, unheard: whole pitch periods are put in or taken out.

Waveform similarity overlap-add (WSOLA; Verhelst and Roelands, ICASSP 1993), one splice at a time: where the
signal looks most like itself some samples away, it is cross-faded into that place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.media.codec import Pcm

SHORTEST, LONGEST = 20, 120
"""Lags that are tried, in samples: 2.5 to 15 ms."""
FADE = 80
"""Length of a splice's cross-fade."""
NEEDED = 120 + LONGEST
"""Samples that `shorten` must be given at least."""
_COMPARED = 120
QUIET_ONLY = 2.0
"""As `alike`: nothing but silence is touched."""
QUIET = 60.0
"""Root mean square below which any place will do: -55 dB of full scale."""

Float = npt.NDArray[np.float32]
_RISING: Float = (0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)).astype(np.float32)


def _likeness(fixed: Float, moving: Float) -> Float:
    """How alike `fixed` is to each stretch of `moving`, lag by lag: -1 to 1."""
    products = np.correlate(moving, fixed, "valid")
    squares = np.concatenate((np.zeros(1), np.cumsum(np.square(moving, dtype=np.float64))))
    energy = squares[len(fixed) :] - squares[: -len(fixed)]
    scale = np.sqrt(np.maximum(energy * float(np.dot(fixed, fixed)), 1.0))
    likeness: Float = (products / scale).astype(np.float32)
    return likeness


def _splice(old: Float, new: Float) -> Pcm:
    faded: Pcm = np.rint(old + (new - old) * _RISING).astype(np.int16)
    return faded


def shorten(pcm: Pcm, most: int, alike: float) -> tuple[Pcm, float]:
    """Take out one stretch of at most `most` samples at the beginning of a signal of `NEEDED` or more.

    Returns what is left and how alike the two ends were; all of it where that was less than `alike`.
    """
    most = min(most, LONGEST)
    if most < SHORTEST or len(pcm) < NEEDED:
        return pcm, 0.0
    x = pcm[:NEEDED].astype(np.float32)
    if float(np.dot(x, x)) < QUIET * QUIET * NEEDED:
        lag, best = most, 1.0
    elif alike > 1:
        return pcm, 0.0
    else:
        found = _likeness(x[:_COMPARED], x[SHORTEST : most + _COMPARED])
        lag = int(found.argmax())
        best = float(found[lag])
        lag += SHORTEST
        if best < alike:
            return pcm, best
    return np.concatenate((_splice(x[:FADE], x[lag : lag + FADE]), pcm[lag + FADE :])), best


def lengthen(before: Pcm, pcm: Pcm, alike: float) -> tuple[Pcm, float]:
    """Put in a stretch at the beginning of `pcm`, out of the `LONGEST` samples or more played `before` it.

    Returns the longer signal and how alike the two ends were; `pcm` itself where that was less than `alike`.
    """
    if len(before) < LONGEST or len(pcm) < _COMPARED:
        return pcm, 0.0
    x = np.concatenate((before[-LONGEST:], pcm[:_COMPARED])).astype(np.float32)
    if float(np.dot(x, x)) < QUIET * QUIET * len(x):
        lag, best = LONGEST, 1.0
    else:
        # lag by lag, the longest first
        found = _likeness(x[LONGEST:], x[: LONGEST - SHORTEST + _COMPARED])
        lag = int(found.argmax())
        best = float(found[lag])
        lag = LONGEST - lag
        if best < alike:
            return pcm, best
    again = np.concatenate((before[-lag:], pcm)) if lag else pcm
    start = LONGEST - lag
    head = _splice(x[LONGEST : LONGEST + FADE], x[start : start + FADE])
    return np.concatenate((head, again[FADE:])), best
