"""The carrier's account of what it did: one JSON object a line."""

from __future__ import annotations

import json
import time
from threading import Lock
from typing import TextIO


class EventLog:
    """Writes events to a stream from any thread.

    Every event has `event` (its name) and `t` (seconds of CLOCK_MONOTONIC, which all processes of a
    machine share); a field `t` takes the place of the present moment. A reader that went away costs
    nothing but its lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()

    def write(self, event: str, **fields: object) -> None:
        line = {"event": event, "t": round(time.monotonic(), 6), **fields}
        with self._lock:
            try:
                self._stream.write(json.dumps(line, ensure_ascii=True) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                pass
