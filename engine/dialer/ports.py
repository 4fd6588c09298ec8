"""What the dialer needs from the world, as protocols; `engine.service` supplies the real things.

Times are seconds. Everything runs in one asyncio loop, so nothing here locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from engine.config import Recording
from engine.detect.outcome import Outcome
from engine.legs import HangupCause as HangupCause
from engine.legs import LegState as LegState

AttemptState = Literal[
    "queued", "dialing", "listening", "answered", "wait_tone", "connecting", "bridged", "wrap_up", "done"
]
EntryState = Literal["queued", "active", "done", "interrupted", "blocked", "skipped"]
OperatorMode = Literal["headset", "standing", "cold"]
Role = Literal["callee", "agent", "manual", "forwarded"]


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
    sample: dict[str, str | int] = field(default_factory=dict)
    """Of a known announcement: `Sample`'s fields."""
    digit: str = ""
    """Of a key."""


@dataclass(frozen=True, slots=True)
class Listened:
    """Listening to the leg has ended; `hang_up` is what the settings say to that."""

    outcome: Outcome
    hang_up: bool = False


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    tag: str
    error: str = ""


LegEvent = StateChanged | Heard | Listened | Digit | PlaybackEnded


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a leg's recording may be named by, and how it is recorded: None for as the configuration says. For
    a call beside the queue `attempt` is 0 and `began` None."""

    attempt: int = 0
    name: str = ""
    agent: str = ""
    campaign: str = ""
    began: datetime | None = None
    recording: Recording | None = None


class Leg(Protocol):
    """One call to one party. `events` gets every LegEvent in order and ends with state ENDED."""

    id: str
    number: str
    state: LegState
    cause: HangupCause | None
    events: asyncio.Queue[LegEvent]
    facts: CallFacts
    announced: bool
    """Whether the party was told that the call is recorded."""

    def hangup(self, cause: str = "normal", category: int = 0) -> None:
        """End it from any state: CANCEL, BYE or nothing as RFC 3261 asks. Returns at once. `category` is what
        an announcement meant, for whom we tell why.
        """

    def play_wait_tone(self, wait_tone: str) -> None:
        """Loop a WAV file or, for `ringback`, the country's ringback to this party."""

    def play(self, path: str, tag: str) -> None:
        """Play a file once; PlaybackEnded follows."""

    async def whisper(self, what: str) -> str:
        """Play `beep` or a file to an agent's ear before the bridge, to its end or for the 10 s that it may
        take; why it could not be played, empty where it was."""

    def bridge(self, other: Leg | None) -> None:
        """Join with another leg, or with the headset for None; ends what either was playing."""

    def unbridge(self) -> None: ...

    def listen(self, on: bool) -> None:
        """Switch detection on this leg on or off."""

    async def listened(self) -> Outcome | None:
        """What came of listening; waits for it as long as its settings say. None where nobody listened."""

    def record(self) -> None:
        """Begin to record; one that has begun stays as it is."""

    def pause_recording(self) -> None:
        """Leave out what follows."""

    async def end_recording(self, result: str) -> str:
        """Stop, and give the file its name with the call's result; its path, empty where there is none."""

    @property
    def quality(self) -> dict[str, float | None]:
        """How it has sounded so far, by the wire's names (`Quality`); empty where nothing was heard."""


class Line(Protocol):
    """The way out: the trunk."""

    def dial(
        self, number: str, *, caller_id: str | None = None, role: Role = "callee", entry: int | None = None,
        options: Mapping[str, str] | None = None, campaign: str = "",
    ) -> Leg:
        """Place a call; returns at once with a leg in state DIALING.

        A call that can't be placed ends with cause `failed`; nothing is raised. `entry` is the
        queue entry that the call is for, `options` what it has otherwise than the configuration, `campaign`
        the path or name of its queue.
        """

    @property
    def registered(self) -> bool:
        """True when calls can be placed now (registered, or registration not needed)."""

    async def until_registered(self) -> None: ...


class OperatorPrompt(Protocol):
    """Asks the operator at this terminal to take a waiting callee."""

    async def accept(self, leg: Leg) -> None:
        """Returns once the operator has accepted (by key, or by `operator.accept_after`)."""

    async def whisper(self, what: str) -> str:
        """As `Leg.whisper`, to the headset."""

    def take(self) -> bool:
        """The operator pressed the key; False when no callee waits."""

    @property
    def available(self) -> bool:
        """False while there is no sound device to talk through."""


# --- the queue as the store keeps it ----------------------------------------------------------

@dataclass(slots=True)
class QueueEntry:
    """An entry that may be dialled. `key` is the number's E.164 form, or its digits where it has none."""

    id: int
    number: str
    name: str = ""
    note: str = ""
    attempts: int = 0
    key: str = ""
    manual: bool = False
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to be added to the queue. `options` is what it has otherwise than the configuration."""

    number: str
    name: str = ""
    note: str = ""
    key: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One queue entry as it stands, in the terms of the wire's `Entry`. `at` is UNIX seconds."""

    id: int
    position: int
    number: str
    name: str
    note: str
    state: EntryState
    attempts: int
    disposition: str = ""
    heard: str = ""
    reason: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The queue in figures. `answered` and `abandoned` count attempts, the rest entries."""

    total: int = 0
    queued: int = 0
    active: int = 0
    done: int = 0
    interrupted: int = 0
    blocked: int = 0
    skipped: int = 0
    answered: int = 0
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Campaign:
    """A queue with its history. `path` is the queue file's absolute path, empty for none."""

    id: int
    path: str
    created_at: datetime
    resumed: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """An entry that must not be dialled before `until` (UNIX seconds; infinity: not by itself)."""

    entry: int
    until: float
    reason: str


@dataclass(slots=True)
class AttemptRecord:
    """One finished attempt, as stored and as `offhook run` prints it.

    `states` maps each state's name to when it was first entered, in ms from `started_at` (UTC).
    `duration_s` runs from `started_at` to the end of the callee's call. `quality` is how the callee sounded.
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
    name: str = ""
    leg: str = ""
    quality: dict[str, float | None] = field(default_factory=dict)
    hearing: dict[str, str | int] = field(default_factory=dict)
    """What came of listening: mod_da2's results, and the number's `status`."""


class StoreError(Exception):
    """The store can't be opened, read or written: one plain sentence."""


class Store(Protocol):
    """What the dialer keeps. Every method may raise StoreError."""

    async def open_campaign(self, path: str, *, fresh: bool = False) -> Campaign:
        """The latest campaign of this queue file, or a new one."""

    async def add_rows(self, campaign: int, rows: Sequence[NewRow]) -> int:
        """Append the rows that are not there yet, counting how often each number is; how many came."""

    async def add_manual(self, campaign: int, row: NewRow) -> QueueEntry:
        """A number dialled by hand, as an entry in front."""

    async def candidates(self, campaign: int, now: float, limit: int) -> list[QueueEntry]:
        """The next queued entries that are not held at `now` (UNIX seconds), in order."""

    async def hold(self, holds: Sequence[Hold]) -> None: ...

    async def release_holds(self, campaign: int) -> None: ...

    async def next_release(self, campaign: int) -> float | None:
        """When the first held entry may be dialled, UNIX seconds; None where none is held."""

    async def attempts_of(self, campaign: int, key: str) -> int:
        """How many attempts the number has had in this campaign."""

    async def begin(self, entry: int, started_at: datetime) -> int | None:
        """Make a queued entry active and begin an attempt, durably; its id, or None if it is not queued."""

    async def finish(self, record: AttemptRecord, state: EntryState) -> EntryRow:
        """Write an attempt's end and its entry's state; the same attempt may be written again."""

    async def settle(
        self, entry: int, state: EntryState, disposition: str, reason: str = ""
    ) -> EntryRow | None:
        """Give a queued entry its state without an attempt; None if it is not queued."""

    async def requeue(self, entry: int) -> EntryRow | None:
        """Put an entry that is neither queued nor active in front; None where that can't be done."""

    async def label(self, entry: int, disposition: str, note: str) -> EntryRow | None:
        """Write the operator's own word on a finished entry; None where it is not finished."""

    async def entry(self, entry: int) -> EntryRow | None: ...

    async def counts(self, campaign: int) -> QueueCounts: ...

    async def page(self, campaign: int, offset: int, limit: int) -> list[EntryRow]: ...

    async def recovered(self, campaign: int) -> list[AttemptRecord]:
        """Attempts that were up when the last engine died, found when the store was opened."""


# --- what the dialer tells --------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class AttemptChanged:
    """An attempt entered a state. `at` and `deadline` are UNIX seconds."""

    entry: int
    attempt: int
    number: str
    name: str
    state: AttemptState
    at: float
    leg: str = ""
    agent_leg: str = ""
    deadline: float | None = None
    disposition: str = ""
    waiting_for_operator: bool = False


@dataclass(frozen=True, slots=True)
class EntryChanged:
    entry: EntryRow


@dataclass(frozen=True, slots=True)
class AttemptDone:
    """An attempt is over, whole; a blocked entry gets one too, with attempt id 0."""

    record: AttemptRecord


@dataclass(frozen=True, slots=True)
class FlowChanged:
    """What the dialer does. `agent_state`: none, dialing, ready, busy, failed."""

    running: bool
    operator: OperatorMode
    agents: tuple[str, ...]
    agent_state: str
    campaign: str
    exemptions: tuple[str, ...]
    notice: str


@dataclass(frozen=True, slots=True)
class CountsChanged:
    counts: QueueCounts


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Rows were added or reordered."""

    counts: QueueCounts


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log. `text` may hold what came from the network: escape it for display."""

    level: Literal["debug", "info", "warning", "error"]
    text: str
    leg: str = ""


Notice = AttemptChanged | EntryChanged | AttemptDone | FlowChanged | CountsChanged | QueueChanged | LogLine
