"""Which way our digits go to a far end: by setting, or by what it said that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from engine.sip.call import Call

Way = Literal["rtp", "info", "inband"]
Setting = Literal["auto", "rtp", "info", "inband"]

_KEEPS_TONES = frozenset({"PCMA", "PCMU", "G722"})
"""Codecs through which the far end can still tell a key's tones; the others bend them."""


def digit_way(setting: Setting, call: Call) -> Way | None:
    """The way for a call; None where the setting's own can't be gone.

    With "auto": telephone-event where it was agreed on (RFC 4733). Else INFO where the far end shows that it
    reads key presses there: its Accept names them, or it sent one itself. That its Allow lists INFO says
    little, since many answer 200 to what they ignore, so it counts only where the codec would spoil tones.
    Else tones. Who refused INFO once gets tones from then on.
    """
    agreed = call.negotiated
    if setting == "rtp":
        return "rtp" if agreed is None or agreed.events else None
    if setting != "auto":
        return setting
    if agreed is None or agreed.events:
        return "rtp"
    if call.info.refused:
        return "inband"
    bent = bool(agreed.codecs) and agreed.codecs[0][0] not in _KEEPS_TONES
    return "info" if call.info.read_there or (bent and "INFO" in call.far_methods) else "inband"
