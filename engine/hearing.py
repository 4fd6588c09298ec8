"""How a call is listened to and recorded: [detection], [recording], and what a queue entry has otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from engine.config import Detection, Recording
from engine.detect.answering import AmdSettings
from engine.detect.categories import CATEGORIES
from engine.detect.control import Settings
from engine.detect.rules import ToneRules, parse
from engine.hearing_checks import check_hearing

PREFIX = "da2_param_"
SEED_NAMES = {
    "stoptone": "stop_on", "autohangup": "hang_up", "hangupcondition": "hang_up_on",
    "ignoresamples": "ignore", "unmatchthreshold": "unmatched_limit", "matchthreshold": "matched_limit",
    "answerautostop": "stop_at_answer", "maxdetecttime": "max_time", "maxanalysistime": "max_sound",
    "maxsilencetime": "max_silence", "answer_after_maxanalysistime": "max_after_answer",
    "ptd_maxanalysistime": "max_prompt", "wait_result_timeout": "wait_for_result_ms",
    "tone_busy_rule": "tone_busy_rule", "tone_congestion_rule": "tone_congestion_rule",
    "tone_ringback_rule": "tone_ringback_rule", "tone_450hz_rule": "tone_450hz_rule",
}  # fmt: skip
"""mod_da2's parameters by the keys of [detection] that do the same."""
ENGINE_WIDE = frozenset({"samples", "starter", "tone_plans"})
"""Keys that a queue entry can't have for itself."""
PER_CALL = frozenset(field.name for field in msgspec.structs.fields(Detection)) - ENGINE_WIDE
NAMED_IN_FULL = frozenset({"codes", "amd"})
"""Their names alone may stand for something else in a queue: detection.codes, da2_param_codes."""
RECORDED = frozenset({"what", "begin", "format", "layout", "folder", "name"})
"""Keys of [recording] that a queue entry may have for itself, as recording.KEY."""
SEED_RECORDED = {"recordpath": "recording.folder", "recordformat": "recording.name"}
SETTINGS = (PREFIX, "detection.", "recording.")
"""How a queue's columns begin that mean to be settings."""
KNOWN = sorted(PER_CALL | {f"recording.{key}" for key in RECORDED} | {PREFIX + name for name in SEED_NAMES})
"""Their names, to be told to whoever has misspelt one."""
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


class OptionError(Exception):
    """A queue entry's own setting that can't be used: one plain sentence."""


def option_name(column: str) -> str:
    """The key that a queue's column is for: one of [detection], with or without `detection.`; one of
    [recording] with `recording.`; mod_da2's channel variable, with or without da2_param_. Empty for any other
    column."""
    word = column.strip().lower().replace(" ", "_")
    word = {"da2_param_answerautosotp": "da2_param_answerautostop"}.get(word, word)  # as its manual has it
    full = word.removeprefix(PREFIX).removeprefix("detection.")
    if full in PER_CALL and (full is not word or full not in NAMED_IN_FULL):
        return full
    if word.startswith("recording."):
        return word if word.removeprefix("recording.") in RECORDED else ""
    seed = word.removeprefix(PREFIX)
    return SEED_NAMES.get(seed, "") or SEED_RECORDED.get(seed, "")


def with_options(config: Detection, options: Mapping[str, str]) -> Detection:
    """[detection] with an entry's own values; keys of other things are passed over. Raises OptionError."""
    own = tuple((key, text) for key, text in options.items() if key in PER_CALL)
    return msgspec.structs.replace(config, **_own_detection(own)) if own else config


def recorded_with(config: Recording, options: Mapping[str, str]) -> Recording:
    """[recording] with an entry's own values. A folder alone has what is analysed recorded there, as
    mod_da2's recordpath does. Raises OptionError."""
    own = tuple((key, text) for key, text in options.items() if key.startswith("recording."))
    if not own:
        return config
    found = _own_recording(own)
    if "folder" in found and "what" not in found and config.what == "off":
        found = {**found, "what": "analysed"}
    return msgspec.structs.replace(config, **found)


@lru_cache(256)
def _own_detection(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    hints = _hints(Detection)
    found = {key: _value(key, text, hints[key]) for key, text in options}
    _check(dict(options), Detection(**found), Recording())
    return found


@lru_cache(256)
def _own_recording(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    hints = _hints(Recording)
    found = {}
    for key, text in options:
        name = key.removeprefix("recording.")
        if name in RECORDED:
            found[name] = _value(key, text, hints[name])
    _check(dict(options), Detection(), Recording(**found))
    return found


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _value(key: str, text: str, hint: Any) -> Any:
    plain: Any = text.strip()
    bare = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    kind = getattr(bare, "__origin__", None)
    if kind is list:
        parts = plain.split(",") if "," in plain or key == "ignore" else plain.split()
        plain = [part.strip().lower() for part in parts if part.strip()]
    elif kind is dict:
        pairs = (part.partition("=") for part in plain.replace(",", " ").split())
        plain = {name: value for name, _, value in pairs}
    elif bare is bool:
        plain = _WORDS.get(plain.lower(), plain)
    try:
        return msgspec.convert(plain, hint, strict=bare is bool)
    except msgspec.ValidationError as error:
        raise _refused(key, text, str(error)) from None


def _check(options: Mapping[str, str], detection: Detection, recording: Recording) -> None:
    """What the configuration's keys are checked for beyond their types."""
    wrong: list[tuple[str, str]] = []
    check_hearing(detection, recording, lambda key, found, allowed: wrong.append((key, allowed)))
    for path, allowed in wrong:
        for key, text in options.items():
            if path.startswith((f"detection.{key}", key)):
                raise _refused(key, text, allowed)


def _refused(key: str, text: str, why: str) -> OptionError:
    return OptionError(f"{key} = {text.strip()[:60]!r}: {why[:1].lower()}{why[1:]}")


def _rules(config: Detection) -> ToneRules:
    return ToneRules(
        parse(config.tone_busy_rule), parse(config.tone_congestion_rule), parse(config.tone_ringback_rule),
        parse(config.tone_450hz_rule), config.ringback_whole_cadence,
    )  # fmt: skip


@lru_cache(64)
def _settings(encoded: bytes) -> Settings:
    config = msgspec.json.decode(encoded, type=Detection)
    return Settings(
        stop_on=frozenset(config.stop_on), hang_up=config.hang_up, hang_up_on=frozenset(config.hang_up_on),
        ignored=frozenset(alias.lower() for alias in config.ignore),
        unmatched_limit=config.unmatched_limit, matched_limit=config.matched_limit,
        stop_at_answer=config.stop_at_answer, max_time=config.max_time, max_sound=config.max_sound,
        max_silence=config.max_silence, max_after_answer=config.max_after_answer,
        max_prompt=config.max_prompt, wait_for_result=config.wait_for_result_ms / 1000,
        max_calls=config.max_calls, amd=AmdSettings(**config.amd), rules=_rules(config),
    )  # fmt: skip


def settings(config: Detection) -> Settings:
    """What the detector's control takes. The configuration must have been checked."""
    return _settings(msgspec.json.encode(config))


def code_of(config: Detection, category: int) -> tuple[int, str] | None:
    """The code that a category is told with, and its words; None where there is none."""
    known = CATEGORIES.get(category)
    if known is None:
        return None
    code = config.codes.get(str(category), known.code)
    return (code, known.alias) if code else None


def told(config: Detection, category: int) -> list[tuple[str, str]]:
    """The headers of a CANCEL or BYE that say what was heard (Reason, RFC 3326)."""
    found = code_of(config, category)
    if found is None:
        return []
    value = f'SIP;cause={found[0]};text="{found[1]}"'
    names = ["Reason", *([config.reason_header] if config.reason_header else [])]
    return [(name, value) for name in names]
