"""Why a call ended, from what the far end says (Reason, RFC 3326; Retry-After), and what we say of it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.legs import HangupCause
from engine.sip.fields import delta_seconds
from engine.sip.message import Message
from engine.sip.uri import number, parse_params, split_outside_quotes

MAX_REASONS = 8
"""Values of Reason headers that are looked at."""

COMPLETED_ELSEWHERE = [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')]
"""For the BYE of a second fork that answered (RFC 3326, 2)."""

_Q850 = {
    "normal": (16, "Normal call clearing"),
    "max_duration": (16, "Normal call clearing"),
    "no_rtp": (41, "Temporary failure"),
    "timeout": (102, "Recovery on timer expiry"),
}


def ended_by(
    name: str, by: str, message: Message | None, code: int | None = None, reason: str = ""
) -> HangupCause:
    """A hangup cause with what the message that ended the call tells: the Q.850 cause, when to try again,
    and its text where `reason` is empty."""
    if message is None:
        return HangupCause(name, by, code, reason)
    q850, said = None, ""
    for protocol, cause, text in _reasons(message):
        if protocol == "Q.850" and q850 is None:
            q850 = cause
        said = said or text
    return HangupCause(name, by, code, reason or said, q850, delta_seconds(message.get("Retry-After")))


def _reasons(message: Message) -> list[tuple[str, int | None, str]]:
    """Protocol, cause and text of each Reason value; of one without a text the value itself is it."""
    values = [v.strip() for header in message.all("Reason") for v in split_outside_quotes(header, ",")]
    found = []
    for value in values[:MAX_REASONS]:
        protocol, _, rest = value.partition(";")
        params = {k.lower(): v or "" for k, v in parse_params(rest)}
        text = params.get("text", "").strip('"') or value
        found.append((protocol.strip().upper(), number(params.get("cause"), 1000), text[:200]))
    return found


def reason_of(cause: str) -> Sequence[tuple[str, str]]:
    """The Reason header of our BYE, where Q.850 has a word for the cause."""
    if cause not in _Q850:
        return []
    value, text = _Q850[cause]
    return [("Reason", f'Q.850;cause={value};text="{text}"')]
