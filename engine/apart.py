"""A task of engine.samples.apart: a process of its own, ended with whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

MAX_ANSWER = 1 << 20
"""Longest answer, in octets."""


class ApartError(Exception):
    """The process could not be started, or ended early: one plain sentence."""


class Apart:
    """`async with Apart("listen", folder) as task`; leaving ends the process. A terminal's Ctrl+C does not
    reach it."""

    def __init__(self, task: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "engine.samples.apart", task, str(folder)]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Apart:
        """Raises ApartError."""
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=MAX_ANSWER, start_new_session=True
            )
        except OSError as error:
            raise ApartError(f"no process can be started for announcements ({error.strerror})") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process is not None:
            await process.wait()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises ApartError."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # what it says, or its end, tells why
            await self._process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """The next thing it says. Raises ApartError where it ends instead."""
        assert self._process is not None
        assert self._process.stdout is not None
        answer: dict[str, Any] | None = None
        with contextlib.suppress(ValueError):  # too long a line, or none of ours
            if line := await self._process.stdout.readline():
                answer = json.loads(line)
        if answer is None:
            raise ApartError("the process that looks after announcements ended early; the log says why")
        return answer
