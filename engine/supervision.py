"""Supervisors: a leg that listens to a call, whispers to its operator, or talks with both.

Only by command, shown with the call and logged. A supervised callee's leg is supervised until it ends, an
agent's as long as it is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.bridges import Supervision
from engine.dialer.agents import in_words
from engine.dialer.ports import HangupCause, Leg, StateChanged
from engine.legs import LegState
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine

WORDS: dict[Supervision, str] = {
    "listen": "listens to {}",
    "whisper": "whispers to the operator of {}",
    "barge": "talks with {} and the operator",
}


class Supervisors:
    """Commands return an empty text, or one sentence that says why nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End every supervision."""
        for task in self._tasks:
            task.cancel()

    def stop(self, leg: TrunkLeg) -> str:
        """End a supervision: the supervisor's call is hung up."""
        if not leg.supervises:
            return f"{leg.number} supervises nobody."
        leg.hangup()
        return ""

    def begin(self, leg: TrunkLeg, of: TrunkLeg, mode: Supervision) -> str:
        """Have a leg that rings in, or is answered, supervise another; or change how it does."""
        if problem := self._not_supervised(of, mode):
            return problem
        if leg is of:
            return "A call can't supervise itself."
        if leg.supervises:
            self._set(leg, of, mode)
            return ""
        if leg.role not in ("inbound", "manual"):
            return "Only a call that came in, or was placed by hand, can supervise another."
        if leg.role == "inbound" and leg.state is LegState.RINGING:
            leg.role = "supervisor"
            try:
                leg.call.accept()
            except InvalidStateError as error:
                leg.role = "inbound"
                return f"{error}."
            self._run(self._supervise(leg, of, mode))
            return ""
        if leg.state is not LegState.ANSWERED:
            return "The call is not answered yet."
        if problem := self._engine.desk.let_go({leg: "became a supervisor's call"}):
            return problem
        leg.role, leg.parked_at = "supervisor", ""
        leg.hold_soon(False)
        self._run(self._supervise(leg, of, mode))
        return ""

    async def call(self, number: str, of: TrunkLeg, mode: Supervision) -> str:
        """Call a number, which supervises a leg once it has answered. What may not be dialled is refused."""
        if problem := self._not_supervised(of, mode):
            return problem
        parsed, error = await self._engine.dialer.may_dial(number)
        if parsed is None:
            return error
        leg = self._engine.line.dial(parsed.dialable, role="supervisor")
        self._run(self._call(leg, of, mode))
        return ""

    def _not_supervised(self, of: TrunkLeg, mode: Supervision) -> str:
        """Why a leg can't be supervised so; empty where it can."""
        end = self._engine.line.bridges.end_of(of)
        if of.role == "supervisor":
            return f"{of.number} is a supervisor itself."
        if not of.bridged_to and of.role != "agent":
            return f"{of.number} is not bridged: there is nothing to be heard."
        if mode == "whisper" and not end and of.role != "agent":
            return "No operator is in that call to whisper to."
        return ""

    def _set(self, leg: TrunkLeg, of: TrunkLeg, mode: Supervision) -> None:
        self._engine.line.bridges.supervise(leg, of, mode)
        self._engine.tell("warning", f"supervisor {leg.number} {WORDS[mode].format(of.number)}", of.id)

    async def _call(self, leg: Leg, of: TrunkLeg, mode: Supervision) -> None:
        cause: HangupCause | None = None
        try:
            async with asyncio.timeout(self._engine.config.operator.ring_timeout):
                while cause is None and leg.state is not LegState.ANSWERED:
                    event = await leg.events.get()
                    if isinstance(event, StateChanged) and event.state is LegState.ENDED:
                        cause = event.cause or HangupCause("failed", "network")
        except TimeoutError:
            cause = HangupCause("timeout", "us", None, "no answer")
        finally:
            if leg.state is not LegState.ANSWERED:
                leg.hangup("cancelled")
        if cause is not None:
            self._engine.tell("warning", f"the supervisor {leg.number}: {in_words(cause)}", leg.id)
        elif isinstance(leg, TrunkLeg):
            await self._supervise(leg, of, mode)

    async def _supervise(self, leg: TrunkLeg, of: TrunkLeg, mode: Supervision) -> None:
        """From the answer to the end of either."""
        loop = asyncio.get_running_loop()
        ends = [loop.create_task(leg.over.wait()), loop.create_task(of.over.wait())]
        try:
            if leg.state is LegState.ENDED or of.state is LegState.ENDED:
                return
            self._set(leg, of, mode)
            limit = self._engine.config.call.max_duration
            await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            self._engine.tell("info", f"supervisor {leg.number} has left", of.id)
        finally:
            for task in ends:
                task.cancel()
            leg.hangup()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
