"""Reading a configuration: TOML by tomli, overrides from the command line, validated as a whole.

`load` never stops at the first mistake: it raises one `ConfigError` that lists every problem with
its key path, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import tomli

from engine.config import (
    BEEP,
    FIRST_TRUNK,
    HEADER,
    HOURS,
    PASSWORD_ENV,
    RINGBACK,
    TRUNK_NAME,
    Config,
    Rule,
    Trunk,
    trunk_path,
)
from engine.config_checks import check, shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, what was found (None: nothing), what is allowed."""

    key: str
    found: str | None
    allowed: str

    def __str__(self) -> str:
        found = "nothing" if self.found is None else self.found
        return f"{self.key}: found {found}; {self.allowed}"


class ConfigError(Exception):
    """Every problem of a configuration, in `problems`; `str()` is the report."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__("\n".join([f"{len(problems)} {noun} in {source}:", *(f"  {p}" for p in problems)]))


def load(
    path: Path | None,
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
    *,
    need_trunk: bool = True,
) -> Config:
    """Read a file (None: only defaults), apply `section.key=value` overrides, validate it all.

    Raises ConfigError with every problem. `need_trunk` asks for `trunk.server` and credentials.
    """
    problems: list[Problem] = []
    source = str(path) if path else "the settings given"
    raw: dict[str, Any] = {}
    if path is not None:
        raw = _read(path, problems)
        if problems:
            raise ConfigError(source, problems)  # what it should have held would only be told as missing
        _beside(path, raw)
    for item in overrides:
        _override(raw, item, problems)
    values: dict[str, Any] = {}
    sections = {f.name: f.type for f in msgspec.structs.fields(Config)}
    for name, table in raw.items():
        if name not in sections:
            problems.append(Problem(name, "an unknown section", _did_you_mean(name, sections)))
        elif not isinstance(table, dict):
            section = "trunks.NAME" if name == "trunks" else name
            problems.append(Problem(name, shown(table), f"a section is allowed: [{section}]"))
        elif name == "trunks":
            values[name] = _trunks(table, problems)
        else:
            values[name] = _section(name, sections[name], table, problems)
    config = Config(**values)
    config = _password(config, environ, problems)

    def add(key: str, found: str | None, allowed: str) -> None:
        if not any(p.key == key for p in problems):
            problems.append(Problem(key, found, allowed))

    check(config, need_trunk, add)
    if problems:
        raise ConfigError(source, problems)
    return config


def _read(path: Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        return tomli.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        problems.append(Problem(str(path), None, "a TOML file is needed; config.example.toml shows one"))
    except OSError as error:
        problems.append(Problem(str(path), error.strerror or str(error), "a readable file is needed"))
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), f"a byte at {error.start} that is not UTF-8", "UTF-8 is allowed"))
    except tomli.TOMLDecodeError as error:
        problems.append(Problem(str(path), _not_toml(error), "valid TOML is needed"))
    return {}


FILES = {
    "trunk": ("tls_ca", "password_file"), "sip": ("trace_file",), "dialer": ("wait_tone", "machine_message"),
    "operator": ("whisper",), "call": ("hold_music",), "recording": ("folder", "announcement"),
    "detection": ("samples",), "compliance": ("do_not_call", "message"), "log": ("file",),
}  # fmt: skip
"""The keys that name a file or folder, by section."""


def _beside(path: Path, raw: dict[str, Any]) -> None:
    """Make the files that a configuration names relative to itself, wherever the command is run."""
    further = raw.get("trunks")
    tables = [(FILES["trunk"], trunk) for trunk in further.values()] if isinstance(further, dict) else []
    for keys, table in [*tables, *((keys, raw.get(name)) for name, keys in FILES.items())]:
        for key in keys if isinstance(table, dict) else ():
            if isinstance(value := table.get(key), str) and value and value not in (RINGBACK, BEEP):
                table[key] = str(path.absolute().parent / Path(value).expanduser())


def _not_toml(error: tomli.TOMLDecodeError) -> str:
    """The parser's message; what is there twice in plain words."""
    where = f"line {error.lineno}"
    if error.msg == "Cannot overwrite a value":
        return f"a key that stands there a second time, at {where}"
    if twice := re.fullmatch(r"Cannot declare \((.*)\) twice", error.msg):
        section = ".".join(part.strip(" '\"") for part in twice[1].split(",") if part.strip())
        return f"[{section}] a second time, at {where}"
    return f"{error.msg} at line {error.lineno}, column {error.colno}"


def _override(raw: dict[str, Any], item: str, problems: list[Problem]) -> None:
    key, equals, text = item.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        problems.append(
            Problem(f"--set {item.split('=')[0]}", shown(item.split("=")[0]), "section.key=value is allowed")
        )
        return
    table = raw.setdefault(section, {})
    if isinstance(table, dict):
        if "." in name:
            outer, _, name = name.partition(".")
            table = table.setdefault(outer, {})
            if not isinstance(table, dict):
                problems.append(Problem(f"{section}.{outer}", shown(table), f"a table is needed for {key}"))
                return
        table[name] = _Text(text)


class _Text(str):
    """A value from the command line: its TOML type is chosen by the key it is for."""


def _from_text(text: str, hint: Any) -> Any:
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


def _section(name: str, kind: Any, table: dict[str, Any], problems: list[Problem]) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    good: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{name}.{key}"
        if key not in hints:
            problems.append(Problem(where, "an unknown key", _meant(name, key, hints)))
            continue
        hint = hints[key]
        if isinstance(value, _Text):
            value = _from_text(value, hint)
        elif isinstance(value, dict) and getattr(_bare(hint), "__origin__", None) is dict:
            inner = _bare(hint).__args__[1]
            value = {k: _from_text(v, inner) if isinstance(v, _Text) else v for k, v in value.items()}
        try:
            good[key] = msgspec.convert(value, hint, strict=True)
        except msgspec.ValidationError:
            found = "a value" if "password" in key else shown(value)
            if _is_rules(hint) and (wrong := _rules(where, value)):
                problems += wrong
            else:
                problems.append(Problem(where, found, _allowed(hint)))
    return kind(**good)


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
        problems += [Problem(path, f"the key {k}", _did_you_mean(k, known)) for k in rule if k not in known]
        problems += [
            Problem(path, f"{k} = {shown(rule[k])}", "text in quotes is allowed")
            for k in known
            if k in rule and not isinstance(rule[k], str)
        ]
        if not problems and "match" not in rule:
            problems.append(Problem(path, "no match", 'an expression is needed, such as match = "^0"'))
    return problems


def _trunks(tables: dict[str, Any], problems: list[Problem]) -> dict[str, Trunk]:
    """The further trunks: a table each, with the keys of [trunk]."""
    found: dict[str, Trunk] = {}
    variables: dict[str, str] = {}
    for name, table in tables.items():
        path = f"trunks.{name}"
        other = variables.setdefault(_variable(name), name)
        if not re.fullmatch(TRUNK_NAME, name) or name == FIRST_TRUNK:
            allowed = f"a trunk's name is 1-20 of A-Z a-z 0-9 _ -, and not {FIRST_TRUNK}"
            problems.append(Problem(path, "a bad name", allowed))
        elif not isinstance(table, dict):
            problems.append(Problem(path, shown(table), f"a section is allowed: [{path}]"))
        elif other != name:
            allowed = f"it must differ from {other} in more than case, - and _"
            problems.append(Problem(path, "another trunk's name", allowed))
        else:
            found[name] = _section(path, Trunk, table, problems)
    return found


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


def _meant(section: str, key: str, here: Iterable[str]) -> str:
    """What an unknown key may stand for: its new name, a key elsewhere, or one written much alike."""
    if now := MOVED.get(f"{section}.{key}"):
        return f"it is called {now} now"
    places: dict[str, list[str]] = {}
    for field in msgspec.structs.fields(Config):
        for name in get_type_hints(field.type) if isinstance(field.type, type) else ():
            places.setdefault(name, []).append(f"{field.name}.{name}")
    here = list(here)
    alike = [] if difflib.get_close_matches(key, here, 1) else difflib.get_close_matches(key, places, 1)
    found = places.get(key) or [place for name in alike for place in places[name]]
    return f"did you mean {' or '.join(found)}?" if found else _did_you_mean(key, here)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"


def _variable(name: str) -> str:
    """The environment variable with a further trunk's password."""
    return f"{PASSWORD_ENV}_{name.upper().replace('-', '_')}"


def _password(config: Config, environ: Mapping[str, str], problems: list[Problem]) -> Config:
    """Every trunk's password: from the config, else from a file, else from the environment."""
    first, *others = [
        msgspec.structs.replace(trunk, password=_secret(name, trunk, environ, problems))
        for name, trunk in config.all_trunks.items()
    ]
    return msgspec.structs.replace(config, trunk=first, trunks=dict(zip(config.trunks, others, strict=True)))


def _secret(name: str, trunk: Trunk, environ: Mapping[str, str], problems: list[Problem]) -> str:
    if trunk.password:
        return trunk.password
    secret = ""
    if trunk.password_file:
        file = Path(trunk.password_file).expanduser()
        try:
            secret = file.read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError):
            problems.append(
                Problem(
                    f"{trunk_path(name)}.password_file",
                    shown(trunk.password_file),
                    "a readable text file with the password alone is needed",
                )
            )
    elif trunk.password_env:
        variable = trunk.password_env
        if name != FIRST_TRUNK and variable == PASSWORD_ENV:  # no trunk gets another's password by default
            variable = _variable(name)
        secret = environ.get(variable, "")
    return secret
