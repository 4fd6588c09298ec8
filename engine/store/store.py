"""The queue, its attempts and the dialogs that are up: `engine.dialer.ports.Store`, kept in a database.

An entry is made active, durably, before its INVITE leaves. Whatever is active when the store is opened
was being called when the last engine died: it becomes `interrupted`, and is not called again unasked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from engine.dialer.ports import (
    AttemptRecord,
    Campaign,
    EntryRow,
    EntryState,
    Hold,
    NewRow,
    QueueCounts,
    QueueEntry,
)
from engine.store.database import Database
from engine.store.dialogs import DialogFolder
from engine.store.past import PastCalls
from engine.store.records import entry_row, heard, record_of, record_values
from engine.store.schema import attempts, campaigns, entries
from engine.store.shelf import RecordingShelf

CHUNK = 2000
"""Rows added in one go: some 20 ms, after which other work gets its turn."""


class SqlStore:
    """The store at an SQLAlchemy URL; an empty `url` is the user's own database.

    Every method may raise StoreError, and does before `open` and after `close`. `dialogs` keeps the
    SIP dialogs that are up, in files beside the database; `recordings` knows the files of recordings, `past`
    puts right what is stored of earlier calls.
    """

    def __init__(self, url: str = "") -> None:
        self._db = Database(url)
        self.dialogs = DialogFolder(None)
        self.recordings = RecordingShelf(self._db)
        self.past = PastCalls(self._db)
        self._recovered: list[int] = []

    async def open(self) -> None:
        """Lock and open the database, and mark as interrupted what the last engine left active."""
        await self._db.open()
        path = self._db.path
        self.dialogs = DialogFolder(path.with_name(f"{path.name}-dialogs") if path else None)
        self._recovered = await self._db.run(_recover)

    async def close(self) -> None:
        """Finish what is being written, close and unlock; a store that is not open is no error."""
        await self._db.close()

    async def open_campaign(self, path: str, *, fresh: bool = False) -> Campaign:
        def work(db: Connection) -> Campaign:
            same = select(campaigns).where(campaigns.c.path == path).order_by(campaigns.c.id.desc())
            row = None if fresh else db.execute(same.limit(1)).mappings().first()
            if row is not None:
                return Campaign(row["id"], path, datetime.fromtimestamp(row["created_at"], UTC), True)
            now = time.time()
            made = db.execute(insert(campaigns).values(path=path, created_at=now)).inserted_primary_key
            assert made is not None
            return Campaign(int(made[0]), path, datetime.fromtimestamp(now, UTC), False)

        return await self._db.run(work)

    async def add_rows(self, campaign: int, rows: Sequence[NewRow]) -> int:
        def present(db: Connection) -> Counter[str]:
            keys = select(entries.c.key, func.count()).where(
                entries.c.campaign == campaign, entries.c.manual.is_(False)
            )
            return Counter(_figures(db, keys.group_by(entries.c.key)))

        there = await self._db.run(present)
        new: list[NewRow] = []
        for row in rows:
            key = row.key or row.number
            if there[key] > 0:
                there[key] -= 1
            else:
                new.append(row)
        for at in range(0, len(new), CHUNK):
            chunk = new[at : at + CHUNK]
            await self._db.run(lambda db, chunk=chunk: _append(db, campaign, chunk))  # type: ignore[misc]
        return len(new)

    async def add_manual(self, campaign: int, row: NewRow) -> QueueEntry:
        def work(db: Connection) -> QueueEntry:
            values = _values(campaign, row, _next_position(db, campaign), _front(db, campaign))
            made = db.execute(insert(entries).values(values | {"manual": True})).inserted_primary_key
            assert made is not None
            key = row.key or row.number
            return QueueEntry(int(made[0]), row.number, row.name, row.note, key=key, manual=True)

        return await self._db.run(work)

    async def candidates(self, campaign: int, now: float, limit: int) -> list[QueueEntry]:
        query = (
            select(entries)
            .where(entries.c.campaign == campaign, entries.c.state == "queued", entries.c.hold_until <= now)
            .order_by(entries.c.rank)
            .limit(limit)
        )

        def work(db: Connection) -> list[QueueEntry]:
            return [
                QueueEntry(r["id"], r["number"], r["name"], r["note"], r["attempts"], r["key"], r["manual"],
                           dict(r["options"] or {}))
                for r in db.execute(query).mappings()
            ]

        return await self._db.run(work)

    async def hold(self, holds: Sequence[Hold]) -> None:
        change = (
            update(entries)
            .where(entries.c.id == bindparam("entry"), entries.c.state == "queued")
            .values(hold_until=bindparam("until"), reason=bindparam("why"))
        )
        rows = [{"entry": h.entry, "until": min(h.until, _FOREVER), "why": h.reason} for h in holds]
        if rows:
            await self._db.run(lambda db: db.execute(change, rows))

    async def release_holds(self, campaign: int) -> None:
        change = update(entries).where(
            entries.c.campaign == campaign, entries.c.state == "queued", entries.c.hold_until > 0
        )
        await self._db.run(lambda db: db.execute(change.values(hold_until=0.0, reason="")))

    async def next_release(self, campaign: int) -> float | None:
        query = select(func.min(entries.c.hold_until)).where(
            entries.c.campaign == campaign, entries.c.state == "queued", entries.c.hold_until > 0
        )
        found = await self._db.run(lambda db: db.scalar(query))
        return None if found is None else float("inf") if found >= _FOREVER else float(found)

    async def attempts_of(self, campaign: int, key: str) -> int:
        query = select(func.count()).where(attempts.c.campaign == campaign, attempts.c.key == key)
        return await self._db.run(lambda db: int(db.execute(query).scalar_one()))

    async def begin(self, entry: int, started_at: datetime) -> int | None:
        def work(db: Connection) -> int | None:
            taken = db.execute(
                update(entries)
                .where(entries.c.id == entry, entries.c.state == "queued")
                .values(state="active", attempts=entries.c.attempts + 1, at=time.time(), reason="", heard="")
            )
            if taken.rowcount != 1:
                return None
            row = db.execute(select(entries).where(entries.c.id == entry)).mappings().one()
            made = db.execute(insert(attempts).values(
                campaign=row["campaign"], entry=entry, number=row["number"], name=row["name"], key=row["key"],
                started_at=started_at.timestamp(), states={"queued": 0},
            )).inserted_primary_key
            assert made is not None
            return int(made[0])

        return await self._db.run(work)

    async def finish(self, record: AttemptRecord, state: EntryState) -> EntryRow:
        def work(db: Connection) -> EntryRow:
            db.execute(
                update(attempts).where(attempts.c.id == record.attempt_id).values(record_values(record))
            )
            # Only the first time: meanwhile the operator may have had a word on it, or wanted it again.
            db.execute(
                update(entries).where(entries.c.id == record.entry_id, entries.c.state == "active").values(
                    state=state, disposition=record.disposition, reason=record.reason,
                    heard=heard(record.detections), at=time.time(),
                )
            )
            return _entry(db, record.entry_id)

        return await self._db.run(work)

    async def settle(
        self, entry: int, state: EntryState, disposition: str, reason: str = ""
    ) -> EntryRow | None:
        change = update(entries).where(entries.c.id == entry, entries.c.state == "queued").values(
            state=state, disposition=disposition, reason=reason, hold_until=0.0, at=time.time()
        )
        return await self._db.run(lambda db: _entry(db, entry) if db.execute(change).rowcount else None)

    async def requeue(self, entry: int) -> EntryRow | None:
        def work(db: Connection) -> EntryRow | None:
            row = db.execute(select(entries.c.campaign, entries.c.state).where(entries.c.id == entry)).first()
            if row is None or row.state in ("queued", "active"):
                return None
            db.execute(update(entries).where(entries.c.id == entry).values(
                state="queued", disposition="", reason="", hold_until=0.0, rank=_front(db, row.campaign),
                at=time.time(),
            ))
            return _entry(db, entry)

        return await self._db.run(work)

    async def label(self, entry: int, disposition: str, note: str) -> EntryRow | None:
        values = {"disposition": disposition} | ({"note": note} if note else {})
        change = update(entries).where(entries.c.id == entry, entries.c.state == "done").values(values)
        return await self._db.run(lambda db: _entry(db, entry) if db.execute(change).rowcount else None)

    async def entry(self, entry: int) -> EntryRow | None:
        query = select(entries).where(entries.c.id == entry)

        def work(db: Connection) -> EntryRow | None:
            row = db.execute(query).mappings().first()
            return None if row is None else entry_row(row)

        return await self._db.run(work)

    async def counts(self, campaign: int) -> QueueCounts:
        states = select(entries.c.state, func.count()).where(entries.c.campaign == campaign)
        ends = select(attempts.c.disposition, func.count()).where(
            attempts.c.campaign == campaign, attempts.c.answered.is_(True)
        )

        def work(db: Connection) -> QueueCounts:
            by_state = _figures(db, states.group_by(entries.c.state))
            by_end = _figures(db, ends.group_by(attempts.c.disposition))
            return QueueCounts(
                total=sum(by_state.values()), answered=sum(by_end.values()),
                abandoned=by_end.get("abandoned", 0), **by_state,
            )

        return await self._db.run(work)

    async def page(self, campaign: int, offset: int, limit: int) -> list[EntryRow]:
        """Entries by position, at most 1000 of them."""
        query = (
            select(entries)
            .where(entries.c.campaign == campaign, entries.c.position >= max(0, offset))
            .order_by(entries.c.position)
            .limit(max(0, min(limit, 1000)))
        )
        return await self._db.run(lambda db: [entry_row(row) for row in db.execute(query).mappings()])

    async def records(self, campaign: int) -> list[AttemptRecord]:
        """Every attempt that has ended, in order of its beginning."""
        query = (
            select(attempts)
            .where(attempts.c.campaign == campaign, attempts.c.disposition != "")
            .order_by(attempts.c.id)
        )
        return await self._db.run(lambda db: [record_of(row) for row in db.execute(query).mappings()])

    async def recovered(self, campaign: int) -> list[AttemptRecord]:
        query = (
            select(attempts)
            .where(attempts.c.campaign == campaign, attempts.c.id.in_(self._recovered))
            .order_by(attempts.c.id)
        )
        return await self._db.run(lambda db: [record_of(row) for row in db.execute(query).mappings()])


_FOREVER = 1e12


def _recover(db: Connection) -> list[int]:
    """Mark what was up as interrupted; the ids of those attempts."""
    reason = "the engine died during the call"
    up = [int(row.id) for row in db.execute(select(attempts.c.id).where(attempts.c.disposition == ""))]
    db.execute(
        update(attempts).where(attempts.c.disposition == "").values(disposition="interrupted", reason=reason)
    )
    db.execute(
        update(entries).where(entries.c.state == "active")
        .values(state="interrupted", disposition="interrupted", reason=reason, at=time.time())
    )
    # Dialled by hand and not called yet: whoever wanted it may not be there any more.
    db.execute(
        update(entries).where(entries.c.state == "queued", entries.c.manual.is_(True))
        .values(state="interrupted", reason="the engine ended before the call")
    )
    return up


def _figures(db: Connection, query: Select[Any]) -> dict[str, int]:
    return {str(key): int(count) for key, count in db.execute(query)}


def _append(db: Connection, campaign: int, rows: Sequence[NewRow]) -> None:
    first = _next_position(db, campaign)
    db.execute(insert(entries), [_values(campaign, row, first + i, first + i) for i, row in enumerate(rows)])


def _values(campaign: int, row: NewRow, position: int, rank: int) -> dict[str, object]:
    return {
        "campaign": campaign, "position": position, "rank": rank, "number": row.number,
        "key": row.key or row.number, "name": row.name, "note": row.note,
        "options": dict(row.options),
    }


def _next_position(db: Connection, campaign: int) -> int:
    last = db.scalar(select(func.max(entries.c.position)).where(entries.c.campaign == campaign))
    return 0 if last is None else int(last) + 1


def _front(db: Connection, campaign: int) -> int:
    first = db.scalar(select(func.min(entries.c.rank)).where(entries.c.campaign == campaign))
    return min(0, int(first or 0)) - 1


def _entry(db: Connection, entry: int) -> EntryRow:
    return entry_row(db.execute(select(entries).where(entries.c.id == entry)).mappings().one())
