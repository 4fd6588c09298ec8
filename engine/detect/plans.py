"""Tone plans: which tones a country's network sends, read from plans.toml.

Used by the detector, by the tone player and by whoever simulates a network.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Annotated

import msgspec
import tomli
from msgspec import Meta

from engine.detect.types import Tone

ALIASES = {"gb": "uk", "ca": "us"}
"""Other codes for the same plan: ISO 3166 where the plan's own code is not, and shared plans."""

_Hz = Annotated[float, Meta(ge=100, le=3400)]
_Ms = Annotated[int, Meta(ge=20, le=60000)]


class PlanError(ValueError):
    """No such plan, or a plan that makes no sense; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst of a cadence and the gap after it, in ms; `level_db` against the first burst. The ranges are
    a rule's own bounds; without them the detector has its tolerance."""

    on_ms: int
    off_ms: int
    level_db: float = 0.0
    on_range: tuple[int, int] | None = None
    off_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Cadence:
    """One tone of a plan. `am_hz` is 0.0 without modulation; `dbm0` is the level it is usually sent at.
    `whole`: it is told after its whole cycle only."""

    country: str
    tone: Tone
    frequencies: tuple[float, ...]
    bursts: tuple[Burst, ...]
    am_hz: float = 0.0
    dbm0: float = -13.0
    whole: bool = False

    @property
    def period_ms(self) -> int:
        return sum(b.on_ms + b.off_ms for b in self.bursts)

    def describe(self) -> str:
        """Such as `450 Hz 350/350 ms`."""
        hz = "+".join(f"{f:g}" for f in self.frequencies)
        am = f" modulated at {self.am_hz:g} Hz" if self.am_hz else ""
        return f"{hz} Hz{am} " + "/".join(f"{b.on_ms}/{b.off_ms}" for b in self.bursts) + " ms"


@dataclass(frozen=True, slots=True)
class Plan:
    """A country's tones. `congestion` is the busy cadence itself where the network has only one."""

    country: str
    name: str
    ringback: Cadence
    busy: Cadence
    congestion: Cadence

    @property
    def cadences(self) -> tuple[Cadence, ...]:
        """The plan's distinct cadences."""
        same = self.congestion.tone is Tone.BUSY
        return (self.ringback, self.busy) if same else (self.ringback, self.busy, self.congestion)

    def cadence(self, tone: str) -> Cadence:
        """By name: `ringback`, `busy` or `congestion`. Raises PlanError."""
        if tone not in ("ringback", "busy", "congestion"):
            raise PlanError(f"no tone {tone!r} in a tone plan; known: ringback, busy, congestion")
        found: Cadence = getattr(self, tone)
        return found


class _ToneEntry(msgspec.Struct, forbid_unknown_fields=True):
    hz: Annotated[list[_Hz], Meta(min_length=1, max_length=4)]
    cadence: Annotated[list[_Ms], Meta(min_length=2, max_length=16)]
    am: Annotated[float, Meta(ge=1, le=100)] | None = None
    levels: list[Annotated[float, Meta(ge=-40, le=0)]] = []
    dbm0: Annotated[float, Meta(ge=-40, le=0)] = -13.0


class _PlanEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    ringback: _ToneEntry
    busy: _ToneEntry
    congestion: _ToneEntry | None = None


@functools.cache
def plans() -> dict[str, Plan]:
    """Every plan, by country code."""
    text = resources.files("engine.detect").joinpath("plans.toml").read_text("utf-8")
    return load(text)


def plan(country: str) -> Plan:
    """One country's plan. Raises PlanError naming the plans there are."""
    code = country.lower()
    try:
        return plans()[ALIASES.get(code, code)]
    except KeyError:
        known = ", ".join(sorted(plans()))
        raise PlanError(f"no tone plan {country!r}; known: {known}") from None


def has_plan(country: str) -> bool:
    """Whether a country's plan is known."""
    code = country.lower()
    return ALIASES.get(code, code) in plans()


def load(text: str) -> dict[str, Plan]:
    """Plans from TOML. Raises PlanError with the place of the mistake."""
    try:
        entries = msgspec.convert(tomli.loads(text), dict[str, _PlanEntry])
    except (tomli.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PlanError(f"tone plans: {error}") from None
    return {code: _plan(code, entry) for code, entry in entries.items()}


def _plan(code: str, entry: _PlanEntry) -> Plan:
    busy = _cadence(code, Tone.BUSY, entry.busy)
    congestion = _cadence(code, Tone.CONGESTION, entry.congestion) if entry.congestion else busy
    return Plan(code, entry.name, _cadence(code, Tone.RINGBACK, entry.ringback), busy, congestion)


def _cadence(code: str, tone: Tone, entry: _ToneEntry) -> Cadence:
    where = f"tone plan {code}, {tone.label}"
    if len(entry.cadence) % 2:
        raise PlanError(f"{where}: the cadence needs an even count, on and off")
    levels = entry.levels or [0.0] * (len(entry.cadence) // 2)
    if len(levels) != len(entry.cadence) // 2:
        raise PlanError(f"{where}: the levels need one for each burst")
    bursts = tuple(
        Burst(on, off, level)
        for on, off, level in zip(entry.cadence[::2], entry.cadence[1::2], levels, strict=True)
    )
    return Cadence(code, tone, tuple(entry.hz), bursts, entry.am or 0.0, entry.dbm0)
