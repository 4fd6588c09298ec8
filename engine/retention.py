"""How long recordings are kept, and what is done about those that a dead engine left unfinished."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.dialer.ports import StoreError
from engine.media.recording_file import rename
from engine.recording_names import RESULT, finish

DAY = 86400.0
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording that the store knows. `name` is its path within the folder, with the result's place."""

    row: int
    path: str
    name: str


class KeptShelf(Protocol):
    """Every method may raise StoreError."""

    async def unfinished(self) -> list[Kept]: ...

    async def expired(self, before: float) -> list[Kept]:
        """Those that ended before a time (UNIX seconds) and are not deleted yet."""

    async def moved(self, row: int, path: str, result: str) -> None: ...

    async def ended(self, row: int, seconds: float, error: str) -> None: ...

    async def deleted(self, row: int) -> None: ...


async def recover(shelf: KeptShelf, tell: Callable[[str, str], None]) -> None:
    """Give the recordings that were open when the last engine died their names; they are whole up to then."""
    for kept in await shelf.unfinished():
        path = await asyncio.to_thread(_name_interrupted, kept)
        if path:
            tell("warning", f"the recording {path} was cut off when the engine died: it ends there")
        await shelf.moved(kept.row, path or kept.path, INTERRUPTED)
        await shelf.ended(kept.row, 0.0, "the engine died")


async def delete_expired(shelf: KeptShelf, days: int, tell: Callable[[str, str], None]) -> None:
    """Delete the recordings whose calls ended more than `days` days ago, and no other file."""
    before = time.time() - days * DAY
    count = 0
    for kept in await shelf.expired(before):
        try:
            count += await asyncio.to_thread(_delete, Path(kept.path), before)
        except OSError as error:
            tell("warning", f"the recording {kept.path} can't be deleted: {error.strerror or error}")
            continue
        await shelf.deleted(kept.row)
        _remove_empty(Path(kept.path), kept.name)
    if count:
        noun = "recording" if count == 1 else "recordings"
        tell("info", f"{count} {noun} deleted: older than recording.keep_days, {days} days")


async def keep(shelf: KeptShelf, days: int, tell: Callable[[str, str], None]) -> None:
    """Delete what has expired, now and every day. Ends only by being cancelled."""
    while True:
        try:
            await delete_expired(shelf, days, tell)
        except StoreError as error:
            tell("error", f"old recordings are not deleted: {error}")
        await asyncio.sleep(DAY)


def _name_interrupted(kept: Kept) -> str:
    """The file's path from now on; empty where there is none any more."""
    path = Path(kept.path)
    if not path.exists():
        return ""
    with contextlib.suppress(OSError):  # else it keeps its name
        if RESULT in kept.name:
            return rename(kept.path, str(path.parents[kept.name.count("/")] / finish(kept.name, INTERRUPTED)))
    return kept.path


def _delete(path: Path, before: float) -> bool:
    """Whether there was something to delete. What was written since is not the file that the store knows."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_mtime > before:
        return False
    path.unlink()
    return True


def _remove_empty(path: Path, name: str) -> None:
    """The folders that only this recording's name had made, now that they are empty."""
    with contextlib.suppress(OSError):
        for folder in path.parents[: name.count("/")]:
            folder.rmdir()
