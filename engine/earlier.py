"""Earlier calls that said something unknown: listened to again once more is known, their results put right.

They are what the last calls said, and the recordings of earlier ones. It is done in a process apart, one call
after the other; what was put right says so, and when.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.apart import Apart, ApartError
from engine.dialer.ports import AttemptRecord, EntryRow, StoreError
from engine.dialer.second_thought import Heard, heard_again

KEPT = 32
"""Stretches of unknown speech that are kept in memory, of the latest calls."""
MOST = 1000
"""Recorded calls that are listened to again, the latest ones."""
PROGRESS_S = 10.0
NAMED = 5
"""So many calls are named in the result."""


@dataclass(slots=True, eq=False)
class Unknown:
    """What a call said that nothing matched. `taught`: it has become a sample since."""

    leg: str
    number: str
    pcm: npt.NDArray[np.int16]
    taught: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording of an attempt that said something unknown."""

    attempt: int
    leg: str
    number: str
    path: str


class Past(Protocol):
    """What is stored of earlier calls. Every method may raise StoreError."""

    async def unknown(self, limit: int) -> list[Recorded]:
        """The recordings of attempts that said something unknown, the latest first."""

    async def attempt_of(self, leg: str) -> int | None:
        """The attempt that had a leg, once it is over."""

    async def amend(
        self, attempt: int, change: Callable[[AttemptRecord], AttemptRecord | None], note: str
    ) -> EntryRow | None:
        """Change what is stored of an attempt that is over; its entry, None where nothing was changed."""


@dataclass(slots=True)
class _Item:
    """A call to be listened to: how to ask for it, and what is known of it."""

    request: dict[str, Any]
    leg: str
    number: str
    attempt: int | None
    unknown: Unknown | None = None

    @property
    def taught(self) -> bool:
        """Whether what is known now is of this call."""
        return self.unknown is not None and self.unknown.taught


@dataclass(slots=True)
class _Tally:
    total: int
    done: int = 0
    missing: int = 0
    found: list[str] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)


class Earlier:
    """`tell(level, text, leg)` gets lines for the log, `changed(entry)` every entry whose result was put
    right."""

    def __init__(
        self, folder: Path, past: Past, tell: Callable[[str, str, str], None],
        changed: Callable[[EntryRow], None],
    ) -> None:
        self.unknown: deque[Unknown] = deque(maxlen=KEPT)
        self._folder = folder
        self._past = past
        self._tell = tell
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._matched: dict[str, dict[str, Any]] = {}
        """Matches of the last calls, by leg."""
        self._late_ones: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Listen again to all that was unknown; what is under way begins anew."""
        before = self._task
        if before is not None:
            before.cancel()
        self._task = asyncio.get_running_loop().create_task(self._again(before))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._late_ones, return_exceptions=True)

    async def done(self) -> None:
        """Wait until nothing is listened to any more."""
        while self._task is not None and not self._task.done():
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._late_ones, return_exceptions=True)

    def ended(self, record: AttemptRecord) -> None:
        """An attempt is over and stored: what it said may have become known while it was up."""
        found = self._matched.pop(record.leg, None)
        if found is not None:
            task = asyncio.get_running_loop().create_task(self._late(record, found))
            self._late_ones.add(task)
            task.add_done_callback(self._late_ones.discard)

    async def _late(self, record: AttemptRecord, found: dict[str, Any]) -> None:
        try:
            await self._amend(record.attempt_id, found)
        except StoreError as error:
            self._tell("error", str(error), record.leg)

    async def _again(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            items = await self._items()
            tally = _Tally(sum(not item.taught for item in items))
            if tally.total:
                said = f"listening again to {_calls(tally.total)} that said something unknown"
                self._tell("info", said, "")
            async with Apart("listen", self._folder) as task:
                for item in items:
                    await self._listen(task, item, tally)
            self._tell_result(tally)
        except (ApartError, StoreError) as error:
            self._tell("warning", f"earlier calls can't be listened to again: {error}", "")

    async def _items(self) -> list[_Item]:
        """What is to be listened to: what is in memory first, then recordings of other calls."""
        items = []
        for each in self.unknown:
            pcm = base64.b64encode(each.pcm.tobytes()).decode()
            attempt = await self._past.attempt_of(each.leg)
            items.append(_Item({"pcm": pcm}, each.leg, each.number, attempt, each))
        here = {item.leg for item in items}
        items += [
            _Item({"path": each.path}, each.leg, each.number, each.attempt)
            for each in await self._past.unknown(MOST) if each.leg not in here
        ]  # fmt: skip
        return items

    async def _listen(self, task: Apart, item: _Item, tally: _Tally) -> None:
        answer = await task.ask(item.request)
        tally.done += not item.taught
        tally.missing += "error" in answer
        found = answer.get("match")
        if found is not None:
            if item.unknown is not None and item.unknown in self.unknown:
                self.unknown.remove(item.unknown)
            sample = found["sample"]
            said = f"{item.number} ({sample['alias'] or sample['uniqueid']})"
            if item.attempt is not None:
                await self._amend(item.attempt, found)
            if item.unknown is not None:  # its attempt may be up, or wrapped up and written once more
                self._matched[item.leg] = found
                if len(self._matched) > KEPT:
                    del self._matched[next(iter(self._matched))]
            if not item.taught and said not in tally.found:
                tally.found.append(said)
        if time.monotonic() - tally.told_at >= PROGRESS_S:
            tally.told_at = time.monotonic()
            self._tell("info", f"listened again to {tally.done} of {_calls(tally.total)}", "")

    async def _amend(self, attempt: int, found: dict[str, Any]) -> None:
        at = datetime.now(UTC)
        heard = Heard(found["sample"], found["score"], found["seconds"], found["harmonics"], at)
        row = await self._past.amend(attempt, lambda record: heard_again(record, heard), heard.note)
        if row is not None:
            self._changed(row)

    def _tell_result(self, tally: _Tally) -> None:
        if not tally.total:
            return
        if tally.missing:
            why = "could not be listened to: the recording is gone or can't be read"
            self._tell("warning", f"{_calls(tally.missing)} {why}", "")
        if not tally.found:
            self._tell("info", "no earlier call says what is known now", "")
            return
        more = f" and {len(tally.found) - NAMED} more" if len(tally.found) > NAMED else ""
        verb = "matches" if len(tally.found) == 1 else "match"
        named = ", ".join(tally.found[:NAMED]) + more
        self._tell("info", f"{_calls(len(tally.found))} now {verb}: {named}", "")


def _calls(count: int) -> str:
    return f"{count} earlier call" if count == 1 else f"{count} earlier calls"
