"""One process a database: a lock file beside it, held with flock for as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from engine.dialer.ports import StoreError


class FileLock:
    """Taken at once or not at all. Raises StoreError that says which process has it."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise StoreError(
                f"The queue database {database} is in use by process {pid or '(unknown)'}: "
                "end that engine first, or set store.url to another database."
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
