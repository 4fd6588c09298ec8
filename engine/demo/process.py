"""The carrier as a child process: for `offhook demo` and for tests. Imports nothing of sippy."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any

START_SECONDS = 30.0


class CarrierFailed(Exception):
    """The carrier did not start or has ended; the message is its own word on why."""


class CarrierProcess:
    """Starts `python -m engine.demo` and waits until it listens. Raises CarrierFailed.

    It ends with `close`, and by itself when this process dies. `sip` is its address:port, `events`
    all that it has told so far (see `engine.demo.events`).
    """

    def __init__(
        self, *, listen: str = "127.0.0.1:0", directory: Path | None = None, record_dir: Path | None = None,
        trace: Path | None = None,
    ) -> None:
        command = [sys.executable, "-m", "engine.demo", "--with-parent", "--listen", listen]
        options = {"--directory": directory, "--record-dir": record_dir, "--trace": trace}
        for option, path in options.items():
            if path is not None:
                command += [option, str(path)]
        self.events: list[dict[str, Any]] = []
        self._changed = Condition()
        self._ended = False
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.sip = str(self.wait("ready", START_SECONDS)["sip"])
        except CarrierFailed:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, event: str, timeout: float = 10.0, **fields: object) -> dict[str, Any]:
        """The first event of that name whose fields are these, now or within `timeout` seconds.

        Raises CarrierFailed when the carrier ends before, or the time is over.
        """
        limit = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for found in self.events[seen:]:
                    if found["event"] == event and all(found.get(k) == v for k, v in fields.items()):
                        return found
                seen = len(self.events)
                if self._ended:
                    raise CarrierFailed(self._last_words())
                left = limit - time.monotonic()
                if left <= 0:
                    raise CarrierFailed(f"the demo carrier told of no {event} within {timeout:g} s")
                self._changed.wait(left)

    def order(self, cmd: str, **fields: str) -> None:
        """Give it an order (see `engine.demo.__main__`): call, hangup, quit."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise CarrierFailed(self._last_words()) from None

    def close(self) -> int:
        """End it, wait until it has gone, and give its exit status."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join(1)
        if not self._errors.closed:
            self._errors.close()
        return status

    def _last_words(self) -> str:
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        if self._errors.closed:
            return "the demo carrier has been closed"
        self._errors.seek(0)
        said = self._errors.read().strip()
        return said or f"the demo carrier ended with exit status {self._process.returncode}"

    def __enter__(self) -> CarrierProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
