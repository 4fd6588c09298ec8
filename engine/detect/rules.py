"""Cadences of one's own, in mod_da2's syntax: `300-400|250-400` is 300 to 400 ms of tone, then 250 to 400 ms
without, and more pairs may follow: `380-420|180-220|380-420|1800-2200`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.detect.plans import Burst, Cadence, Plan
from engine.detect.types import Tone

LONGEST_MS = 60_000
MOST_PAIRS = 8
_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


class RuleError(ValueError):
    """A rule that can't be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ToneRules:
    """What replaces every plan's own cadence; empty for none. `single`: a tone of any plan, so long, is
    `450hz` once the quiet after it has lasted for the lower bound; where nobody listened then, up to the
    upper one. `ringback_whole`: ringback waits for its whole cycle."""

    busy: tuple[Burst, ...] = ()
    congestion: tuple[Burst, ...] = ()
    ringback: tuple[Burst, ...] = ()
    single: tuple[Burst, ...] = ()
    ringback_whole: bool = False

    def apply(self, plan: Plan) -> Plan:
        """The plan with these cadences instead of its own."""
        busy, congestion, ringback = plan.busy, plan.congestion, plan.ringback
        if self.congestion:
            congestion = replace(congestion, tone=Tone.CONGESTION)
        elif plan.congestion.tone is Tone.BUSY:
            congestion = _timed(congestion, self.busy)
        ringback = replace(_timed(ringback, self.ringback), whole=self.ringback_whole)
        congestion = _timed(congestion, self.congestion)
        return replace(plan, busy=_timed(busy, self.busy), congestion=congestion, ringback=ringback)


def _timed(cadence: Cadence, bursts: tuple[Burst, ...]) -> Cadence:
    return replace(cadence, bursts=bursts) if bursts else cadence


def parse(rule: str) -> tuple[Burst, ...]:
    """A rule's bursts, on and off in ms; empty for an empty rule. Raises RuleError."""
    if not rule.strip():
        return ()
    parts = [_range(part) for part in re.split(r"[|,]", rule)]
    if len(parts) % 2:
        raise RuleError("on and off must come in pairs, such as 300-400|250-400")
    if len(parts) > 2 * MOST_PAIRS:
        raise RuleError(f"{len(parts) // 2} pairs; {MOST_PAIRS} at most")
    return tuple(
        Burst((on[0] + on[1]) // 2, (off[0] + off[1]) // 2, 0.0, on, off)
        for on, off in zip(parts[::2], parts[1::2], strict=True)
    )


def _range(part: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(part.strip())
    if found is None:
        raise RuleError(f"{part.strip()[:20]!r} is no time in ms, such as 350 or 300-400")
    low = int(found[1])
    high = int(found[2]) if found[2] else low
    if not 20 <= low <= high <= LONGEST_MS:
        raise RuleError(f"{part.strip()!r}: from 20 to {LONGEST_MS} ms, the smaller one first")
    return low, high
