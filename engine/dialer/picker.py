"""Which entry is dialled next: the first in the queue that every guard lets pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from engine.config import Config
from engine.dialer.compliance import Compliance, Verdict
from engine.dialer.ports import AttemptRecord, EntryRow, Hold, QueueEntry, Store

BATCH = 25
"""Entries judged in one go: about 3 ms, after which others get their turn."""

PAUSE = 0.005
"""Seconds between batches: media shares the interpreter, and nobody waits for entries that are held."""


class Picker:
    """Takes entries from the front of the queue, holding and blocking those that must not be dialled.

    `blocked` is told of each that is blocked, with a record that says why.
    """

    def __init__(
        self, store: Store, compliance: Compliance, config: Config, wall: Callable[[], datetime],
        blocked: Callable[[EntryRow, AttemptRecord], Awaitable[None]],
    ) -> None:
        self._store = store
        self._compliance = compliance
        self._config = config
        self._wall = wall
        self._blocked = blocked
        self.held = ""
        """Why the last entry that was held back was, empty when none was."""

    async def pick(self, campaign: int, active: Collection[int]) -> QueueEntry | None:
        """The next entry that may be dialled now, still queued; None where there is none."""
        while True:
            await self._compliance.refresh()
            limit = BATCH + len(active)
            found = await self._store.candidates(campaign, self._wall().timestamp(), limit)
            entries = [entry for entry in found if entry.id not in active]
            if not entries:
                return None
            holds: list[Hold] = []
            chosen = None
            for entry in entries:
                verdict = await self._judge(campaign, entry)
                if verdict.kind == "hold":
                    holds.append(Hold(entry.id, verdict.until, verdict.reason))
                elif verdict.kind == "block":
                    await self._block(entry, verdict.reason)
                else:
                    chosen = entry
                    break
            if holds:
                self.held = holds[-1].reason
                await self._store.hold(holds)
            if chosen is not None:
                return chosen
            await asyncio.sleep(PAUSE)

    async def _judge(self, campaign: int, entry: QueueEntry) -> Verdict:
        verdict = self._compliance.check(entry.number, manual=entry.manual)
        if verdict.kind == "allow" and not entry.manual:
            cap = self._config.dialer.max_attempts
            if await self._store.attempts_of(campaign, entry.key or entry.number) >= cap:
                times = "once" if cap == 1 else f"{cap} times"
                reason = f"{entry.number} has been called {times}, which is dialer.max_attempts."
                return Verdict("block", reason)
        return verdict

    async def _block(self, entry: QueueEntry, reason: str) -> None:
        row = await self._store.settle(entry.id, "blocked", "blocked", reason)
        if row is not None:
            record = AttemptRecord(
                0, entry.id, entry.number, self._wall(), {"queued": 0, "done": 0},
                reason=reason, disposition="blocked", name=entry.name,
            )
            await self._blocked(row, record)
