"""How an attempt ended, in one word, told from what ended it."""

from __future__ import annotations

from engine.dialer.ports import HangupCause

DISPOSITIONS = (
    "bridged", "no_answer", "busy", "rejected", "invalid_number", "congestion", "abandoned", "caller_hung_up",
    "no_rtp", "failed", "skipped", "interrupted", "blocked", "cancelled",
)

TONES = {"busy": "busy", "congestion": "congestion"}
"""Tones that end a call before its answer, and what it then was."""

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
