"""Agents who are called once a callee has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.dialer.agents import Tell, answered, ended, in_words, none_reached
from engine.dialer.ports import HangupCause, Leg, Line, OperatorMode
from engine.dialer.seats import Seat, SeatFailed
from engine.dialer.second_line import SharedSeat


class ColdSeats:
    """Agents who are called once a callee has answered, as many at a time as `wanted`."""

    mode: OperatorMode = "cold"

    def __init__(
        self, line: Line, agents: Sequence[str], wanted: int, ring_timeout: float,
        changed: Callable[[], None], tell: Tell,
    ) -> None:
        self.line = line
        self.agents = list(agents)
        self.ring_timeout = ring_timeout
        self.changed = changed
        self.tell = tell
        self.in_use: set[str] = set()
        self.seats: set[ColdSeat] = set()
        self._wanted = max(1, min(wanted, len(self.agents)))

    @property
    def state(self) -> str:
        states = [seat.state for seat in self.seats]
        return next((s for s in ("dialing", "busy", "failed") if s in states), "none")

    @property
    def problem(self) -> str:
        return "" if self.agents else "no agent's number is set"

    @property
    def free(self) -> bool:
        return bool(self.agents) and len(self.seats) < self._wanted

    @property
    def taken(self) -> bool:
        return bool(self.seats)

    def start(self) -> None:
        pass

    def reserve(self) -> Seat | None:
        if not self.free:
            return None
        seat = ColdSeat(self)
        self.seats.add(seat)
        return seat

    def share(self, agent: Leg | None = None) -> Seat | None:
        if agent is None:
            return None
        return next((seat.share() for seat in self.seats if seat.leg is agent), None)

    def close(self) -> None:
        for seat in list(self.seats):
            seat.clear()


class ColdSeat(SharedSeat):
    """One callee's agent, found when wanted."""

    asks = False

    def __init__(self, seats: ColdSeats) -> None:
        super().__init__()
        self._seats = seats
        self._leg: Leg | None = None
        self._watch: asyncio.Task[HangupCause] | None = None
        self.agent = ""
        self.state = "none"

    @property
    def leg(self) -> Leg | None:
        return self._leg

    def listen_in(self, callee: Leg) -> None:
        pass  # nobody is there yet

    async def connect(self, callee: Leg, *, manual: bool) -> None:
        failures = []
        for agent in self._seats.agents:
            if agent in self._seats.in_use:
                continue
            self._seats.in_use.add(agent)
            self._set(agent, "dialing")
            leg = self._seats.line.dial(agent, role="agent")
            cause: HangupCause | None = HangupCause("cancelled", "us")
            try:
                cause = await answered(leg, self._seats.ring_timeout)
            finally:
                if cause is not None:
                    self._seats.in_use.discard(agent)
            if cause is None:
                self._leg = leg
                self._watch = asyncio.get_running_loop().create_task(ended(leg))
                self._set(agent, "busy")
                return
            failures.append(f"{agent} ({in_words(cause)})")
        self._set("", "failed")
        raise SeatFailed(none_reached(self._seats.agents, failures))

    async def lost(self) -> str:
        if self._watch is None:
            return "the agent's phone was hung up"
        return f"the agent's phone hung up ({in_words(await asyncio.shield(self._watch))})"

    def clear(self) -> None:
        if self.lines:
            return
        if self._leg is not None:
            self._leg.hangup()
            self._seats.in_use.discard(self.agent)
            self._leg = None
        self._set("", "none")

    def release(self) -> None:
        if self.lines:
            self.given_back = True
        elif self in self._seats.seats:
            self.clear()
            self._seats.seats.discard(self)
            self._seats.changed()

    def _set(self, agent: str, state: str) -> None:
        self.agent, self.state = agent, state
        self._seats.changed()
