"""Whom may be called, and when: emergency and premium numbers, do-not-call, calling hours.

Every refusal is one clear sentence. Where a guard can't tell, it refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumberType, ShortNumberCost, shortnumberinfo

from engine.config import Config
from engine.dial_rules import RuleError
from engine.dialer.do_not_call import DoNotCall
from engine.dialer.numbers import Number, NumberError, parse
from engine.dialplan import DialPlan

NEVER = float("inf")

UNIVERSAL = ("112", "911")
"""Emergency numbers that mobile networks everywhere understand."""

_PREMIUM = {PhoneNumberType.PREMIUM_RATE: "a premium-rate", PhoneNumberType.SHARED_COST: "a shared-cost"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`block`: never. `hold`: not before `until` (UNIX seconds; NEVER: not with this configuration).

    `warning` is what the operator should know of a number that is allowed.
    """

    kind: Literal["allow", "hold", "block"]
    reason: str = ""
    until: float = 0.0
    warning: str = ""


class Compliance:
    """The guards of one configuration. `wall` gives the present time, aware of its zone."""

    def __init__(self, config: Config, wall: Callable[[], datetime]) -> None:
        self._config = config
        self._wall = wall
        self._country = config.trunk.country
        self._plan = DialPlan(config)
        self.do_not_call = DoNotCall(config.compliance.do_not_call, self._country)
        hours = config.compliance.calling_hours
        self.hours = Hours(hours) if hours != "off" else None

    async def refresh(self) -> None:
        """Read the do-not-call file again if it has changed, in a thread: a long list takes seconds."""
        if self.do_not_call.changed():
            await asyncio.to_thread(self.do_not_call.refresh)

    def check(self, number: str, *, manual: bool = False) -> Verdict:
        """May this number be dialled now? `manual`: by hand, so that the hours only warn."""
        try:
            parsed = parse(number, self._country)
        except NumberError as error:
            return Verdict("block", f"{error}.")
        try:
            rewritten = self._rewritten(number, parsed)
        except RuleError as error:
            return Verdict("block", f"{error}.")
        for form, country in [(parsed, self._country), *rewritten]:
            if reason := self._barred(form, country):
                made = "" if form is parsed else f" Dial rules make it of {parsed.dialable}."
                return Verdict("block", reason + made)
        if self.do_not_call.problem:
            reason = f"{self.do_not_call.problem[0].upper()}{self.do_not_call.problem[1:]}: nobody is called."
            return Verdict("hold", reason, self._wall().timestamp() + 60)
        verdict = self._hours(parsed)
        for form, _ in rewritten:
            if verdict.kind == "allow" and form.e164 and form.zones:  # not 9 before it
                verdict = self._hours(form)
        if manual and verdict.kind == "hold":
            return Verdict("allow", warning=verdict.reason)
        return verdict

    def _rewritten(self, number: str, parsed: Number) -> list[tuple[Number, str]]:
        """What the trunks would dial for it, where that is another number. Raises RuleError."""
        return [
            (parse(dialled, country), country)
            for dialled, country in self._plan.forms(number)
            if dialled != parsed.dialable or country != self._country
        ]

    def _barred(self, number: Number, country: str) -> str:
        if self._config.compliance.block_special_numbers and (reason := self._special(number, country)):
            return reason
        if self.do_not_call.lists(number):
            return f"{number.dialable} is on the do-not-call list."
        return ""

    def _special(self, number: Number, country: str) -> str:
        regions = {country.upper(), number.region} - {""}
        lenient = self._config.is_loopback and not regions
        digits = number.dialable.lstrip("+")
        for form in {digits, number.national} - {""}:
            # A loopback trunk with no country: short numbers there are extensions.
            if form in UNIVERSAL or (not lenient and is_emergency(form, regions)):
                return f"{number.dialable} is an emergency number and is never dialled."
            if cost_region := _premium_short(form, regions):
                short = f"a premium-rate short number ({cost_region})"
                return f"{number.dialable} is {short} and is never dialled."
        if number.kind in _PREMIUM:
            return f"{number.dialable} is {_PREMIUM[number.kind]} number and is never dialled."
        return ""

    def _hours(self, number: Number) -> Verdict:
        if not self._config.hours_enforced or self.hours is None:
            return Verdict("allow")
        zones = number.zones
        if not zones:
            cure = "write it with + and its country code"
            if not self._country:
                cure += ", or set trunk.country"
            return Verdict("hold", f"The time zone of {number.dialable} can't be told: {cure}.", NEVER)
        try:
            now = self._wall()
            if self.hours.open(zones, now):
                return Verdict("allow")
            opening = self.hours.next_opening(zones, now)
        except (KeyError, OSError, ValueError):
            reason = f"The time zone {zones[0]} is not known to this machine: install the package tzdata."
            return Verdict("hold", reason, NEVER)
        where = zones[0] if len(zones) == 1 else f"all {len(zones)} time zones that it may be in"
        if opening is None:
            reason = f"{number.dialable} has no moment that is inside {self.hours.text} in {where}."
            return Verdict("hold", reason, NEVER)
        local = opening.astimezone(ZoneInfo(zones[0]))
        reason = (
            f"Outside {self.hours.text} in {where} for {number.dialable}: "
            f"held until {local:%Y-%m-%d %H:%M} {local.tzname()}."
        )
        return Verdict("hold", reason, opening.timestamp())


class Hours:
    """Calling hours `HH:MM-HH:MM` by the clock of the callee; the end is outside, 24:00 is midnight."""

    def __init__(self, text: str) -> None:
        self.text = text
        begin, _, end = text.partition("-")
        self._begin = time.fromisoformat(begin)
        self._end = None if end == "24:00" else time.fromisoformat(end)

    def open(self, zones: Iterable[str], at: datetime) -> bool:
        """Whether `at` is inside the hours in every one of the zones."""
        return all(self._inside(at.astimezone(ZoneInfo(zone)).time()) for zone in zones)

    def next_opening(self, zones: tuple[str, ...], after: datetime) -> datetime | None:
        """The first moment from `after` on that is inside in all zones; None if none comes in 8 days."""
        openings = []
        for zone in zones:
            info = ZoneInfo(zone)
            day = after.astimezone(info).date()
            for ahead in range(9):
                local = datetime.combine(day + timedelta(days=ahead), self._begin, info)
                # By way of UTC, so that a time which the clocks jump over becomes one that exists.
                moment = datetime.fromtimestamp(local.timestamp(), info)
                if moment >= after and self.open(zones, moment):
                    openings.append(moment)
                    break
        return min(openings, default=None)

    def _inside(self, local: time) -> bool:
        return self._begin <= local and (self._end is None or local < self._end)


def exemptions(config: Config) -> list[str]:
    """Every guard that is off, in words, for the screen to show."""
    off = []
    guards = config.compliance
    if guards.calling_hours == "off":
        off.append("calling hours are off")
    elif not config.hours_enforced:
        off.append("calling hours are off: the trunk is on loopback")
    if guards.max_abandoned >= 100:
        off.append("the abandoned-call gauge is off")
    if not guards.block_special_numbers:
        off.append("emergency and premium numbers are not refused")
    if not guards.do_not_call:
        off.append("no do-not-call file")
    if not guards.message:
        off.append("no message to abandoned callees")
    return off


def is_emergency(digits: str, regions: Iterable[str]) -> bool:
    """Whether dialling this would reach emergency services in one of the regions.

    With no region known, an emergency number of any region counts, and so do 112 and 911 always.
    """
    if digits in UNIVERSAL:
        return True
    known = [r for r in regions if r in phonenumbers.SUPPORTED_SHORT_REGIONS]
    if not known:
        return len(digits) <= 4 and _emergency_somewhere(digits)
    return any(shortnumberinfo.connects_to_emergency_number(digits, region) for region in known)


@lru_cache(maxsize=1024)
def _emergency_somewhere(digits: str) -> bool:
    everywhere = phonenumbers.SUPPORTED_SHORT_REGIONS
    return any(shortnumberinfo.is_emergency_number(digits, region) for region in everywhere)


def _premium_short(digits: str, regions: Iterable[str]) -> str:
    if len(digits) > 8:
        return ""
    for region in regions:
        if region not in phonenumbers.SUPPORTED_SHORT_REGIONS:
            continue
        try:
            parsed = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if shortnumberinfo.expected_cost_for_region(parsed, region) == ShortNumberCost.PREMIUM_RATE:
            return region
    return ""
