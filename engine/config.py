"""The configuration: TOML read with tomli, validated as a whole.

`load` never stops at the first mistake: it raises one `ConfigError` that lists every problem with
its key path, what was found and what is allowed. Units are in the keys' names or comments, seconds
where nothing is said. config.example.toml explains each key to users.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
import platformdirs
import tomli
from msgspec import Meta

HOURS = r"^off$|^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$"
Seconds = Annotated[float, Meta(ge=0, le=86400)]
Count = Annotated[int, Meta(ge=1, le=1000)]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Trunk(Section, frozen=True):
    server: str = ""
    transport: Literal["udp"] = "udp"
    username: str = ""
    password: str = ""
    password_env: str = "OFFHOOK_PASSWORD"
    password_file: str = ""
    register: bool = True
    expires: Annotated[int, Meta(ge=10, le=86400)] = 300
    auth_username: str = ""
    from_user: str = ""
    display_name: str = ""
    domain: str = ""
    proxy: str = ""
    caller_ids: list[str] = []
    caller_id: str = ""
    country: Annotated[str, Meta(pattern="^[a-z]{2}$|^$")] = ""


class Sip(Section, frozen=True):
    listen: str = "0.0.0.0:0"
    keepalive: Seconds = 25.0
    trace_file: str = ""
    inbound: bool = True


class Rtp(Section, frozen=True):
    ports: str = "16384-16583"
    codecs: list[Literal["PCMA", "PCMU"]] = msgspec.field(default_factory=lambda: ["PCMA", "PCMU"])
    jitter_ms: Annotated[int, Meta(ge=20, le=200)] = 60
    timeout: Seconds = 30.0
    send_first: bool = True
    event_payload_type: Annotated[int, Meta(ge=96, le=127)] = 101


class Audio(Section, frozen=True):
    input: str = "default"
    output: str = "default"


class Operator(Section, frozen=True):
    mode: Literal["headset", "standing", "cold"] = "headset"
    agents: list[str] = []
    accept_after: Annotated[float, Meta(ge=-1, le=600)] = 1.0
    connect_timeout: Seconds = 20.0
    ring_timeout: Seconds = 60.0
    wrap_up: Seconds = 0.0


class Dialer(Section, frozen=True):
    wait_tone: str = "ringback"
    early_media: Literal["listen", "ignore", "operator"] = "listen"
    ring_timeout: Seconds = 60.0
    max_channels: Count = 1
    max_attempts: Count = 3
    pause_between: Seconds = 0.0
    autostart: bool = False
    skip_duplicates: bool = True


class Call(Section, frozen=True):
    max_duration: Annotated[float, Meta(ge=1, le=86400)] = 14400.0
    record: Literal["off", "callee", "agent", "both"] = "off"
    record_dir: str = ""


class Compliance(Section, frozen=True):
    do_not_call: str = ""
    calling_hours: Annotated[str, Meta(pattern=HOURS)] = "09:00-20:00"
    block_special_numbers: bool = True
    max_abandoned: Annotated[float, Meta(ge=0, le=100)] = 3.0
    message: str = ""
    message_after: Seconds = 2.0
    loopback_exempt: bool = True


class Store(Section, frozen=True):
    url: str = ""


class Control(Section, frozen=True):
    socket: str = ""


class Log(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str = ""


class Ui(Section, frozen=True):
    theme: str = "offhook"
    keys: dict[str, str] = {}


class Config(Section, frozen=True):
    trunk: Trunk = Trunk()
    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    audio: Audio = Audio()
    operator: Operator = Operator()
    dialer: Dialer = Dialer()
    call: Call = Call()
    compliance: Compliance = Compliance()
    store: Store = Store()
    control: Control = Control()
    log: Log = Log()
    ui: Ui = Ui()

    @property
    def is_loopback(self) -> bool:
        """True when the trunk is a literal loopback address, so nobody's real phone can ring."""
        host = split_host_port(self.trunk.proxy or self.trunk.server)[0]
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def hours_enforced(self) -> bool:
        """Whether the calling-hours guard is on for this trunk."""
        if self.compliance.calling_hours == "off":
            return False
        return not self.nobody_can_ring

    @property
    def gauge_enforced(self) -> bool:
        """Whether the abandoned-call gauge is on for this trunk."""
        return self.compliance.max_abandoned < 100 and not self.nobody_can_ring

    @property
    def nobody_can_ring(self) -> bool:
        """True for a loopback trunk, unless the configuration says that it leads to real phones."""
        return self.is_loopback and self.compliance.loopback_exempt


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, what was found (None: nothing), what is allowed."""

    key: str
    found: str | None
    allowed: str

    def __str__(self) -> str:
        found = "nothing" if self.found is None else self.found
        return f"{self.key}: found {found}; {self.allowed}"


class SetupError(Exception):
    """The phone can't be set up as configured; the text is one plain sentence with what to change."""


class ConfigError(Exception):
    """Every problem of a configuration, in `problems`; `str()` is the report."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__("\n".join([f"{len(problems)} {noun} in {source}:", *(f"  {p}" for p in problems)]))


def default_path() -> Path:
    return Path(platformdirs.user_config_dir("offhook")) / "config.toml"


def state_dir() -> Path:
    """Where the store and logs live unless the configuration says otherwise."""
    return Path(platformdirs.user_state_dir("offhook"))


def runtime_dir() -> Path:
    """The user's runtime directory, for the control socket."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # without XDG_RUNTIME_DIR it falls back to /tmp, and says so each time
        return Path(platformdirs.user_runtime_dir("offhook"))


def control_socket(config: Config) -> Path:
    """Where the engine's control socket is."""
    if config.control.socket:
        return Path(config.control.socket).expanduser()
    return runtime_dir() / "control.sock"


def store_url(config: Config) -> str:
    """The store's SQLAlchemy URL; by default a SQLite file in the state directory."""
    return config.store.url or f"sqlite:///{state_dir() / 'offhook.db'}"


def split_host_port(text: str, default: int = 5060) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address. Raises ValueError for a bad port."""
    text = text.strip()
    if match := re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", text):
        host, port = match[1], match[2]
    elif text.count(":") > 1:
        host, port = text, None
    else:
        host, _, port = text.partition(":")
        port = port if ":" in text else None
    number = default if port is None else int(port) if port.isdigit() else -1
    if not 0 <= number <= 65535:
        raise ValueError(f"port {port!r} is not between 0 and 65535")
    return host, number


def port_range(text: str) -> tuple[int, int]:
    """`low-high`, both within 1024-65535, with room for at least two ports. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", text)
    if not match or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
        raise ValueError(text)
    return int(match[1]), int(match[2])


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
    for item in overrides:
        _override(raw, item, problems)
    values: dict[str, Any] = {}
    sections = {f.name: f.type for f in msgspec.structs.fields(Config)}
    for name, table in raw.items():
        if name not in sections:
            problems.append(Problem(name, "an unknown section", _did_you_mean(name, sections)))
        elif not isinstance(table, dict):
            problems.append(Problem(name, _show(table), f"a section is allowed: [{name}]"))
        else:
            values[name] = _section(name, sections[name], table, problems)
    config = Config(**values)
    config = _password(config, path, environ, problems)
    _cross_checks(config, need_trunk, problems)
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
        problems.append(Problem(str(path), str(error), "valid TOML is needed"))
    return {}


def _override(raw: dict[str, Any], item: str, problems: list[Problem]) -> None:
    key, equals, text = item.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        problems.append(
            Problem(f"--set {item.split('=')[0]}", _show(item.split("=")[0]), "section.key=value is allowed")
        )
        return
    table = raw.setdefault(section, {})
    if isinstance(table, dict):
        if "." in name:
            outer, _, name = name.partition(".")
            table = table.setdefault(outer, {})
            if not isinstance(table, dict):
                problems.append(Problem(f"{section}.{outer}", _show(table), f"a table is needed for {key}"))
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
            problems.append(Problem(where, "an unknown key", _did_you_mean(key, hints)))
            continue
        hint = hints[key]
        if isinstance(value, _Text):
            value = _from_text(value, hint)
        try:
            good[key] = msgspec.convert(value, hint, strict=True)
        except msgspec.ValidationError:
            shown = "a value" if "password" in key else _show(value)
            problems.append(Problem(where, shown, _allowed(hint)))
    return kind(**good)


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
    if args and getattr(bare, "__origin__", None) is list:
        inner = args[0]
        choices = getattr(inner, "__args__", ())
        return "a list of " + (", ".join(choices) if choices else "texts") + " is allowed"
    return "a table of texts is allowed"


_PATTERNS = {
    "^[a-z]{2}$|^$": "a two-letter country code in lower case is allowed, such as cn",
    HOURS: "off or HH:MM-HH:MM is allowed, such as 09:00-20:00",
}


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"


def _password(
    config: Config, path: Path | None, environ: Mapping[str, str], problems: list[Problem]
) -> Config:
    """The password from the config, else from a file, else from the environment."""
    trunk = config.trunk
    if trunk.password:
        return config
    secret = ""
    if trunk.password_file:
        file = Path(trunk.password_file).expanduser()
        if path is not None and not file.is_absolute():
            file = path.parent / file
        try:
            secret = file.read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError):
            problems.append(
                Problem(
                    "trunk.password_file",
                    _show(trunk.password_file),
                    "a readable text file with the password alone is needed",
                )
            )
    elif trunk.password_env:
        secret = environ.get(trunk.password_env, "")
    return msgspec.structs.replace(config, trunk=msgspec.structs.replace(trunk, password=secret))


def _cross_checks(config: Config, need_trunk: bool, problems: list[Problem]) -> None:
    trunk = config.trunk

    def add(key: str, found: str | None, allowed: str) -> None:
        if not any(p.key == key for p in problems):
            problems.append(Problem(key, found, allowed))

    if need_trunk and not trunk.server:
        add("trunk.server", None, "the trunk's host or host:port is needed")
    for key in ("server", "proxy"):
        value = getattr(trunk, key)
        if value and not _is_host_port(value):
            add(f"trunk.{key}", _show(value), "host or host:port is allowed, such as sip.example.com:5060")
    if need_trunk and trunk.register and not trunk.username:
        add("trunk.username", None, "the account's user name is needed, or trunk.register = false")
    for key in ("username", "auth_username", "from_user", "domain", "display_name", "password"):
        if any(ord(c) < 32 for c in getattr(trunk, key)):
            add(f"trunk.{key}", "a control character", "printable text is allowed")
    if trunk.caller_id and trunk.caller_id not in trunk.caller_ids:
        add(
            "trunk.caller_id",
            _show(trunk.caller_id),
            "one of trunk.caller_ids is allowed: " + (", ".join(trunk.caller_ids) or "the list is empty"),
        )
    if not _is_host_port(config.sip.listen, literal=True):
        add(
            "sip.listen",
            _show(config.sip.listen),
            "address:port is allowed, such as 0.0.0.0:5060 (port 0: any)",
        )
    try:
        port_range(config.rtp.ports)
    except ValueError:
        add(
            "rtp.ports",
            _show(config.rtp.ports),
            "low-high is allowed, such as 16384-16583, from 1024 to 65535",
        )
    if not config.rtp.codecs:
        add("rtp.codecs", "an empty list", "at least one of PCMA, PCMU is needed")
    if config.operator.mode != "headset" and not config.operator.agents:
        add(
            "operator.agents",
            "an empty list",
            f'operator.mode = "{config.operator.mode}" needs an agent\'s number',
        )
    if config.compliance.calling_hours != "off":
        begin, _, end = config.compliance.calling_hours.partition("-")
        if begin >= end:
            add(
                "compliance.calling_hours",
                _show(config.compliance.calling_hours),
                "the first time must be before the second",
            )
    for section, key in (
        ("dialer", "wait_tone"),
        ("compliance", "do_not_call"),
        ("compliance", "message"),
    ):
        value = getattr(getattr(config, section), key)
        if value and value != "ringback" and not Path(value).expanduser().is_file():
            add(f"{section}.{key}", _show(value), "the file does not exist; a readable file is needed")


def _is_host_port(text: str, literal: bool = False) -> bool:
    try:
        host, _ = split_host_port(text)
        if literal:
            ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool(re.fullmatch(r"[A-Za-z0-9._:\-]+", host))
