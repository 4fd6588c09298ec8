"""The announcements that calls are compared with: read at the start, and again when their folder changes.

Calls that are up keep those they began with. A file that is wrong is left out and named.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from engine.apart import Apart, ApartError
from engine.config import Config, samples_folder
from engine.detect.prints import Library
from engine.media.engine import MediaEngine
from engine.samples.entry import FolderError
from engine.samples.folder import read_folder
from engine.samples.health import clashes
from engine.samples.starter import SOURCE

log = logging.getLogger(__name__)

WATCHED_S = 2.0
"""Seconds between two looks at the folder; what changes must have stayed the same for as long."""
SPARED = 200
"""A look may take so small a part of the time between two."""
FEW = 200
"""Files of a folder whose fingerprints, where the cache has none, are soon taken."""
NAMED = 3
"""So many files that are wrong are named one by one."""
TEACH = (
    "what your own carrier says must be taught once: the key Teach (g) after a call that said something "
    "unknown, or `offhook samples add`"
)

State = tuple[tuple[str, int, int], ...]


def state_of(folder: Path) -> State | None:
    """By what a folder's change is seen: its files' names, sizes and times; None where there is no folder."""
    try:
        with os.scandir(folder) as found:
            files = [(each.name, each.stat()) for each in found if not each.name.startswith(".")]
    except OSError:
        return None
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in files))


class Known:
    """`begin` reads them once, `keep` from then on. Set `tell(level, text)` before, and `added()`, which is
    called when there are new ones. `ready` is set once they are read, or can't be; `settled` once the starter
    library is there as well, or is not wanted."""

    def __init__(self, config: Config, media: MediaEngine, *, watched_s: float = WATCHED_S) -> None:
        self.tell: Callable[[str, str], None] = _log
        self.added: Callable[[], None] = lambda: None
        self.ready = asyncio.Event()
        self.settled = asyncio.Event()
        self.folder = samples_folder(config)
        self.current = Library()
        self._config = config.detection
        self._media = media
        self._watched_s = watched_s
        self._state: State | None = None
        self._wrong: set[str] = set()
        self._clashing: set[str] = set()
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        self._later(self._first())

    def keep(self) -> None:
        """Take over what changes from now on; where there is no folder yet, make the starter library."""
        self._later(self._watch())
        self._later(self._starter())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refresh(self, *, apart: bool = True) -> None:
        """Read what is there now. `apart`: fingerprints are taken in another process. Raises FolderError."""
        async with self._reading:
            state = await asyncio.to_thread(state_of, self.folder)
            if apart:
                try:
                    async with Apart("read", self.folder) as task:
                        await task.answer()
                except ApartError as error:
                    log.warning("%s", error)  # they are taken here then
            library, wrong = await asyncio.to_thread(read_folder, self.folder)
            clashing = await asyncio.to_thread(clashes, library)
            self._state = state
        before = {sample.uniqueid for sample in self.current.samples}
        now = {sample.uniqueid for sample in library.samples}
        self.current = library
        self._media.know(library)
        self._name(wrong)
        self._clash(clashing)
        if self.ready.is_set() and now != before:
            self._tell_change(len(now - before), len(before - now))
        if now - before and self.ready.is_set():
            self.added()

    async def _first(self) -> None:
        self._media.know(self.current)  # as long as none is known, all that is said is unknown
        try:
            if self.folder.is_dir() or self._config.samples:
                state = await asyncio.to_thread(state_of, self.folder)
                await self.refresh(apart=state is not None and len(state) > FEW)
                self._tell_what()
        except FolderError as error:
            self.tell("warning", f"detection.samples: {error}")
        finally:
            self.ready.set()

    def _tell_what(self) -> None:
        """What is known at the start, where something must be done about it."""
        samples = self.current.samples
        if not samples:
            self.tell("info", f"no announcements are known: {TEACH}")
        elif all(sample.source == SOURCE for sample in samples):
            self.tell("info", f"only the starter library's announcements are known: {TEACH}")

    def _tell_change(self, added: int, gone: int) -> None:
        changes = [f"{added} added"] if added else []
        changes += [f"{gone} removed"] if gone else []
        count = len(self.current)
        known = "1 announcement is" if count == 1 else f"{count} announcements are"
        self.tell("info", f"{known} known now ({', '.join(changes)})")

    def _name(self, wrong: list[str]) -> None:
        """Tell what is wrong that was not told yet."""
        new = [sentence for sentence in wrong if sentence not in self._wrong]
        self._wrong = set(wrong)
        for sentence in new[:NAMED]:
            self.tell("warning", f"an announcement was left out: {sentence}")
        if len(new) > NAMED:
            self.tell("warning", f"{len(new) - NAMED} more were left out; `offhook samples list` names them")

    def _clash(self, sentences: list[str]) -> None:
        """Tell which samples can't be told apart though they mean something else."""
        new = [sentence for sentence in sentences if sentence not in self._clashing]
        self._clashing = set(sentences)
        for sentence in new[:NAMED]:
            self.tell("warning", sentence)
        if len(new) > NAMED:
            self.tell("warning", f"{len(new) - NAMED} more samples clash; `offhook samples test` names them")

    async def _watch(self) -> None:
        await self.ready.wait()
        before, pause = self._state, self._watched_s
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            state = await asyncio.to_thread(state_of, self.folder)
            pause = max(self._watched_s, SPARED * (time.monotonic() - began))
            steady, before = state == before, state
            if state == self._state or not steady:
                continue
            if state is None:
                self._state = None
                self.tell("warning", f"{self.folder} is gone: the announcements in it stay known for now")
                continue
            try:
                await self.refresh()
            except FolderError as error:
                self._state = state  # said once
                self.tell("warning", f"detection.samples: {error}")

    async def _starter(self) -> None:
        try:
            await self.ready.wait()
            if self._config.starter and not self._config.samples and not self.folder.exists():
                await self._make_starter()
        finally:
            self.settled.set()

    async def _make_starter(self) -> None:
        first = "no announcements are known yet: a starter library in Chinese and English is spoken, once"
        self.tell("warning", first)
        try:
            async with Apart("starter", self.folder) as task:
                answer = await task.answer()
            if error := answer.get("error"):
                self.tell("warning", f"there is no starter library: {error}; {TEACH}")
                return
            await self.refresh(apart=False)
            self.tell("info", f"the starter library shows how it works: {TEACH}")
        except (ApartError, FolderError) as error:
            self.tell("warning", f"there is no starter library: {error}")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _log(level: str, text: str) -> None:
    """For commands that have no event log."""
    if level != "info":
        log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
