"""Which cadence a row of bursts and gaps is, by elimination.

Every cadence is laid against the newest bursts at every place of its cycle, as far back as it fits. A
verdict falls once a cadence has shown enough of itself and none of another meaning that would go on
otherwise fits as far. Exchanges' cadences run freely: the first burst heard may be the rest of one.
"""

from __future__ import annotations

import math
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
"""A gap no busy tone has: after it whatever came before is taken for ringback."""
SETTLED_MS = 200.0
"""So much quiet after a whole, pure burst of ringback's length, and it was no note of a tune."""
READY_GAP = 0.8
"""So much of a cycle's last gap is enough, where the whole cycle is waited for."""
SLOW_MS = 300
"""Of bursts this long one, its gap and the next one's beginning are enough; of shorter ones two are."""
PURE = 0.85
"""A burst's lines have such a share of the band where one burst is to be enough."""
MAX_INTERVALS = 14
NEAR_ERROR = 0.02
"""Cadences whose misfit is so little greater than the best's fit as well."""
LIKELY_ERROR = 0.06
"""The same for one of a likely country, and for one that may yet turn out to be right."""
SECURE_INTERVALS = 7
"""Shown so much, a cadence is named even while another of other meaning fits as well."""
BUSY_WEIGHT = 30
"""A network that has rung is not congested: then so much more weight is on busy, where a sound is busy in one
country and congestion in another."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A cadence that fits the newest `count` intervals; `error` is the mean relative misfit."""

    cadence: Cadence
    count: int
    error: float
    ready: bool
    begin_ms: float
    changes_ms: float
    """Once the gap, or the burst that goes on, is longer than this it has to be looked at anew."""


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


def _longest(planned: float, bounds: tuple[int, int] | None) -> float:
    return planned * (1 + SLACK) + SLACK_MS if bounds is None else bounds[1] + EDGE_MS


def _enough(burst: Burst) -> float:
    return READY_GAP * burst.off_ms if burst.off_range is None else float(burst.off_range[0])


def longest_gap(cadences: Iterable[Cadence]) -> float:
    """No gap of theirs lasts longer, in ms."""
    return max(_longest(b.off_ms, b.off_range) for c in cadences for b in c.bursts)


def fit(
    cadence: Cadence,
    history: list[Interval],
    gap_ms: float | None,
    tolerance_hz: float,
    patient: bool = False,
) -> Fit | None:
    """Lay one cadence against the history, which ends with a burst; None where its last burst misfits.

    `gap_ms` is how long it has been quiet since; None while that burst goes on. `patient`: there was other
    sound about, which one burst may have been part of.
    """
    best: Fit | None = None
    for place in range(len(cadence.bursts)):
        found = _fit_at(cadence, place, history, gap_ms, tolerance_hz, patient)
        if found is not None and (best is None or (found.count, -found.error) > (best.count, -best.error)):
            best = found
    return best


@dataclass(slots=True)
class _Shown:
    """How much of a cadence was heard: whole bursts and gaps, the rest of a first burst."""

    whole: int = 0
    gaps: int = 0
    piece: bool = False
    first: bool = False
    """The rest of a burst is the first that was heard."""
    pure: bool = True
    alike: bool = True
    """They are all of one tone, even by its level."""
    slow: bool = True
    """Its whole bursts are long ones."""
    errors: float = 0.0

    @property
    def count(self) -> int:
        return self.whole + self.gaps + self.piece


def _fit_at(
    cadence: Cadence,
    place: int,
    history: list[Interval],
    gap_ms: float | None,
    tolerance_hz: float,
    patient: bool,
) -> Fit | None:
    """With the newest burst at `place` of the cycle."""
    bursts = cadence.bursts
    last = bursts[place]
    goes_on = gap_ms is None
    lasts = history[-1].ms if gap_ms is None else gap_ms
    limit = _longest(last.on_ms, last.on_range) if goes_on else _longest(last.off_ms, last.off_range)
    if lasts > limit:
        return None
    shown = _Shown()
    begin = history[-1].begin_ms
    later: tuple[Interval, float] | None = None
    at = place
    newest = len(history) - 1
    for index in range(newest, -1, -1):
        interval = history[index]
        if interval.spectrum is None:
            at = (at - 1) % len(bursts)
            if not _close(interval.ms, bursts[at].off_ms, bursts[at].off_range):
                break
            shown.errors += abs(interval.ms - bursts[at].off_ms) / bursts[at].off_ms
            shown.gaps += 1
            continue
        burst = bursts[at]
        if not interval.spectrum.matches(cadence, tolerance_hz):
            break
        if later is not None:
            expected = burst.level_db - later[1]
            if abs(interval.level_db - later[0].level_db - expected) > LEVEL_SLACK_DB:
                break
            if not later[0].comes_back(interval, -expected):
                shown.pure = shown.alike = False
        later = (interval, burst.level_db)
        shown.pure = shown.pure and interval.spectrum.purity >= PURE
        if goes_on and index == newest:
            continue
        if not _close(interval.ms, burst.on_ms, burst.on_range):
            if interval.ms < burst.on_ms:
                shown.piece, shown.first = True, index == 0
                begin = interval.begin_ms
            break
        shown.errors += abs(interval.ms - burst.on_ms) / burst.on_ms
        shown.slow = shown.slow and burst.on_ms >= SLOW_MS
        shown.whole += 1
        begin = interval.begin_ms
    if later is None:
        return None
    count = shown.count + goes_on
    if count == 0 or (count == 1 and shown.piece and not shown.first):
        return None
    ready, at_ms = _ready(cadence, shown, last, gap_ms, patient)
    error = shown.errors / max(1, shown.whole + shown.gaps)
    return Fit(cadence, count, error, ready, begin, limit if ready else min(limit, at_ms - 1.0))


def _ready(
    cadence: Cadence, shown: _Shown, last: Burst, gap_ms: float | None, patient: bool
) -> tuple[bool, float]:
    """Whether that much is enough to name it, and from what gap on it would be."""
    cycle = len(cadence.bursts)
    if cadence.whole:
        wanted = 0.0 if shown.whole > cycle or gap_ms is None else _enough(last)
        if shown.whole < cycle:
            return False, math.inf
        return gap_ms is None or gap_ms >= wanted, wanted
    if cadence.tone is Tone.RINGBACK:
        return _rings(shown, gap_ms, min(cycle, 2) if patient else 0)
    if shown.whole >= 2:
        enough = shown.alike or shown.whole > 2
        return enough, 0.0 if enough else math.inf
    started = gap_ms is None or shown.first
    return shown.slow and started and shown.whole == 1 and shown.gaps >= 1 and shown.pure, math.inf


def _rings(shown: _Shown, gap_ms: float | None, bursts: int) -> tuple[bool, float]:
    """The same for ringback. `bursts` is how many whole ones it takes, 0 where the rest of one may do."""
    if shown.whole >= 2 and (not bursts or gap_ms is None):
        return True, 0.0
    if gap_ms is None:
        return shown.whole == 1 and shown.pure and not bursts, math.inf
    wanted = SETTLED_MS if shown.whole == 1 and shown.pure and not bursts else RINGBACK_GAP_MS
    enough = shown.whole >= bursts and (shown.whole > 0 or (shown.pure and shown.first))
    return enough and gap_ms >= wanted, wanted if enough else math.inf


def _sound_alike(one: Cadence, other: Cadence) -> bool:
    """Whether more of it would not tell them apart."""
    return len(one.bursts) == len(other.bursts) and all(
        _close(a.on_ms, b.on_ms, b.on_range)
        and _close(a.off_ms, b.off_ms, b.off_range)
        and a.level_db == b.level_db
        for a, b in zip(one.bursts, other.bursts, strict=True)
    )


def same_sound(one: Cadence, other: Cadence, tolerance_hz: float) -> bool:
    """Whether no more of it would tell them apart: their times are the same, and their heights nearly."""
    near = len(one.frequencies) == len(other.frequencies) and all(
        abs(a - b) <= tolerance_hz for a, b in zip(one.frequencies, other.frequencies, strict=True)
    )
    return near and _sound_alike(one, other)


def judge(
    fits: list[Fit],
    countries: Mapping[Cadence, frozenset[str]],
    likely: frozenset[str] = frozenset(),
    rang: bool = False,
) -> Verdict | None:
    """The meaning of what fits; None while that must wait.

    Where several fit, the countries that are `likely` by what was heard before decide, then the meaning that
    more countries give it, and more so after it `rang`.
    """
    ready = [f for f in fits if f.ready]
    if not ready:
        return None
    most = max(f.count for f in ready)
    ready = [f for f in ready if f.count >= most - 1]
    nearest = min(f.error for f in ready)
    near = [f for f in ready if countries[f.cadence] & likely and f.error <= nearest + LIKELY_ERROR]
    if not near:
        near = [f for f in ready if f.error <= nearest + NEAR_ERROR]
    meanings: dict[Tone, int] = {}
    for f in near:
        weight = BUSY_WEIGHT if rang and f.cadence.tone is Tone.BUSY else 1
        heard = len(countries[f.cadence] & likely or countries[f.cadence])
        meanings[f.cadence.tone] = meanings.get(f.cadence.tone, 0) + weight * heard
    tone = max(meanings, key=lambda t: (meanings[t], -min(f.error for f in near if f.cadence.tone is t)))
    same = [f for f in near if f.cadence.tone is tone]
    rivals = [
        f for f in fits
        if f.cadence.tone is not tone and f.count >= most and f.error <= nearest + LIKELY_ERROR
        and not any(_sound_alike(f.cadence, g.cadence) for g in same)
    ]  # fmt: skip
    if rivals and most < SECURE_INTERVALS:
        return None
    best = min(same, key=lambda f: f.error)
    known = frozenset().union(*(countries[f.cadence] for f in same))
    certain = all(f.cadence.tone is tone for f in ready)
    whose = known & likely or known
    return Verdict(tone, best.cadence, best.begin_ms, best.error, certain, best.count, whose)
