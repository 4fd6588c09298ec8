"""Which cadence a row of bursts and gaps is, by elimination.

Every cadence is laid against the newest bursts at every place of its cycle, as far back as it fits. A
verdict falls once a cadence has shown enough of itself and no cadence of another meaning fits as far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.detect.bursts import Interval
from engine.detect.plans import Burst, Cadence
from engine.detect.types import Tone

SLACK, SLACK_MS = 0.12, 18.0
"""How far a duration may be from the plan's: a share of it, and what 20 ms frames and jitter add."""
EDGE_MS = 5.0
"""How exactly an edge is measured: so much is added to a rule's bounds."""
LEVEL_SLACK_DB = 5.0
RINGBACK_GAP_MS = 800.0
"""A gap no busy tone has: after it a burst is taken for ringback."""
READY_GAP = 0.8
"""So much of a cycle's last gap is enough."""
MAX_INTERVALS = 14
NEAR_ERROR = 0.02
"""Cadences whose misfit is so little greater than the best's fit as well."""
LIKELY_ERROR = 0.06
"""The same for one of a likely country."""
SECURE_INTERVALS = 7
"""Shown so much, a cadence is named even while another of other meaning fits as well."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A cadence that fits the newest `count` complete intervals; `error` is the mean relative misfit."""

    cadence: Cadence
    count: int
    error: float
    ready: bool
    begin_ms: float
    gap_limit_ms: float
    """The present gap may last this long."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A tone named; `cadence` is the best of those that fit, `certain` whether all mean the same."""

    tone: Tone
    cadence: Cadence
    begin_ms: float
    error: float
    certain: bool
    count: int
    countries: frozenset[str]
    """Whose tone it may be."""


def distinct(cadences: Iterable[Cadence]) -> dict[Cadence, frozenset[str]]:
    """Cadences that mean and sound the same, once, each with the countries that have it."""
    first: dict[object, Cadence] = {}
    countries: dict[Cadence, frozenset[str]] = {}
    for c in cadences:
        kept = first.setdefault((c.tone, c.frequencies, c.am_hz, c.bursts), c)
        countries[kept] = countries.get(kept, frozenset()) | {c.country}
    return countries


def _close(measured: float, planned: float, bounds: tuple[int, int] | None) -> bool:
    if bounds is not None:
        return bounds[0] - EDGE_MS <= measured <= bounds[1] + EDGE_MS
    return abs(measured - planned) <= planned * SLACK + SLACK_MS


def stages(cadences: Iterable[Cadence]) -> list[float]:
    """The lengths of a gap, in order, at which `fit` and `judge` may say something new."""
    bursts = {b for c in cadences for b in c.bursts}
    at = {RINGBACK_GAP_MS} | {_enough(b) for b in bursts} | {_limit(b) for b in bursts}
    longest = max(_limit(b) for b in bursts)
    return sorted(at | {longest + 1000.0})


def _limit(burst: Burst) -> float:
    if burst.off_range is not None:
        return burst.off_range[1] + EDGE_MS
    return burst.off_ms * (1 + SLACK) + SLACK_MS


def _enough(burst: Burst) -> float:
    return READY_GAP * burst.off_ms if burst.off_range is None else float(burst.off_range[0])


def fit(cadence: Cadence, history: list[Interval], gap_ms: float, tolerance_hz: float) -> Fit | None:
    """Lay one cadence against the history, which ends with a burst; None where its last burst misfits.

    `gap_ms` is how long it has been quiet since; 0 while another burst goes on.
    """
    best: Fit | None = None
    for place in range(len(cadence.bursts)):
        found = _fit_at(cadence, place, history, gap_ms, tolerance_hz)
        if found is not None and (best is None or (found.count, -found.error) > (best.count, -best.error)):
            best = found
    return best


def _fit_at(
    cadence: Cadence, place: int, history: list[Interval], gap_ms: float, tolerance_hz: float
) -> Fit | None:
    """With the newest burst at `place` of the cycle."""
    bursts = cadence.bursts
    limit = _limit(bursts[place])
    if gap_ms > limit:
        return None
    count, errors, whole = 0, 0.0, 0
    begin = 0.0
    later: tuple[Interval, float] | None = None
    at = place
    for index in range(len(history) - 1, -1, -1):
        interval = history[index]
        if interval.spectrum is None:
            at = (at - 1) % len(bursts)
            if not _close(interval.ms, bursts[at].off_ms, bursts[at].off_range):
                break
            errors += abs(interval.ms - bursts[at].off_ms) / bursts[at].off_ms
        else:
            burst = bursts[at]
            if not interval.spectrum.matches(cadence, tolerance_hz):
                break
            if later is not None:
                expected = burst.level_db - later[1]
                if abs(interval.level_db - later[0].level_db - expected) > LEVEL_SLACK_DB:
                    break
            if not _close(interval.ms, burst.on_ms, burst.on_range):
                if interval.cut and interval.ms < burst.on_ms:  # the remainder of it
                    if count == 0:
                        return Fit(cadence, 0, 0.0, False, interval.begin_ms, limit)
                    count += 1
                break
            errors += abs(interval.ms - burst.on_ms) / burst.on_ms
            later = (interval, burst.level_db)
            begin = interval.begin_ms
            whole += 1
        count += 1
    if whole == 0:
        return None
    return Fit(cadence, count, errors / count, _ready(cadence, whole, bursts[place], gap_ms), begin, limit)


def _ready(cadence: Cadence, whole: int, last: Burst, gap_ms: float) -> bool:
    """Whether that much is enough to name it: a long gap for ringback, otherwise a whole cycle, and two."""
    if cadence.whole:
        return whole > len(cadence.bursts) or (whole == len(cadence.bursts) and gap_ms >= _enough(last))
    needed = max(2, len(cadence.bursts))
    if whole > needed:
        return True
    if cadence.tone is Tone.RINGBACK:
        return gap_ms >= RINGBACK_GAP_MS and whole >= min(len(cadence.bursts), 2)
    return whole == needed and gap_ms >= _enough(last)


def judge(
    fits: list[Fit], countries: Mapping[Cadence, frozenset[str]], likely: frozenset[str] = frozenset()
) -> Verdict | None:
    """The meaning of what fits; None while that must wait.

    Where several fit, the countries that are `likely` by what was heard before decide, then the meaning that
    more countries give it.
    """
    ready = [f for f in fits if f.ready]
    if not ready:
        return None
    most = max(f.count for f in ready)
    ready = [f for f in ready if f.count >= most - 1]
    tones = {f.cadence.tone for f in ready}
    rivals = [f for f in fits if not f.ready and f.count >= most and f.cadence.tone not in tones]
    if rivals and most < SECURE_INTERVALS:
        return None
    nearest = min(f.error for f in ready)
    near = [f for f in ready if countries[f.cadence] & likely and f.error <= nearest + LIKELY_ERROR]
    if not near:
        near = [f for f in ready if f.error <= nearest + NEAR_ERROR]
    meanings: Counter[Tone] = Counter()
    for f in near:
        meanings[f.cadence.tone] += len(countries[f.cadence] & likely or countries[f.cadence])
    tone = max(meanings, key=lambda t: (meanings[t], -min(f.error for f in near if f.cadence.tone is t)))
    same = [f for f in near if f.cadence.tone is tone]
    best = min(same, key=lambda f: f.error)
    known = frozenset().union(*(countries[f.cadence] for f in same))
    whose = known & likely or known
    return Verdict(tone, best.cadence, best.begin_ms, best.error, len(tones) == 1, best.count, whose)
