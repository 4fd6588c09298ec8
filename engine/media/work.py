"""What a tick does once its own packets are out: receive, play out, record, measure, detect.

It is done in slices, so that a bridged packet that comes meanwhile waits no longer than one of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.detect.analyzer import Analyzer, answer_each, look_at_each
from engine.detect.dtmf import feed_many
from engine.media import level
from engine.media.board import Board
from engine.media.codec import Pcm
from engine.media.ending import Ending
from engine.media.hearing import Hearing
from engine.media.network import udp
from engine.media.network.control import SERVED_EVERY
from engine.media.orders import SOUND, Meter
from engine.media.recorder import Recording
from engine.media.stream import RtpStream
from engine.media.timing.neighbours import Neighbours
from engine.media.timing.rubbish import Collector
from engine.media.timing.shedding import Budget

log = logging.getLogger(__name__)

METER_TICKS = 5
HOUSEKEEPING_TICKS = 50
QUALITY_TICKS = 50
KEYED_AT_ONCE = 16
"""Streams listened to for DTMF in one step."""
HEARD_AT_ONCE = 16
"""Streams whose frames the detectors begin with in one step."""


class Work:
    """`begin` at each tick; `step` until it is no longer `pending`."""

    def __init__(
        self, board: Board, inbox: udp.Inbox, neighbours: Neighbours, collector: Collector
    ) -> None:
        self._board = board
        self._neighbours = neighbours
        self._collector = collector
        self._inbox = inbox
        self._ticks = 0
        self._steps: Iterator[None] | None = None
        self._failed = False
        self._behind = False
        self._turn = 0
        self.budget = Budget()
        """What was shed, and may be spent."""

    @property
    def pending(self) -> bool:
        return self._steps is not None

    def begin(self, now: float) -> None:
        """Start on a tick's work; what is left of the one before is done first."""
        self.finish()
        self._ticks += 1
        if (overload := self.budget.tick(now)) is not None:
            self._board.facts.append(overload)
        self._steps = self._work(now)

    def step(self) -> bool:
        """Do one stream's part; False where nothing is left."""
        if self._steps is None:
            return False
        try:
            next(self._steps)
            return True
        except StopIteration:
            pass
        except Exception:
            self._fault()
        self._steps = None
        return False

    def finish(self) -> None:
        """The rest of it at once, without what can wait or be left out."""
        self._behind = True
        while self.step():
            pass
        self._behind = False

    def _fault(self) -> None:
        if not self._failed:
            log.exception("media: a fault in a tick; later ones are not logged")
        self._failed = True

    def guard_all(self, call: Callable[[float], Any], now: float) -> None:
        """A fault of ours in what is no stream's must not end the thread; logged once."""
        try:
            call(now)
        except Exception:
            self._fault()

    def guard(self, stream: RtpStream | Ending, call: Callable[..., Any], *args: Any) -> None:
        """A fault of ours on one stream must not silence the others; logged once a stream."""
        try:
            call(*args)
        except Exception:
            if stream.name not in self._board.reported:
                self._board.reported.add(stream.name)
                log.exception("media: a fault while serving stream %s", stream.name)

    def _work(self, now: float) -> Iterator[None]:
        board, guard = self._board, self.guard
        streams = list(board.streams.values())
        near: list[RtpStream] = []
        others: list[RtpStream] = []
        for stream in streams:
            (near if stream.room is not None or stream.peer is board.sound else others).append(stream)
        for stream in near:  # what is heard here comes first
            guard(stream, stream.receive_tick, self._inbox, now, board.facts)
            if stream.peer is board.sound:
                board.sound.speaker(stream.heard())
            yield
        for room in board.rooms.values():
            room.gather()
        if board.sound.room is not None:
            board.sound.speaker(board.sound.room.places[SOUND].pcm())
        board.sound.end_tick(now, board.facts)
        yield
        for stream in others:
            guard(stream, stream.receive_tick, self._inbox, now, board.facts)
            yield
        for stream in streams:
            guard(stream, stream.prepare)
        yield
        for stream in streams:
            if stream.recording is not None:
                guard(stream, self._record, stream, stream.recording)
                yield
        while board.writer.facts:
            board.facts.append(board.writer.facts.popleft())
        for stream in streams:
            if not stream.keep_for_detection():
                self.budget.shed(now)
        if self._ticks % METER_TICKS == 0:
            yield from self._measure(streams)
        if self._ticks % QUALITY_TICKS == 2:
            for stream in streams:
                guard(stream, self._note_quality, stream, now)
                yield
        if self._ticks % SERVED_EVERY == 1:
            for stream in board.control.ready():
                guard(stream, stream.control.drain)
                yield
            for stream in streams:
                guard(stream, stream.control.serve, now)
            yield
        if self._ticks % HOUSEKEEPING_TICKS == 0:
            self._neighbours.check()
            self._collector.check(bool(board.streams), now)
            yield
        keyed = [stream for stream in streams if stream.hears_keys]
        for at in range(0, len(keyed), KEYED_AT_ONCE):
            guard(keyed[at], self._hear_keys, keyed[at : at + KEYED_AT_ONCE], now)
            yield
        yield from self._detect(streams, now)
        yield from self._settle(now)

    def _detect(self, streams: list[RtpStream], now: float) -> Iterator[None]:
        """Frame after frame from each in turn while there is time; who had to wait comes first next time.
        What was begun is ended."""
        waiting = [stream for stream in streams if stream.waits_for_detection]
        start = self._turn % len(waiting) if waiting else 0
        waiting = waiting[start:] + waiting[:start]
        self._turn = start
        while waiting:
            for at in range(0, len(waiting), HEARD_AT_ONCE):
                if self._behind or not self.budget.allows:
                    return
                together = waiting[at : at + HEARD_AT_ONCE]
                began = time.monotonic_ns()
                self.guard(together[0], begin_frames, together, now, self.guard)
                self.budget.spend(time.monotonic_ns() - began)
                yield
                for stream in together:
                    began = time.monotonic_ns()
                    self.guard(stream, stream.detected, now, self._board.facts)
                    self.budget.spend(time.monotonic_ns() - began)
                    self._turn += 1
                    yield
            waiting = [stream for stream in waiting if stream.waits_for_detection]

    def _settle(self, now: float) -> Iterator[None]:
        """Hear what closed streams had received still, as far as there is time for it."""
        board = self._board
        for ending in list(board.endings):
            while ending.waits and self.budget.allows and not self._behind:
                began = time.monotonic_ns()
                self.guard(ending, ending.hear, now, board.facts)
                self.budget.spend(time.monotonic_ns() - began)
                yield
            if ending.over(now):
                board.endings.remove(ending)
                self.guard(ending, ending.close, now, board.facts)

    def _hear_keys(self, streams: list[RtpStream], now: float) -> None:
        """Never left out: it costs a few microseconds a stream, and a key missed can't be asked for again."""
        began = time.monotonic_ns()
        streams = [stream for stream in streams if stream.hears_keys]  # an order since may say otherwise
        detectors = [stream.keys.detector for stream in streams if stream.keys is not None]
        if not detectors:
            return
        for which, press in feed_many(detectors, np.stack([stream.rx for stream in streams])):
            streams[which].heard_key(press, now, self._board.facts)
        self.budget.spend(time.monotonic_ns() - began)

    def _record(self, stream: RtpStream, recording: Recording) -> None:
        if recording.order.analysed and not stream.analysed:
            return
        if not recording.begun:
            self._board.writer.start(recording)
        chunk = recording.add(stream.rx, stream.sent())
        if chunk is not None:
            self._board.writer.write(recording, chunk)
        if recording.failed:
            stream.recording = None
            self._board.writer.finish(recording)

    def _note_quality(self, stream: RtpStream, now: float) -> None:
        if (quality := stream.quality(now)) is not None:
            self._board.note_quality(stream.name, quality)

    def _measure(self, streams: list[RtpStream]) -> Iterator[None]:
        board = self._board
        if self._behind:
            self.budget.meters_shed += 1
            return
        received: dict[str, float] = {}
        for stream in streams:
            received[stream.name] = stream.listening.measure()
            yield
        for stream in streams:
            own = stream.sender.sent()
            source = stream.passed_on()
            sent = level.power(own) if own is not None else received.get(source.name, 0.0) if source else 0.0
            tone = stream.hearing.current if stream.hearing is not None else ""
            if stream.name in board.streams:
                board.meters[stream.name] = Meter(level.dbm0(received[stream.name]), level.dbm0(sent), tone)
            yield
        if board.sound.active:
            board.meters[SOUND] = board.sound.meter()
        else:
            board.meters.pop(SOUND, None)


def begin_frames(streams: list[RtpStream], now: float, guard: Callable[..., None]) -> None:
    """Have the detectors begin with the next frame of each: what all need is worked out for all at once."""
    begun: list[tuple[RtpStream, Hearing, Analyzer, Pcm]] = []
    for stream in streams:
        hearing = stream.hearing
        if hearing is not None and hearing.analyzer is not None and stream.undetected:
            hearing.hears_keys(stream.keys is None)
            begun.append((stream, hearing, hearing.analyzer, stream.undetected.popleft()))
    if not begun:
        return
    looks = look_at_each([analyzer for _, _, analyzer, _ in begun], [frame for *_, frame in begun])
    for (stream, hearing, _, frame), look in zip(begun, looks, strict=True):
        guard(stream, hearing.begin_frame, look, frame, now)
    answer_each([analyzer for _, _, analyzer, _ in begun])
