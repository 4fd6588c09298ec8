"""The carrier's directory: who may register, and what each number does when it is called.

directory.toml is the commented example and what `offhook demo` uses.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli
from msgspec import Meta

from engine.demo import announced, sounds
from engine.detect.plans import PlanError, plan

Seconds = Annotated[float, Meta(ge=0, le=3600)]
Sound = Literal[
    "ringback", "busy", "congestion", "speech", "silence", "announcement", "unknown", "music", "tone", "sit",
    "fax", "dtmf",
]
SAYS = ("speech", "echo", "silence", "nothing", "person", "machine", "fax")


class DirectoryError(Exception):
    """The directory can't be used; the message says where and why."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Expect(Struct, frozen=True):
    """What a dialer that calls the number must say of it. Several dispositions: any of them is right."""

    disposition: str | list[str]
    sip_code: int | None = None
    digits: str = ""
    heard: list[str] = []
    result: str = ""
    """mod_da2's word for it."""

    @property
    def dispositions(self) -> list[str]:
        return [self.disposition] if isinstance(self.disposition, str) else self.disposition


class Callee(Struct, frozen=True):
    """One number. Times are seconds, from the INVITE up to the answer, from the answer after it.

    Without `answer_after` and `refuse` it never answers.
    """

    note: str = ""
    country: str = "us"
    """Whose tones are played."""
    early: Sound | None = None
    """Early media: a 183 with this sound; without it a plain 180."""
    announces: Annotated[int, Meta(ge=2, le=20)] = 2
    """The category of its announcement."""
    language: Literal["en", "zh"] = "en"
    rings: bool = True
    """False: neither 180 nor 183."""
    answer_after: Seconds | None = None
    refuse: Annotated[int, Meta(ge=300, le=699)] | None = None
    refuse_after: Seconds = 0.0
    reason: str = ""
    says: str = "speech"
    """After the answer: speech, echo, silence, nothing (no RTP at all), a person who says hello, an answering
    machine, a fax, or the path of a WAV file."""
    voice: Annotated[int, Meta(ge=0, le=1000)] = 1
    digits: Annotated[str, Meta(pattern="^[0-9*#A-D]{0,64}$")] = ""
    digits_after: Seconds = 1.0
    hangup_after: Seconds | None = None
    vanish_after: Seconds | None = None
    """No BYE, no RTP, no answer to anything from then on."""
    calls_back_after: Seconds | None = None
    """Calls the caller's registered contact that long after the call ended."""
    one_call: bool = False
    """Busy (486) to a second call while it is in one."""
    codecs: list[Literal["PCMA", "PCMU"]] = msgspec.field(default_factory=lambda: ["PCMA", "PCMU"])
    event_payload_type: Annotated[int, Meta(ge=96, le=127)] = 101
    expect: Expect | None = None


class User(Struct, frozen=True):
    """Who may register and call."""

    name: str
    password: str


class Settings(Struct, frozen=True):
    realm: str = "demo.offhook.invalid"
    algorithms: list[Literal["SHA-256", "MD5"]] = msgspec.field(default_factory=lambda: ["SHA-256", "MD5"])
    """Offered in this order (RFC 8760, section 2.4)."""
    challenge_invites: bool = True
    max_expires: Annotated[int, Meta(ge=1, le=86400)] = 120
    min_expires: Annotated[int, Meta(ge=1, le=86400)] = 5
    max_calls: Annotated[int, Meta(ge=1, le=256)] = 64
    max_call_seconds: Annotated[float, Meta(ge=1, le=86400)] = 3600.0


class Directory(Struct, frozen=True):
    carrier: Settings = Settings()
    users: list[User] = []
    numbers: dict[str, Callee] = {}

    def find(self, dialled: str) -> Callee | None:
        """The callee of a Request-URI's user part; visual separators don't count (RFC 3966, 5.1.1)."""
        plain = re.sub(r"[-.() ]", "", dialled)
        return self.numbers.get(plain) or self.numbers.get("+" + plain)


DEFAULT = Path(__file__).with_name("directory.toml")


def load(path: Path = DEFAULT) -> Directory:
    """Read and check a directory. Raises DirectoryError with one sentence."""
    try:
        directory = msgspec.convert(tomli.loads(path.read_text("utf-8")), Directory)
    except FileNotFoundError:
        raise DirectoryError(f"{path} does not exist") from None
    except OSError as error:
        raise DirectoryError(f"{path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise DirectoryError(f"{path} is not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise DirectoryError(f"{path}: {error}") from None
    for number, callee in directory.numbers.items():
        problem = _problem(callee, path.parent)
        if problem:
            raise DirectoryError(f"{path}: numbers.{number}: {problem}")
    return directory


def _problem(callee: Callee, beside: Path) -> str:
    if callee.answer_after is not None and callee.refuse is not None:
        return "it has both answer_after and refuse; only one can come true"
    try:
        plan(callee.country)
    except PlanError as error:
        return str(error)
    if callee.early and not callee.rings:
        return "early media needs rings = true"
    if not callee.codecs:
        return "codecs is empty; at least one of PCMA, PCMU is needed"
    if callee.says not in SAYS:
        try:
            sounds.read_wav(beside / callee.says)
        except ValueError as error:
            return f"says = {callee.says!r}: {error}"
    return ""


def source(callee: Callee, beside: Path = DEFAULT.parent) -> sounds.Source | None:
    """What the callee says after the answer; None is no RTP. Paths are relative to the directory's own."""
    match callee.says:
        case "nothing":
            return None
        case "speech":
            return sounds.Loop(sounds.speech(callee.voice))
        case "echo":
            return sounds.Echo()
        case "silence":
            return sounds.Source()
        case "person":
            return announced.Spoken(announced.person)
        case "machine":
            return announced.Spoken(announced.machine)
        case "fax":
            return sounds.Loop(announced.fax())
    return sounds.Loop(sounds.read_wav(beside / callee.says))


def early_source(callee: Callee) -> sounds.Source:
    """The sound of its early media."""
    match callee.early:
        case "speech":
            return sounds.Loop(sounds.speech(callee.voice))
        case "silence" | None:
            return sounds.Source()
        case "announcement":
            return announced.Spoken(partial(announced.announcement, callee.announces, callee.language))
        case "unknown":
            return announced.Spoken(announced.unknown)
        case "music":
            return announced.Spoken(announced.music)
        case "tone":
            return sounds.Loop(announced.single(callee.country))
        case "sit" | "fax" | "dtmf":
            make = {"sit": announced.sit, "fax": announced.fax, "dtmf": announced.keys}
            return sounds.Loop(make[callee.early]())
        case name:
            return sounds.Loop(sounds.tone(callee.country, name))
