"""SIP dialogs that are up, kept so that an engine that restarts can hang up whoever was left on the line."""

from __future__ import annotations

import time

from sqlalchemy import delete, insert, select

from engine.store.database import Database
from engine.store.schema import dialogs


class Dialogs:
    """Opaque states by leg id: written when a leg is answered, deleted when it has ended."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def save_dialog(self, leg: str, state: bytes) -> None:
        """Keep a dialog's state, in place of what was kept for this leg. May raise StoreError."""
        now = time.time()
        await self._db.run(lambda db: (
            db.execute(delete(dialogs).where(dialogs.c.leg == leg)),
            db.execute(insert(dialogs).values(leg=leg, state=state, saved_at=now)),
        ))

    async def drop_dialog(self, leg: str) -> None:
        """Forget a dialog; one that is not kept is no error."""
        await self._db.run(lambda db: db.execute(delete(dialogs).where(dialogs.c.leg == leg)))

    async def dialogs(self) -> dict[str, bytes]:
        """Every dialog kept, by leg, oldest first: right after opening, those that a dead engine left."""
        query = select(dialogs.c.leg, dialogs.c.state).order_by(dialogs.c.saved_at)
        return await self._db.run(lambda db: {row.leg: bytes(row.state) for row in db.execute(query)})
