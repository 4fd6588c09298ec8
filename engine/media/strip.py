"""A received stream's spectrogram for the eye: a column for each 100 ms, 16 bands up to 4 kHz, 16 levels."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from engine.media.codec import Pcm
from engine.media.level import MILLIWATT_POWER

FRAMES = 5
"""Frames of 20 ms in a column."""
COLUMN_S = 0.1
BANDS = 16
"""Of 250 Hz each."""
STEP_DB = 4.0
FLOOR_DBM0 = -66.0
"""Level 0 is below this; each level more is STEP_DB, and 15 all that is above -10 dBm0."""
KEPT_FRAMES = 100
"""2 s: what nobody fetched by then is dropped, the oldest first."""
_SIZE, _HOP = 256, 128
_WINDOW = np.hanning(_SIZE + 1)[:-1].astype(np.float32)
_SCALE = 2.0 / (_SIZE * float((_WINDOW**2).sum()) * MILLIWATT_POWER)
_DIGITS = "0123456789abcdef"

Seen = tuple[float, Pcm]
"""A frame, and when its tick was (`time.monotonic()`)."""


def view() -> deque[Seen]:
    """What the media thread puts received frames into, for any other thread to take them out."""
    return deque(maxlen=KEPT_FRAMES)


@dataclass(frozen=True, slots=True)
class Column:
    """`levels` has a hexadecimal digit for each band, the lowest frequencies first. `at` is its beginning."""

    at: float
    levels: str


class Strip:
    """Makes columns of the frames of one stream. Not for the media thread: a column takes 60 us."""

    def __init__(self) -> None:
        self._at = -math.inf
        self._frames: list[Pcm] = []

    def feed(self, at: float, frame: Pcm) -> Column | None:
        """A received frame; the column that is whole with it."""
        if self._frames and not 0 <= at - self._at < COLUMN_S * 1.5:
            self._frames.clear()  # some were lost before it
        if not self._frames:
            self._at = at
        self._frames.append(frame)
        if len(self._frames) < FRAMES:
            return None
        column = Column(self._at, levels(np.concatenate(self._frames)))
        self._frames.clear()
        return column


def levels(pcm: Pcm) -> str:
    """The loudest that each band was within some frames, as digits of STEP_DB."""
    x = pcm.astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, _SIZE)[::_HOP]
    spectrum = np.fft.rfft((windows - windows.mean(axis=1, keepdims=True)) * _WINDOW, axis=1)[:, 1:]
    power = (spectrum.real**2 + spectrum.imag**2).max(axis=0)
    bands = power.reshape(BANDS, -1).sum(axis=1) * _SCALE
    dbm0 = 10 * np.log10(bands + 1e-12)
    steps = np.clip(np.floor((dbm0 - FLOOR_DBM0) / STEP_DB) + 1, 0, len(_DIGITS) - 1).astype(int)
    return "".join(_DIGITS[step] for step in steps)
