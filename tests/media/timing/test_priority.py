from __future__ import annotations

import os
import threading

import pytest

from engine.media.timing import priority


def in_a_thread(call):
    """The result of a call in a thread of its own, so that this one keeps its priority."""
    got = []
    thread = threading.Thread(target=lambda: got.append(call()))
    thread.start()
    thread.join(10)
    return got[0]


def test_a_priority_is_granted_or_the_thread_stays_normal():
    assert in_a_thread(priority.raise_priority) in ("real-time", "nice", "short slice", "normal")


def test_threads_started_by_the_raised_one_are_ordinary():
    def scheduling() -> tuple[int, int]:
        return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, 0)

    def child() -> tuple[int, int]:
        priority.raise_priority()
        return in_a_thread(scheduling)

    assert in_a_thread(child) == (os.SCHED_OTHER, in_a_thread(scheduling)[1])


def test_without_any_privilege_the_engine_runs_all_the_same(monkeypatch):
    def refuse(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert in_a_thread(priority.raise_priority) in ("short slice", "normal")


def test_a_machine_whose_system_call_is_unknown_stays_normal(monkeypatch):
    monkeypatch.setattr(priority.platform, "machine", lambda: "pdp11")
    assert in_a_thread(lambda: priority.raise_priority(ask=False)) == "normal"


@pytest.mark.parametrize("ask", [True, False])
def test_asking_twice_does_no_harm(ask):
    def twice() -> tuple[str, str]:
        return priority.raise_priority(ask=ask), priority.raise_priority(ask=ask)

    first, second = in_a_thread(twice)
    assert first == second
