"""Which samples the last second may be of: found among thousands by their landmarks, at a bounded cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.detect.landmarks import (
    BLOCK,
    FLOOR_DB,
    HOP,
    KEY_BITS,
    TABLES,
    WINDOW,
    Floats,
    Ints,
    Words,
    courses,
    signs,
)  # fmt: skip
from engine.detect.prints import Library

DOUBTFUL = 5
"""Signs of a key that may as well be the other way: those of the smallest values."""
MOST = 800
"""Windows of the library that are compared in a block."""
MOST_DIFFER = 30
ONE_DIFFERS, SOME_DIFFER = 24.0, 26.0
"""Of the 96 signs so many may differ: in one second heard, and on average in three that overlap by half."""
BACK = (2, 4)
"""Blocks before the last one, whose landmarks must fit as well."""
TAKEN = 3
"""Candidates in a block."""
AUDIBLE_DB = FLOOR_DB + 12.0

_FLIPS = np.array([[(n >> k) & 1 for k in range(DOUBTFUL)] for n in range(1 << DOUBTFUL)], np.int64)


class Candidate(NamedTuple):
    """A sample's number, frames from its beginning to the stream's, and how many signs differ."""

    number: int
    offset: int
    differ: float


class Candidates:
    """Asked after every block."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._before: list[Words | None] = []

    def look(self, bands: Floats, now: int) -> list[Candidate]:
        """The likeliest samples for the last frames of `bands`, of which there have been `now`."""
        heard: Words | None = None
        found: list[Candidate] = []
        if len(bands) >= WINDOW and bands[-WINDOW:].max() > AUDIBLE_DB:
            values = courses(bands[None, -WINDOW:])
            heard = signs(values)
            found = self._find(values[0], heard, now)
        self._before.insert(0, heard)
        del self._before[max(BACK) :]
        return found

    def _find(self, values: Floats, heard: Words, now: int) -> list[Candidate]:
        library = self._library
        near = library.near(_keys(values, heard), MOST)
        windows, differ = library.close(near, heard, MOST_DIFFER)
        if not len(windows):
            return []
        windows, first = np.unique(windows, return_index=True)
        differ = differ[first]
        numbers = library.numbers(windows)
        total, count = differ.astype(np.float64), np.ones(len(windows))
        for back in BACK:
            if back > len(self._before) or (words := self._before[back - 1]) is None:
                break
            fits, differed = library.earlier(windows, numbers, round(back * BLOCK / HOP), words)
            total += differed
            count += fits
        mean = total / count
        good = np.flatnonzero(mean <= np.where(count > 1, SOME_DIFFER, ONE_DIFFERS))
        good = good[np.argsort(mean[good], kind="stable")]
        offsets = library.ends(windows, numbers) - now
        seen: dict[int, Candidate] = {}
        for i in good.tolist():
            seen.setdefault(int(numbers[i]), Candidate(int(numbers[i]), int(offsets[i]), float(mean[i])))
            if len(seen) == TAKEN:
                break
        return list(seen.values())



def _keys(values: Floats, heard: Words) -> Ints:
    """For each table the key heard, and those with its doubtful signs the other way."""
    parts = np.abs(values[: TABLES * KEY_BITS].reshape(TABLES, KEY_BITS))
    doubtful = np.argpartition(parts, DOUBTFUL, axis=1)[:, :DOUBTFUL]
    flips = (1 << doubtful) @ _FLIPS.T
    keys: Ints = heard.view(np.uint16)[0, :TABLES].astype(np.int64)[:, None] ^ flips
    return keys
