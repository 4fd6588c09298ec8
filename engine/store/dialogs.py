"""SIP dialogs that are up, kept so that an engine that restarts can hang up whoever was left on the line.

One small file a leg, in a folder beside the database, written before the INVITE leaves: a database
transaction in another thread could come too late. kill -9 takes nothing that has been written; a power cut
may, but then the far ends hear no more RTP either.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from engine.dialer.ports import StoreError

_LEG = re.compile(r"[A-Za-z0-9-]{1,64}")
_SUFFIX = ".dialog"


class DialogFolder:
    """Opaque states by leg id: written when a leg is dialled, replaced as it goes on, dropped when it ends.

    Without a path nothing is kept. Only one engine at a time uses a folder: the database's lock sees to that.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def save(self, leg: str, state: bytes) -> None:
        """Keep a leg's state in place of an earlier one; when this returns, it outlives the process.

        Raises StoreError.
        """
        if self._path is None or not _LEG.fullmatch(leg):
            return
        file = self._path / f"{leg}{_SUFFIX}"
        new = file.with_suffix(".new")
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(state)
            os.replace(new, file)
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"The dialog of a call can't be kept in {self._path}: {why}.") from None

    def drop(self, leg: str) -> None:
        """Forget a leg; one that is not kept is no error."""
        if self._path is not None and _LEG.fullmatch(leg):
            with contextlib.suppress(OSError):
                (self._path / f"{leg}{_SUFFIX}").unlink()

    def left(self) -> dict[str, bytes]:
        """Every state kept, by leg, oldest first: right after opening, those that a dead engine left."""
        if self._path is None:
            return {}
        found: list[tuple[float, str, bytes]] = []
        for file in self._path.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                found.append((file.stat().st_mtime, file.stem, file.read_bytes()))
        return {leg: state for _, leg, state in sorted(found)}
