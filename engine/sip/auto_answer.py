"""How a caller asks to be answered without ringing: intercoms, click-to-dial, and providers' call-backs."""

from __future__ import annotations

from engine.sip.message import Message
from engine.sip.uri import number, parse_params, split_outside_quotes

MAX_AFTER = 60
"""Longest delay that a caller may ask for, in seconds."""


def answer_after(invite: Message) -> float | None:
    """Seconds after which the caller wants to be answered, None where it doesn't ask.

    Understood: `Answer-Mode: Auto` (RFC 5373), `Call-Info: <...>;answer-after=0`, and
    `Alert-Info: <...>;info=alert-autoanswer`, which most trunks and PBXs write.
    """
    if any(mode.split(";")[0].strip().lower() == "auto" for mode in invite.all("Answer-Mode")):
        return 0.0
    for name in ("Call-Info", "Alert-Info"):
        for value in (part for text in invite.all(name) for part in split_outside_quotes(text, ",")):
            params = {key.lower(): (found or "").strip('"') for key, found in parse_params(value)}
            if "answer-after" in params:
                seconds = number(params["answer-after"])
                return None if seconds is None or seconds > MAX_AFTER else float(seconds)
            if params.get("info", "").lower() in ("alert-autoanswer", "auto answer", "auto-answer"):
                return 0.0
    return None
