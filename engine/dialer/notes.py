"""What is kept of an attempt: its record, filled in as the call goes."""

from __future__ import annotations

import asyncio
from datetime import datetime

from engine.detect.outcome import Outcome
from engine.dialer.ports import AttemptRecord, HangupCause, Heard, Leg, QueueEntry, StateChanged

MAX_DETECTIONS = 500
MAX_DIGITS = 200
"""Bounds on what a far end can make one record hold."""


class Notes:
    """One attempt's. `outcome` is what came of listening, None while nothing has."""

    def __init__(self, entry: QueueEntry, at: datetime) -> None:
        self.record = AttemptRecord(0, entry.id, entry.number, at, {"queued": 0}, name=entry.name)
        self.answered = False
        self.outcome: Outcome | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def bridged(self) -> bool:
        """Whether the callee has talked to the operator."""
        return "bridged" in self.record.states

    def reached(self, state: str) -> None:
        """A state, for the first time or again."""
        self.record.states.setdefault(state, round((self._loop.time() - self._began) * 1000))

    def seen_answer(self, event: StateChanged) -> None:
        self.answered = True
        self.record.sip_code = event.sip_code or 200

    def heard(self, heard: Heard) -> None:
        if len(self.record.detections) < MAX_DETECTIONS:
            self.record.detections.append(heard)

    def pressed(self, digit: str) -> None:
        if len(self.record.digits) < MAX_DIGITS:
            self.record.digits += digit

    def cause(self, message: StateChanged, leg: Leg | None) -> HangupCause:
        """Why a leg has ended."""
        leg_cause = leg.cause if leg is not None else None
        cause = message.cause or leg_cause or HangupCause("failed", "network", None, "ended without a cause")
        if not self.answered:
            self.record.sip_code = cause.sip_code
        return cause

    def cut_off(self, why: str) -> str:
        """What a call cut off by our side was: to a callee who had answered, more than cancelled."""
        if self.bridged:
            return "bridged"
        return "abandoned" if self.answered else why

    def over(self, disposition: str, reason: str) -> None:
        """The call has ended."""
        record = self.record
        record.disposition = disposition
        record.reason = record.reason or reason
        record.duration_s = round(self._loop.time() - self._began, 3)

    def keep_hearing(self) -> None:
        """What came of listening, once the call is over."""
        outcome = self.outcome
        if outcome is None:
            return
        self.record.hearing = {
            "finish_cause": outcome.finish_cause.value, "all_tone": outcome.all_tone,
            "last_tone": outcome.last_tone, "category": outcome.category, "correction": outcome.correction,
            "result": outcome.result,
            "status": outcome.status(answered=self.answered, call_s=self.record.duration_s),
            "sample": outcome.sample,
        }


def in_words(cause: HangupCause) -> str:
    """A hangup cause as a record's reason."""
    words = {
        "normal": "hung up by the far end" if cause.by == "far" else "hung up",
        "no_response": "no SIP response at all",
        "no_rtp": "no RTP came any more",
        "unauthorized": "the trunk refused our credentials",
        "timeout": "timed out",
    }
    said = cause.reason or words.get(cause.name, cause.name.replace("_", " "))
    return said if cause.q850 is None else f"{said} (Q.850 cause {cause.q850})"
