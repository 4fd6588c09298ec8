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
    """Why a leg ended. `name` is a short stable word; `sip_code` and `reason` as received, `q850` the
    ISDN cause where the far end gave one (1-127), `retry_after` seconds to wait where it asked for that.

    Names: `normal` (BYE either way), `cancelled`, `rejected` (any final response >= 300; the code
    says which), `no_response` (no SIP response at all), `timeout`, `no_rtp`, `max_duration`,
    `unauthorized` (401/403/407 with our credentials), `failed` (could not be placed; reason says),
    `redirected` (3xx; reason says where to).
    """

    name: str
    by: str  # "us", "far" or "network"
    sip_code: int | None = None
    reason: str = ""
    q850: int | None = None
    retry_after: int | None = None
