"""Which trunk a number goes to, and what is dialled there: prefixes, number format, dial rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.config import Config, Trunk, trunk_path
from engine.dial_rules import RuleError, rewrite
from engine.dialer.numbers import Number, NumberError, parse, written


@dataclass(frozen=True, slots=True)
class Route:
    """One way for a number: `prefix` is what chose the trunk (empty: it takes any number), `formatted` the
    number in the trunk's format, `rule` the place of the rule that made `dialled` of it.
    """

    trunk: str
    prefix: str
    formatted: str
    rule: int | None
    dialled: str


class DialPlan:
    """The trunks of one configuration with their prefixes and rules."""

    def __init__(self, config: Config) -> None:
        self._trunks = config.all_trunks
        self._country = config.trunk.country

    def country_of(self, name: str) -> str:
        """How a trunk reads numbers: by its own country, else by the first trunk's."""
        return self._trunks[name].country or self._country

    def route(self, name: str, number: str) -> Route:
        """What is dialled for a number at one trunk; a text that is no number goes as it stands.

        Raises RuleError where the trunk's rules spoil it.
        """
        trunk = self._trunks[name]
        try:
            parsed = parse(number, self.country_of(name))
        except NumberError:
            return Route(name, "", number, None, number)
        formatted = written(parsed, trunk.number_format, self.country_of(name))
        try:
            dialled, rule = rewrite(formatted, trunk.rules)
        except RuleError as error:
            raise RuleError(f"{trunk_path(name)}.rules: {error}") from None
        return Route(name, _prefix(trunk, parsed) or "", formatted, rule, dialled)

    def order(self, number: str, caller_id: str | None = None) -> list[str]:
        """The trunks that take a number, best first: the longest prefix, then the lowest priority, then the
        order of the file. A trunk that may not show `caller_id` is left out while another may.
        """
        found = []
        for place, (name, trunk) in enumerate(self._trunks.items()):
            try:
                prefix = _prefix(trunk, parse(number, self.country_of(name)))
            except NumberError:
                prefix = None if trunk.prefixes else ""
            if prefix is not None:
                found.append((-len(prefix), trunk.priority, place, name))
        names = [name for *_, name in sorted(found)]
        showing = [name for name in names if not caller_id or caller_id in self._trunks[name].caller_ids]
        return showing or names

    def choose(
        self, number: str, caller_id: str | None = None, usable: Callable[[str], bool] = lambda name: True
    ) -> list[Route]:
        """The ways for a number, best first: by the trunks that are usable now, or where none is by any.

        Raises RuleError where there is none.
        """
        names = self.order(number, caller_id)
        if not names:
            raise RuleError(f"no trunk is for {number}: its prefix is in no trunk's prefixes")
        names = [name for name in names if usable(name)] or names
        return self._routes(names, number)

    def forms(self, number: str) -> list[tuple[str, str]]:
        """What might be dialled for a number, at any trunk, with the country by which that is read.

        Raises RuleError where nothing can be.
        """
        routes = self._routes(self.order(number) or list(self._trunks), number)
        return [(route.dialled, self.country_of(route.trunk)) for route in routes]

    def _routes(self, names: list[str], number: str) -> list[Route]:
        routes, problem = [], None
        for name in names:
            try:
                routes.append(self.route(name, number))
            except RuleError as error:
                problem = problem or error
        if not routes and problem is not None:
            raise problem
        return routes


def _prefix(trunk: Trunk, number: Number) -> str | None:
    """The longest of a trunk's prefixes that the number begins with, as dialled or with its country code;
    empty where the trunk takes any number, None where this one is not for it."""
    if not trunk.prefixes:
        return ""
    forms = tuple(form for form in (number.dialable, number.e164) if form)
    fitting = [p for p in trunk.prefixes if any(form.startswith(p) for form in forms)]
    return max(fitting, key=len, default=None)
