"""Agents' standing legs: called once, kept between calls, called again when they drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.dialer.agents import Tell, answered, ended, in_words, none_reached
from engine.dialer.ports import HangupCause, Leg, Line, LogLine, OperatorMode
from engine.dialer.seats import Seat
from engine.dialer.second_line import SharedSeat

BACKOFF_MAX = 60.0
"""Longest pause between two rounds of calls to agents who don't answer, seconds."""


class StandingSeats:
    """Agents' legs that stay up between calls: `wanted` of them, to the first agents that answer."""

    mode: OperatorMode = "standing"

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
        self._seats = [StandingSeat(self) for _ in range(max(1, min(wanted, len(self.agents))))]

    @property
    def state(self) -> str:
        states = [seat.state for seat in self._seats]
        return next((s for s in ("ready", "busy", "dialing", "failed") if s in states), "none")

    @property
    def problem(self) -> str:
        if self.state == "dialing":
            return "the agent's phone is being called"
        return next((s.problem for s in self._seats if s.problem), "") if self.state == "failed" else ""

    @property
    def free(self) -> bool:
        return any(seat.up and not seat.taken for seat in self._seats)

    @property
    def taken(self) -> bool:
        return any(seat.taken for seat in self._seats)

    def start(self) -> None:
        for seat in self._seats:
            seat.start()

    def reserve(self) -> Seat | None:
        for seat in self._seats:
            if seat.up and not seat.taken:
                seat.taken = True
                self.changed()
                return seat
        return None

    def share(self, agent: Leg | None = None) -> Seat | None:
        if agent is None:
            return None
        return next((seat.share() for seat in self._seats if seat.taken and seat.leg is agent), None)

    def close(self) -> None:
        for seat in self._seats:
            seat.stop()


class StandingSeat(SharedSeat):
    """One standing leg: called, kept, called again with a growing pause when it drops."""

    asks = False

    def __init__(self, seats: StandingSeats) -> None:
        super().__init__()
        self._seats = seats
        self._task: asyncio.Task[None] | None = None
        self._leg: Leg | None = None
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._last = ""
        self.agent = ""
        self.taken = False
        self.problem = ""

    @property
    def leg(self) -> Leg | None:
        return self._leg if self.up else None

    @property
    def up(self) -> bool:
        return self._up.is_set()

    @property
    def state(self) -> str:
        if self.up:
            return "busy" if self.taken else "ready"
        if self._task is None:
            return "none"
        return "failed" if self.problem else "dialing"

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._stand())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._leg is not None:
            self._leg.hangup()
        self._dropped("the agent's leg was hung up")

    def listen_in(self, callee: Leg) -> None:
        if self.leg is not None:
            callee.bridge(self.leg)

    async def connect(self, callee: Leg, *, manual: bool) -> None:
        await self._up.wait()

    async def lost(self) -> str:
        await self._down.wait()
        return self._last

    def clear(self) -> None:
        if self.leg is not None and not self.lines:
            self.leg.unbridge()

    def release(self) -> None:
        if self.lines:
            self.given_back = True
        elif self.taken:
            self.clear()
            self.taken = False
            self._seats.changed()

    async def _stand(self) -> None:
        loop = asyncio.get_running_loop()
        pause = 1.0
        while True:
            await self._seats.line.until_registered()
            if await self._call_agents():
                began = loop.time()
                await self._keep()
                if loop.time() - began > BACKOFF_MAX:
                    pause = 1.0
            await asyncio.sleep(pause)
            pause = min(2 * pause, BACKOFF_MAX)

    async def _call_agents(self) -> bool:
        """Call the agents in order until one answers."""
        failures = []
        for agent in self._seats.agents:
            if agent in self._seats.in_use:
                continue
            self._seats.in_use.add(agent)
            self.agent = agent
            leg = self._leg = self._seats.line.dial(agent, role="agent")
            self._seats.changed()
            cause: HangupCause | None = HangupCause("cancelled", "us")
            try:
                cause = await answered(leg, self._seats.ring_timeout)
            finally:
                if cause is not None:
                    self._seats.in_use.discard(agent)
            if cause is None:
                self.problem = ""
                self._down.clear()
                self._up.set()
                self._seats.tell(LogLine("info", f"the agent {agent} is on the line", leg.id))
                self._seats.changed()
                return True
            failures.append(f"{agent} ({in_words(cause)})")
        problem = none_reached(self._seats.agents, failures)
        if problem != self.problem:
            self._seats.tell(LogLine("warning", problem))
        self.problem = problem
        self._seats.changed()
        return False

    async def _keep(self) -> None:
        assert self._leg is not None
        try:
            cause = await ended(self._leg)
        finally:
            self._seats.in_use.discard(self.agent)
        self._seats.tell(LogLine("warning", f"the agent {self.agent} is off the line: {in_words(cause)}"))
        self._dropped(f"the agent's phone hung up ({in_words(cause)})")

    def _dropped(self, why: str) -> None:
        self._up.clear()
        self._last = why
        self._down.set()
        self._leg = None
        self._seats.changed()
