"""What an announcement looks like: its spectral peaks in pairs (landmarks), and the course of its bands.

Pairs propose which sample it may be and where in it, cheaply and among thousands; the bands, laid over the
sample's,
decide. Both come from one spectrogram of 64 ms windows, a column for each frame of 20 ms.
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
BINS = LAST - FIRST
NEAR_BINS, NEAR_FRAMES = 7, 7
"""A peak is higher than everything this near, so that speed and place of the grid choose the same ones."""
PEAK_DB = 4.0
"""And so far above the mean around it."""
BANDS = 32
FINE = 40
"""Bins of a voice's own fine structure, from 250 to 875 Hz: its harmonics, by which one voice differs from
another that says the same. Above, noise and codecs leave less of them."""
_AROUND = 6
"""Bins on either side that the fine structure is taken against."""
FAN_OUT = 7
MIN_DT, MAX_DT = 2, 31
MAX_DF = 31
_ANCHORS = 128
_QUANTUM = 2
"""FFT bins in a step of a landmark's frequencies: 31 Hz."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_WINDOW = np.hanning(SIZE + 1)[:-1].astype(np.float32)


def _band_matrix() -> Floats:
    """Triangles of equal width on a mel-like axis from 250 to 3375 Hz."""
    hz = np.arange(FIRST, LAST) * SAMPLE_RATE / SIZE
    mel = np.log1p(hz / 700)
    edges = np.linspace(mel[0], mel[-1], BANDS + 2)
    rows = [
        np.clip(np.minimum((mel - a) / (b - a), (c - mel) / (c - b)), 0, None)
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return np.array(rows, np.float32).T


_BANDS = _band_matrix()


@dataclass(slots=True)
class Block:
    """What a stretch of sound looks like. `at` is the frame that `bands` begins with."""

    at: int
    bands: Floats
    """A row of `BANDS` values in dB for each frame."""
    fine: Floats
    """A row of `FINE` values in dB for each frame: how much each bin is above those around it."""
    peak_frames: Ints
    peak_bins: Ints


def _fine(db: Floats) -> Floats:
    """How much the lowest `FINE` bins are above the mean around them, 10 dB at most."""
    width = 2 * _AROUND + 1
    padded = np.pad(db[:, : FINE + _AROUND], ((0, 0), (_AROUND + 1, 0)), mode="edge")
    total = np.cumsum(padded, axis=1)
    mean = (total[:, width:] - total[:, :-width]) / width
    fine: Floats = np.clip(db[:, :FINE] - mean, -10, 10)
    return fine


def _highest(x: Floats, reach: int, axis: int) -> Floats:
    """The greatest value within `reach` on either side, along an axis; the edges are repeated."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (reach, reach)
    y = np.pad(x, pad, mode="edge")
    width, have = 2 * reach + 1, 1
    length = x.shape[axis]

    def cut(a: Floats, start: int, count: int) -> Floats:
        return a[start : start + count] if axis == 0 else a[:, start : start + count]

    while have * 2 <= width:
        count = y.shape[axis] - have
        y = np.maximum(cut(y, 0, count), cut(y, have, count))
        have *= 2
    rest = width - have
    if rest:
        y = np.maximum(cut(y, 0, length), cut(y, rest, length))
    return cut(y, 0, length)


class Spectrogram:
    """Fed frames; gives a `Block` for every `BLOCK` of them, its peaks `NEAR_FRAMES` later."""

    def __init__(self) -> None:
        self._samples: Floats = np.zeros(SIZE - FRAME_SAMPLES, np.float32)
        self._waiting: list[Floats] = []
        self._columns: Floats = np.zeros((0, BINS), np.float32)
        self._first = 0  # frame of the first column kept
        self.frames = 0

    def feed(self, frame: Floats) -> Block | None:
        """160 samples of int16's scale."""
        self._waiting.append(frame)
        self.frames += 1
        if len(self._waiting) < BLOCK:
            return None
        return self._work()

    def finish(self) -> Block | None:
        """What is left, and the last peaks: for samples, which end."""
        missing = -len(self._waiting) % BLOCK
        self._waiting += [np.zeros(FRAME_SAMPLES, np.float32)] * missing
        return self._work() if self._waiting else None

    def _work(self) -> Block:
        samples = np.concatenate((self._samples, *self._waiting))
        count = len(self._waiting)
        self._waiting = []
        self._samples = samples[-(SIZE - FRAME_SAMPLES) :]
        windows = np.lib.stride_tricks.sliding_window_view(samples, SIZE)[::FRAME_SAMPLES]
        spectrum = np.fft.rfft(windows * _WINDOW, axis=1)[:, FIRST:LAST]
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        at = self._first + len(self._columns)
        bands = 10 * np.log10(power @ _BANDS + np.float32(1e3))
        db = 10 * np.log10(power + np.float32(1e3))
        columns = np.concatenate((self._columns, db))
        frames, bins = self._peaks(columns, count)
        keep = 2 * NEAR_FRAMES
        self._first += max(0, len(columns) - keep)
        self._columns = columns[-keep:]
        return Block(at, bands.astype(np.float32), _fine(db), frames, bins)

    def _peaks(self, columns: Floats, new: int) -> tuple[Ints, Ints]:
        """Frames and bins of the peaks that have become certain: `NEAR_FRAMES` have followed them."""
        begin = max(0, len(columns) - new - NEAR_FRAMES)
        end = len(columns) - NEAR_FRAMES
        if end <= begin:
            empty = np.zeros(0, np.int64)
            return empty, empty
        highest = _highest(_highest(columns, NEAR_BINS, 1), NEAR_FRAMES, 0)[begin:end]
        here = columns[begin:end]
        mean = columns.mean()
        floor = np.maximum(mean + PEAK_DB, 40.0)
        frames, bins = np.nonzero((here == highest) & (here > floor))
        return frames + begin + self._first, bins


def pairs(frames: Ints, bins: Ints, since: int) -> tuple[Ints, Ints]:
    """Hashes of the pairs whose second peak is of frame `since` or later, and the frames of the first
    ones."""
    order = np.lexsort((bins, frames))
    f, b = frames[order], bins[order] // _QUANTUM
    hashes, at = [], []
    for begin in range(0, len(f), _ANCHORS):
        end = min(len(f), begin + _ANCHORS)
        last = int(np.searchsorted(f, f[end - 1] + MAX_DT, "right"))
        first = begin if not since else max(begin, int(np.searchsorted(f, since)))
        dt = f[None, begin:last] - f[begin:end, None]
        df = b[None, begin:last] - b[begin:end, None]
        fits = (dt >= MIN_DT) & (dt <= MAX_DT) & (abs(df) <= MAX_DF)
        fits &= np.cumsum(fits, axis=1) <= FAN_OUT
        fits[:, : first - begin] = False
        i, j = np.nonzero(fits)
        hashes.append(pack(b[begin:end][i], df[i, j], dt[i, j]))
        at.append(f[begin:end][i])
    if not hashes:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(hashes), np.concatenate(at)


HASHES = 1 << 18


def pack(bin_step: Ints, df: Ints, dt: Ints) -> Ints:
    """Frequency, its change and the time between two peaks as one number below `HASHES`."""
    return (bin_step << 11) | ((df + 32) << 5) | dt


_PROBES = np.array(
    [
        (f << 11) + (d << 5) + t
        for f in (-1, 0, 1)
        for d in (-1, 0, 1)
        for t in (-1, 0, 1)
        if abs(f) + abs(d) + abs(t) <= 2
    ],
    np.int64,
)


def probes(hashes: Ints) -> Ints:
    """Each hash and its neighbours: a row each. Speed, noise and the frames' grid move peaks by a step."""
    near: Ints = np.clip(hashes[:, None] + _PROBES, 0, HASHES - 1)
    return near
