"""Known announcements, ready to be looked up: landmarks by their parts, and each sample's course."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.landmarks import (
    FINE_DB,
    FLOOR_DB,
    HOP,
    KEY_BITS,
    SIZE,
    TABLES,
    WINDOW,
    Block,
    Floats,
    Ints,
    Words,
    courses,
    look,
    signs,
    windows_of,
)  # fmt: skip
from engine.detect.types import FRAME_SAMPLES

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sample:
    """A known announcement, in mod_da2's words. `category` is one of 2 to 20, 0 for none; `accuracy` LOOSE,
    INACCURACY or ACCURACY, of which only the last one's matches act."""

    uniqueid: str
    name: str = ""
    alias: str = ""
    brief: str = ""
    detail: str = ""
    language: str = ""
    source: str = ""
    number: str = ""
    category: int = 0
    accuracy: str = "ACCURACY"


@dataclass(frozen=True, slots=True)
class Print:
    """A sample's fingerprint. It can be a part of a file that is mapped into memory."""

    landmarks: Words
    """Three words of signs for each window of `WINDOW` frames, every `HOP` frames from the first."""
    bands: Bytes
    """For each frame the bands in half decibels above `FLOOR_DB`."""
    fine: Bytes
    """For each frame the fine structure, two bins a byte, in 16 steps from `-FINE_DB` to `FINE_DB`."""


MAX_SECONDS = 60
"""So much of a sample is looked at."""
_AFTER = 12
"""Frames of the silence after a sample that its last landmarks tell, too."""
_FINE_STEP = 2 * FINE_DB / 15
KEY = 1 << KEY_BITS
SAME_SIGNS = 34
SAME_RUN = 8
"""Two samples say the same when no more of the signs differ on average, in any so many windows: 0.5 s."""
_CHUNK = 500
"""Windows worked through at a time."""


def fingerprint(pcm: npt.NDArray[np.int16]) -> Print:
    """Of a sample's audio at 8 kHz."""
    sound = pcm[: MAX_SECONDS * 8000].astype(np.float32)
    after = -len(sound) % FRAME_SAMPLES + 2 * FRAME_SAMPLES
    padded = np.concatenate((np.zeros(SIZE - FRAME_SAMPLES), sound, np.zeros(after))).astype(np.float32)
    return from_block(look(windows_of(padded)))


def from_block(block: Block) -> Print:
    """Of all of a sample's frames."""
    bands = block.bands
    after = max(_AFTER, WINDOW - len(bands))
    bands = np.concatenate((bands, np.full((after, bands.shape[1]), FLOOR_DB, np.float32)))
    windows = np.lib.stride_tricks.sliding_window_view(bands, WINDOW, axis=0)[::HOP].transpose(0, 2, 1)
    parts = [signs(courses(windows[at : at + _CHUNK])) for at in range(0, len(windows), _CHUNK)]
    steps = np.rint((block.fine + FINE_DB) / _FINE_STEP).astype(np.uint8)
    return Print(
        np.concatenate(parts),
        np.clip(np.rint((block.bands - FLOOR_DB) * 2), 0, 255).astype(np.uint8),
        steps[:, ::2] | steps[:, 1::2] << 4,
    )


def bands_of(print_: Print, frames: slice | Ints) -> Floats:
    """In dB."""
    found: Floats = print_.bands[frames].astype(np.float32) * np.float32(0.5) + np.float32(FLOOR_DB)
    return found


def fine_of(print_: Print, frames: slice | Ints) -> Floats:
    """In dB."""
    packed = print_.fine[frames]
    steps = np.empty((len(packed), 2 * packed.shape[1]), np.float32)
    steps[:, ::2] = packed & 15
    steps[:, 1::2] = packed >> 4
    steps *= np.float32(_FINE_STEP)
    steps -= np.float32(FINE_DB)
    return steps


def has_course(print_: Print) -> bool:
    """Whether there is anything to recognise: noise, silence and steady tones stay as they are."""
    bands = bands_of(print_, slice(None))
    total = np.cumsum(bands, axis=0)
    smooth = (total[_STEADY:] - total[:-_STEADY]) / _STEADY
    return len(smooth) > _STEADY and float(smooth.std(axis=0).mean()) >= _COURSE_DB


_STEADY = 9
_COURSE_DB = 2.5
"""Speech smoothed over so many frames differs by 5 dB and more, white noise by 1.5."""


class Library:
    """Looked up by many streams at once; never changed. Make another to add or remove."""

    def __init__(self, samples: Iterable[tuple[Sample, Print]] = ()) -> None:
        taken = list(samples)
        self.samples: list[Sample] = [sample for sample, _ in taken]
        self.prints: list[Print] = [print_ for _, print_ in taken]
        counts = [len(p.landmarks) for p in self.prints]
        self._firsts = np.cumsum([0, *counts])
        words = [p.landmarks for p in self.prints]
        whole: Words = np.concatenate(words) if words else np.zeros((0, 3), np.uint32)
        # The signs that are looked up by lie together: few windows need the others.
        self._keyed = np.ascontiguousarray(whole[:, :2]).view(np.uint64).ravel()
        self._others = np.ascontiguousarray(whole[:, 2])
        keys = self._keyed.view(np.uint16).reshape(-1, TABLES)
        self._order = np.empty((TABLES, len(keys)), np.uint32)
        self._starts = np.empty((TABLES, KEY + 1), np.uint32)
        for table in range(TABLES):
            column = keys[:, table]
            self._order[table] = np.argsort(column, kind="stable")
            self._starts[table] = np.concatenate(([0], np.cumsum(np.bincount(column, minlength=KEY))))

    def __len__(self) -> int:
        return len(self.samples)

    def near(self, keys: Ints, most: int) -> Ints:
        """Windows that share a part with one heard: `keys` has a row of keys for each table, the likeliest
        first. Those with a rare key come first, and no more than about `most` are given."""
        tables = np.arange(TABLES)[:, None]
        begin = self._starts[tables, keys].astype(np.int64)
        counts = (self._starts[tables, keys + 1] - begin).ravel()
        some = np.flatnonzero(counts)
        counts = counts[some]
        if counts.sum() > most:
            rare = np.argsort(counts, kind="stable")
            rare = rare[: int(np.searchsorted(np.cumsum(counts[rare]), most)) + 1]
            some, counts = some[rare], counts[rare]
        ends = np.cumsum(counts)
        if not len(ends):
            return np.zeros(0, np.int64)
        first = begin.ravel()[some] + (some // keys.shape[1]) * len(self._keyed)
        places = np.repeat(first - (ends - counts), counts) + np.arange(ends[-1])
        found: Ints = self._order.ravel()[places].astype(np.int64)
        return found

    def close(self, windows: Ints, heard: Words, most: int) -> tuple[Ints, Ints]:
        """Those of the windows of which no more than `most` signs differ, and how many do."""
        keyed, other = heard[0, :2].view(np.uint64)[0], heard[0, 2]
        differ = np.bitwise_count(self._keyed[windows] ^ keyed)
        few = differ <= most
        windows = windows[few]
        differ = differ[few] + np.bitwise_count(self._others[windows] ^ other)
        few = differ <= most
        return windows[few], differ[few].astype(np.int64)

    def earlier(self, windows: Ints, numbers: Ints, back: int, heard: Words) -> tuple[Ints, Ints]:
        """Whether each window's sample has one so many before it; and if so, of how many signs that one
        differs."""
        before = windows - back
        fits = before >= self._firsts[numbers]
        before = np.where(fits, before, 0)
        differ = np.bitwise_count(self._keyed[before] ^ heard[0, :2].view(np.uint64)[0])
        differ += np.bitwise_count(self._others[before] ^ heard[0, 2])
        return fits.astype(np.int64), np.where(fits, differ, 0).astype(np.int64)

    def same_from(self, number: int, frame: int, other: int, its_frame: int) -> bool:
        """Whether two samples say the same from a frame of each on, to the end of one of them."""
        back = min(frame, its_frame, WINDOW)
        first, its_first = (max(0, -(-(f - back) // HOP)) for f in (frame, its_frame))
        begin, its_begin = self._firsts[number] + first, self._firsts[other] + its_first
        count = min(self._firsts[number + 1] - begin, self._firsts[other + 1] - its_begin)
        if count <= 0:
            return True
        ours, its = slice(begin, begin + count), slice(its_begin, its_begin + count)
        differ = np.bitwise_count(self._keyed[ours] ^ self._keyed[its])
        differ += np.bitwise_count(self._others[ours] ^ self._others[its])
        total = np.cumsum(np.concatenate(([0], differ)))
        run = min(SAME_RUN, count)
        return bool((total[run:] - total[:-run]).max() <= SAME_SIGNS * run)

    def sorted_by(self, table: int) -> Ints:
        """All windows: those that share a part lie together, and of those the likest."""
        bits = np.uint64(table * KEY_BITS)
        turned = (self._keyed >> bits) | (self._keyed << ((np.uint64(64) - bits) % np.uint64(64)))
        # The part comes first, that is highest.
        found: Ints = np.argsort((turned << np.uint64(48)) | (turned >> np.uint64(16)), kind="stable")
        return found

    def numbers(self, windows: Ints) -> Ints:
        """Of which sample they are."""
        found: Ints = np.searchsorted(self._firsts, windows, "right") - 1
        return found

    def ends(self, windows: Ints, numbers: Ints) -> Ints:
        """The frame of its sample that each ends before."""
        found: Ints = WINDOW + HOP * (windows - self._firsts[numbers])
        return found
