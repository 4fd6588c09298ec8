"""What came of listening to a call: mod_da2's results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.detect.categories import CATEGORIES
from engine.detect.types import Tone

SEED_TONES = Tone(0xFF)
"""The eight tones of mod_da2's bitmask."""


class FinishCause(StrEnum):
    """Why listening ended, in mod_da2's words.

    `bus_close` is the end of the call before anything else ended it. `limit`: too many calls were listened to
    already. `bug_add_fail`: there was no audio to listen to. `break`: stopped by command. `func_exit` and
    `unknown` are faults of the detector's own.
    """

    UNKNOWN = "unknown"
    STOPTONE = "stoptone"
    MATCH = "match"
    TIMEOUT = "detecttime_timeout"
    ANSWER = "answer"
    BUS_CLOSE = "bus_close"
    BUG_ADD_FAIL = "bug_add_fail"
    BREAK = "break"
    FUNC_EXIT = "func_exit"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`all_tone` holds the bits of every tone heard, `last_tone` the last one's label, `category` that of the
    last sample (0 for none), `correction` what it means after the 45-second rule, `sample` its uniqueid."""

    finish_cause: FinishCause
    all_tone: int = 0
    last_tone: str = ""
    stop_tone: str = ""
    category: int = 0
    correction: int = 0
    alias: str = ""
    sample: str = ""

    @property
    def result(self) -> str:
        """The word to show: what stopped the listening, a sample's alias, or the finish cause."""
        if self.finish_cause is FinishCause.STOPTONE:
            return self.alias if self.stop_tone == "sample" and self.alias else self.stop_tone
        if self.finish_cause is FinishCause.MATCH:
            return self.alias or "sample"
        return self.finish_cause.value

    def status(self, *, answered: bool, call_s: float) -> str:
        """The number's status, by mod_da2's rules for showing it. `call_s` is how long the call lasted."""
        if answered or self.finish_cause is FinishCause.ANSWER:
            return "answered"
        if self.finish_cause in (FinishCause.STOPTONE, FinishCause.MATCH):
            if self.result in _SHOWN or self.alias:
                return self.result
            return "not recognised"
        if self.finish_cause in (FinishCause.BUS_CLOSE, FinishCause.TIMEOUT):
            if self.finish_cause is FinishCause.TIMEOUT and self.last_tone in _SHOWN:
                return self.last_tone
            if self.finish_cause is FinishCause.TIMEOUT and self.last_tone == "sample" and self.alias:
                return self.alias
            return "call failed" if call_s < _FAILED_S else "not recognised"
        if self.finish_cause is FinishCause.BUG_ADD_FAIL:
            return "call failed" if call_s < _FAILED_S else "no early media"
        return "limit" if self.finish_cause is FinishCause.LIMIT else "not recognised"


_SHOWN = frozenset({"busy", "ringback", "colorringback", "silence", "congestion", "sit", "fax"}) | {
    c.alias for c in CATEGORIES.values()
}
_FAILED_S = 20.0
"""An unanswered call shorter than this failed; a longer one was not recognised."""
