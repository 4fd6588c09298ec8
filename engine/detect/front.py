"""The front end: what of each frame everybody else needs, worked out for many frames at once.

Frames of one stream in a row, or one frame of each of many streams: the same few products of matrices serve
all, which is far cheaper than one frame at a time. Nothing in here depends on what was heard, and a frame's
figures depend on it and the one before alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect import band, dtmf, pure
from engine.detect.silence import MILLIWATT_POWER
from engine.detect.types import FRAME_SAMPLES

Floats = npt.NDArray[np.float32]
_SPAN = 2 * FRAME_SAMPLES


@dataclass(slots=True)
class Look:
    """One frame's figures."""

    samples: Floats
    """The frame, of int16's scale."""
    level: float
    """In dBm0; -90 for digital silence. A constant offset does not count."""
    band: band.Places
    line: pure.Spectrum
    keys: dtmf.Screened


def _columns() -> tuple[Floats, Floats]:
    """What two frames are multiplied with, and what their squares are."""
    half = dtmf.HALF
    plain = np.zeros((_SPAN, band.BAND.shape[1] + dtmf.PROJECTION.shape[1] + 1), np.float32)
    plain[:, : 2 * band.VALUES] = band.BAND
    plain[-len(dtmf.PROJECTION) :, 2 * band.VALUES : -1] = dtmf.PROJECTION
    plain[FRAME_SAMPLES:, -1] = 1
    squared = np.zeros((_SPAN, band.VALUES + 3), np.float32)
    squared[:, : band.VALUES] = band.ALL
    for third in range(3):
        squared[(third + 1) * half : (third + 2) * half, band.VALUES + third] = 1
    return plain, squared


_PLAIN, _SQUARED = _columns()


class Front:
    """One stream's: the frame before, which the next is seen with."""

    def __init__(self) -> None:
        self._before: Floats = np.zeros(FRAME_SAMPLES, np.float32)

    def look(self, frames: npt.NDArray[np.int16]) -> list[Look]:
        """The next frames, [frames, 160]."""
        windows = np.empty((len(frames), _SPAN), np.float32)
        windows[:, FRAME_SAMPLES:] = frames
        windows[0, :FRAME_SAMPLES] = self._before
        windows[1:, :FRAME_SAMPLES] = frames[:-1]
        self._before = windows[-1, FRAME_SAMPLES:]
        return _look(windows)

    def skip(self) -> None:
        """A frame that was not heard."""
        self._before = np.zeros(FRAME_SAMPLES, np.float32)


def look_at_each(fronts: Sequence[Front], frames: Sequence[npt.NDArray[np.int16]]) -> list[Look]:
    """One frame of each of many streams."""
    windows = np.empty((len(fronts), _SPAN), np.float32)
    for window, front, frame in zip(windows, fronts, frames, strict=True):
        window[:FRAME_SAMPLES] = front._before
        window[FRAME_SAMPLES:] = frame
        front._before = window[FRAME_SAMPLES:]
    return _look(windows)


def _look(windows: Floats) -> list[Look]:
    """A row of `windows` is a frame and the one before."""
    plain = windows @ _PLAIN
    squared: Floats = np.square(windows) @ _SQUARED
    energies = squared[:, band.VALUES :]
    means = plain[:, -1] / FRAME_SAMPLES
    powers = (energies[:, 1] + energies[:, 2]) / FRAME_SAMPLES - means * means
    levels = [max(-90.0, 10 * math.log10(max(p, 1e-9) / MILLIWATT_POWER)) for p in powers.tolist()]
    places = band.places(plain[:, : 2 * band.VALUES], squared[:, : band.VALUES])
    lines = pure.spectra(windows[:, -pure.SIZE :])
    keys = dtmf.screen(plain[:, 2 * band.VALUES : -1], energies)
    return [Look(*each) for each in zip(windows[:, FRAME_SAMPLES:], levels, places, lines, keys, strict=True)]
