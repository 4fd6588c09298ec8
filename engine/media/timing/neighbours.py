"""The threads that share the interpreter with the media thread, kept from being in its way.

Where a busy machine puts such a thread to sleep while it holds the interpreter lock, the media thread waits
as well, whatever its own priority. Measured with signalling beside 50 bridged pairs, on two cores with far
more to do than they can: packets late by 2 to 5 ms at the 99th percentile; below 0.5 ms with this.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PRIORITY = 5
"""Real-time, below the media thread's own."""
GREEDY = 0.9
"""Of a core: a thread that uses more, second after second, is an ordinary one until it uses half as much."""
PATIENCE = 5
"""Seconds of that."""


@dataclass(slots=True)
class _Neighbour:
    used_ns: int
    raised: bool
    greedy: int = 0
    """For how many seconds."""


class Neighbours:
    """A thread calls `join` for itself; the media thread calls `check` once a second, `dismiss` at its end.

    Does nothing where real-time priority is not granted.
    """

    def __init__(self) -> None:
        self._threads: dict[int, _Neighbour] = {}
        self._checked_ns = time.monotonic_ns()

    def join(self) -> bool:
        """Raise the calling thread; False where that is not granted."""
        thread = threading.get_native_id()
        if not _schedule(thread, PRIORITY):
            return False
        self._threads[thread] = _Neighbour(_used_ns(thread), True)
        return True

    def check(self) -> None:
        """Lower those that use much of a core, so that nothing else starves; forget who has ended."""
        now = time.monotonic_ns()
        passed, self._checked_ns = max(1, now - self._checked_ns), now
        for thread, neighbour in list(self._threads.items()):
            used = _used_ns(thread)
            if used < 0:
                del self._threads[thread]
                continue
            share = (used - neighbour.used_ns) / passed
            neighbour.used_ns = used
            neighbour.greedy = neighbour.greedy + 1 if share > GREEDY else 0
            if neighbour.raised and neighbour.greedy >= PATIENCE:
                neighbour.raised = not _schedule(thread, 0)
            elif not neighbour.raised and share < GREEDY / 2:
                neighbour.raised = _schedule(thread, PRIORITY)

    def dismiss(self) -> None:
        """Everybody is an ordinary thread again."""
        for thread in list(self._threads):
            _schedule(thread, 0)
        self._threads.clear()


def _schedule(thread: int, priority: int) -> bool:
    policy = os.SCHED_RR if priority else os.SCHED_OTHER
    try:
        os.sched_setscheduler(thread, policy | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:  # not granted, or the thread has ended
        return False
    return True


def _used_ns(thread: int) -> int:
    """The processor time of a thread of this process; -1 where it has ended."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return -1
