"""How an attempt ended, in one word, told from what ended it."""

from __future__ import annotations

from engine.detect.outcome import FinishCause, Outcome
from engine.dialer.ports import HangupCause

DISPOSITIONS = (
    "bridged", "no_answer", "busy", "rejected", "invalid_number", "congestion", "abandoned", "caller_hung_up",
    "no_rtp", "failed", "skipped", "interrupted", "blocked", "cancelled", "power_off", "out_of_service",
    "unreachable", "barred", "number_changed", "machine",
)

_TONES = {
    "busy": "busy", "congestion": "congestion", "sit": "invalid_number", "fax": "machine",
    "ringback": "no_answer", "colorringback": "no_answer",
}
"""What a call was that a tone ended before its answer."""
_CATEGORIES = {
    2: "power_off", 3: "invalid_number", 4: "out_of_service", 5: "busy", 6: "rejected", 7: "unreachable",
    8: "out_of_service", 9: "busy", 10: "invalid_number", 11: "barred", 12: "machine", 13: "unreachable",
    14: "congestion", 15: "no_answer", 16: "out_of_service", 17: "no_answer", 18: "number_changed",
    19: "failed", 20: "unreachable",
}
"""What a call was by what an announcement said."""

_CODES = {
    401: "failed", 407: "failed",
    404: "invalid_number", 410: "invalid_number", 484: "invalid_number", 604: "invalid_number",
    408: "no_answer", 480: "no_answer",
    486: "busy", 600: "busy",
}


def of_response(code: int) -> str:
    """The disposition of a final response of 300 or above (RFC 3261 section 21)."""
    if code in _CODES:
        return _CODES[code]
    return "congestion" if 500 <= code <= 599 else "rejected"


NOBODY = frozenset({"busy", "congestion", "sit", "fax", "dial"})
"""Tones that are no person who has answered."""


def of_outcome(outcome: Outcome, *, answered: bool = False) -> tuple[str, str]:
    """The disposition of a call that is hung up for what was heard, and why. Whoever has answered and may
    be a person was abandoned."""
    if outcome.category and outcome.finish_cause in (FinishCause.STOPTONE, FinishCause.MATCH):
        return of_category(outcome), f"announcement heard: {outcome.alias}"
    if outcome.finish_cause is FinishCause.ANSWER:
        return "abandoned", "answered, and hung up as detection.hang_up_on says"
    if answered and outcome.stop_tone not in NOBODY:
        return "abandoned", f"answered, and hung up for what was heard: {outcome.result}"
    if outcome.finish_cause is FinishCause.STOPTONE:
        found = _TONES.get(outcome.stop_tone, "failed")
        return found, f"{outcome.stop_tone} tone heard {'after' if answered else 'before'} the answer"
    return "no_answer", f"listening ended: {outcome.finish_cause.value}"


def of_category(outcome: Outcome) -> str:
    """The disposition by the last announcement, empty where there was none that is certain."""
    return _CATEGORIES.get(outcome.correction or outcome.category, "")


def before_answer(cause: HangupCause) -> str:
    """The disposition of a call that ended unanswered and was not hung up by the dialer."""
    if cause.name in ("unauthorized", "no_response", "failed", "no_rtp"):
        return "failed"
    if cause.name == "cancelled" and cause.by == "us":
        return "cancelled"
    if cause.sip_code is not None and cause.sip_code >= 300:
        return of_response(cause.sip_code)
    return {"timeout": "no_answer", "rejected": "rejected"}.get(cause.name, "failed")


def after_answer(cause: HangupCause, *, bridged: bool) -> str:
    """The disposition of an answered call that ended by itself."""
    if cause.name == "no_rtp":
        return "no_rtp"
    return "bridged" if bridged else "caller_hung_up"
