"""What a leg is, in the words that signalling and the dialer share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LegState(StrEnum):
    DIALING = "dialing"
    TRYING = "trying"
    RINGING = "ringing"
    EARLY = "early"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class HangupCause:
    """Why a leg ended. `name` is a short stable word; `sip_code` and `reason` as received.

    Names: `normal` (BYE either way), `cancelled`, `rejected` (any final response >= 300; the code
    says which), `no_response` (no SIP response at all), `timeout`, `no_rtp`, `max_duration`,
    `unauthorized` (401/403/407 with our credentials), `failed` (could not be placed; reason says).
    """

    name: str
    by: str  # "us", "far" or "network"
    sip_code: int | None = None
    reason: str = ""
