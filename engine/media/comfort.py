"""Comfort noise (RFC 3389): what is heard in a pause that the far end announces, and how ours are told."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from engine.media import codec
from engine.media.codec import FRAME, Pcm

COMFORT_NOISE = 13
"""Its payload type for a clock of 8 kHz (RFC 3389, 4)."""
_QUIETEST = 78
"""Below 0 dBov, in dB; anything weaker is silence."""
_LOUDEST = 30
"""No noise is played louder than so far below 0 dBov, whatever is asked for."""
MAX_ORDER = 12
"""Reflection coefficients that are followed; more of them tell a listener nothing."""
_ORDER = 6
_RESPONSE = 128
"""Samples of the noise-shaping filter's response that are kept."""
_SHARPEST = 0.98
_STARTS = itertools.count()

Float = npt.NDArray[np.floating]
_NOISE = np.random.default_rng(0).standard_normal(8191).astype(np.float32)


def _predictor(reflections: list[float]) -> Float:
    """Levinson's step-up: the whitening filter 1, a1, a2... of reflection coefficients, all below 1."""
    a = np.ones(1)
    for k in reflections:
        a = np.append(a, 0.0) + k * np.append(a, 0.0)[::-1]
    return a


def _shape(reflections: list[float]) -> Float | None:
    """The response that gives white noise their spectrum and leaves its power; None for a flat one."""
    if not any(reflections):
        return None
    # one over the whitening filter, by its spectrum; a tail beyond the transform's length would fold back
    response = np.fft.irfft(1 / np.fft.rfft(_predictor(reflections), 8 * _RESPONSE))[:_RESPONSE]
    return (response / math.sqrt(float(np.dot(response, response)))).astype(np.float32)


class ComfortNoise:
    """Noise of the level and the spectrum that a packet's payload tells (RFC 3389, 3.1 and 3.2)."""

    def __init__(self, payload: bytes) -> None:
        below = payload[0] & 0x7F if payload else 127
        self._rms = 0.0 if below > _QUIETEST else 32768 * 10 ** (-max(below, _LOUDEST) / 20)
        told = [258 * (index - 127) / 32768 for index in payload[1 : 1 + MAX_ORDER]]
        self._told = [max(-_SHARPEST, min(_SHARPEST, k)) for k in told]
        self._shape: Float | None = None
        self._ready = False
        self._at = next(_STARTS) * 1237 % (len(_NOISE) - 2 * FRAME)

    def frame(self) -> Pcm:
        """The next 160 samples."""
        if not self._rms:
            return codec.SILENT_PCM
        if not self._ready:  # not while packets are taken: there may be many
            self._ready, self._shape = True, _shape(self._told)
        extra = 0 if self._shape is None else _RESPONSE - 1
        at, self._at = self._at, (self._at + FRAME) % (len(_NOISE) - 2 * FRAME)
        noise = _NOISE[at : at + FRAME + extra]
        if self._shape is not None:
            noise = np.convolve(noise, self._shape, "valid")
        made: Pcm = np.rint(noise * self._rms).astype(np.int16)
        return made


def describe(pcm: Pcm) -> bytes:
    """The payload of a comfort noise packet for a stretch of background noise: its level, and its spectrum as
    `_ORDER` reflection coefficients.
    """
    x = pcm.astype(np.float64)
    lags = np.array([float(np.dot(x[: len(x) - n], x[n:])) for n in range(_ORDER + 1)])
    rms = math.sqrt(lags[0] / max(1, len(x)))
    level = 127 if rms < 1 else min(127, max(0, round(-20 * math.log10(rms / 32768))))
    error, a, indices = lags[0] * 1.0001 + 1, np.ones(1), []
    for order in range(1, _ORDER + 1):
        k = -float(np.dot(a, lags[order : order - len(a) : -1])) / error
        k = max(-_SHARPEST, min(_SHARPEST, k))
        a = np.append(a, 0.0) + k * np.append(a, 0.0)[::-1]
        error *= 1 - k * k
        indices.append(max(0, min(254, round(k * 32768 / 258) + 127)))
    return bytes([level, *indices])
