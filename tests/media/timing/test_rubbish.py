"""Garbage is collected while nobody hears it."""

from __future__ import annotations

import gc

import pytest

from engine.media.timing import rubbish
from engine.media.timing.rubbish import FULL, QUIET_S, THRESHOLDS, WAIT_S, WORTH, Collector


@pytest.fixture
def collections(monkeypatch):
    """Full collections so far; `piled` is what the collector is told has piled up."""

    class Counted:
        made = 0
        piled = 0

        def collect(self) -> int:
            self.made += 1
            self.piled = 0
            return 0

        def get_count(self) -> tuple[int, int, int]:
            return 0, 0, self.piled

    counted = Counted()
    monkeypatch.setattr(rubbish, "gc", counted)
    return counted


@pytest.fixture
def collector(collections):
    made = Collector.__new__(Collector)
    made._busy_at = made._collected_at = 100.0
    made.forced = 0
    return made


def test_nothing_full_is_collected_while_there_is_audio(collector, collections):
    collections.piled = FULL - 1
    assert not any(collector.check(True, 100.0 + n) for n in range(60))
    assert collections.made == 0


def test_a_quiet_moment_is_used_after_a_second(collector, collections):
    collections.piled = WORTH
    assert not collector.check(True, 101.0)
    assert not collector.check(False, 101.0 + QUIET_S / 2)
    assert collector.check(False, 101.0 + QUIET_S)
    assert not collector.check(False, 103.0)
    assert collections.made == 1


def test_a_little_is_collected_now_and_then_and_nothing_never(collector, collections):
    collections.piled = 1
    assert not collector.check(False, 110.0)
    assert collector.check(False, 100.0 + WAIT_S)
    assert not collector.check(False, 500.0)


def test_what_cannot_wait_is_collected_among_calls_and_counted(collector, collections, caplog):
    collections.piled = FULL
    assert collector.check(True, 101.0)
    assert collector.forced == 1
    assert "clearing up took" in caplog.text


def test_the_processs_settings_come_back():
    before = gc.get_threshold()
    frozen = gc.get_freeze_count()
    collector = Collector()
    collector.start()
    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > frozen
    collector.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
