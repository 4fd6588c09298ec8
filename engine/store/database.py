"""The database behind the store: opened, locked, checked, and used from one thread of its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from engine.config import state_dir
from engine.dialer.ports import StoreError
from engine.store.lock import FileLock
from engine.store.schema import VERSION, meta, metadata

Result = TypeVar("Result")


class Database:
    """An SQLite database in WAL mode. Every access runs in one thread, so none blocks the loop."""

    def __init__(self, url: str = "") -> None:
        self.path: Path | None = None
        self._url = url
        self._executor = ThreadPoolExecutor(1, "offhook-store")
        self._closed = False
        self._engine: Engine | None = None
        self._lock: FileLock | None = None

    async def open(self) -> None:
        """Lock and open, making what is not there yet; once only. Raises StoreError."""
        if self._closed:
            raise StoreError("The queue database is not open.")
        try:
            await self._in_thread(self._open)
        except StoreError:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is being written, close, unlock."""
        if not self._closed:
            self._closed = True
            await self._in_thread(self._close)
            self._executor.shutdown(wait=False)

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction: all of it is durable when this returns, or none. Raises StoreError."""

        def transaction() -> Result:
            if self._engine is None:
                raise StoreError("The queue database is not open.")
            with self._engine.begin() as connection:
                return work(connection)

        if self._closed:
            raise StoreError("The queue database is not open.")
        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OverflowError:
            raise StoreError("The number is too large for the queue database.") from None
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(self._sentence(error)) from None

    def _open(self) -> None:
        url, self.path = _locate(self._url)
        options: dict[str, Any] = {}
        if self.path is None:
            options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        else:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(self.path)
            # Telephone numbers and names of people: for their operator's eyes alone.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        engine = create_engine(url, **options)
        event.listen(engine, "connect", _pragmas)
        self._engine = engine
        with engine.begin() as connection:
            _check_schema(connection, str(self.path))

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _sentence(self, error: Exception) -> str:
        where = self.path or "in memory"
        if isinstance(error, OSError):
            return f"The queue database {where} can't be opened: {error.strerror or error}."
        cause = error.orig if isinstance(error, DBAPIError) else error
        text = str(cause).splitlines()[0] if str(cause) else type(error).__name__
        if "not a database" in text or "malformed" in text:
            return f"{where} is not a queue database, or is damaged ({text}): move it away, or set store.url."
        return f"The queue database {where} failed: {text}."


def _locate(url: str) -> tuple[URL, Path | None]:
    """The URL with its file's path absolute, and that path; None for a database in memory."""
    if not url:
        path = state_dir() / "offhook.db"
        return URL.create("sqlite", database=str(path)), path
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            f"store.url: {url!r} is not a database's URL, such as sqlite:////var/offhook.db."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(
            f"store.url: this version keeps its queue in SQLite, such as sqlite:////var/offhook.db; "
            f"{parsed.get_backend_name()} is not supported."
        )
    if parsed.database in (None, "", ":memory:"):
        return URL.create("sqlite"), None
    path = Path(str(parsed.database)).expanduser().absolute()
    return parsed.set(drivername="sqlite", database=str(path)), path


def _pragmas(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _check_schema(connection: Connection, where: str) -> None:
    if not inspect(connection).has_table("meta"):
        if inspect(connection).get_table_names():
            raise StoreError(f"{where} is some other program's database: set store.url to another file.")
        metadata.create_all(connection)
        connection.execute(insert(meta).values(key="version", value=str(VERSION)))
        return
    version = connection.scalar(select(meta.c.value).where(meta.c.key == "version"))
    if version != str(VERSION):
        raise StoreError(
            f"The queue database {where} has version {version or 'none'} and this Offhook knows version "
            f"{VERSION}: update Offhook, or set store.url to another file."
        )
    metadata.create_all(connection)  # tables that came later; those that are there stay as they are
    _add_columns(connection)


def _add_columns(connection: Connection) -> None:
    """Make what an earlier Offhook did not have yet; what it kept stays."""
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}')
