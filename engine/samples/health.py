"""Which samples of a library can't be told from one another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.detect.categories import CATEGORIES
from engine.detect.landmarks import HOP, TABLES, WINDOW, Ints
from engine.detect.prints import Library, Sample, bands_of
from engine.samples.entry import ACCURACIES

COVERED = 0.7
"""Of the longer one's landmarks the other must have."""
HITS = 2
"""Landmarks that must meet at one place before two samples are compared."""
_PLACES = 1 << 14


class Twins(NamedTuple):
    """Numbers of two samples that are the same recording, or as good as that: the better one first."""

    better: int
    worse: int


def twins(library: Library) -> list[Twins]:
    """Every pair of a library, at the cost of sorting its landmarks."""
    found: dict[tuple[int, int], Twins] = {}
    for one, other, shift in _meetings(library):
        if (one, other) not in found and _same(library, one, other, shift):
            better = max(one, other, key=lambda number: _worth(library, number))
            found[one, other] = Twins(better, one + other - better)
    return sorted(found.values())


def twins_of(library: Library, number: int) -> list[Twins]:
    """Those of one sample."""
    return [pair for pair in twins(library) if number in pair]


def clashes(library: Library) -> list[str]:
    """A sentence for each pair that means something else."""
    pairs = [(library.samples[a], library.samples[b]) for a, b in twins(library)]
    return [clash(a, b) for a, b in pairs if a.category != b.category]


def clash(better: Sample, worse: Sample) -> str:
    """What to do about two samples that are the same recording, but mean something else."""
    one, other = (f"{sample.uniqueid!r} ({meaning(sample)})" for sample in (better, worse))
    return (
        f"the samples {one} and {other} are the same recording but mean something else; keep the right one, "
        f"else {better.uniqueid!r}, the better recording: `offhook samples remove ID` deletes one"
    )


def meaning(sample: Sample) -> str:
    category = CATEGORIES.get(sample.category)
    return f"{category.id} {category.alias}" if category else "no category"


def _worth(library: Library, number: int) -> tuple[int, int, float, int]:
    """By accuracy, then length, then how far it is above its own noise."""
    bands = bands_of(library.prints[number], slice(None))
    level = bands.mean(axis=1)
    above = float(np.percentile(level, 90) - np.percentile(level, 10))
    return ACCURACIES.index(library.samples[number].accuracy), len(bands), above, -number


def _meetings(library: Library) -> list[tuple[int, int, int]]:
    """Pairs of samples with landmarks that share a part, and how many landmarks later the second has them:
    neighbours once they are sorted."""
    codes: list[Ints] = []
    for table in range(TABLES):
        order = library.sorted_by(table)
        numbers = library.numbers(order)
        places = (library.ends(order, numbers) - WINDOW) // HOP
        for step in (1, 2):
            one, other = numbers[:-step], numbers[step:]
            shift = places[step:] - places[:-step]
            swap = one > other
            first, second = np.where(swap, other, one), np.where(swap, one, other)
            code = (first * len(library) + second) * _PLACES + np.where(swap, -shift, shift) + _PLACES // 2
            codes.append(code[one != other])
    found, count = np.unique(np.concatenate(codes), return_counts=True)
    found = found[count >= HITS]
    pairs, shifts = found // _PLACES, found % _PLACES - _PLACES // 2
    first, second = divmod(pairs, max(1, len(library)))
    return list(zip(first.tolist(), second.tolist(), shifts.tolist(), strict=True))


def _same(library: Library, one: int, other: int, shift: int) -> bool:
    counts = [len(library.prints[number].landmarks) for number in (one, other)]
    begin = max(0, -shift)
    common = min(counts[0] - begin, counts[1] - begin - shift)
    if common < COVERED * max(counts):
        return False
    frame = begin * HOP + WINDOW
    return library.same_from(one, frame, other, frame + shift * HOP)
