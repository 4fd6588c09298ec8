"""When Python collects garbage, so that nobody hears it.

A collection stops every thread. Those of young objects take a millisecond or two; a full one looks at all
that calls have left in the last half minute and takes 50 ms and more. So a full one is made while there is no
audio, and among calls only once so much has piled up that memory matters: one in some thousand calls.
"""

from __future__ import annotations

import gc
import logging
import time

log = logging.getLogger(__name__)

THRESHOLDS = (700, 6, 1_000_000)
"""Never a full collection by itself; the middle one looks at some 4,000 objects."""
QUIET_S = 1.0
"""So long without a stream is quiet."""
WORTH = 5
"""Collections of the middle generation since the last full one, after which a quiet moment is used."""
WAIT_S = 30.0
"""After so long a quiet moment is used for less."""
FULL = 250
"""So many of the middle generation, a million new objects, and it is done whatever goes on."""


class Collector:
    """Settings of the whole process from `start` to `stop`; the media thread calls `check` each second."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        self._busy_at = self._collected_at = time.monotonic()
        self.forced = 0
        """Full collections that could not wait for a quiet moment."""

    def start(self) -> None:
        """What exists already is there to stay: it is looked at no more."""
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        self._busy_at = self._collected_at = time.monotonic()

    def stop(self) -> None:
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def check(self, busy: bool, now: float) -> bool:
        """Collect if it is time, `busy` while there are streams; whether it was."""
        if busy:
            self._busy_at = now
        piled = gc.get_count()[2]
        quiet = now - self._busy_at >= QUIET_S
        enough = (1 if now - self._collected_at >= WAIT_S else WORTH) if quiet else FULL
        if piled < enough:
            return False
        began = time.monotonic()
        gc.collect()
        self._collected_at = now
        if not quiet:
            self.forced += 1
            log.warning("media: no quiet moment for many calls; clearing up took %.0f ms",
                        1000 * (time.monotonic() - began))
        return True
