"""Tone plans: which tones a country's network sends, read from plans.toml.

Used by the detector, by the tone player and by whoever simulates a network.
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli
from msgspec import Meta

from engine.detect.types import Tone

ALIASES = {
    "gb": "uk", "gg": "uk", "im": "uk", "je": "uk", "ca": "us", "as": "us", "gu": "us", "mp": "us",
    "pr": "us", "vi": "us", "ax": "fi", "kz": "ru", "sj": "no", "va": "it",
}  # fmt: skip
"""Other codes for the same plan: ISO 3166 where the plan's own code is not, and shared plans."""
LARGEST_FILE = 1 << 20
_CODE = re.compile("[a-z]{2}")

_Hz = Annotated[float, Meta(ge=300, le=700)]
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
        """Such as `450 Hz 350/350 ms`; `450 Hz` for a tone without a pause."""
        hz = "+".join(f"{f:g}" for f in self.frequencies)
        am = f" modulated at {self.am_hz:g} Hz" if self.am_hz else ""
        times = "/".join(f"{b.on_ms}/{b.off_ms}" for b in self.bursts)
        return f"{hz} Hz{am}" + (f" {times} ms" if times else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """A country's tones. `congestion` is the busy cadence itself where the network has only one; `dials` are
    its dial tones, those without a pause having no bursts."""

    country: str
    name: str
    ringback: Cadence
    busy: Cadence
    congestion: Cadence
    dials: tuple[Cadence, ...] = ()

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


class _DialEntry(msgspec.Struct, forbid_unknown_fields=True):
    hz: Annotated[list[_Hz], Meta(min_length=1, max_length=4)]
    cadence: Annotated[list[_Ms], Meta(max_length=16)] = []
    am: Annotated[float, Meta(ge=1, le=100)] | None = None
    levels: list[Annotated[float, Meta(ge=-40, le=0)]] = []
    dbm0: Annotated[float, Meta(ge=-40, le=0)] = -13.0


class _ToneEntry(_DialEntry, forbid_unknown_fields=True, kw_only=True):
    cadence: Annotated[list[_Ms], Meta(min_length=2, max_length=16)]


class _PlanEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    ringback: _ToneEntry
    busy: _ToneEntry
    congestion: _ToneEntry | None = None
    dial: _DialEntry | None = None
    special_dial: _DialEntry | None = None


_own: dict[str, Plan] = {}


def plans() -> dict[str, Plan]:
    """Every plan, by country code: the ones that come with this, then those of `use`."""
    return _own or built_in()


@functools.cache
def built_in() -> dict[str, Plan]:
    return load(_text())


def _text() -> str:
    return resources.files("engine.detect").joinpath("plans.toml").read_text("utf-8")


def use(file: Path | None) -> None:
    """From now on `plans` has those of a file too, in this process; None: no longer. What listens already
    goes on with what it has. Raises PlanError."""
    own = read(file) if file is not None else {}
    _own.clear()
    _own.update(own)


def read(file: Path) -> dict[str, Plan]:
    """All plans with those of a user's file added. Raises PlanError with the file and the place in it."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise PlanError(f"{file}: larger than {LARGEST_FILE // 1024} KB; this is no file of tone plans")
        text = file.read_text("utf-8")
    except OSError as error:
        raise PlanError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PlanError(f"{file}: not UTF-8 text") from None
    try:
        return load(text, tomli.loads(_text()))
    except PlanError as error:
        raise PlanError(f"{file}: {error}") from None


def plan(country: str) -> Plan:
    """One country's plan. Raises PlanError naming the plans there are."""
    found = plans().get(code_of(country))
    if found is None:
        known = ", ".join(sorted(plans()))
        raise PlanError(f"no tone plan {country!r}; known: {known}")
    return found


def code_of(country: str) -> str:
    """The code of a country's plan, which another country may share; empty where there is none."""
    code = country.lower()
    if code not in plans():
        code = ALIASES.get(code, code)
    return code if code in plans() else ""


def has_plan(country: str) -> bool:
    """Whether a country's plan is known."""
    return bool(code_of(country))


def load(text: str, base: dict[str, Any] | None = None) -> dict[str, Plan]:
    """Plans from TOML, laid over those of `base`. Raises PlanError with the place of the mistake."""
    try:
        tables = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise PlanError(f"not TOML: {error}") from None
    found = dict(base or {})
    for code, table in tables.items():
        if not _CODE.fullmatch(code):
            raise PlanError(f"[{code}]: a country is two small letters, such as [de]")
        if not isinstance(table, dict):
            raise PlanError(f"{code}: expected a table of tones, [{code}]")
        found[code] = {"name": code, **found.get(code, {}), **table}
    return {code: _plan(code, table) for code, table in found.items()}


def _plan(code: str, table: dict[str, Any]) -> Plan:
    try:
        entry = msgspec.convert(table, _PlanEntry)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        where = f"tone plan {code}" + (f", {place.strip('.`')}" if place else "")
        raise PlanError(f"{where}: {what}") from None
    busy = _cadence(code, Tone.BUSY, entry.busy)
    congestion = _cadence(code, Tone.CONGESTION, entry.congestion) if entry.congestion else busy
    ringback = _cadence(code, Tone.RINGBACK, entry.ringback)
    dials = tuple(_cadence(code, Tone.DIAL, each) for each in (entry.dial, entry.special_dial) if each)
    different = (ringback, busy, congestion) if entry.congestion else (ringback, busy)
    for one, other in itertools.combinations(different, 2):
        if (one.frequencies, one.am_hz, one.bursts) == (other.frequencies, other.am_hz, other.bursts):
            names = f"{one.tone.label} and {other.tone.label}"
            raise PlanError(f"tone plan {code}: {names} are the same, {one.describe()}; leave congestion out"
                            " where there is only busy")
    return Plan(code, entry.name, ringback, busy, congestion, dials)


def _cadence(code: str, tone: Tone, entry: _DialEntry) -> Cadence:
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
