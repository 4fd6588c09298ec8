"""The front end: what of a frame lies in the band of call progress tones, and how much else there is.

The band is brought down to 0 Hz as a complex signal of 400 values a second, which is all that cadences
and frequencies need: edges to a few ms, frequencies to a few Hz, eight values a frame.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.detect.types import FRAME_SAMPLES, SAMPLE_RATE

CENTRE_HZ = 505.0
HALF_WIDTH_HZ = 165.0
TAPS = 160
STEP = 20
VALUES = FRAME_SAMPLES // STEP
STEP_MS = 1000 * STEP / SAMPLE_RATE
RATE = SAMPLE_RATE / STEP
"""Values a second."""
DELAY_MS = 1000 * TAPS / 2 / SAMPLE_RATE
"""How far the values lag behind the samples."""

Complex = npt.NDArray[np.complex64]
Floats = npt.NDArray[np.float32]


def _matrices() -> tuple[Floats, Floats]:
    """Two frames in; out real and imaginary parts, and the power of all frequencies, at eight places."""
    n = np.arange(TAPS) - (TAPS - 1) / 2
    low = np.sinc(2 * HALF_WIDTH_HZ / SAMPLE_RATE * n) * np.hamming(TAPS)
    low /= low.sum()
    hann = np.hanning(TAPS)
    hann /= hann.sum()
    band = np.zeros((2 * FRAME_SAMPLES, 2 * VALUES))
    everything = np.zeros((2 * FRAME_SAMPLES, VALUES))
    for k in range(VALUES):
        end = FRAME_SAMPLES + (k + 1) * STEP
        turn = 2 * np.pi * CENTRE_HZ / SAMPLE_RATE * (np.arange(end - TAPS, end))
        band[end - TAPS : end, k] = low * np.cos(turn)
        band[end - TAPS : end, VALUES + k] = -low * np.sin(turn)
        everything[end - TAPS : end, k] = hann
    return band.astype(np.float32), everything.astype(np.float32)


_BAND, _ALL = _matrices()
_TINY = np.float32(1e-3)
_TURN = 2 * np.pi * CENTRE_HZ * FRAME_SAMPLES / SAMPLE_RATE


class Band:
    """Fed frame after frame; `values`, `power` and `total` are of the last one."""

    def __init__(self) -> None:
        self._window = np.zeros(2 * FRAME_SAMPLES, np.float32)
        self._frames = 0
        self.values: Complex = np.zeros(VALUES, np.complex64)
        """The band, at 0 Hz."""
        self.power: Floats = np.zeros(VALUES, np.float32)
        """Mean square within the band, for a steady tone."""
        self.total: Floats = np.zeros(VALUES, np.float32)
        """Mean square of everything."""

    def skip(self) -> None:
        """A frame that was not heard."""
        self._frames += 1
        self._window[:] = 0.0

    def rest(self) -> None:
        """A frame so quiet, after one as quiet, that no tone can be in it."""
        self.skip()
        self.values = np.zeros(VALUES, np.complex64)
        self.power = np.zeros(VALUES, np.float32)
        self.total = np.full(VALUES, _TINY, np.float32)

    def feed(self, frame: Floats) -> None:
        """One frame of 160 samples."""
        window = self._window
        window[:FRAME_SAMPLES] = window[FRAME_SAMPLES:]
        window[FRAME_SAMPLES:] = frame
        both = window @ _BAND
        angle = self._frames * _TURN % (2 * np.pi)
        self._frames += 1
        turn = np.complex64(complex(math.cos(angle), -math.sin(angle)))
        self.values = (both[:VALUES] + 1j * both[VALUES:]) * turn
        self.power = 2 * (both[:VALUES] ** 2 + both[VALUES:] ** 2)
        self.total = np.add((window * window) @ _ALL, _TINY, dtype=np.float32)
