"""DTMF as telephone-event (RFC 4733 section 2): receiving and sending.

A press is known by its event code and the timestamp that all of its packets share. The marker bit
is never asked: it may be lost with its packet, or be set on several.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

EVENTS = "0123456789*#ABCD"
TICK_MS = 20
MAX_QUEUED = 128
"""Digits waiting to be sent."""

_PAYLOAD = struct.Struct("!BBH")
_LOST_END_S = 0.2
_SEGMENT = 0xFFFF
_M32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Press:
    """One key press. `duration_ms` is the longest duration that any of its packets told."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Open:
    event: int
    clock: int
    timestamp: int
    segment: int
    base: int
    duration: int
    heard: float


class DigitReceiver:
    """Packets in, presses out: at a press's end packet, or 200 ms after the last where no end came.

    Presses longer than 0xFFFF units (8.2 s) arrive in segments with timestamps of their own
    (section 2.5.1.3) and are still one press.
    """

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._done: deque[tuple[int, int]] = deque(maxlen=16)
        self.ignored = 0
        """Payloads that are no key press: too short, or events other than the sixteen keys."""

    def feed(self, payload: bytes, timestamp: int, now: float, clock: int = 8000) -> list[Press]:
        """One telephone-event payload with its packet's timestamp; `now` in monotonic seconds, `clock` the
        event's own in Hz.
        """
        if len(payload) < 4:
            self.ignored += 1
            return []
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        if event >= len(EVENTS):
            self.ignored += 1
            return []
        if (event, timestamp) in self._done:
            return []
        presses: list[Press] = []
        current = self._open
        if current is not None and (current.event, current.segment) != (event, timestamp):
            offset = (timestamp - current.segment) & _M32
            if offset >= 0x80000000:  # of a press before this one, whose packets all were overtaken
                self._done.append((event, timestamp))
                return [Press(EVENTS[event], duration * 1000 // clock)]
            if event == current.event and offset == _SEGMENT:
                current.base += _SEGMENT
                current.segment = timestamp
                current.duration = 0
            else:
                presses += self._end()
                current = None
        if current is None:
            current = self._open = _Open(event, clock, timestamp, timestamp, 0, duration, now)
        current.duration = max(current.duration, duration)
        current.heard = now
        if flags & 0x80:
            presses += self._end()
        return presses

    def poll(self, now: float) -> list[Press]:
        """Ends a press whose end packets all were lost; call it every frame."""
        if self._open is not None and now - self._open.heard > _LOST_END_S:
            return self._end()
        return []

    def reset(self) -> list[Press]:
        """Another sender (SSRC): its timestamps have nothing to do with those before."""
        presses = self._end()
        self._done.clear()
        return presses

    def _end(self) -> list[Press]:
        current, self._open = self._open, None
        if current is None:
            return []
        self._done.append((current.event, current.segment))
        duration_ms = (current.base + current.duration) * 1000 // current.clock
        return [Press(EVENTS[current.event], duration_ms)]


def rescale(payload: bytes, received: int, sent: int) -> bytes:
    """A telephone-event of one clock (in Hz) for a session of another."""
    if received == sent or len(payload) < 4:
        return payload
    event, flags, duration = _PAYLOAD.unpack_from(payload)
    return _PAYLOAD.pack(event, flags, min(duration * sent // received, _SEGMENT))


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send in a tick: a telephone-event payload and its timestamp."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(slots=True)
class _Job:
    """Durations in ms, the gap in ticks."""

    digits: str
    duration: int
    gap: int
    place: int = 0


class DigitSender:
    """Sends queued digits: a packet every 20 ms with growing duration, then the end three times."""

    VOLUME = 10
    """Below 0 dBm0, in dB."""

    def __init__(self) -> None:
        self.clock = 8000  # of the negotiated event, in Hz
        self._jobs: deque[_Job] = deque()
        self._start: int | None = None
        self._elapsed = 0
        self._ends = 0
        self._pause = 0

    @property
    def active(self) -> bool:
        """True while audio must give way: from a digit's start to the end of the last gap."""
        return bool(self._jobs)

    def queue(self, digits: str, duration_ms: int, gap_ms: int) -> str:
        """Queue digits; returns those taken: the sixteen keys, as far as there is room."""
        room = MAX_QUEUED - sum(len(job.digits) - job.place for job in self._jobs)
        taken = "".join(c for c in digits.upper() if c in EVENTS)[: max(0, room)]
        if taken:
            longest = min(8000, _SEGMENT * 1000 // self.clock)  # in one segment (2.5.1.3)
            duration = min(max(duration_ms, 40), longest) // TICK_MS * TICK_MS
            gap = max(gap_ms, 40) // TICK_MS
            self._jobs.append(_Job(taken, duration, gap))
        return taken

    def clear(self) -> None:
        self._jobs.clear()
        self._start = None
        self._ends = self._pause = 0

    def tick(self, timestamp: int) -> tuple[EventPacket | None, str]:
        """20 ms on the stream's clock: the packet to send, if any, and digits that are now done with."""
        if not self._jobs:
            return None, ""
        job = self._jobs[0]
        if self._pause:
            self._pause -= 1
            packet = self._packet(job, True, False) if self._ends else None
            self._ends = max(0, self._ends - 1)
            return packet, ("" if self._pause else self._next_digit(job))
        marker = self._start is None
        if self._start is None:
            self._start = timestamp
            self._elapsed = 0
        self._elapsed += TICK_MS
        end = self._elapsed >= job.duration
        packet = self._packet(job, end, marker)
        if end:
            self._ends = 2
            self._pause = job.gap
        return packet, ""

    def _packet(self, job: _Job, end: bool, marker: bool) -> EventPacket:
        flags = self.VOLUME | (0x80 if end else 0)
        duration = min(self._elapsed * self.clock // 1000, _SEGMENT)
        payload = _PAYLOAD.pack(EVENTS.index(job.digits[job.place]), flags, duration)
        return EventPacket(payload, self._start or 0, marker)

    def _next_digit(self, job: _Job) -> str:
        self._start = None
        job.place += 1
        if job.place < len(job.digits):
            return ""
        self._jobs.popleft()
        return job.digits
