"""How much play-out should hold, and how it comes to that: by putting in and taking out whole pitch periods.

Terms are playout.py's; all is in samples at 8 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.media.codec import FRAME, Pcm
from engine.media.playout import timescale
from engine.media.playout.arrivals import Arrivals
from engine.media.playout.figures import Bounds

WARM = 100
"""Packets after which what was measured is believed."""
_SLACK = 16
"""The lead is never cut to less than what is needed and this."""
_SPARE = 40
"""So much waiting in what is ready for nothing is taken out, `_STEADY` frames after something was put in."""
_STEADY = 250
_SETTLED = 100
"""Frames after something was put in before anything is taken out, unless there is far too much."""
_HYSTERESIS = 24
_RESTED = 5
"""Frames between two splices, unless there is far too much."""
_FAR = 480
_LOSSY = 80000
"""Two losses within 10 s have 20 ms more waited, so that what follows a lost packet is there in time to
conceal it from both sides.
"""
_LONG_AGO = -(1 << 40)
_PICKY, _MODEST = 0.85, 0.3
"""How alike the ends of a splice must be: at first, and after a long search."""
_PATIENT = 100
"""So many frames silence is waited for before anything is taken out of speech."""


class Adaptation:
    """`adapt` what is about to be played, at each tick, to the delay that the network asks for.

    `stretched` and `squeezed` are samples put in and taken out.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._least, self.most = bounds.least * 8, bounds.most * 8
        self.start = max(self._least, bounds.first * 8 - FRAME)  # the grid of ticks adds to it
        self._lost_at = (_LONG_AGO, _LONG_AGO)
        self._since_splice = self._since_growth = _SETTLED
        self._searching = 0
        self.stretched = self.squeezed = 0

    def forget_losses(self) -> None:
        self._lost_at = (_LONG_AGO, _LONG_AGO)

    def lost(self, at: int) -> None:
        """Something before a timestamp had not come when it was due."""
        self._lost_at = (self._lost_at[1], at)

    def _needed(self, arrivals: Arrivals, at: int | None) -> float:
        """The lead, counted from the fastest packets' transit, that the network asks for. `at` is the
        timestamp of what is fetched next, None while nothing is played.
        """
        needed = arrivals.needed - arrivals.fastest + _SLACK
        if at is not None and at - self._lost_at[0] < _LOSSY:
            needed += FRAME
        if arrivals.count < WARM:
            needed = max(needed, self.start)
        return min(needed, self.most)

    def wanted(self, arrivals: Arrivals, at: int | None) -> float:
        """The depth, likewise."""
        return max(self._needed(arrivals, at), self._least)

    def adapt(
        self, ready: Pcm, before: Pcm, depth: float, phases: int, arrivals: Arrivals, at: int,
        more: Callable[[Pcm, int], Pcm],
    ) -> Pcm:
        """`ready`, lengthened or shortened where the delay should be another; at times to less than a frame.

        `before` was played before it, packets are fetched when it is a multiple of `phases` long, and `more`
        lengthens it to so many samples by what follows, as far as that is here.
        """
        spare = len(ready) % phases
        lead = depth - spare - (FRAME - phases)
        needed = self._needed(arrivals, at)
        self._since_splice += 1
        self._since_growth += 1
        if lead < needed or depth < self._least - _SPARE:
            return self._grow(before, ready) if self._since_splice > 1 else ready
        deeper = lead - phases >= needed + _HYSTERESIS
        if deeper or (spare >= _SPARE and self._since_growth > _STEADY):
            most = min(spare + phases if deeper else spare, int(depth - self._least))
            far = depth > needed + _FAR
            if most >= timescale.SHORTEST and (
                far or (self._since_splice > _RESTED and self._since_growth > _SETTLED)
            ):
                return self._shrink(more(ready, timescale.NEEDED), most, far)
        return ready

    def _grow(self, before: Pcm, ready: Pcm) -> Pcm:
        alike = max(_MODEST, _PICKY - 0.05 * self._searching)
        longer, _ = timescale.lengthen(before, ready, alike)
        grown = len(longer) - len(ready)
        self._searching += 1
        if grown:
            self.stretched += grown
            self._since_splice = self._since_growth = self._searching = 0
        return longer

    def _shrink(self, ready: Pcm, most: int, far: bool) -> Pcm:
        if len(ready) < timescale.NEEDED:
            return ready
        waited = self._searching - _PATIENT
        alike = max(_MODEST, _PICKY - 0.02 * max(0, waited)) if far or waited > 0 else timescale.QUIET_ONLY
        shorter, _ = timescale.shorten(ready, most, alike)
        self._searching += 1
        if len(shorter) < len(ready):
            self.squeezed += len(ready) - len(shorter)
            self._since_splice = self._searching = 0
        return shorter
