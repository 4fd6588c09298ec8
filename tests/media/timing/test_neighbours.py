"""Threads beside the media thread: raised while modest, ordinary when greedy, and always at the end."""

from __future__ import annotations

import os
import threading

import pytest

from engine.media.timing import neighbours
from engine.media.timing.neighbours import PATIENCE, PRIORITY, Neighbours


@pytest.fixture
def thread():
    """A thread that carries out what it is told; `ask(call)` gives the result."""

    class Other:
        def __init__(self) -> None:
            self._asked, self._answered = threading.Semaphore(0), threading.Semaphore(0)
            self._thread = threading.Thread(target=self._run)
            self._call = self._result = None
            self._thread.start()

        def _run(self) -> None:
            while True:
                self._asked.acquire()
                if self._call is None:
                    return
                self._result = self._call()
                self._answered.release()

        def ask(self, call):
            self._call = call
            self._asked.release()
            self._answered.acquire()
            return self._result

        def end(self) -> None:
            self._call = None
            self._asked.release()
            self._thread.join()

    other = Other()
    yield other
    if other._thread.is_alive():
        other.end()


def priority() -> int:
    return os.sched_getparam(0).sched_priority


@pytest.fixture
def together(thread):
    """A thread that has joined; skips where that is not granted."""
    found = Neighbours()
    if not thread.ask(found.join):
        pytest.skip("no real-time priority for this user")
    return found


def test_a_thread_that_joins_is_raised_above_ordinary_ones_and_below_the_media_thread(thread, together):
    assert thread.ask(priority) == PRIORITY
    together.dismiss()
    assert thread.ask(priority) == 0


def test_a_greedy_thread_is_ordinary_until_it_is_modest_again(thread, together, monkeypatch):
    clock, used = [10**12], [0]
    monkeypatch.setattr(neighbours.time, "monotonic_ns", lambda: clock[0])
    monkeypatch.setattr(neighbours, "_used_ns", lambda _: used[0])
    together.check()

    def second(share: float) -> int:
        clock[0] += 10**9
        used[0] += int(share * 10**9)
        together.check()
        return thread.ask(priority)

    assert second(0.0) in (0, PRIORITY)
    assert second(0.6) == PRIORITY
    assert [second(1.0) for _ in range(PATIENCE)] == [PRIORITY] * (PATIENCE - 1) + [0]
    assert second(0.6) == 0
    assert second(0.1) == PRIORITY
    assert second(1.0) == PRIORITY


def test_a_thread_that_has_ended_is_forgotten(thread, together):
    thread.end()
    together.check()
    assert not together._threads


def test_without_the_privilege_nothing_is_changed(thread, monkeypatch):
    def refuse(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(neighbours.os, "sched_setscheduler", refuse)
    found = Neighbours()
    assert not thread.ask(found.join)
    found.check()
    found.dismiss()
