"""A sample laid over what was heard: how well the course of its bands and its harmonics fit.

The line's noise is reckoned with: what it hides of the sample is taken to be noise. Then the places of the
two are matched to a small part of a frame, and that tells whether it is the same recording or the same words
said again: a line that plays faster sounds higher by as much, in its harmonics and in its formants, and keeps
every syllable's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.detect.landmarks import BANDS, FINE, FIRST, FLOOR_DB, LAST, SIZE, Floats
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
NOISE_DB = 2.0
STRONG_DB = 25.0
JOINED_SHARE = 0.45
"""Of the way from the weakest frames to the loud ones: what is above sounds."""
LOST_DB = FLOOR_DB + 6.0
"""What is weaker is no line's noise: lost packets."""
LOST_SHARE = 0.25
WORTH, LIKELY = 0.35, 0.55
"""Correlation at the first try, at which another shift or speed may help; and at the best of those."""
UNLIKE_DB = 15.0
"""No band is counted as further away."""
OUTSIDE_DB = 6.0
"""A frame that a sample has nothing for is so far away."""
SHIFTS = np.arange(-4, 5)
SPEEDS = np.array((0.98, 0.99, 1.0, 1.01, 1.02))
RATIOS = np.arange(-12, 13) * 0.0025 + 1
RECENT = 50
"""Frames: the last second must fit, too."""
TURNS, ENOUGH = 4, 0.06
"""Times that the places are made more exact; or until they move by less, in frames."""
PIECE = 20
"""Frames whose place is told by themselves."""
STEADY = 150.0
"""Variance of the pieces' places (in frames) below which they don't tell the speed well."""


class Heard:
    """What is looked back at: `bands` and `fine` from frame `first` on."""

    def __init__(self, bands: Floats, fine: Floats, first: int, noise: Floats | None = None) -> None:
        self.bands, self.fine, self.first = bands, fine, first
        if noise is None:
            weakest = len(bands) // 12
            noise = np.partition(bands, weakest, axis=0)[weakest] + np.float32(NOISE_DB)
        self.noise: Floats = noise
        """The line's noise: a little more than what each band is in its weakest frames."""
        loudest = bands.max(axis=1)
        self.audible = loudest > LOST_DB
        strong = bands > loudest.max() - STRONG_DB
        self.above_noise = float((bands - self.noise)[strong].mean())
        """How far its loudest parts are above it, in dB."""
        above = (bands - self.noise).mean(axis=1)
        low, high = np.percentile(above, (10, 80))
        sounds = above > low + JOINED_SHARE * (high - low)
        self.sounds_from = int(sounds.argmax())
        """The first frame with more than noise: what was joined in the middle was not heard before."""


    def split(self, frames: int) -> tuple[Heard, Heard]:
        """What came before the last so many frames, and those."""
        at = len(self.bands) - frames
        before = Heard(self.bands[:at], self.fine[:at], self.first, self.noise)
        return before, Heard(self.bands[at:], self.fine[at:], self.first + at, self.noise)


@dataclass(frozen=True, slots=True)
class Laid:
    """How a sample fits. `score` and `recent` are correlations, over all that overlaps and over its last
    second; `seconds` of sound."""

    score: float
    recent: float
    seconds: float
    speed: float
    """How much faster than the sample the line plays."""
    wander: float
    """How far the pieces lie from where that speed puts them, in frames."""
    voice: float
    """How alike the harmonics are at that speed: 1 for all the same."""
    other_voice: float
    """And how much more at another pitch."""
    bend: float
    """Bands by which the formants lie elsewhere than that speed puts them."""
    begin_frame: int
    left: int
    """Frames until the sample ends."""
    away: Floats
    """For each frame heard how many dB the bands are away from the sample's, on average."""


def lay(print_: Print, offset: int, heard: Heard) -> Laid | None:
    """`offset` is of frames, from the sample's beginning to the stream's. None where they don't overlap
    enough or have nothing in common."""
    length = len(print_.bands)
    begin = max(heard.sounds_from, 3 - heard.first - offset)
    end = min(len(heard.bands), length - 4 - heard.first - offset)
    count = end - begin
    if count < LEAST:
        return None
    bands = heard.bands[begin:end]
    place = heard.first + begin + offset
    margin = 6 + round(0.015 * count)
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

    laid = np.maximum(sample + _gain(bands, nominal, weight, loudest, heard.noise), heard.noise)
    clear = np.clip((laid[margin : margin + count] - heard.noise) / 10, 0, 1)
    laid -= laid.mean(axis=1, keepdims=True)
    level = bands - bands.mean(axis=1, keepdims=True)
    at = np.arange(count, dtype=np.float32) + margin
    if _correlate(level, laid[None, margin : margin + count], weight)[0] < WORTH:
        return None
    middle = float(at.mean())
    found = _nearly(level, laid, at - middle, middle, weight)
    if found is None:
        return None
    speed, middle = found
    steep = np.zeros_like(laid)
    steep[:, 1:-1] = (laid[:, 2:] - laid[:, :-2]) / 2
    steep *= _HIGHER
    for turn in range(TURNS):
        higher = laid - steep * np.float32(np.log(speed))
        exact = _places(at, speed, middle)
        fitting = _between(higher, exact)
        more, faster, wander = _lag(level - fitting, higher, exact, weight)
        if turn == TURNS - 1 or abs(more) + abs(faster) * count / 2 < ENOUGH:
            break
        middle += min(max(more, -1.0), 1.0)
        speed += min(max(faster, -0.01), 0.01)
    score = float(_correlate(level, fitting[None], weight)[0])
    recent = score
    if weight[-RECENT:].sum() >= 15:
        recent = float(_correlate(level[-RECENT:], fitting[None, -RECENT:], weight[-RECENT:])[0])
    nearest = there[np.clip(np.rint(exact).astype(np.intp), 0, len(there) - 1)]
    voiced = (loud > loudest - VOICED_DB) & audible
    voice, other = _voice(
        heard.fine[begin:end], fine_of(print_, nearest), clear @ _TO_FINE * voiced[:, None], speed
    )
    away = np.full(len(heard.bands), OUTSIDE_DB, np.float32)
    away[~heard.audible] = 0
    away[begin:end] = np.minimum(np.abs(level - fitting), UNLIKE_DB).mean(axis=1) * audible
    return Laid(
        score, recent, total / 50, speed, wander, voice, other - voice,
        abs(_bend(level, fitting, weight)),
        heard.first + begin, length - int(nearest[-1]), away,
    )  # fmt: skip


def _gain(bands: Floats, nominal: Floats, weight: Floats, loudest: float, noise: Floats) -> Floats:
    """How much louder each band arrives than the sample has it, by what noise doesn't hide."""
    more = (bands - nominal) * weight[:, None]
    strong = (nominal > loudest - CLEAR_DB) & (weight[:, None] > 0)
    usual = float((more * strong).sum() / max(1, np.count_nonzero(strong)))
    told = strong & (nominal + np.float32(usual) > noise + np.float32(ABOVE_DB))
    count = told.sum(axis=0)
    mean = (more * told).sum(axis=0) / np.maximum(count, 1)
    gain = np.where(count >= 8, np.clip(mean, usual - EQUALISED_DB, usual + EQUALISED_DB), usual)
    return gain.astype(np.float32)


def _nearly(
    level: Floats, laid: Floats, from_middle: Floats, middle: float, weight: Floats
) -> tuple[float, float] | None:
    """The speed, and the place of the middle, that fit best among a few; None where none does. Neighbouring
    frames overlap by two thirds: every other one tells."""
    some, weight = level[::2], weight[::2]
    grid = middle + from_middle[::2] + SHIFTS[:, None]
    scores = _correlate(some, laid[np.rint(grid).astype(np.intp)], weight)
    shift = int(scores.argmax())
    near = SHIFTS[max(0, shift - 1) : shift + 2]
    grid = middle + from_middle[::2] * SPEEDS[:, None, None] + near[None, :, None]
    scores = _correlate(some, laid[np.rint(grid).astype(np.intp)].reshape(-1, len(some), BANDS), weight)
    best = int(scores.argmax())
    if scores[best] < LIKELY:
        return None
    return float(SPEEDS[best // len(near)]), middle + float(near[best % len(near)])


def _places(at: Floats, speed: float, middle: float) -> Floats:
    """Where the sample's rows are that belong to those heard."""
    places: Floats = middle + (at - at.mean()) * np.float32(speed)
    return places


def _between(rows: Floats, at: Floats) -> Floats:
    low = np.clip(np.floor(at).astype(np.intp), 0, len(rows) - 2)
    first = rows[low]
    mixed: Floats = first + (rows[low + 1] - first) * (at - low).astype(np.float32)[:, None]
    return mixed


def _lag(rest: Floats, laid: Floats, exact: Floats, weight: Floats) -> tuple[float, float, float]:
    """By how many frames the sample should be moved, how much faster it should be played, and how far its
    pieces lie from there. A piece's place is where the `rest`, what is heard without what is laid at the
    places `exact`, is least, by the course's steepness."""
    rest = _centred(rest, weight)
    slope = (_between(laid, exact + 1) - _between(laid, exact - 1)) * (weight[:, None] / 2)
    edges = np.arange(0, len(rest), PIECE)
    steep = np.add.reduceat(np.einsum("tb,tb->t", slope, slope), edges) + 1e-3
    lags = np.add.reduceat(np.einsum("tb,tb->t", rest, slope), edges) / steep
    share = steep / steep.sum()
    where = np.minimum(edges + PIECE / 2, len(rest) - 1) - len(rest) / 2
    mean, centre = float(share @ lags), float(share @ where)
    where = where - centre
    faster = float(share @ (where * (lags - mean))) / max(float(share @ where**2), STEADY)
    left = lags - mean - faster * where
    return mean - faster * centre, faster, float(share @ left**2) ** 0.5


def _centred(rows: Floats, weight: Floats) -> Floats:
    """Each band's mean taken away, and what has no weight."""
    centred: Floats = (rows - (weight / weight.sum()) @ rows) * weight[:, None]
    return centred


def _bend(level: Floats, fitting: Floats, weight: Floats) -> float:
    """Bands by which the course heard seems to lie higher than the sample's."""
    rest = _centred(level - fitting, weight)
    slope = (fitting[:, 2:] - fitting[:, :-2]) * (weight[:, None] / 2)
    return -float((rest[:, 1:-1] * slope).sum() / ((slope * slope).sum() + 1e-3))


def _voice(heard: Floats, sample: Floats, weight: Floats, speed: float) -> tuple[float, float]:
    """How alike the harmonics are when they are as much higher as the line is faster; and at best."""
    weighed = heard * weight
    by_bins = weighed.T @ sample  # a row for each bin heard, a column for each of the sample's
    norm = float((weighed * heard).sum()) * float((weight * sample * sample).sum())
    sums = (by_bins[_BINS, _LOWER] * (1 - _PART) + by_bins[_BINS, _LOWER + 1] * _PART).sum(axis=1)
    sums /= norm**0.5 + 1e-6
    return float(sums[np.abs(RATIOS - speed).argmin()]), float(sums.max())


_BINS = np.arange(FINE)
_WHERE = np.clip((FIRST + _BINS) / RATIOS[:, None] - FIRST, 0, FINE - 1.001)
_LOWER = np.floor(_WHERE).astype(np.intp)
_PART = (_WHERE - _LOWER).astype(np.float32)
"""Where a sample has what is heard in a bin, at each of the ratios."""


def _higher() -> Floats:
    """Bands by which a course lies higher for a ratio of e: they lie closer the higher they are."""
    low, high = (np.log1p(at * SAMPLE_RATE / SIZE / 700) for at in (FIRST, LAST - 1))
    hz = 700 * np.expm1(low + (high - low) * (np.arange(BANDS) + 1) / (BANDS + 1))
    bands: Floats = ((BANDS + 1) / (high - low) * hz / (hz + 700)).astype(np.float32)
    return bands


_HIGHER = _higher()


def _to_fine() -> Floats:
    """From bands to the bins of the fine structure that lie in them."""
    mel = np.log1p(np.arange(FIRST, LAST) * SAMPLE_RATE / SIZE / 700)
    band = np.clip(np.rint((mel - mel[0]) / (mel[-1] - mel[0]) * (BANDS + 1) - 1), 0, BANDS - 1)
    inside: Floats = (band[None, :FINE] == np.arange(BANDS)[:, None]).astype(np.float32)
    return inside


_TO_FINE = _to_fine()


def _correlate(heard: Floats, laid: Floats, weight: Floats) -> Floats:
    """Correlation of the bands' courses, each band's mean taken away. `laid` holds several rows of frames."""
    share = weight / weight.sum()
    a = (heard - share @ heard) * weight[:, None]
    b = laid - (share @ laid)[:, None]
    top = np.einsum("tb,stb->s", a, b)
    norm = np.einsum("tb,tb->", a, a) * (np.einsum("stb,stb->st", b, b) @ weight)
    scores: Floats = top / np.sqrt(norm + 1e-6)
    return scores
