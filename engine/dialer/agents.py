"""Agents' phones as the operator's end: standing legs, and legs dialled after the callee answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.dialer.ports import HangupCause, Leg, LegState, Line, LogLine, OperatorMode, StateChanged
from engine.dialer.seats import Seat, SeatFailed

BACKOFF_MAX = 60.0
"""Longest pause between two rounds of calls to agents who don't answer, seconds."""

Tell = Callable[[LogLine], None]


async def answered(leg: Leg, ring_timeout: float) -> HangupCause | None:
    """Wait for an agent's leg to be answered: None, or why it was not. A leg in time-out is hung up."""
    try:
        async with asyncio.timeout(ring_timeout):
            while True:
                event = await leg.events.get()
                if isinstance(event, StateChanged):
                    if event.state is LegState.ANSWERED:
                        return None
                    if event.state is LegState.ENDED:
                        return event.cause or leg.cause or HangupCause("failed", "network")
    except TimeoutError:
        leg.hangup("timeout")
        return HangupCause("timeout", "us", None, f"no answer within {ring_timeout:g} s")
    except asyncio.CancelledError:
        leg.hangup("cancelled")
        raise


async def ended(leg: Leg) -> HangupCause:
    """Wait until a leg has ended, and say why."""
    while leg.state is not LegState.ENDED:
        event = await leg.events.get()
        if isinstance(event, StateChanged) and event.state is LegState.ENDED:
            return event.cause or leg.cause or HangupCause("normal", "far")
    return leg.cause or HangupCause("normal", "far")


def in_words(cause: HangupCause) -> str:
    """A cause for the log: the response where there was one."""
    if cause.sip_code is not None:
        return f"{cause.sip_code} {cause.reason}".strip()
    return cause.reason or cause.name.replace("_", " ")


def _none_reached(agents: Sequence[str], failures: Sequence[str]) -> str:
    if not agents:
        return "no agent's number is set that may be called"
    return "no agent could be reached: " + (", ".join(failures) or "all are in use")


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

    def close(self) -> None:
        for seat in self._seats:
            seat.stop()


class StandingSeat:
    """One standing leg: called, kept, called again with a growing pause when it drops."""

    asks = False

    def __init__(self, seats: StandingSeats) -> None:
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
        if self.leg is not None:
            self.leg.unbridge()

    def release(self) -> None:
        if self.taken:
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
        problem = _none_reached(self._seats.agents, failures)
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

    def start(self) -> None:
        pass

    def reserve(self) -> Seat | None:
        if not self.free:
            return None
        seat = ColdSeat(self)
        self.seats.add(seat)
        return seat

    def close(self) -> None:
        for seat in list(self.seats):
            seat.clear()


class ColdSeat:
    """One callee's agent, found when wanted."""

    asks = False

    def __init__(self, seats: ColdSeats) -> None:
        self._seats = seats
        self.leg: Leg | None = None
        self.agent = ""
        self.state = "none"

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
                self.leg = leg
                self._set(agent, "busy")
                return
            failures.append(f"{agent} ({in_words(cause)})")
        self._set("", "failed")
        raise SeatFailed(_none_reached(self._seats.agents, failures))

    async def lost(self) -> str:
        if self.leg is None:
            return "the agent's phone was hung up"
        return f"the agent's phone hung up ({in_words(await ended(self.leg))})"

    def clear(self) -> None:
        if self.leg is not None:
            self.leg.hangup()
            self._seats.in_use.discard(self.agent)
            self.leg = None
        self._set("", "none")

    def release(self) -> None:
        if self in self._seats.seats:
            self.clear()
            self._seats.seats.discard(self)
            self._seats.changed()

    def _set(self, agent: str, state: str) -> None:
        self.agent, self.state = agent, state
        self._seats.changed()
