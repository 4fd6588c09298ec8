"""What the dialer needs from the world, as protocols; `engine.service` supplies the real things.

Times are seconds. Everything runs in one asyncio loop, so nothing here locks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.legs import HangupCause, LegState

__all__ = ["HangupCause", "LegState"]


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: LegState
    sip_code: int | None = None
    reason: str = ""
    cause: HangupCause | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A detection on the leg: `tone` is its label, times in ms of stream time."""

    tone: str
    begin_ms: int
    end_ms: int
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    tag: str
    error: str = ""


LegEvent = StateChanged | Heard | Digit | PlaybackEnded


class Leg(Protocol):
    """One call to one party. `events` gets every LegEvent in order and ends with state ENDED."""

    id: str
    number: str
    state: LegState
    cause: HangupCause | None
    events: asyncio.Queue[LegEvent]

    def hangup(self, cause: str = "normal") -> None:
        """End it from any state: CANCEL, BYE or nothing as RFC 3261 asks. Returns at once."""

    def play_wait_tone(self, wait_tone: str) -> None:
        """Loop a WAV file or, for `ringback`, the country's ringback to this party."""

    def play(self, path: str, tag: str) -> None:
        """Play a file once; PlaybackEnded follows."""

    def stop_playing(self) -> None: ...

    def bridge(self, other: Leg | None) -> None:
        """Join with another leg, or with the headset for None; ends what either was playing."""

    def unbridge(self) -> None: ...

    def listen(self, on: bool) -> None:
        """Switch detection on this leg on or off."""

    def record(self, path: str | None) -> None: ...


class Line(Protocol):
    """The way out: the trunk."""

    def dial(self, number: str, *, caller_id: str | None = None) -> Leg:
        """Place a call; returns at once with a leg in state DIALING."""

    @property
    def registered(self) -> bool:
        """True when calls can be placed now (registered, or registration not needed)."""

    async def until_registered(self) -> None: ...


class OperatorPrompt(Protocol):
    """Asks the operator at this terminal to take a waiting callee."""

    async def accept(self, leg: Leg) -> None:
        """Returns once the operator has accepted (by key, or by `operator.accept_after`)."""

    @property
    def available(self) -> bool:
        """False while there is no sound device to talk through."""


@dataclass(slots=True)
class QueueEntry:
    id: int
    number: str
    name: str = ""
    note: str = ""
    attempts: int = 0
    options: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class AttemptRecord:
    """One finished attempt, as stored and as `offhook run` prints it.

    `states` maps each state's name to when it was first entered, in ms from `started_at` (UTC).
    """

    attempt_id: int
    entry_id: int
    number: str
    started_at: datetime
    states: dict[str, int] = field(default_factory=dict)
    detections: list[Heard] = field(default_factory=list)
    digits: str = ""
    sip_code: int | None = None
    reason: str = ""
    disposition: str = ""
    duration_s: float = 0.0
    agent: str = ""
    recording: str = ""
