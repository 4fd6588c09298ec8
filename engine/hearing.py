"""How a call is listened to: the configuration's [detection], and what a queue entry has otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from engine.config import Detection
from engine.detect.answering import AmdSettings
from engine.detect.categories import CATEGORIES
from engine.detect.control import Settings
from engine.detect.rules import RuleError, ToneRules, parse

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
PER_CALL = frozenset(SEED_NAMES.values())
"""Keys that a queue entry may have for itself."""
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


class OptionError(Exception):
    """A queue entry's own setting that can't be used: one plain sentence."""


def option_name(column: str) -> str:
    """The key that a queue's column is for: a key of [detection] itself, or mod_da2's channel variable, with
    or without da2_param_; empty for any other column."""
    word = column.strip().lower().replace(" ", "_")
    if word.startswith(PREFIX):
        word = word.removeprefix(PREFIX)
        word = "answerautostop" if word == "answerautosotp" else word  # as its manual has it
        return SEED_NAMES.get(word, word if word in PER_CALL else "")
    return word if word in PER_CALL else SEED_NAMES.get(word, "")


def with_options(config: Detection, options: Mapping[str, str]) -> Detection:
    """[detection] with an entry's own values; keys of other things are passed over. Raises OptionError."""
    hints = get_type_hints(Detection, include_extras=True)
    found: dict[str, Any] = {}
    for key, text in options.items():
        if key in PER_CALL:
            found[key] = _value(key, text, hints[key])
    return msgspec.structs.replace(config, **found) if found else config


def _value(key: str, text: str, hint: Any) -> Any:
    plain: Any = text.strip()
    bare = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    if getattr(bare, "__origin__", None) is list:
        parts = plain.split(",") if "," in plain or key == "ignore" else plain.split()
        plain = [part.strip().lower() for part in parts if part.strip()]
    elif bare is bool:
        plain = _WORDS.get(plain.lower(), plain)
    try:
        if key.endswith("_rule"):
            parse(plain)
        return msgspec.convert(plain, hint, strict=bare is bool)
    except (msgspec.ValidationError, RuleError) as error:
        why = str(error)
        raise OptionError(f"{key} = {text.strip()[:60]!r}: {why[:1].lower()}{why[1:]}") from None


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
