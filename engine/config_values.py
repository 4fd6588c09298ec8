"""The values of a configuration's tables: each made its key's type, or a `Problem` with what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec
import tomli

from engine.config import HEADER, HOURS, Config, Rule
from engine.hearing_checks import shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, what was found (None: nothing), what is allowed. `line` is the file's, 0 where it
    stands in none."""

    key: str
    found: str | None
    allowed: str
    line: int = 0

    def __str__(self) -> str:
        found = "nothing" if self.found is None else self.found
        where = f"line {self.line}, {self.key}" if self.line else self.key
        return f"{where}: found {found}; {self.allowed}"


class Text(str):
    """A value from the command line: its TOML type is chosen by the key it is for."""


def section(name: str, kind: Any, table: dict[str, Any], problems: list[Problem]) -> Any:
    """A table as its section's struct; keys with mistakes keep their defaults."""
    hints = get_type_hints(kind, include_extras=True)
    good: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{name}.{key}"
        if key not in hints:
            problems.append(Problem(where, "an unknown key", _meant(name, key, hints)))
            continue
        hint = hints[key]
        if isinstance(value, Text):
            value = from_text(value, hint)
        elif isinstance(value, dict) and getattr(_bare(hint), "__origin__", None) is dict:
            inner = _bare(hint).__args__[1]
            value = {k: from_text(v, inner) if isinstance(v, Text) else v for k, v in value.items()}
        try:
            good[key] = msgspec.convert(value, hint, strict=True)
        except msgspec.ValidationError:
            found = "a value" if "password" in key else shown(value)
            if _is_rules(hint) and (wrong := _rules(where, value)):
                problems += wrong
            else:
                problems.append(Problem(where, found, _allowed(hint)))
    return kind(**good)


def from_text(text: str, hint: Any) -> Any:
    """A command-line value as its key's own type: texts need no quotes, lists may be `a,b`."""
    plain = str(text)
    bare = _bare(hint)
    if bare is str or _is_textual(hint):
        return plain
    try:
        value = tomli.loads(f"v = {plain}")["v"]
    except tomli.TOMLDecodeError:
        value = plain
    if getattr(bare, "__origin__", None) is list and not isinstance(value, list):
        return [part.strip() for part in plain.split(",") if part.strip()]
    return value


def _is_rules(hint: Any) -> bool:
    return getattr(_bare(hint), "__args__", ())[:1] == (Rule,)


def _rules(where: str, value: Any) -> list[Problem]:
    """What is wrong with each of a list of rules; nothing where it is no list of tables."""
    if not isinstance(value, list) or not all(isinstance(rule, dict) for rule in value):
        return []
    known = get_type_hints(Rule)
    problems = []
    for place, rule in enumerate(value, 1):
        path = f"{where}, rule {place}"
        problems += [Problem(path, f"the key {k}", did_you_mean(k, known)) for k in rule if k not in known]
        problems += [
            Problem(path, f"{k} = {shown(rule[k])}", "text in quotes is allowed")
            for k in known
            if k in rule and not isinstance(rule[k], str)
        ]
        if not problems and "match" not in rule:
            problems.append(Problem(path, "no match", 'an expression is needed, such as match = "^0"'))
    return problems


def _bare(hint: Any) -> Any:
    return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint


def _is_textual(hint: Any) -> bool:
    args = getattr(_bare(hint), "__args__", ())
    return bool(args) and all(isinstance(a, str) for a in args)


def _allowed(hint: Any) -> str:
    meta: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    bare = _bare(hint)
    args = getattr(bare, "__args__", ())
    if _is_textual(hint):
        return "allowed: " + ", ".join(args)
    if bare is bool:
        return "true or false is allowed"
    if bare in (int, float):
        word = "a whole number" if bare is int else "a number"
        for m in meta:
            if m.ge is not None and m.le is not None:
                return f"{word} from {m.ge:g} to {m.le:g} is allowed"
        return f"{word} is allowed"
    if bare is str:
        for m in meta:
            if m.pattern:
                return _PATTERNS.get(m.pattern, f"text of the form {m.pattern} is allowed")
        return "text in quotes is allowed"
    if args and args[0] is Rule:
        return 'a list of rules is allowed, such as [{match = "^0", replace = "+86"}]'
    if args and getattr(bare, "__origin__", None) is list:
        inner = args[0]
        choices = getattr(inner, "__args__", ())
        return "a list of " + (", ".join(choices) if choices else "texts") + " is allowed"
    return f"a table of {'whole numbers' if args[1:] == (int,) else 'texts'} is allowed"


_PATTERNS = {
    "^[a-z]{2}$|^$": "a two-letter country code in lower case is allowed, such as cn",
    HEADER: "a header's name is allowed, such as X-Reason",
    HOURS: "off or HH:MM-HH:MM is allowed, such as 09:00-20:00",
}


MOVED = {"call.record": "recording.what", "call.record_dir": "recording.folder"}
"""Keys of earlier versions, and what they are called now."""


def _meant(name: str, key: str, here: Iterable[str]) -> str:
    """What an unknown key may stand for: its new name, a key elsewhere, or one written much alike."""
    if now := MOVED.get(f"{name}.{key}"):
        return f"it is called {now} now"
    if name.endswith("detection"):
        from engine.hearing import SEED_NAMES  # numpy: only where it is needed

        if here_called := SEED_NAMES.get(key):
            return f"mod_da2's {key} is called {here_called} here"
    places: dict[str, list[str]] = {}
    for field in msgspec.structs.fields(Config):
        for each in get_type_hints(field.type) if isinstance(field.type, type) else ():
            places.setdefault(each, []).append(f"{field.name}.{each}")
    here = list(here)
    alike = [] if difflib.get_close_matches(key, here, 1) else difflib.get_close_matches(key, places, 1)
    found = places.get(key) or [place for each in alike for place in places[each]]
    return f"did you mean {' or '.join(found)}?" if found else did_you_mean(key, here)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"
