"""The 20 ms clock: absolute deadlines on a timerfd, beside the sockets in one epoll.

`epoll.poll` alone rounds its timeout to a millisecond; a timerfd keeps nanoseconds. Linux only,
through ctypes because `os.timerfd_create` came with Python 3.13.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import time
from collections.abc import Iterable

PERIOD_NS = 20_000_000

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_libc = ctypes.PyDLL(None)
_libc.timerfd_settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.epoll_wait.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]


_PEEK = 64
"""Descriptors looked at without waiting, at a time."""


class _Event(ctypes.Structure):
    """struct epoll_event; packed on x86-64 alone."""

    _pack_ = 1 if platform.machine() in ("x86_64", "AMD64") else 8
    _fields_ = (("events", ctypes.c_uint32), ("fd", ctypes.c_int), ("rest", ctypes.c_uint32))


class Waiter:
    """Waits for a deadline, a readable file descriptor or a wake-up from another thread."""

    def __init__(self) -> None:
        self._timer = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._timer < 0:
            raise OSError("the kernel gave no timerfd")
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self.watched: set[int] = set()
        self._epoll.register(self._timer, select.EPOLLIN)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll_fd = self._epoll.fileno()
        self._events = (_Event * _PEEK)()
        self._events_address = ctypes.addressof(self._events)
        self._spec = _Itimerspec()
        self._spec_address = ctypes.addressof(self._spec)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._timer)
        os.close(self._wake)

    def wake(self) -> None:
        """End the wait; from any thread."""
        os.eventfd_write(self._wake, 1)

    def watch(self, fd: int) -> None:
        if fd not in self.watched:
            self._epoll.register(fd, select.EPOLLIN)
            self.watched.add(fd)

    def unwatch(self, fd: int) -> None:
        self.watched.discard(fd)
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            pass

    def deadline(self, at_ns: int) -> None:
        """Arm the timer for an absolute CLOCK_MONOTONIC time, in ns; a past one ends the wait at once."""
        value = self._spec.value
        value.sec, value.nsec = divmod(max(at_ns, 1), 1_000_000_000)
        _libc.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, self._spec_address, None)

    def wait(self) -> tuple[list[int], bool]:
        """Block; the watched descriptors that are readable, and whether `wake` was called."""
        return self._sort(fd for fd, _ in self._epoll.poll())

    def peek(self) -> tuple[list[int], bool]:
        """`wait`, but for what is there already, and without letting go of the interpreter lock."""
        count = _libc.epoll_wait(self._epoll_fd, self._events_address, _PEEK, 0)
        return self._sort(self._events[n].fd for n in range(count)) if count > 0 else ([], False)

    def _sort(self, fds: Iterable[int]) -> tuple[list[int], bool]:
        ready: list[int] = []
        woken = False
        for fd in fds:
            if fd == self._wake:
                os.eventfd_read(fd)
                woken = True
            elif fd != self._timer:
                ready.append(fd)
        return ready, woken


class Lateness:
    """How late ticks were served: the last minute's distribution, in microseconds."""

    SIZE = 3000

    def __init__(self) -> None:
        self._late = [0] * self.SIZE
        self.ticks = 0
        self.skipped = 0
        """Ticks given up after a stall (a suspended machine) of more than 100 ms."""

    def add(self, late_ns: int) -> None:
        self._late[self.ticks % self.SIZE] = late_ns // 1000
        self.ticks += 1

    def last(self, count: int) -> list[int]:
        """Those of the latest ticks, in microseconds, in no order; of a minute at most."""
        kept = min(count, self.ticks, self.SIZE)
        return [self._late[(self.ticks - 1 - n) % self.SIZE] for n in range(kept)]

    def percentile(self, percent: float) -> int:
        """In microseconds; 0 before the first tick."""
        seen = sorted(self._late[: min(self.ticks, self.SIZE)])
        return seen[min(len(seen) - 1, int(len(seen) * percent / 100))] if seen else 0


def now_ns() -> int:
    return time.monotonic_ns()
