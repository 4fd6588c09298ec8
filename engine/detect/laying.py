"""A sample laid over what was heard: how well the course of its bands and its harmonics fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.detect.landmarks import BANDS, FINE, FIRST, FLOOR_DB, SIZE, Floats
from engine.detect.prints import Print, bands_of, fine_of
from engine.detect.types import SAMPLE_RATE

LEAST = 40
"""Frames of sound that must lie over each other: 0.8 s."""
QUIET_DB = 56.0
"""Frames of a sample so far below its loudest say nothing."""
VOICED_DB = 28.0
"""Nor of a voice those so far below."""
CLEAR_DB = 30.0
"""Bands of a sample so far below its loudest don't tell how loud the line is."""
ABOVE_DB = 3.0
"""Of what noise doesn't hide."""
EQUALISED_DB = 12.0
"""So much the line changes one band against the others."""
LOST_DB = FLOOR_DB + 6.0
"""What is weaker is no line's noise: lost packets."""
LOST_SHARE = 0.25
WORTH = 0.35
"""Correlation at the first try, at which another shift or speed may help."""
UNLIKE_DB = 15.0
"""No band is counted as further away."""
OUTSIDE_DB = 6.0
"""A frame that a sample has nothing for is so far away."""
SHIFTS = np.arange(-4, 5)
SPEEDS = (0.98, 0.99, 1.0, 1.01, 1.02)
RATIOS = np.arange(-12, 13) * 0.0025 + 1
RECENT = 50
"""Frames: the last second must fit, too."""


class Heard:
    """What is looked back at: `bands` and `fine` from frame `first` on."""

    def __init__(self, bands: Floats, fine: Floats, first: int) -> None:
        self.bands, self.fine, self.first = bands, fine, first
        self.noise: Floats = np.partition(bands, len(bands) // 12, axis=0)[len(bands) // 12]
        """What each band does not fall below for long: the line's noise."""
        self.audible = bands.max(axis=1) > LOST_DB


@dataclass(frozen=True, slots=True)
class Laid:
    """How a sample fits. `score` and `recent` are correlations, over all that overlaps and over its last
    second; `seconds` of sound."""

    score: float
    recent: float
    seconds: float
    voice: float
    """How alike the harmonics are: 1 for all the same."""
    speed: float
    """By which every frequency heard is higher than the sample's."""
    drift: float
    """How much better the score is at another speed: a line that plays faster sounds higher by as much."""
    begin_frame: int
    left: int
    """Frames until the sample ends."""
    away: Floats
    """For each frame heard how many dB the bands are away from the sample's, on average."""


def lay(print_: Print, offset: int, heard: Heard) -> Laid | None:
    """`offset` is of frames, from the sample's beginning to the stream's. None where they don't overlap enough
    or have nothing in common."""
    length = len(print_.bands)
    begin = max(0, 3 - heard.first - offset)
    end = min(len(heard.bands), length - 4 - heard.first - offset)
    count = end - begin
    if count < LEAST:
        return None
    bands = heard.bands[begin:end]
    place = heard.first + begin + offset
    margin = 6 + round(0.012 * count)
    there = np.clip(np.arange(place - margin, place + count + margin), 0, length - 1)
    sample = bands_of(print_, there)
    nominal = sample[margin : margin + count]
    loud = nominal.max(axis=1)
    loudest = float(print_.bands.max()) / 2 + FLOOR_DB
    sounds = loud > loudest - QUIET_DB
    audible = heard.audible[begin:end]
    weight = (sounds & audible).astype(np.float32)
    total = float(weight.sum())
    if total < LEAST or total < (1 - LOST_SHARE) * np.count_nonzero(sounds):
        return None

    gain = _gain(bands, nominal, weight, loudest, heard.noise)
    laid = np.maximum(sample + gain, heard.noise)
    clear = np.clip((laid[margin : margin + count] - heard.noise) / 10, 0, 1)
    laid -= laid.mean(axis=1, keepdims=True)
    level = bands - bands.mean(axis=1, keepdims=True)
    at = np.arange(count) + margin
    if _correlate(level, laid[None, at], weight)[0] < WORTH:
        return None

    voiced = (loud > loudest - VOICED_DB) & audible
    voice, speed = _voice(
        heard.fine[begin:end], fine_of(print_, there[at]), clear @ _TO_FINE * voiced[:, None]
    )
    within = min(max(speed, 0.975), 1.025)
    middle = float(at.mean())
    away_from = at - middle
    # Neighbouring frames overlap by two thirds: every other one tells which shift and speed fit.
    some, some_weight = level[::2], weight[::2]
    grid = middle + away_from[::2] * within + SHIFTS[:, None]
    scores = _correlate(some, laid[np.rint(grid).astype(np.intp)], some_weight)
    shift = int(scores.argmax())
    near = SHIFTS[max(0, shift - 1) : shift + 2]
    grid = middle + away_from[::2] * _OTHERS + near[None, :, None]
    others = _correlate(some, laid[np.rint(grid).astype(np.intp)].reshape(-1, len(some), BANDS), some_weight)
    best = np.rint(middle + away_from * within + SHIFTS[shift]).astype(np.intp)
    fitting = laid[best]
    score = float(_correlate(level, fitting[None], weight)[0])
    recent = weight.copy()
    recent[:-RECENT] = 0
    enough = recent.sum() >= 15
    last = float(_correlate(level[-RECENT:], fitting[None, -RECENT:], recent[-RECENT:])[0]) if enough else score
    away = np.full(len(heard.bands), OUTSIDE_DB, np.float32)
    away[~heard.audible] = 0
    away[begin:end] = np.minimum(np.abs(level - fitting), UNLIKE_DB).mean(axis=1) * audible
    return Laid(
        score, last, total / 50, voice, speed, float(others.max() - scores[shift]),
        heard.first + begin, length - int(there[best[-1]]), away,
    )  # fmt: skip


_OTHERS = np.array(SPEEDS)[:, None, None]


def _gain(bands: Floats, nominal: Floats, weight: Floats, loudest: float, noise: Floats) -> Floats:
    """How much louder each band arrives than the sample has it, by what noise doesn't hide."""
    more = (bands - nominal) * weight[:, None]
    strong = (nominal > loudest - CLEAR_DB) & (weight[:, None] > 0)
    usual = float((more * strong).sum() / max(1, np.count_nonzero(strong)))
    told = strong & (nominal + np.float32(usual) > noise + np.float32(ABOVE_DB))
    count = told.sum(axis=0)
    mean = (more * told).sum(axis=0) / np.maximum(count, 1)
    gain: Floats = np.where(count >= 8, np.clip(mean, usual - EQUALISED_DB, usual + EQUALISED_DB), usual)
    return gain.astype(np.float32)


def _voice(heard: Floats, sample: Floats, weight: Floats) -> tuple[float, float]:
    """How alike the harmonics are, and the ratio of frequencies at which they are most so."""
    weighed = heard * weight
    by_bins = weighed.T @ sample  # a row for each bin heard, a column for each of the sample's
    norm = float((weighed * heard).sum()) * float((weight * sample * sample).sum())
    sums = (by_bins[_BINS, _LOWER] * (1 - _PART) + by_bins[_BINS, _LOWER + 1] * _PART).sum(axis=1)
    best = int(sums.argmax())
    return float(sums[best]) / (norm**0.5 + 1e-6), float(RATIOS[best])


_BINS = np.arange(FINE)
_WHERE = np.clip((FIRST + _BINS) / RATIOS[:, None] - FIRST, 0, FINE - 1.001)
_LOWER = np.floor(_WHERE).astype(np.intp)
_PART = (_WHERE - _LOWER).astype(np.float32)
"""Where a sample has what is heard in a bin, at each of the ratios."""


def _to_fine() -> Floats:
    """From bands to the bins of the fine structure that lie in them."""
    mel = np.log1p(np.arange(FIRST, FIRST + FINE) * SAMPLE_RATE / SIZE / 700)
    low, high = (np.log1p(b * SAMPLE_RATE / SIZE / 700) for b in (FIRST, 215))
    band = np.clip(np.rint((mel - low) / (high - low) * (BANDS + 1) - 1), 0, BANDS - 1)
    return (band[None, :] == np.arange(BANDS)[:, None]).astype(np.float32)


_TO_FINE = _to_fine()


def _correlate(heard: Floats, laid: Floats, weight: Floats) -> Floats:
    """Correlation of the bands' courses, each band's mean taken away. `laid` holds several rows of frames."""
    share = weight / weight.sum()
    a = heard - share @ heard
    a *= weight[:, None]
    b = laid - (share @ laid)[:, None]
    top = np.einsum("tb,stb->s", a, b)
    norm = np.einsum("tb,tb->", a, a) * np.einsum("stb,stb,t->s", b, b, weight)
    scores: Floats = top / np.sqrt(norm + 1e-6)
    return scores

