"""Who answered, a person or a machine, where that decides what is done."""

from __future__ import annotations

import asyncio

from engine.config import Config

MESSAGE = "machine"
"""The tag of dialer.machine_message."""
BEEP_PATIENCE = 60.0
"""Seconds that a machine's beep is waited for, and a message at most takes."""
AFTER_BEEP = 0.9
"""A beep is told 0.2 s after it began and lasts a second at most; the machine records from its end on."""
AMD_TIME = 5000
"""Asterisk's total_analysis_time, ms."""


class AnsweredBy:
    """Fed the tones heard after the answer. With dialer.machine = "bridge", and where the operator dialled by
    hand, it makes no difference who answered."""

    def __init__(self, config: Config, manual: bool) -> None:
        self._what = "bridge" if manual else config.dialer.machine
        self._limit = config.detection.amd.get("total_analysis_time", AMD_TIME) / 1000 + 0.5
        self._known = asyncio.Event()
        self.machine = False
        """A machine answered, and is not to be bridged."""
        self.message_at = 0.0
        """When its message begins, on the loop's clock; 0 until a beep was heard."""
        self.talks_to_machine = False
        """The message has begun."""

    def hear(self, tone: str) -> None:
        if tone in ("human", "machine") and not self._known.is_set():
            self.machine = tone == "machine" and self._what != "bridge"
            self._known.set()

    @property
    def leaves_message(self) -> bool:
        return self.machine and self._what == "message"

    async def person(self) -> None:
        """Returns once the operator may be connected, never for a machine."""
        if self._what == "bridge":
            return
        try:
            async with asyncio.timeout(self._limit):
                await self._known.wait()
        except TimeoutError:
            self._known.set()  # who can't be told is taken for a person
        if self.machine:
            await asyncio.Event().wait()
