"""What is recorded of one attempt: which legs, from when, and whether the callee was told."""

from __future__ import annotations

import asyncio
import logging
from itertools import chain
from typing import Literal

from engine.config import Recording
from engine.detect.outcome import Outcome
from engine.dialer.ports import AttemptRecord, CallFacts, Leg

log = logging.getLogger(__name__)

ANNOUNCEMENT = "announcement"
"""The tag of recording.announcement."""
ANNOUNCEMENT_LIMIT = 40.0
"""Seconds after which nobody waits any longer for the announcement's end."""


class Tape:
    """An attempt's recordings. `told` is whether the callee knows of them, or need not be told.

    Of what is analysed a recording begins and ends with the listening, whose result it is named by; the
    announcement is not played for it, so with one it ends at the answer.
    """

    def __init__(self, config: Recording, record: AttemptRecord, campaign: str) -> None:
        self.told = not config.announcement
        self._config = config
        self._record = record
        self._campaign = campaign
        self._legs: list[Leg] = []
        self._analysed: asyncio.Task[str] | None = None
        self._outcome: Outcome | None = None

    @property
    def announcement(self) -> str:
        """What is to be played at the answer; empty for nothing."""
        return self._config.announcement if self._config.what in ("callee", "agent", "both") else ""

    def follow(self, leg: Leg, agent: str = "") -> None:
        """Have a leg's recording, of whomever it is asked for, named by this attempt."""
        record = self._record
        leg.facts = CallFacts(record.attempt_id, record.name, agent, self._campaign, record.started_at,
                               self._config)
        self._legs.append(leg)

    def listening(self, leg: Leg, answered: bool = False) -> None:
        """Listening to a leg begins."""
        if self._config.what == "analysed" and (self.told or not answered):
            leg.record()

    def answered(self, leg: Leg) -> None:
        if self._config.what == "analysed" and not self.told:
            leg.pause_recording()

    def heard(self, leg: Leg, outcome: Outcome) -> None:
        """What came of listening, which is over."""
        if self._outcome is None:
            self._outcome = outcome
            if self._config.what == "analysed":
                loop = asyncio.get_running_loop()
                self._analysed = loop.create_task(leg.end_recording(outcome.result))

    def early(self, leg: Leg) -> None:
        """Early media came."""
        if self._config.begin == "early" and self._config.what in ("callee", "both"):
            leg.record()

    def begin(self, leg: Leg, side: Literal["callee", "agent"]) -> None:
        """A side is up: record it where that is asked for and the callee was told."""
        if self.told and self._config.what in (side, "both"):
            leg.record()

    def announced(self, leg: Leg, error: str) -> None:
        """The announcement is over. Who did not hear it is not recorded."""
        if error:
            leg.pause_recording()  # where it began with early media
            return
        self.told = leg.announced = True
        self.begin(leg, "callee")

    async def end(self, result: str) -> str:
        """Name what was recorded by the result. The path, the callee's before the agent's; when
        cancelled, what is known of it.
        """
        found = ""
        ended = [self._analysed] if self._analysed is not None else []
        for work in chain(ended, (leg.end_recording(result) for leg in self._legs)):
            try:
                path = await work
                found = found or path
            except asyncio.CancelledError:
                return found
            except Exception:
                log.exception("the recording of the attempt at %s can't be named", self._record.number)
        return found
