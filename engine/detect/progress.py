"""Call progress tones: from bursts to verdicts."""

from __future__ import annotations

import math
from dataclasses import replace

from engine.detect.band import Places
from engine.detect.bursts import Interval, Segmenter
from engine.detect.cadence import (
    EDGE_MS,
    MAX_INTERVALS,
    RINGBACK_GAP_MS,
    Fit,
    Verdict,
    distinct,
    fit,
    judge,
    longest_gap,
    same_sound,
)
from engine.detect.dial import LASTS_MS, DialTone
from engine.detect.plans import Cadence, Plan
from engine.detect.plans import plans as all_plans
from engine.detect.rules import ToneRules
from engine.detect.silence import SILENCE_DBM0
from engine.detect.types import Detection, Tone

TOLERANCES_HZ = (6.0, 13.0)
"""The plans' frequencies lie 10 Hz apart at least, so the nearer ones come first; a line whose speed is 2 %
off moves them further. In one country's plan they lie further apart."""
NEAR_FITS = 0.1
"""Where none of the nearer ones fits so well, those further away are looked at."""
SINGLE_MS = 400.0
"""A plan's tone this long is worth telling before it has become a cadence."""
PURE_SINGLE = 0.9
"""How much of the band a tone must be to be told without its cadence: sung vowels are less."""
FOREIGN_MS = 300
"""So much sound that is no tone ends what was going on."""
ALONE_MS = 500.0
"""Other sound within so long before a burst, or after it, may have been of one piece with it."""
OTHERS = 3
"""Frames in a row of other sound: fewer are a burst's own edge."""
BLIP_MS, BLIP_DB = 120.0, 10.0
"""A burst that is no tone is overlooked if it is shorter than this, or so much weaker than the tone."""
FRAME_MS = 20.0
FOREIGN_RINGBACK, FOREIGN_BUSY = 3, 5
"""So many bursts and gaps of another country's tone are wanted."""
OPENING_MS = 120.0
"""So much of a burst shows what tone it is."""
NOISE_SLACK_DB = 8.0
NOISE_RISE_DB = 0.05
"""The line's noise is the quietest of late; it is believed to rise by so much a frame."""
QUIET_FRAMES = 5
"""Quiet that lasts no longer is what lost packets leave in the noise."""


class ProgressTones:
    """Follows one stream's tones. `verdict` is the cadence going on now, if any."""

    def __init__(self, plans: list[Plan], rules: ToneRules | None = None) -> None:
        rules = rules or ToneRules()
        self._single_rule = rules.single
        heard = [c for p in plans for c in rules.apply(p).cadences]
        self._abroad: dict[Cadence, frozenset[str]] = {}
        """The tones of countries that are not the one given: what none of its own explains may be of them."""
        if len(plans) == 1:
            heard += [c for c in plans[0].dials if c.bursts]
            others = (p for p in all_plans().values() if p.country != plans[0].country)
            if not (rules.busy or rules.congestion or rules.ringback):
                self._abroad = distinct(c for p in others for c in p.cadences)
        self._countries = distinct(heard)
        self._cadences: list[Cadence] = [*self._countries, *self._abroad]
        self._likely: frozenset[str] = frozenset()
        """Countries that have all that was heard so far; empty while nothing was."""
        self._tolerances = TOLERANCES_HZ[-1:] if len(plans) == 1 else TOLERANCES_HZ
        self._forget_ms = longest_gap(self._cadences) + 1000.0
        self._next_judge_ms = -1.0
        """Nothing new can be said before the gap, or the burst that goes on, is longer."""
        self._opening = False
        self._segmenter = Segmenter()
        self._history: list[Interval] = []
        self._fits: list[Fit] = []
        self._foreign_ms = 0
        self._noise = 0.0
        self._levels: list[float] = []
        self._dial = DialTone(c for p in all_plans().values() for c in p.dials)
        self._dialling = False
        self._told_single = self._told_by_rule = False
        self._tone_open = False
        self._next_look = 0.0
        self._told: Tone | None = None
        self._named: Verdict | None = None
        """The last one that was told."""
        self._rang = False
        self.verdict: Verdict | None = None
        self._others = 0
        self._other_ms = -1e9
        """When something else than a tone was heard last."""
        self.patient = False
        """Ringback is not told by one burst alone: after an answer there are beeps."""

    @property
    def _among_others(self) -> bool:
        """Whether other sound came shortly before the first burst, or since."""
        return self._other_ms > self._history[0].begin_ms - ALONE_MS

    @property
    def current(self) -> str:
        """What goes on, in its gaps too; a tone that is no cadence only while it sounds."""
        if self.verdict is not None:
            return self.verdict.tone.label
        if self._dialling:
            return Tone.DIAL.label
        return Tone.SINGLE.label if self._tone_open else ""

    @property
    def expects_more(self) -> bool:
        """In a gap that some cadence heard so far would have; of no country's ringback, in the longest."""
        named = self._named
        if self._fits or len(self._tolerances) == 1 or not self._history or named is None:
            return bool(self._fits)
        return named.tone is Tone.RINGBACK and self._is(self._history[-1], named.cadence)

    @property
    def explains(self) -> bool:
        """Whether what is heard is a plan's tone, or a gap of its cadence."""
        return self._tone_open or self._dialling or bool(self._fits)

    def feed(self, band: Places, level: float, now_ms: int) -> list[Detection]:
        """One frame; `level` is the whole frame's in dBm0, `now_ms` when it ends."""
        found: list[Detection] = []
        burst = self._segmenter.feed(band)
        if burst is not None:
            self._close_burst(burst, now_ms)
        elif (dropped := self._segmenter.dropped_db) is not None and self._is_loud(dropped):
            self._other_ms = now_ms
        if self._segmenter.open:
            self._others = 0
            found += self._listen_on(now_ms)
        else:
            self._tone_open = self._dialling = False
            self._next_look = 0.0
            self._watch_for_others(level, now_ms)
        if self._history:
            found += self._judge(now_ms)
        return found

    def skip(self) -> None:
        """A frame that was not heard."""
        if not self._segmenter.skip():
            self._forget()

    def _watch_for_others(self, level: float, now_ms: int) -> None:
        """In a gap: steady noise belongs to the line, anything that rises above it does not."""
        self._levels = [*self._levels[-QUIET_FRAMES:], level]
        self._noise = min(max(self._levels), self._noise + NOISE_RISE_DB)
        if level >= SILENCE_DBM0 and level > self._noise + NOISE_SLACK_DB:
            self._foreign_ms += 20
            self._others += 1
            if self._others >= OTHERS:
                self._other_ms = now_ms
            if self._foreign_ms >= FOREIGN_MS:
                self._forget()
        else:
            self._foreign_ms = max(0, self._foreign_ms - 5)
            self._others = 0

    def _is_loud(self, level_db: float) -> bool:
        """Whether it is not much weaker than the tone."""
        return not self._history or level_db > self._history[-1].level_db - BLIP_DB

    def _close_burst(self, burst: Interval, now_ms: int) -> None:
        if burst.spectrum is None or not any(self._is(burst, c) for c in self._cadences):
            if self._is_loud(burst.level_db):
                self._other_ms = now_ms
                if burst.ms > BLIP_MS:
                    self._forget()
            return
        self._foreign_ms = 0
        if self._history:
            last = self._history[-1].end_ms
            self._history.append(Interval(last, burst.begin_ms))
        self._history.append(burst)
        self._opening, self._next_judge_ms = False, -1.0
        del self._history[: max(0, len(self._history) - MAX_INTERVALS)]

    def _is(self, burst: Interval, cadence: Cadence) -> bool:
        return burst.spectrum is not None and burst.spectrum.matches(cadence, self._tolerances[-1])

    def _listen_on(self, now_ms: int) -> list[Detection]:
        """A burst goes on: is it a plan's tone, and has it outlasted every burst there is?"""
        age = self._segmenter.open_ms()
        if age < max(SINGLE_MS, self._next_look):
            return []
        self._next_look = age + 200
        burst = self._segmenter.peek()
        matching = [c for c in self._cadences if burst is not None and self._is(burst, c)]
        self._tone_open = bool(matching)
        if age >= LASTS_MS and (why := self._dial.look(burst)) and burst is not None:
            told = self._told
            self._forget()
            self._dialling = self._told_single = True
            self._told = Tone.DIAL
            heard = Detection(Tone.DIAL, round(burst.begin_ms), now_ms, 0.9, why)
            return [] if told is Tone.DIAL else [heard]
        if burst is None or not matching:
            return []
        if age > 1.3 * max(b.on_ms for c in matching for b in c.bursts):
            self._history.clear()
            self.verdict = self._told = None
            self._fits = []
        return [] if self._single_rule else self._single(burst, now_ms)

    def _single(self, burst: Interval, now_ms: int) -> list[Detection]:
        if self._told_single or self.verdict is not None or burst.spectrum is None:
            return []
        share = sum(line.share for line in burst.spectrum.lines)
        if share < PURE_SINGLE:
            return []
        self._told_single = True
        why = f"{burst.spectrum.describe()} for {burst.ms:.0f} ms, no cadence yet"
        return [Detection(Tone.SINGLE, round(burst.begin_ms), now_ms, min(1.0, share), why)]

    def _forget(self) -> None:
        self._history.clear()
        self._fits = []
        self.verdict = None
        self._told_single = self._told_by_rule = False
        self._told = None
        self._foreign_ms = 0

    def _judge(self, now_ms: int) -> list[Detection]:
        """Asked every frame, answered whenever something new may be said."""
        going = self._segmenter.open
        if going is not self._opening:
            self._opening, self._next_judge_ms = going, OPENING_MS if going else -1.0
        gap = None if going else now_ms - self._history[-1].end_ms
        lasts = self._segmenter.open_ms() if gap is None else gap
        found = [] if gap is None else self._by_rule(gap, now_ms)
        if lasts <= self._next_judge_ms:
            return found
        history = self._history
        if gap is None:
            burst = self._segmenter.peek()
            if burst is None or not any(self._is(burst, c) for c in self._cadences):
                self._next_judge_ms = lasts + OPENING_MS / 2
                return found
            history = [*history, Interval(history[-1].end_ms, burst.begin_ms), burst]
        return found + self._by_cadence(history, gap, now_ms)

    def _by_rule(self, gap: float, now_ms: int) -> list[Detection]:
        """A tone of its own rule, which is told before it is a cadence."""
        last = self._history[-1]
        if not self._single_rule or self._told_by_rule or last.spectrum is None:
            return []
        rule = self._single_rule[0]
        low, high = rule.on_range or (0, 0)
        least, most = rule.off_range or (0, 0)
        if not (low - EDGE_MS <= last.ms <= high + EDGE_MS and least <= gap <= most + FRAME_MS + EDGE_MS):
            return []
        self._told_by_rule = self._told_single = True
        why = f"{last.spectrum.describe()} for {last.ms:.0f} ms, then {gap:.0f} ms of quiet"
        return [Detection(Tone.SINGLE, round(last.begin_ms), now_ms, 0.95, why)]

    def _by_cadence(self, history: list[Interval], gap: float | None, now_ms: int) -> list[Detection]:
        fits, countries = self._fitting(history, gap, self._countries), self._countries
        if not fits and self._abroad:
            countries = self._abroad
            fits = [_doubted(f) for f in self._fitting(history, gap, countries)]
        lasts = history[-1].ms if gap is None else gap
        changes = [f.changes_ms for f in fits if f.changes_ms > lasts]
        last = math.inf if gap is None else RINGBACK_GAP_MS if gap < RINGBACK_GAP_MS else self._forget_ms
        self._next_judge_ms = min(changes, default=last)
        self._fits = fits
        if not fits:
            return self._unfit(gap)
        verdict = judge(fits, countries, self._likely, self._rang)
        if verdict is None:
            return []
        verdict = self.verdict = self._as_named(verdict)
        self._likely = self._likely & verdict.countries or verdict.countries
        if self._told is verdict.tone:
            return []
        self._told, self._named = verdict.tone, verdict
        self._rang = self._rang or verdict.tone is Tone.RINGBACK
        self._told_single = True
        return [self._detection(verdict, history, now_ms)]

    def _as_named(self, verdict: Verdict) -> Verdict:
        """The same sound going on means what it was told to mean, even where one burst is a little off."""
        named = self._named
        if named is None or named.tone is not self._told or named.tone is verdict.tone:
            return verdict
        if not same_sound(named.cadence, verdict.cadence, self._tolerances[-1]):
            return verdict
        return replace(verdict, tone=named.tone, cadence=named.cadence, countries=named.countries)

    def _fitting(
        self, history: list[Interval], gap: float | None, among: dict[Cadence, frozenset[str]]
    ) -> list[Fit]:
        newest = history[-1].spectrum
        patient = self.patient or self._among_others
        fits: list[Fit] = []
        for tolerance in self._tolerances:
            possible = [c for c in among if newest is not None and newest.matches(c, tolerance)]
            fits = [f for c in possible if (f := fit(c, history, gap, tolerance, patient))]
            if fits and min(f.error for f in fits) <= NEAR_FITS:
                break
        return fits

    def _unfit(self, gap: float | None) -> list[Detection]:
        self.verdict = None
        if gap is not None and gap > RINGBACK_GAP_MS:
            self._told = None
            if gap > self._forget_ms:
                self._forget()
        return []

    def _detection(self, verdict: Verdict, history: list[Interval], now_ms: int) -> Detection:
        heard = history[-1].spectrum
        shown = [i for i in history if i.begin_ms >= verdict.begin_ms - 1][:6]
        times = "/".join(f"{i.ms:.0f}" for i in shown)
        hz = heard.describe() if heard is not None else ""
        why = f"{hz}, {times} ms: {verdict.tone.label} is {verdict.cadence.describe()}"
        if not verdict.certain:
            why += "; in some countries it means otherwise"
        confidence = max(0.3, min(1.0, 1.0 - 2 * verdict.error) * (1.0 if verdict.certain else 0.6))
        return Detection(verdict.tone, round(verdict.begin_ms), now_ms, round(confidence, 2), why,
                         verdict.cadence.country)

    def finish(self, now_ms: int) -> list[Detection]:
        """The stream is over: the open burst is complete, and a tone that got no verdict is told."""
        burst = self._segmenter.peek()
        if burst is not None:
            self._close_burst(burst, now_ms)
        whole = [i for i in self._history if i.spectrum is not None and i.ms >= 150]
        return self._single(whole[-1], now_ms) if whole else []


def _doubted(found: Fit) -> Fit:
    """Of a country that is not the one given: told once it has been shown one time more."""
    least = FOREIGN_RINGBACK if found.cadence.tone is Tone.RINGBACK else FOREIGN_BUSY
    return found if found.count >= least else replace(found, ready=False)
