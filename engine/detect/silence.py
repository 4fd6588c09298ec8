"""Silence: a level below the threshold for long enough."""

from __future__ import annotations

import math

SILENCE_DBM0 = -45.0
SILENCE_MS = 2000

MILLIWATT_POWER = (32768 / math.sqrt(2) / 10 ** (3.17 / 20)) ** 2


class SilenceTimer:
    """Counts how long it has been silent; fed once a frame."""

    def __init__(self) -> None:
        self.since_ms: int | None = None
        self.loudest = -90.0

    def feed(self, level: float, begin_ms: int) -> None:
        """A frame's level in dBm0 and when it began."""
        if level >= SILENCE_DBM0:
            self.since_ms = None
        elif self.since_ms is None:
            self.since_ms, self.loudest = begin_ms, level
        else:
            self.loudest = max(self.loudest, level)

    def skip(self) -> None:
        """A frame that was not heard: the silence begins anew after it."""
        self.since_ms = None

    def lasted(self, now_ms: int) -> int:
        """Milliseconds of silence up to now; 0 while there is none."""
        return 0 if self.since_ms is None else now_ms - self.since_ms
