"""Which known announcement is playing, told while it plays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.detect.landmarks import BANDS, BLOCK, FINE, FIRST, Floats, Ints, Spectrogram, pairs
from engine.detect.prints import Library

KEPT = 225
"""Frames looked back at: 4.5 s."""
CANDIDATES = 5
VOTES = 24
"""Landmarks that must agree on a sample and a place in it before they are looked at."""
FRESH = 5
"""And so many of them in the block just heard: what got fewer is only looked at as another's rival."""
SHARE = 0.2
"""Of the likeliest's landmarks, that another must have."""
FEW, MANY = 30.0, 100.0
"""Landmarks a second: another voice that says the same has few of a sample's."""
LONG_S = 2.4
"""A match with less than many of them must be so long."""
REST = 250
"""Frames after a match in which no other is looked for, or fewer where the sample ends sooner."""
SAME_FRAMES = 75
"""A sample found at a place so near to that of its last match has gone on: 1.5 s."""
OTHER_VOICE = 0.3
"""A sample whose voice is so much less alike is another voice that says the same."""
CELLS = 1 << 18
WORTH = 0.22
"""Correlation at the first try, at which another shift or speed may help."""
LEAST = 40
"""Frames of sound that must lie over each other: 0.8 s."""
SPEEDS = np.array((1.0, 0.99, 1.01, 0.98, 1.02))
SHIFTS = np.arange(-3, 4)
VOICED_DB = 14.0
"""Frames of a sample so far below its loudest don't tell a voice."""
STRONG_DB = 3.0
"""A bin heard is a harmonic when it is so far above those around it."""
SOUND_DB = 28.0
"""Frames of a sample so far below its loudest say nothing."""


@dataclass(frozen=True, slots=True)
class Match:
    """A sample's number in the library. `score` is the correlation, `seconds` of sound that it is of."""

    number: int
    score: float
    seconds: float
    votes: int
    voice: float
    """How many of the harmonics heard are the sample's, those that are not taken off: 1 for all of them."""
    begin_frame: int
    offset: int
    """Frames from the sample's beginning to where the stream began."""
    left: int
    """Frames until the sample ends."""


_ONE = np.int16(1)
Place = tuple[int, int, int]
"""A sample's number, frames from its beginning to the stream's, and the votes for it."""


def needed(frames: int) -> float:
    """The correlation that so many frames of sound must have."""
    return float(np.interp(frames, (40, 75, 150), (0.72, 0.58, 0.44)))


def voice_needed(score: float, seconds: float, rate: float) -> float:
    """How alike the voices must be: the more, the less the line has taken from the bands' course; less where
    many landmarks a second agree, and over a time for which two speakers hardly stay together."""
    relief = np.interp(rate, (250, 480), (0, 0.15))
    most = np.interp(seconds, (1.5, 2.2), (0.87, 0.76))
    return float(np.interp(score, (0.55, 0.85), (0.6, most)) - relief)


def _is_good(match: Match) -> bool:
    """Whether both agree: the bands' course, and enough landmarks for the time."""
    rate = match.votes / match.seconds
    if rate < FEW or (rate < MANY and match.seconds < LONG_S):
        return False
    if match.voice < voice_needed(match.score, match.seconds, rate):
        return False
    return match.score >= needed(round(match.seconds * 50))


def _cell(numbers: Ints, places: Ints) -> Ints:
    """Where the votes for a sample and a place are counted."""
    cells: Ints = (numbers * 2654435761 + places * 40503) & (CELLS - 1)
    return cells


class Announcements:
    """Fed every frame that may be speech. Tells each announcement once, as soon as no other can be meant."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.reset()

    def reset(self) -> None:
        """Something else begins."""
        self._spectrogram = Spectrogram()
        self._bands: Floats = np.zeros((0, BANDS), np.float32)
        self._fine: Floats = np.zeros((0, FINE), np.float32)
        self._first = 0
        self._peak_frames: Ints = np.zeros(0, np.int64)
        self._peak_bins: Ints = np.zeros(0, np.int64)
        self._blocks: list[Ints] = []
        self._votes = np.zeros(CELLS, np.int16)
        self._rest_until = 0
        self._told: Match | None = None

    def feed(self, frame: Floats) -> Match | None:
        """160 samples of int16's scale."""
        block = self._spectrogram.feed(frame)
        if block is None:
            return None
        self._fine = np.concatenate((self._fine, block.fine))[-KEPT:]
        bands = np.concatenate((self._bands, block.bands))
        self._first += max(0, len(bands) - KEPT)
        self._bands = bands[-KEPT:]
        since = int(block.peak_frames.min()) if len(block.peak_frames) else 0
        recent = self._peak_frames >= since - 40
        self._peak_frames = np.concatenate((self._peak_frames[recent], block.peak_frames))
        self._peak_bins = np.concatenate((self._peak_bins[recent], block.peak_bins))
        if not len(block.peak_frames) or self._spectrogram.frames < self._rest_until:
            return None
        hashes, frames = pairs(self._peak_frames, self._peak_bins, since)
        numbers, offsets = self._library.look_up(hashes, frames)
        self._vote(numbers, offsets)
        match = self._judge(numbers, offsets)
        if match is None:
            return None
        now = self._spectrogram.frames
        last, self._told = self._told, match
        self._rest_until = now + min(match.left, REST)
        self._votes.fill(0)
        self._blocks.clear()
        return None if last is not None and self._goes_on(last, match) else match

    def _goes_on(self, last: Match, match: Match) -> bool:
        """Whether a match is of the sample that was told last, and is still playing."""
        return match.number == last.number and abs(match.offset - last.offset) < SAME_FRAMES

    def _judge(self, numbers: Ints, offsets: Ints) -> Match | None:
        fresh, stale = self._candidates(numbers, offsets)
        found = [m for m in (self._lay(*each) for each in fresh) if m is not None]
        good = [m for m in found if _is_good(m)]
        if not good:
            return None
        best = max(good, key=lambda m: m.score)
        found += [m for m in (self._lay(*each) for each in stale) if m is not None]
        for other in found:
            near = other.score > max(best.score - 0.15, 0.3) and other.voice > best.voice - OTHER_VOICE
            if other.number != best.number and near:
                return None  # both fit what was heard so far
        return best

    def _vote(self, numbers: Ints, offsets: Ints) -> None:
        """Count a block's landmarks, and forget those of the block that leaves what is looked back at.

        Counts lie in a table of fixed size, by a hash of sample and offset: other samples' only add noise.
        """
        cells = np.concatenate([_cell(numbers, (offsets + near) >> 1) for near in (0, 1)])
        np.add.at(self._votes, cells, _ONE)
        self._blocks.append(cells)
        if len(self._blocks) > KEPT // BLOCK:
            np.subtract.at(self._votes, self._blocks.pop(0), _ONE)

    def _candidates(self, numbers: Ints, offsets: Ints) -> tuple[list[Place], list[Place]]:
        """The likeliest, one a sample: those that just got enough votes, and those that got few."""
        votes = self._votes[_cell(numbers, (offsets + 1) >> 1)]
        strong = np.flatnonzero(votes >= max(VOTES, SHARE * votes.max(initial=0)))
        seen: set[int] = set()
        fresh: list[Place] = []
        stale: list[Place] = []
        for i in strong[np.argsort(votes[strong])[::-1]].tolist():
            number = int(numbers[i])
            if number in seen:
                continue
            seen.add(number)
            offset = int(offsets[i])
            got = np.count_nonzero((numbers == number) & (abs(offsets - offset) <= 2))
            (fresh if got >= FRESH else stale).append((number, offset, int(votes[i])))
            if len(seen) >= CANDIDATES:
                break
        return fresh, stale

    def _lay(self, number: int, offset: int, votes: int) -> Match | None:
        """The sample laid over what was heard, a little shifted and at a little different speeds."""
        sample = self._library.bands[number].astype(np.float32)
        heard = self._bands
        frames = self._first + np.arange(len(heard))
        places = frames + offset
        inside = (places >= 3) & (places < len(sample) - 4)
        if inside.sum() < LEAST:
            return None
        frames, heard, places = frames[inside], heard[inside], places[inside]
        loud = sample.max(axis=1)
        weight = (loud[places] > loud.max() - 2 * SOUND_DB).astype(np.float32)
        sound = int(weight.sum())
        if sound < LEAST or _correlate(heard, sample[None, places], weight)[0] < WORTH:
            return None
        centre = float(places.mean())
        grid = centre + (places - centre) * SPEEDS[:, None, None] + SHIFTS[None, :, None]
        index = np.clip(np.rint(grid).astype(np.intp), 0, len(sample) - 1).reshape(-1, len(places))
        # Neighbouring frames overlap by two thirds: every other one tells which shift and speed fit.
        best = int(_correlate(heard[::2], sample[index[:, ::2]], weight[::2]).argmax())
        score = float(_correlate(heard, sample[None, index[best]], weight)[0])
        voice = self._same_voice(number, self._fine[inside], index[best], loud[index[best]])
        return Match(
            number, score, sound / 50, votes, voice, int(frames[0]), offset,
            len(sample) - int(places[-1]),
        )  # fmt: skip

    def _same_voice(self, number: int, heard: Floats, places: Ints, loud: Floats) -> float:
        """Whether the harmonics heard are where the sample has them, at the speed that fits best."""
        weight = (loud > loud.max() - 2 * VOICED_DB)[:, None]
        strong = np.where((heard > STRONG_DB) & weight, heard, 0)
        signs = np.unpackbits(self._library.fine[number][places], axis=1).astype(np.float32) * 2 - 1
        by_bins = strong.T @ signs  # a row for each bin heard, a column for each of the sample's
        total = float(strong.sum()) + 1e-6
        return max(float(by_bins[_BINS, bins].sum()) for bins in _AT_SPEEDS) / total


_BINS = np.arange(FINE)
_AT_SPEEDS = [
    np.clip(np.rint((FIRST + _BINS) / speed) - FIRST, 0, FINE - 1).astype(np.intp)
    for speed in (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02)
]
"""A sample's bins that lie where those heard are."""


def _correlate(heard: Floats, laid: Floats, weight: Floats) -> Floats:
    """Correlation of the bands' courses, each frame's and each band's mean taken away: neither loudness nor
    the
    line's equalisation counts. `laid` holds several rows of frames."""
    total = weight.sum()

    def centred(x: Floats) -> Floats:
        x = x - x.mean(axis=-1, keepdims=True)
        mean = (x * weight[:, None]).sum(axis=-2, keepdims=True) / total
        weighted: Floats = (x - mean) * weight[:, None]
        return weighted

    a, b = centred(heard), centred(laid)
    top = np.einsum("tb,stb->s", a, b)
    norm = np.sqrt((a * a).sum() * np.einsum("stb,stb->s", b, b)) + 1e-6
    scores: Floats = top / norm
    return scores
