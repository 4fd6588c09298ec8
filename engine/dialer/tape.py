"""What is recorded of one attempt: which legs, from when, and whether the callee was told."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from engine.config import Recording
from engine.dialer.ports import AttemptRecord, CallFacts, Leg

log = logging.getLogger(__name__)

ANNOUNCEMENT = "announcement"
"""The tag of recording.announcement."""
ANNOUNCEMENT_LIMIT = 40.0
"""Seconds after which nobody waits any longer for the announcement's end."""


class Tape:
    """An attempt's recordings. `told` is whether the callee knows of them, or need not be told."""

    def __init__(self, config: Recording, record: AttemptRecord, campaign: str) -> None:
        self.told = not config.announcement
        self._config = config
        self._record = record
        self._campaign = campaign
        self._legs: list[Leg] = []

    @property
    def announces(self) -> bool:
        """Whether an announcement is to be played at the answer."""
        return self._config.what != "off" and bool(self._config.announcement)

    def follow(self, leg: Leg, agent: str = "") -> None:
        """Have a leg's recording, of whomever it is asked for, named by this attempt."""
        record = self._record
        leg.facts = CallFacts(record.attempt_id, record.name, agent, self._campaign, record.started_at)
        self._legs.append(leg)

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
        for leg in self._legs:
            try:
                path = await leg.end_recording(result)
                found = found or path
            except asyncio.CancelledError:
                return found
            except Exception:
                log.exception("the recording of the attempt at %s can't be named", self._record.number)
        return found
