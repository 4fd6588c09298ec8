"""What of a frame lies in the band of call progress tones, and how much else there is.

The band is brought down to 0 Hz as a complex signal of 400 values a second, which is all that cadences
and frequencies need: edges to a few ms, frequencies to a few Hz, eight values a frame.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.silence import MILLIWATT_POWER
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
FLOOR_DBM0 = -57.0
FLOOR = MILLIWATT_POWER * 10 ** (FLOOR_DBM0 / 10)
PURE_ON = 0.5
"""The band's share of all power at which a tone may begin."""

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


BAND, ALL = _matrices()
_TINY = np.float32(1e-3)
_TURN = 2 * np.pi * CENTRE_HZ * FRAME_SAMPLES / SAMPLE_RATE


@dataclass(slots=True)
class Places:
    """The band at eight places of a frame, 2.5 ms apart."""

    power: list[float]
    """Mean square within the band, for a steady tone."""
    total: list[float]
    """Mean square of everything."""
    starts: bool
    """Whether a tone may begin at one of them."""
    _parts: Floats

    def values(self, frame: int) -> Complex:
        """The band, at 0 Hz; `frame` is the frame's number in the stream."""
        angle = frame * _TURN % (2 * math.pi)
        parts = self._parts
        values: Complex = (parts[:VALUES] + 1j * parts[VALUES:]) * np.complex64(cmath.exp(-1j * angle))
        return values


def places(parts: Floats, total: Floats) -> list[Places]:
    """Of many frames: rows of their products with `BAND`, and of their squares' with `ALL`."""
    squares = parts * parts
    power = 2 * (squares[:, :VALUES] + squares[:, VALUES:])
    total = total + _TINY
    starts = np.any((power > FLOOR) & (power > PURE_ON * total), axis=1)
    rows = zip(power.tolist(), total.tolist(), starts.tolist(), parts, strict=True)
    return [Places(*row) for row in rows]
