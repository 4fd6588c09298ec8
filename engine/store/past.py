"""What is stored of earlier calls, and how it is put right: `engine.earlier.Past` in a database."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Text, cast, func, select, update

from engine.dialer.ports import AttemptRecord, EntryRow
from engine.earlier import Recorded
from engine.store.database import Database
from engine.store.records import entry_row, heard, record_of, record_values
from engine.store.schema import attempts, entries, recordings

LOOKED_BACK = 20_000
"""Attempts that are looked through, the latest: the queue waits for the store meanwhile."""


class PastCalls:
    """Every method may raise StoreError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def unknown(self, limit: int) -> list[Recorded]:
        """The recordings of attempts that said something unknown and nothing known, the latest first."""
        said = cast(attempts.c.detections, Text)
        last = select(func.max(attempts.c.id)).scalar_subquery()
        query = (
            select(attempts.c.id, recordings.c.leg, attempts.c.number, recordings.c.path)
            .join(recordings, recordings.c.attempt == attempts.c.id)
            .where(
                attempts.c.id > last - LOOKED_BACK,
                said.like('%"tone": "unmatch"%'), said.not_like('%"tone": "sample"%'),
                attempts.c.disposition != "", recordings.c.ended_at.is_not(None),
                recordings.c.deleted_at.is_(None), recordings.c.leg == attempts.c.leg,
            )
            .order_by(recordings.c.id.desc())
            .limit(limit)
        )
        return await self._db.run(lambda db: [Recorded(*row) for row in db.execute(query)])

    async def attempt_of(self, leg: str) -> int | None:
        """The attempt that had a leg, once it is over."""
        query = select(func.max(attempts.c.id)).where(attempts.c.leg == leg, attempts.c.disposition != "")
        return await self._db.run(lambda db: db.scalar(query))

    async def amend(
        self, attempt: int, change: Callable[[AttemptRecord], AttemptRecord | None], note: str
    ) -> EntryRow | None:
        """Change what is stored of an attempt that is over, and of its entry where that is its last attempt
        and nobody has had another word on it since; the entry, None where nothing was changed."""

        def work(db: Connection) -> EntryRow | None:
            row = db.execute(select(attempts).where(attempts.c.id == attempt)).mappings().first()
            if row is None or not row["disposition"]:
                return None
            before = record_of(row)
            after = change(before)
            if after is None:
                return None
            db.execute(update(attempts).where(attempts.c.id == attempt).values(record_values(after)))
            last = db.scalar(select(func.max(attempts.c.id)).where(attempts.c.entry == before.entry_id))
            if last == attempt:
                mine = update(entries).where(
                    entries.c.id == before.entry_id, entries.c.state == "done",
                    entries.c.disposition == before.disposition,
                )
                db.execute(mine.values(
                    disposition=after.disposition, heard=heard(after.detections), reason=note, at=time.time()
                ))
            entry = db.execute(select(entries).where(entries.c.id == before.entry_id)).mappings().one()
            return entry_row(entry)

        return await self._db.run(work)
