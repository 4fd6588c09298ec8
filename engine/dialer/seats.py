"""The operator's end of a call: this terminal's headset, or an agent's phone, standing or cold.

A *seat* is a place for one callee to be bridged to. The dialer reserves one before it dials, so that
nobody is called whom nobody could talk to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.dialer.ports import Leg, OperatorMode, OperatorPrompt

MAX_LINES = 4
"""Calls at the headset at once, of which one is talked to and the others are held."""


class SeatFailed(Exception):
    """The operator can't be brought in; one sentence says why."""


class Seat(Protocol):
    """One place at which a callee can be bridged, reserved for one attempt."""

    asks: bool
    """Whether the operator must accept before the bridge."""

    @property
    def leg(self) -> Leg | None:
        """The agent's leg; None for the headset and before an agent has answered."""

    @property
    def agent(self) -> str:
        """The agent's number, empty for the headset."""

    def listen_in(self, callee: Leg) -> None:
        """Let the operator hear the callee's early media, where the operator is there already."""

    async def connect(self, callee: Leg, *, manual: bool) -> None:
        """Bring the operator in; afterwards `leg` may be bridged. Raises SeatFailed."""

    async def whisper(self, what: str) -> str:
        """Tell the operator that a callee comes; why that could not be, in words."""

    async def lost(self) -> str:
        """Returns when the operator's end has gone, with a sentence about it."""

    def clear(self) -> None:
        """The callee is gone: the operator's end is unbridged, and hung up unless it is standing."""

    def release(self) -> None:
        """Give the seat back. Clears it too."""


class Seats(Protocol):
    """Where seats come from; one class for each `operator.mode`."""

    mode: OperatorMode

    @property
    def state(self) -> str:
        """For the flow's `agent_state`: none, dialing, ready, busy, failed."""

    @property
    def problem(self) -> str:
        """Why no seat is free, in words; empty when one is or only other calls are in the way."""

    @property
    def free(self) -> bool:
        """Whether `reserve` would give a seat now."""

    @property
    def taken(self) -> bool:
        """Whether any seat is reserved."""

    def start(self) -> None:
        """Make seats ready; where they stand ready by themselves, do nothing."""

    def reserve(self) -> Seat | None:
        """A free seat, now the caller's until its `release`, or None."""

    def share(self, agent: Leg | None = None) -> Seat | None:
        """One more place at the headset, or at the phone of an agent who has a call, for another call beside
        it; None where there is no room."""

    def close(self) -> None:
        """Hang up every agent's leg."""


class HeadsetSeats:
    """The seat at this terminal; calls that are held may share it."""

    mode: OperatorMode = "headset"

    def __init__(self, prompt: OperatorPrompt, changed: Callable[[], None]) -> None:
        self._prompt = prompt
        self._changed = changed
        self._calls = 0

    @property
    def taken(self) -> bool:
        return self._calls > 0

    @property
    def state(self) -> str:
        return "busy" if self.taken else "none"

    @property
    def problem(self) -> str:
        if self._prompt.available:
            return ""
        return "there is no sound device to talk through: choose one, or an agent's phone"

    @property
    def free(self) -> bool:
        return not self.taken and self._prompt.available

    def start(self) -> None:
        pass

    def reserve(self) -> Seat | None:
        return self._place() if self.free else None

    def share(self, agent: Leg | None = None) -> Seat | None:
        return self._place() if 0 < self._calls < MAX_LINES and self._prompt.available else None

    def close(self) -> None:
        pass

    def _place(self) -> Seat:
        self._calls += 1
        return _HeadsetSeat(self._prompt, self._freed)

    def _freed(self) -> None:
        self._calls -= 1
        self._changed()


class _HeadsetSeat:
    asks = True
    leg: Leg | None = None
    agent = ""

    def __init__(self, prompt: OperatorPrompt, freed: Callable[[], None]) -> None:
        self._prompt = prompt
        self._freed: Callable[[], None] | None = freed

    def listen_in(self, callee: Leg) -> None:
        callee.bridge(None)

    async def connect(self, callee: Leg, *, manual: bool) -> None:
        if not manual:  # who dialled by hand is there
            await self._prompt.accept(callee)

    async def whisper(self, what: str) -> str:
        return await self._prompt.whisper(what)

    async def lost(self) -> str:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    def clear(self) -> None:
        pass

    def release(self) -> None:
        if self._freed is not None:
            freed, self._freed = self._freed, None
            freed()


class HeadsetPrompt:
    """The `OperatorPrompt` of a terminal: accepts by key, or by itself after `accept_after` seconds.

    `accept_after` below 0 waits for the key. `available` asks whether the sound works, `whisper` plays
    something to the headset.
    """

    def __init__(
        self, accept_after: float, available: Callable[[], bool], whisper: Callable[[str], Awaitable[str]]
    ) -> None:
        self._after = accept_after
        self._available = available
        self._whisper = whisper
        self._waiting: list[asyncio.Event] = []

    @property
    def available(self) -> bool:
        return self._available()

    async def accept(self, leg: Leg) -> None:
        accepted = asyncio.Event()
        self._waiting.append(accepted)
        try:
            async with asyncio.timeout(self._after if self._after >= 0 else None):
                await accepted.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(accepted)

    async def whisper(self, what: str) -> str:
        return await self._whisper(what)

    def take(self) -> bool:
        for accepted in self._waiting:
            if not accepted.is_set():
                accepted.set()
                return True
        return False
