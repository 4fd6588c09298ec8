"""Reading a configuration: TOML by tomli, overrides from the command line, validated as a whole.

`load` never stops at the first mistake: it raises one `ConfigError` that lists every problem with
its key path, what was found and what is allowed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import tomli

from engine.config import (
    BEEP,
    FIRST_TRUNK,
    PASSWORD_ENV,
    RINGBACK,
    TRUNK_NAME,
    Campaign,
    Config,
    Trunk,
    trunk_path,
)
from engine.config_checks import check
from engine.config_lines import line_of
from engine.config_values import Problem, Text, did_you_mean, section
from engine.hearing_checks import shown


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
    text = ""
    if path is not None:
        text = _read(path, problems)
        raw = _parsed(path, text, problems)
        if problems:
            raise ConfigError(source, problems)  # what it should have held would only be told as missing
        _beside(path, raw)
    for item in overrides:
        _override(raw, item, problems)
    values: dict[str, Any] = {}
    sections = {f.name: f.type for f in msgspec.structs.fields(Config)}
    for name, table in raw.items():
        if name not in sections:
            problems.append(Problem(name, "an unknown section", did_you_mean(name, sections)))
        elif not isinstance(table, dict):
            wanted = _NAMED.get(name, name)
            problems.append(Problem(name, shown(table), f"a section is allowed: [{wanted}]"))
        elif name == "trunks":
            values[name] = _trunks(table, problems)
        elif name != "campaigns":
            values[name] = section(name, sections[name], table, problems)
    config = Config(**values)
    if isinstance(own := raw.get("campaigns"), dict):
        campaigns = _campaigns(own, raw, config, problems)
        config = msgspec.structs.replace(config, campaigns=campaigns)
    config = _password(config, environ, problems)

    def add(key: str, found: str | None, allowed: str) -> None:
        if not any(p.key == key for p in problems):
            problems.append(Problem(key, found, allowed))

    check(config, need_trunk, add)
    if problems:
        raise ConfigError(source, [replace(each, line=line_of(text, each.key)) for each in problems])
    return config


_NAMED = {"trunks": "trunks.NAME", "campaigns": "campaigns.NAME.detection"}
"""How sections of the user's own names begin."""


def _read(path: Path, problems: list[Problem]) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.append(Problem(str(path), None, "a TOML file is needed; config.example.toml shows one"))
    except OSError as error:
        problems.append(Problem(str(path), error.strerror or str(error), "a readable file is needed"))
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), f"a byte at {error.start} that is not UTF-8", "UTF-8 is allowed"))
    return ""


def _parsed(path: Path, text: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        return tomli.loads(text)
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
    further, campaigns = (raw.get(name) for name in ("trunks", "campaigns"))
    tables = [(FILES["trunk"], trunk) for trunk in further.values()] if isinstance(further, dict) else []
    for own in campaigns.values() if isinstance(campaigns, dict) else ():
        tables += [(FILES[name], own[name]) for name in OF_CAMPAIGN if isinstance(own, dict) and name in own]
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
    outer, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        problems.append(
            Problem(f"--set {item.split('=')[0]}", shown(item.split("=")[0]), "section.key=value is allowed")
        )
        return
    table, at = raw.setdefault(outer, {}), outer
    while isinstance(table, dict) and "." in name:
        inner, _, name = name.partition(".")
        table, at = table.setdefault(inner, {}), f"{at}.{inner}"
    if isinstance(table, dict):
        table[name] = Text(text)
    elif at != outer:
        problems.append(Problem(at, shown(table), f"a table is needed for {key}"))






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
            found[name] = section(path, Trunk, table, problems)
    return found




OF_CAMPAIGN = ("detection", "recording")
"""The sections that a campaign may override keys of."""


def _campaigns(
    tables: dict[str, Any], raw: dict[str, Any], config: Config, problems: list[Problem]
) -> dict[str, Campaign]:
    """Each campaign's sections: the configuration's with its own keys in their place. What the command line
    sets counts for every campaign."""
    found = {}
    for name, table in tables.items():
        path = f"campaigns.{name}"
        made = {}
        for part, own in table.items() if isinstance(table, dict) else ():
            if part not in OF_CAMPAIGN or not isinstance(own, dict):
                allowed = " and ".join(f"[{path}.{each}]" for each in OF_CAMPAIGN)
                problems.append(Problem(f"{path}.{part}", shown(own), f"the sections {allowed} are allowed"))
                continue
            general = raw.get(part)
            given = [key for key, value in (general if isinstance(general, dict) else {}).items()
                     if isinstance(value, Text)]
            own = {key: value for key, value in own.items() if key not in given}
            base = getattr(config, part)
            read = section(f"{path}.{part}", type(base), own, problems)
            good = {key: getattr(read, key) for key in own if hasattr(read, key)}
            made[part] = msgspec.structs.replace(base, **good)
        if not isinstance(table, dict):
            problems.append(Problem(path, shown(table), f"a section is allowed: [{path}.detection]"))
        found[name] = Campaign(
            made.get("detection", config.detection), made.get("recording", config.recording)
        )
    return found


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
