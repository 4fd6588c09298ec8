"""Further calls at an agent's phone: one is talked to and the others are held, or all of them are joined."""

from __future__ import annotations

from engine.dialer.ports import Leg
from engine.dialer.seats import MAX_LINES


class SharedSeat:
    """An agent's seat that several calls may have; it is free once the last of them has released it."""

    agent: str

    def __init__(self) -> None:
        self.lines: set[SecondLine] = set()
        self.given_back = False
        """Its first call is over, and others go on."""

    @property
    def leg(self) -> Leg | None:
        raise NotImplementedError

    async def lost(self) -> str:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    async def whisper(self, what: str) -> str:
        """See `Seat.whisper`."""
        return await self.leg.whisper(what) if self.leg is not None else ""

    def share(self) -> SecondLine | None:
        """A place for one more call; None where the agent is not there, or has too many."""
        if self.leg is None or len(self.lines) + 1 >= MAX_LINES:
            return None
        line = SecondLine(self)
        self.lines.add(line)
        return line


class SecondLine:
    """A `Seat` at an agent's phone that another call has already."""

    asks = False

    def __init__(self, seat: SharedSeat) -> None:
        self._seat = seat

    @property
    def leg(self) -> Leg | None:
        return self._seat.leg

    @property
    def agent(self) -> str:
        return self._seat.agent

    def listen_in(self, callee: Leg) -> None:
        if self.leg is not None:
            callee.bridge(self.leg)

    async def connect(self, callee: Leg, *, manual: bool) -> None:
        pass  # the agent is there

    async def whisper(self, what: str) -> str:
        return ""  # only the queue's calls are told of, and they come first

    async def lost(self) -> str:
        return await self._seat.lost()

    def clear(self) -> None:
        pass  # a call that ends leaves the agent by itself, and the others stay

    def release(self) -> None:
        self._seat.lines.discard(self)
        if self._seat.given_back and not self._seat.lines:
            self._seat.given_back = False
            self._seat.release()
