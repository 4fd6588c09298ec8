"""More work than a tick has time for: detection gives way, and nothing else."""

from __future__ import annotations

import itertools
import time

import pytest
from media_rig import bridged, octets, passes, wait

from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening, Settings
from engine.media.hearing import Hearing
from engine.media.orders import Detect, Overload, Play, ToneSource
from engine.media.stream import RtpStream
from engine.media.timing import shedding
from engine.media.timing.shedding import CALM_S, SHARE_NS, WAITING, WORTH_TELLING, Budget
from engine.media.work import begin_frames


@pytest.fixture
def slow(monkeypatch):
    """A detector that needs `slow.ms` for each frame."""

    class Slow:
        ms = 0.0

    original = Analyzer.begin

    def begin(self, look):
        end = time.monotonic() + Slow.ms / 1000
        while time.monotonic() < end:
            pass
        return original(self, look)

    monkeypatch.setattr(Analyzer, "begin", begin)
    return Slow


def test_a_slow_detector_is_shed_and_said_so_once_while_audio_goes_on(rig, slow, monkeypatch):
    monkeypatch.setattr(shedding, "CALM_S", 0.3)
    kept: dict[str, int] = {}
    original = RtpStream.keep_for_detection

    def keep(stream):
        if stream.hearing is not None:
            kept[stream.name] = kept.get(stream.name, 0) + 1
        return original(stream)

    monkeypatch.setattr(RtpStream, "keep_for_detection", keep)
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    playing, far = rig.open()
    rig.engine.order(Play(playing, ToneSource("ru", "congestion"), loop=True))
    heard = [rig.open() for _ in range(8)]
    slow.ms = 4
    for name, end in heard:
        end.send(octets("PCMA", 1))
        rig.engine.order(Detect(name, country="cn"))
    far.receive_until(far.is_sound)
    assert rig.fact(Overload).on
    numbers = [far.receive().sequence for _ in range(40)]
    assert all((y - x) & 0xFFFF == 1 for x, y in itertools.pairwise(numbers))
    for n in range(1, 11):
        a.send(octets("PCMA", n))
        b.receive_until(lambda p, n=n: p.payload == octets("PCMA", n))
    assert not rig.has_fact(Overload)
    slow.ms = 0
    over = rig.fact(Overload)
    assert not over.on
    assert over.frames == rig.engine.shed.frames_shed > 0
    for name, _ in heard:  # the detectors' time is the stream's, whatever was left out
        stream = rig.engine.stream(name)
        wait(lambda stream=stream, name=name: abs(stream.hearing.now_ms // 20 - kept[name]) <= 1)


def test_every_stream_gets_its_turn_when_there_is_time_for_some(rig, slow, monkeypatch):
    slow.ms = 3
    heard = [rig.open() for _ in range(8)]
    fed: dict[int, int] = {}
    original = Analyzer.begin

    def begin(self, look):
        fed[id(self)] = fed.get(id(self), 0) + 1
        return original(self, look)

    monkeypatch.setattr(Analyzer, "begin", begin)
    for name, end in heard:
        end.send(octets("PCMA", 1))
        rig.engine.order(Detect(name, country="cn"))
    rig.fact(Overload)
    wait(lambda: len(fed) == len(heard))  # their detectors are made one after the other
    before = dict(fed)
    wait(lambda: sum(fed.values()) - sum(before.values()) > 80)
    gained = [fed[one] - before.get(one, 0) for one in fed]
    assert len(gained) == 8
    assert min(gained) >= max(gained) / 2


def test_a_short_stall_sheds_nothing():
    """What waits is heard later."""
    stream = RtpStream({}, "", 0, "", 0, name="one")
    stream.hearing, stream._started_fact = Hearing(Detect("one", country="cn"), 0.0), True
    stream.hearing.begin(Listening(Analyzer("cn"), Settings()))
    assert all(stream.keep_for_detection() for _ in range(WAITING))
    assert not stream.keep_for_detection()
    while stream.undetected:
        begin_frames([stream], 0.0, lambda stream, call, *args: call(*args))
        stream.detected(0.0, [])
    assert stream.hearing.now_ms == 20 * (WAITING + 1)


def test_a_step_that_took_too_long_is_paid_back_in_the_ticks_to_come():
    budget = Budget()
    budget.spend(3 * SHARE_NS)
    allowed = []
    for n in range(4):
        budget.tick(n * 0.02)
        allowed.append(budget.allows)
    assert allowed == [False, False, True, True]


def shed(budget, count, now):
    for _ in range(count):
        budget.shed(now)


def test_an_overload_is_told_when_it_begins_and_when_it_has_been_calm():
    budget = Budget()
    assert budget.tick(0.0) is None
    shed(budget, WORTH_TELLING, 0.01)
    assert budget.tick(0.02) == Overload(0.02, True, WORTH_TELLING)
    budget.shed(1.0)
    assert budget.tick(1.02) is None
    assert budget.tick(1.0 + CALM_S - 0.1) is None
    assert budget.tick(1.0 + CALM_S) == Overload(1.0 + CALM_S, False, WORTH_TELLING + 1)
    assert budget.tick(100.0) is None
    shed(budget, WORTH_TELLING, 101.0)
    assert budget.tick(101.0) == Overload(101.0, True, WORTH_TELLING)


def test_a_frame_shed_now_and_then_is_not_worth_a_word():
    budget = Budget()
    for n in range(4 * WORTH_TELLING):
        budget.shed(n * CALM_S)
        assert budget.tick(n * CALM_S + 0.02) is None
        assert budget.tick((n + 1) * CALM_S) is None
    assert budget.frames_shed == 4 * WORTH_TELLING
