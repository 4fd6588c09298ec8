"""The recordings that this store knows: which file holds which call, and which were deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, insert, select, update

from engine.retention import Kept
from engine.store.database import Database
from engine.store.schema import attempts, recordings

if TYPE_CHECKING:
    from engine.recordings import Take


class RecordingShelf:
    """`engine.recordings.Shelf` and `engine.retention.KeptShelf` in a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def began(self, take: Take) -> int:
        def work(db: Connection) -> int:
            made = db.execute(insert(recordings).values(
                attempt=take.attempt or None, leg=take.leg, path=take.path, name=take.name,
                began_at=take.began_at.timestamp(),
            )).inserted_primary_key
            assert made is not None
            # So that a crash doesn't lose which file it was; the end of the attempt writes it again.
            db.execute(
                update(attempts).where(attempts.c.id == take.attempt, attempts.c.recording == "")
                .values(recording=take.path)
            )
            return int(made[0])

        return await self._db.run(work)

    async def moved(self, row: int, path: str, result: str) -> None:
        def work(db: Connection) -> None:
            at = select(recordings.c.path, recordings.c.attempt).where(recordings.c.id == row)
            before, attempt = db.execute(at).one()
            db.execute(update(recordings).where(recordings.c.id == row).values(path=path, result=result))
            db.execute(
                update(attempts).where(attempts.c.id == attempt, attempts.c.recording == before)
                .values(recording=path)
            )

        await self._db.run(work)

    async def ended(self, row: int, seconds: float, error: str) -> None:
        change = update(recordings).where(recordings.c.id == row)
        values = {"ended_at": time.time(), "seconds": seconds, "error": error}
        await self._db.run(lambda db: db.execute(change.values(values)))

    async def unfinished(self) -> list[Kept]:
        return await self._kept(recordings.c.ended_at.is_(None))

    async def expired(self, before: float) -> list[Kept]:
        return await self._kept(recordings.c.ended_at < before)

    async def deleted(self, row: int) -> None:
        change = update(recordings).where(recordings.c.id == row).values(deleted_at=time.time())
        await self._db.run(lambda db: db.execute(change))

    async def _kept(self, which: ColumnElement[bool]) -> list[Kept]:
        query = select(recordings.c.id, recordings.c.path, recordings.c.name).where(
            which, recordings.c.deleted_at.is_(None)
        )
        return await self._db.run(lambda db: [Kept(*row) for row in db.execute(query)])
