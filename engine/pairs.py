"""Two calls joined here, for far ends that can't be transferred (REFER refused): both legs stay ours and talk
to each other, and the operator is free."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine


class Pairs:
    """Calls that talk to each other without an operator, until either hangs up."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End every such call."""
        for task in self._tasks:
            task.cancel()

    def join(self, leg: TrunkLeg, other: TrunkLeg) -> str:
        """Take two calls from the operator and bridge them; one sentence where that can't be."""
        reasons = {leg: f"joined with {other.number}", other: f"joined with {leg.number}"}
        if problem := self._engine.desk.let_go(reasons):
            return problem
        for each in (leg, other):
            each.parked_at = ""
        self._engine.line.bridges.join(leg, other.id)
        for each in (leg, other):
            each.hold_soon(False)
        joined = f"{leg.number} and {other.number} are joined here: both lines stay up, the operator is free"
        self._engine.tell("info", joined, leg.id)
        task = asyncio.get_running_loop().create_task(self._until_over(leg, other))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ""

    async def _until_over(self, leg: TrunkLeg, other: TrunkLeg) -> None:
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(each.over.wait()) for each in (leg, other)]
        limit = self._engine.config.call.max_duration
        try:
            await asyncio.wait(waiting, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not (leg.over.is_set() or other.over.is_set()):
                self._engine.tell("warning", f"joined calls end at call.max_duration, {limit:g} s", leg.id)
        finally:
            for task in waiting:
                task.cancel()
            for each in (leg, other):
                each.hangup()
