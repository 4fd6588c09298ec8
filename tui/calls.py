"""A call as the operator sees it: an attempt or a bare leg, and the steps it went through."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from engine.control.messages import Attempt, Leg


class Step(IntEnum):
    """The flow's steps, in order."""

    DIAL = 0
    RING = 1
    ANSWER = 2
    WAIT_TONE = 3
    BRIDGE = 4
    WRAP_UP = 5


STEP_NAMES = {
    Step.DIAL: "Dial",
    Step.RING: "Ring",
    Step.ANSWER: "Answer",
    Step.WAIT_TONE: "Wait tone",
    Step.BRIDGE: "Bridge",
    Step.WRAP_UP: "Wrap-up",
}

ATTEMPT_STEPS = {
    "queued": Step.DIAL,
    "dialing": Step.DIAL,
    "listening": Step.RING,
    "answered": Step.ANSWER,
    "wait_tone": Step.WAIT_TONE,
    "connecting": Step.WAIT_TONE,
    "bridged": Step.BRIDGE,
    "wrap_up": Step.WRAP_UP,
}

LEG_STEPS = {
    "dialing": Step.DIAL,
    "trying": Step.DIAL,
    "ringing": Step.RING,
    "early": Step.RING,
    "answered": Step.ANSWER,
}


@dataclass(slots=True)
class Call:
    """One call. `reached` says when each step was first entered (UNIX seconds).

    `attempt` is None for a call that no queue entry stands behind: dialled by hand or inbound.
    """

    key: str
    number: str
    name: str
    leg: str
    started: float
    since: float
    """When the present step began."""
    step: Step | None = None
    attempt: Attempt | None = None
    reached: dict[Step, float] = field(default_factory=dict)
    over_at: float | None = None
    word: str = ""
    """The present state in one word or two, for the title."""
    inbound: bool = False

    @property
    def up(self) -> bool:
        return self.over_at is None

    @property
    def waiting(self) -> bool:
        """Whether the callee waits for the operator's key."""
        return self.up and self.attempt is not None and self.attempt.waiting_for_operator

    @property
    def deadline(self) -> float | None:
        return self.attempt.deadline if self.up and self.attempt is not None else None

    def enter(self, step: Step, at: float) -> None:
        if step != self.step:
            self.step, self.since = step, at
        self.reached.setdefault(step, at)

    def follow_attempt(self, attempt: Attempt) -> None:
        """Take the call to the attempt's state."""
        self.attempt = attempt
        self.number, self.name = attempt.number, attempt.name
        self.leg = attempt.leg or self.leg
        self.word = attempt.state.replace("_", " ")
        step = ATTEMPT_STEPS.get(attempt.state)
        if step is None:
            self.over_at = self.over_at or attempt.at
        else:
            self.over_at = None
            self.enter(step, attempt.at)

    def follow_leg(self, leg: Leg) -> None:
        """Take a call without an attempt to its leg's state."""
        self.number, self.inbound = leg.number, leg.role == "inbound"
        self.name = leg.remote if leg.remote != leg.number else ""
        self.word = leg.state
        step = LEG_STEPS.get(leg.state)
        if step is None:
            self.over_at = self.over_at or leg.at
            return
        if leg.bridged_to and step is Step.ANSWER:
            self.reached.setdefault(Step.ANSWER, leg.answered_at or leg.at)
            step, self.word = Step.BRIDGE, "bridged"
        self.enter(step, leg.at)

    def answered(self, at: float) -> None:
        """When it was answered, from a leg whose earlier steps were not seen."""
        self.reached.setdefault(Step.ANSWER, at)
        self.started = min(self.started, at)

    @property
    def outcome(self) -> str:
        """How it ended, in words; empty while it goes on."""
        if self.up:
            return ""
        disposition = self.attempt.disposition if self.attempt is not None else ""
        return (disposition or "ended").replace("_", " ")


def call_of_attempt(attempt: Attempt) -> Call:
    call = Call(attempt_key(attempt), attempt.number, attempt.name, attempt.leg, attempt.at, attempt.at)
    call.follow_attempt(attempt)
    return call


def call_of_leg(leg: Leg) -> Call:
    call = Call(leg.id, leg.number, "", leg.id, leg.at, leg.at)
    call.follow_leg(leg)
    return call


def attempt_key(attempt: Attempt) -> str:
    return f"{attempt.entry}/{attempt.attempt}"


def rank(call: Call) -> tuple[bool, bool, int, float]:
    """Which call an operator wants to see first: up, then waiting for them, then furthest on, then newest."""
    return call.up, call.waiting, -1 if call.step is None or not call.up else int(call.step), call.started
