"""What is recorded, and what becomes of it: files begun, paused, named by the result when a call is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.config import Config, recordings_folder
from engine.dialer.ports import StoreError
from engine.media import orders
from engine.media.recording_file import SUFFIX, rename
from engine.recording_names import RESULT, fill, finish

if TYPE_CHECKING:
    from engine.trunk_leg import TrunkLeg

log = logging.getLogger(__name__)

UNFINISHED = "unfinished"
"""The result in a recording's name while its call is up."""
DISK_PATIENCE = 2.0
"""Seconds that a call's end waits for the disk to close a file, and again to rename it."""
CLOSE_PATIENCE = 5.0
"""Seconds that the engine's end waits for files to be closed."""
UNNAMED_FOR = 10.0
"""Seconds after a leg's end in which its attempt gives the recording its result."""


@dataclass(slots=True)
class Take:
    """One file. `name` is its path within the folder with the result's place in it, empty where the path was
    given whole; `wanted` the path that was asked for.
    """

    tag: str
    leg: str
    stream: str
    name: str
    wanted: str
    attempt: int
    began_at: datetime
    by_hand: bool
    path: str = ""
    """Where it is; empty until the file is open."""
    paused: bool = False
    over: bool = False
    result: str = ""
    row: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Keeps the store's accesses in order."""


class Shelf(Protocol):
    """Where recordings are remembered. Every method may raise StoreError."""

    async def began(self, take: Take) -> int:
        """A file was opened: its row's id."""

    async def moved(self, row: int, path: str, result: str) -> None: ...

    async def ended(self, row: int, seconds: float, error: str) -> None: ...


class Recordings:
    """Every recording that is under way. `order` takes media's orders; `tell(level, text, leg)` and
    `changed(leg)` may be set, as may `shelf`, without which nothing is remembered.
    """

    def __init__(self, config: Config, order: Callable[[orders.Order], None]) -> None:
        self.tell: Callable[[str, str, str], None] = lambda level, text, leg: None
        self.changed: Callable[[str], None] = lambda leg: None
        self.shelf: Shelf | None = None
        self._config = config
        self._order = order
        self._takes: dict[str, Take] = {}
        self._current: dict[str, Take] = {}
        self._count = 0
        self._trouble = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._disk = ThreadPoolExecutor(1, "recordings")

    # --- what is so now ----------------------------------------------------------------------------

    def path(self, leg: str) -> str:
        """The file that a leg is recorded to; empty where it is not."""
        take = self._current.get(leg)
        return take.path if take is not None else ""

    def paused(self, leg: str) -> bool:
        take = self._current.get(leg)
        return take is not None and take.paused

    # --- begin, pause, end -------------------------------------------------------------------------

    def begin(self, leg: TrunkLeg, path: str = "", *, by_hand: bool = False) -> None:
        """Record a leg, to a path of the user's own where one is given. By hand a paused one goes on."""
        take = self._current.get(leg.id)
        if take is not None:
            if by_hand:  # what was paused by hand goes on by hand alone
                self.pause(leg.id, False)
            return
        config = leg.facts.recording or self._config.recording
        began = (leg.facts.began or datetime.now()).astimezone()
        name = "" if path else fill(config.name, _facts(leg), began) + SUFFIX[config.format]
        kind = config.format if not path else _format_of(path, config.format)
        wanted = path or str(recordings_folder(config) / finish(name, UNFINISHED))
        self._count += 1
        tag = f"{leg.id}-{self._count}"
        take = Take(tag, leg.id, leg.stream, name, wanted, leg.facts.attempt, began, by_hand)
        self._takes[take.tag] = self._current[leg.id] = take
        self._order(orders.Record(
            leg.stream, wanted, kind, config.layout == "mixed", config.min_free_mb * 1_000_000, take.tag,
            analysed=config.what == "analysed" and not (path or by_hand),
        ))

    def pause(self, leg: str, paused: bool) -> None:
        """Leave out what is said from now on, or go on. What was left out is in no file."""
        take = self._current.get(leg)
        if take is not None and take.paused is not paused:
            take.paused = paused
            self._order(orders.PauseRecording(take.stream, paused))
            self.changed(leg)

    async def end(self, leg: str, result: str) -> str:
        """End what is recorded of a leg and give it its name with the result. The file's path, that of the
        first where there are several; empty where nothing was recorded.
        """
        self._stop(leg)
        mine = [take for take in self._takes.values() if take.leg == leg and not take.result]
        for take in mine:
            take.result = result
        paths = await asyncio.gather(*(self._named(take) for take in mine))
        return next(filter(None, paths), "")

    def carried_over(self, leg: TrunkLeg) -> None:
        """Another call has taken over a leg: go on with its audio, in another file."""
        take = self._current.get(leg.id)
        if take is None:
            return
        self._stop(leg.id)
        self.begin(leg, "" if take.name else take.wanted, by_hand=take.by_hand)
        if take.paused:
            self.pause(leg.id, True)

    def leg_over(self, leg: TrunkLeg) -> None:
        """A leg has ended. Its attempt names what was recorded; without one the hangup cause does."""
        if not any(take.leg == leg.id and not take.result for take in self._takes.values()):
            return
        result = leg.cause.name if leg.cause is not None else "normal"
        if leg.facts.attempt:
            loop = asyncio.get_running_loop()
            loop.call_later(UNNAMED_FOR, lambda: self._spawn(self.end(leg.id, result)))
        else:
            self._spawn(self.end(leg.id, result))

    async def close(self) -> None:
        """End every recording and wait, some seconds at most, until all is on disk and remembered."""
        for leg in list(self._current):
            self._spawn(self.end(leg, "ended"))
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                for take in list(self._takes.values()):
                    await take.closed.wait()
                while self._tasks:  # one may begin another
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.warning("recordings are still being written at the engine's end")
        self._disk.shutdown(wait=False)

    def _stop(self, leg: str) -> None:
        if (take := self._current.pop(leg, None)) is not None:
            self._order(orders.Record(take.stream, None))
            self.changed(leg)

    # --- what media says ---------------------------------------------------------------------------

    def on_fact(self, fact: orders.Fact) -> None:
        if isinstance(fact, orders.RecordingStarted | orders.RecordingEnded):
            take = self._takes.get(fact.tag)
            if take is None:
                return
            if isinstance(fact, orders.RecordingStarted):
                self._started(take, fact)
            else:
                self._ended(take, fact)

    def _started(self, take: Take, fact: orders.RecordingStarted) -> None:
        take.path = fact.path
        self._trouble = ""
        self._remember(take, self._began(take))
        if take.result:  # the disk was slow, and nobody waited: it gets its name now
            self._spawn(self._named(take))
        if take.by_hand:
            self.tell("info", f"recording to {take.path}", take.leg)
        self.changed(take.leg)

    def _ended(self, take: Take, fact: orders.RecordingEnded) -> None:
        take.over = True
        take.closed.set()
        if take.path:
            self._remember(take, self._closed(take, fact.seconds, fact.error))
        else:
            take.result = take.result or "failed"
        if self._current.get(take.leg) is take:
            del self._current[take.leg]
            self.changed(take.leg)
        if fact.error:
            what = fact.error.partition(": ")[2]
            if what and what != self._trouble:  # once, however many calls are up
                self._trouble = what
                self.tell("error", fact.error, take.leg)
        self._forget(take)

    # --- the file and the store --------------------------------------------------------------------

    async def _named(self, take: Take) -> str:
        """Wait until the file is whole, then rename it; where the disk is slow, while it is still written."""
        try:
            async with asyncio.timeout(DISK_PATIENCE):
                await take.closed.wait()
        except TimeoutError:
            log.warning("the recording %s is not closed yet", take.path or take.wanted)
        if take.path and RESULT in take.name:
            folder = Path(take.path).parents[take.name.count("/")]
            task = self._spawn(self._rename(take, str(folder / finish(take.name, take.result))))
            await asyncio.wait([task], timeout=DISK_PATIENCE)
        elif take.path:
            self._remember(take, self._moved(take))
        self._forget(take)
        return take.path

    async def _rename(self, take: Take, wanted: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            take.path = await loop.run_in_executor(self._disk, rename, take.path, wanted)
        except RuntimeError:  # closed meanwhile: it keeps its name
            return
        except OSError as error:
            why = error.strerror or error
            self.tell("warning", f"the recording {take.path} can't be given another name: {why}", take.leg)
        self._remember(take, self._moved(take))

    def _forget(self, take: Take) -> None:
        if take.over and take.result:
            self._takes.pop(take.tag, None)

    def _remember(self, take: Take, access: Coroutine[Any, Any, None]) -> None:
        async def in_turn() -> None:
            async with take.writing:
                try:
                    await access
                except StoreError as error:
                    self.tell("error", f"the recording {take.path} is not in the store: {error}", take.leg)

        self._spawn(in_turn())

    async def _began(self, take: Take) -> None:
        if self.shelf is not None:
            take.row = await self.shelf.began(take)

    async def _moved(self, take: Take) -> None:
        if self.shelf is not None and take.row:
            await self.shelf.moved(take.row, take.path, take.result)

    async def _closed(self, take: Take, seconds: float, error: str) -> None:
        if self.shelf is not None and take.row:
            await self.shelf.ended(take.row, seconds, error)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _facts(leg: TrunkLeg) -> dict[str, str]:
    """What a name may tell of a leg."""
    facts = leg.facts
    return {
        "number": leg.number, "name": facts.name, "id": leg.id, "attempt": str(facts.attempt or ""),
        "leg": leg.role, "trunk": leg.trunk, "agent": facts.agent, "campaign": Path(facts.campaign).stem,
    }


def _format_of(path: str, configured: orders.Format) -> orders.Format:
    """The format for a path of the user's own: by its suffix, as configured where that says no more."""
    if path.lower().endswith(".flac"):
        return "flac"
    return configured if configured != "flac" else "wav"
