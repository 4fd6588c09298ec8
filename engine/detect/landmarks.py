"""What an announcement looks like: the course of its bands, its harmonics, and landmarks to find it by.

All come from one spectrogram of 64 ms windows, a row for each frame of 20 ms. A landmark is a second of that
course, told by 96 signs: those of its slow changes in time and over frequency (the low orders of its cosine
transform). They survive speech codecs and noise, shift little when the stretch does, and neither loudness nor
a line's equalisation touches them. Landmarks propose which sample it may be and where in it, among thousands;
the course and the harmonics, laid over the sample's, decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.types import FRAME_SAMPLES, SAMPLE_RATE

SIZE = 512
BLOCK = 10
"""Frames that are worked through at a time: 200 ms."""
FIRST, LAST = 16, 216
"""FFT bins looked at: 250 to 3375 Hz."""
BANDS = 32
FINE = 64
"""Bins of a voice's own fine structure, from 250 to 1250 Hz: its harmonics, by which one voice differs from
another that says the same. Above, noise and codecs leave less of them."""
FINE_DB = 10.0
"""No more above or below those around it."""
_AROUND = 6
"""Bins on either side that the fine structure is taken against."""
FLOOR_DB = 30.0
"""What is weaker is silence."""
WINDOW = 48
"""Frames that a landmark tells: 0.96 s."""
HOP = 3
"""Frames from one of a sample's landmarks to the next."""
DEEP_DB = 30.0
"""What is so far below a landmark's loudest is as good as silent: noise changes it."""
TIMES, SHAPES = 12, 8
"""Orders of a landmark's cosine transform, in time (from 0.5 to 6.3 Hz) and over frequency."""
SIGNS = TIMES * SHAPES
TABLES = 4
KEY_BITS = 16
"""A landmark is looked up by four of its parts, each of 16 signs."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

_HANN = np.hanning(SIZE + 1)[:-1].astype(np.float32)


def _band_matrix() -> Floats:
    """Triangles of equal width on a mel-like axis from 250 to 3375 Hz."""
    hz = np.arange(FIRST, LAST) * SAMPLE_RATE / SIZE
    mel = np.log1p(hz / 700)
    edges = np.linspace(mel[0], mel[-1], BANDS + 2)
    rows = [
        np.clip(np.minimum((mel - a) / (b - a), (c - mel) / (c - b)), 0, None)
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return np.ascontiguousarray(np.array(rows, np.float32).T)


def _cosines(count: int, orders: range) -> Floats:
    return np.array([np.cos(np.pi * (np.arange(count) + 0.5) * k / count) for k in orders], np.float32)


def _order() -> Ints:
    """Signs by how well they last: slow and broad ones first, dealt out to the tables in turn."""
    coarse = sorted(range(SIGNS), key=lambda i: i // SHAPES + 0.9 * (i % SHAPES))
    keyed = np.array(coarse[: TABLES * KEY_BITS]).reshape(KEY_BITS, TABLES).T.ravel()
    return np.concatenate((keyed, coarse[TABLES * KEY_BITS :]))


_BANDS = _band_matrix()
_IN_TIME = _cosines(WINDOW, range(1, TIMES + 1))
_OVER_BANDS = np.ascontiguousarray(_cosines(BANDS, range(SHAPES)).T)
_ORDER = _order()
_USUAL = (1 / (1 + 0.7 * (_ORDER % SHAPES))).astype(np.float32)
"""How large each usually is, against the others."""
_FINE_TO = FIRST + FINE + _AROUND


def courses(windows: Floats) -> Floats:
    """The `SIGNS` values, in usual sizes, of windows of `WINDOW` frames of bands: a row each."""
    deep = windows.max(axis=(1, 2), keepdims=True) - np.float32(DEEP_DB)
    values = _IN_TIME @ np.maximum(windows, deep) @ _OVER_BANDS
    found: Floats = values.reshape(len(windows), SIGNS)[:, _ORDER] / _USUAL
    return found


def signs(values: Floats) -> Words:
    """Rows of `SIGNS` values as three words of bits each; the tables' keys are the first four half words."""
    bits = np.packbits(values > 0, axis=1, bitorder="little")
    words: Words = np.ascontiguousarray(bits).view("<u4")
    return words


@dataclass(slots=True)
class Block:
    """What a stretch of sound looks like, a row for each frame."""

    bands: Floats
    """`BANDS` values in dB."""
    fine: Floats
    """`FINE` values in dB: how much each bin is above those around it."""


class Spectrogram:
    """Gives a `Block` for every `BLOCK` frames, or for a whole sample."""

    def __init__(self) -> None:
        self._samples: Floats = np.zeros(SIZE - FRAME_SAMPLES + BLOCK * FRAME_SAMPLES, np.float32)
        self._windows = windows_of(self._samples)
        self._waiting = 0
        self.frames = 0

    def feed(self, frame: Floats) -> Block | None:
        """160 samples of int16's scale."""
        at = SIZE + (self._waiting - 1) * FRAME_SAMPLES
        self._samples[at : at + FRAME_SAMPLES] = frame
        self._waiting += 1
        self.frames += 1
        if self._waiting < BLOCK:
            return None
        self._waiting = 0
        block = look(self._windows)
        self._samples[: SIZE - FRAME_SAMPLES] = self._samples[FRAME_SAMPLES - SIZE :]
        return block


def windows_of(samples: Floats) -> Floats:
    """Every whole window of `samples`, 20 ms after one another: a view, a row each."""
    return np.lib.stride_tricks.sliding_window_view(samples, SIZE)[::FRAME_SAMPLES]


def look(windows: Floats) -> Block:
    """A row for each window."""
    spectrum = np.fft.rfft(windows * _HANN, axis=1)[:, FIRST:LAST]
    power = spectrum.real**2 + spectrum.imag**2
    bands = 10 * np.log10(power @ _BANDS + np.float32(10 ** (FLOOR_DB / 10)))
    db = 10 * np.log10(power[:, : _FINE_TO - FIRST] + np.float32(10 ** (FLOOR_DB / 10)))
    # The mean around each bin; below the lowest one there is no more.
    total = np.zeros((len(db), db.shape[1] + _AROUND + 1), np.float32)
    total[:, 1 : _AROUND + 1] = db[:, :1]
    total[:, _AROUND + 1 :] = db
    np.cumsum(total, axis=1, out=total)
    width = 2 * _AROUND + 1
    mean = (total[:, width:] - total[:, :-width]) / np.float32(width)
    fine: Floats = np.clip(db[:, :FINE] - mean, -FINE_DB, FINE_DB)
    return Block(bands, fine)
