"""Dial tone: a network's tone, or two, without a pause."""

from __future__ import annotations

from collections.abc import Iterable

from engine.detect.bursts import Interval
from engine.detect.plans import Cadence

SLACK_HZ = 12.0
LASTS_MS = 2500.0
"""No burst of ringback, busy or congestion is longer: the longest is 2 s."""
KNOWN = 0.6
"""Share of the band's power that must lie at those frequencies."""
OTHER = 0.12
"""No other frequency has such a share."""


class DialTone:
    """Asked while a burst goes on; tells each once. `dials` are the dial tones there are, whoever's."""

    def __init__(self, dials: Iterable[Cadence]) -> None:
        sides = ((hz, c.am_hz) for c in dials for hz in c.frequencies)
        self._hz = frozenset(f for hz, am in sides for f in (hz - am, hz, hz + am))
        self._told = -1.0

    def look(self, burst: Interval | None) -> str:
        """What it was, once it has lasted; empty for no dial tone."""
        if burst is None or burst.ms < LASTS_MS or burst.begin_ms == self._told or burst.spectrum is None:
            return ""
        lines = burst.spectrum.lines
        known = [x for x in lines if any(abs(x.hz - hz) <= SLACK_HZ for hz in self._hz)]
        if sum(x.share for x in known) < KNOWN or not lines or lines[0] not in known:
            return ""
        if any(x.share >= OTHER for x in lines if x not in known):
            return ""
        self._told = burst.begin_ms
        return f"{burst.spectrum.describe()} without a pause for {burst.ms:.0f} ms"
