"""Which known announcement is playing, told while it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.detect.candidates import Candidate, Candidates
from engine.detect.landmarks import BANDS, FINE, Floats, Spectrogram
from engine.detect.laying import LEAST, Heard, Laid, lay
from engine.detect.prints import Library

KEPT = 225
"""Frames looked back at: 4.5 s."""
REST = 250
"""Frames after a match in which no other is looked for, or fewer where the sample ends sooner."""
SAME_FRAMES = 75
"""A sample found at a place so near to that of its last match has gone on: 1.5 s."""
LEAST_S = 1.2
"""So much of a sample must be heard,"""
LEAST_SHARE = 0.7
"""or so much of one that is shorter."""
SCORE = ((8.0, 25.0), (0.72, 0.76))
"""Least correlation on a noisy and on a clean line, by how many dB speech is above the noise."""
RECENT_SCORE = 0.7
VOICE = 0.6
SPEED = 0.024
"""No line plays faster or slower by more."""
WANDER, BEND, OTHER_VOICE = 0.18, 0.09, 0.08
"""The same words said again, or by a synthesiser at another pitch, lie further from the sample."""
LEAD = 40.0
"""dB: by so much, summed over the frames, must the best fit better than another."""
ALIKE_DB = 1.0
"""Frames in which two samples fit equally well, but for this, don't count."""
FRAME_DB = 4.0
"""No frame counts for more: what a lost packet leaves is like one of them by chance."""
MANY = 100
"""Samples that were candidates lately; older ones are then forgotten."""
RIVALS = 6
"""So many samples are laid over what was heard once one fits."""
POOR_VOICE, POOR_FRAMES, SAME_PLACE = 0.35, 15, 4
"""What fits so poorly is not laid again for so long, about that place."""
LAST_FRAMES = 66
"""Where all that is looked back at does not lie at one place, the last so many frames can tell."""
UNSURE_S, UNSURE_FRAMES = 3.0, 25
"""Of two that say the same to their end, but mean something else, the better is told after so long, or so
shortly before the first of them ends."""


@dataclass(frozen=True, slots=True)
class Match:
    """A sample's number in the library. `score` is the correlation, `seconds` of sound that it is of."""

    number: int
    score: float
    seconds: float
    voice: float
    """How alike the harmonics are: 1 for all the same."""
    begin_frame: int
    offset: int
    """Frames from the sample's beginning to where the stream began."""
    left: int
    """Frames until the sample ends."""


def is_good(laid: Laid, least: float, above_noise: float) -> bool:
    """Whether it is the same recording: course, formants and harmonics fit, at one speed, now too."""
    return bool(
        laid.seconds >= least and laid.score >= np.interp(above_noise, *SCORE) and laid.recent >= RECENT_SCORE
        and abs(laid.speed - 1) <= SPEED and laid.wander <= WANDER and laid.bend <= BEND
        and laid.voice >= VOICE and laid.other_voice <= OTHER_VOICE
    )  # fmt: skip


def lead(best: Laid, other: Laid) -> float:
    """By how much the best fits better than another, in dB summed over the frames that tell."""
    less = other.away - best.away
    return float(np.clip(less - np.clip(less, -ALIKE_DB, ALIKE_DB), -FRAME_DB, FRAME_DB).sum())


class Announcements:
    """Fed every frame that may be speech. Tells each announcement once, as soon as no other can be meant."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.reset()

    def reset(self) -> None:
        """Something else begins."""
        self._spectrogram = Spectrogram()
        self._candidates = Candidates(self._library)
        self._bands: Floats = np.zeros((2 * KEPT, BANDS), np.float32)
        self._fine: Floats = np.zeros((2 * KEPT, FINE), np.float32)
        self._end = 0
        self._seen: dict[int, tuple[Candidate, int]] = {}
        self._poor: dict[int, tuple[int, int]] = {}
        self._rest_until = 0
        self._told: Match | None = None

    def feed(self, frame: Floats) -> Match | None:
        """160 samples of int16's scale."""
        block = self._spectrogram.feed(frame)
        if block is None:
            return None
        count = len(block.bands)
        if self._end + count > len(self._bands):
            for kept in (self._bands, self._fine):
                kept[:KEPT] = kept[self._end - KEPT : self._end]
            self._end = KEPT
        self._bands[self._end : self._end + count] = block.bands
        self._fine[self._end : self._end + count] = block.fine
        self._end += count
        now = self._spectrogram.frames
        if now < self._rest_until:
            return None
        begin = max(0, self._end - KEPT)
        candidates = self._candidates.look(self._bands[begin : self._end], now)
        if not candidates:
            return None
        match = self._judge(candidates, begin, now)
        if match is None:
            return None
        last, self._told = self._told, match
        self._rest_until = now + min(match.left, REST)
        self._seen.clear()
        self._poor.clear()
        return None if last is not None and self._goes_on(last, match) else match

    def _goes_on(self, last: Match, match: Match) -> bool:
        """Whether a match is of the sample that was told last, and is still playing."""
        return match.number == last.number and abs(match.offset - last.offset) < SAME_FRAMES

    def _judge(self, candidates: list[Candidate], begin: int, now: int) -> Match | None:
        first = now - (self._end - begin)
        if len(self._seen) > MANY:
            self._seen = {n: seen for n, seen in self._seen.items() if now - seen[1] < KEPT}
            self._poor = {n: poor for n, poor in self._poor.items() if now < poor[1]}
        for each in candidates:
            self._seen[each.number] = (each, now)
        worth = [c for c in candidates if self._is_worth(c, now - max(first, -c.offset), now)]
        if not worth:
            return None
        heard = Heard(self._bands[begin : self._end], self._fine[begin : self._end], first)
        match = self._fitting(worth, heard, now)
        if match is None and len(heard.bands) >= LAST_FRAMES + LEAST:
            before, last = heard.split(LAST_FRAMES)
            match = self._fitting(worth[:2], last, now)
            if match is not None:
                return self._with(match, before)
        return match

    def _with(self, match: Match, before: Heard) -> Match | None:
        """A match of what came last, which must fit what came before, too, though by a few frames elsewhere:
        a jitter buffer that adapts leaves out or repeats some."""
        laid = lay(self._library.prints[match.number], match.offset, before)
        if laid is None or laid.voice < POOR_VOICE:
            return None
        return replace(match, begin_frame=laid.begin_frame, seconds=match.seconds + laid.seconds)

    def _fitting(self, worth: list[Candidate], heard: Heard, now: int) -> Match | None:
        """The one that fits what was heard, where no other does."""
        found: dict[int, tuple[Candidate, Laid]] = {}
        for each in worth:
            laid = lay(self._library.prints[each.number], each.offset, heard)
            if laid is None or laid.voice < POOR_VOICE:
                self._poor[each.number] = (each.offset, now + POOR_FRAMES)
            if laid is not None:
                found[each.number] = (each, laid)
        good = [(c, m) for c, m in found.values() if is_good(m, self._least(c.number), heard.above_noise)]
        if not good:
            return None
        chosen, best = min(good, key=lambda each: float(each[1].away.sum()))
        rivals = sorted((c for c, at in self._seen.values() if now - at < KEPT), key=lambda c: c.differ)
        self._seen = {c.number: self._seen[c.number] for c in rivals[:RIVALS]}
        for rival in rivals[:RIVALS]:
            number = rival.number
            if number not in found and (laid := lay(self._library.prints[number], rival.offset, heard)):
                found[number] = (rival, laid)
        for number, (_, other) in found.items():
            if number != chosen.number and not self._outdoes(chosen.number, best, number, other):
                return None  # both fit what was heard so far
        return Match(
            chosen.number, best.score, best.seconds, best.voice, best.begin_frame, chosen.offset, best.left
        )

    def _is_worth(self, candidate: Candidate, frames: int, now: int) -> bool:
        """Whether enough of it can have been heard, and it did not fit poorly a moment ago."""
        offset, until = self._poor.get(candidate.number, (0, 0))
        poor = now < until and abs(candidate.offset - offset) <= SAME_PLACE
        return not poor and frames >= 45 * self._least(candidate.number)

    def _outdoes(self, number: int, best: Laid, rival: int, other: Laid) -> bool:
        """Whether no more can be expected that tells the best from a rival."""
        by = lead(best, other)
        if by >= LEAD:
            return True
        library = self._library
        place = len(library.prints[number].bands) - best.left
        if by <= -LEAD or not library.same_from(
            number, place, rival, len(library.prints[rival].bands) - other.left
        ):
            return False
        if library.samples[number].category == library.samples[rival].category:
            return True
        return best.seconds >= UNSURE_S or min(best.left, other.left) <= UNSURE_FRAMES

    def _least(self, number: int) -> float:
        """Seconds of a sample that must be heard."""
        return min(LEAST_S, LEAST_SHARE * len(self._library.prints[number].bands) / 50)
