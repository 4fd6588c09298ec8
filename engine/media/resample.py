"""Between 8 kHz and whole multiples of it: linear-phase filters of fixed delay, 20 ms in, 20 ms out.

A stream of soxr gives blocks of varying length, which a 20 ms clock can't use; these give exactly what a tick
needs. Flat to 3.4 kHz, 60 dB down from 4.6 kHz; 1.5 ms of delay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.media.codec import Pcm

_TAPS = 24
"""Filter length for each multiple of 8 kHz."""
Floats = npt.NDArray[np.float32]


def _lowpass(factor: int) -> Floats:
    """Kaiser-windowed sinc at 4 kHz for a rate of `factor` times 8 kHz; its sum is 1."""
    count = _TAPS * factor
    at = (np.arange(count) - (count - 1) / 2) / factor
    taps = np.sinc(at) * np.kaiser(count, 5.65)
    normal: Floats = (taps / taps.sum()).astype(np.float32)
    return normal


def _int16(samples: Floats) -> Pcm:
    limited: Pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return limited


class Decimator:
    """From `factor` times 8 kHz to 8 kHz. Input in multiples of `factor` samples."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._taps = _lowpass(factor)[::-1].copy()
        self._history: Floats = np.zeros(len(self._taps) - factor, np.float32)

    def process(self, pcm: Pcm) -> Pcm:
        if not len(pcm):
            return pcm
        samples = np.concatenate((self._history, pcm.astype(np.float32)))
        self._history = samples[len(pcm) :]
        windows = np.lib.stride_tricks.sliding_window_view(samples, len(self._taps))[:: self._factor]
        return _int16(windows @ self._taps)


class Interpolator:
    """From 8 kHz to `factor` times that."""

    def __init__(self, factor: int) -> None:
        # Column n makes the n-th of the `factor` samples between two of the input's.
        self._phases = (_lowpass(factor) * factor).reshape(_TAPS, factor)[::-1].copy()
        self._history: Floats = np.zeros(_TAPS - 1, np.float32)

    def process(self, pcm: Pcm) -> Pcm:
        samples = np.concatenate((self._history, pcm.astype(np.float32)))
        self._history = samples[len(pcm) :]
        windows = np.lib.stride_tricks.sliding_window_view(samples, _TAPS)
        return _int16((windows @ self._phases).reshape(-1))
