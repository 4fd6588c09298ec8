"""Sending DTMF: queued digits as telephone-events (RFC 4733 section 2), one packet a tick, or as tones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from engine.media.clip import Player, key_clip
from engine.media.dtmf import EVENTS, PAYLOAD, SEGMENT

TICK_MS = 20
MAX_QUEUED = 128
"""Digits waiting to be sent."""


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send in a tick: a telephone-event payload and its timestamp."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(slots=True)
class _Job:
    """The duration is in ms, the gap in ticks, or in ms for tones."""

    digits: str
    duration: int
    gap: int
    place: int = 0


def _fitting(digits: str, jobs: Iterable[_Job]) -> str:
    """The keys among digits, as far as there is room for them."""
    room = MAX_QUEUED - sum(len(job.digits) - job.place for job in jobs)
    return "".join(c for c in digits.upper() if c in EVENTS)[: max(0, room)]


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
        taken = _fitting(digits, self._jobs)
        if taken:
            longest = min(8000, SEGMENT * 1000 // self.clock)  # in one segment (2.5.1.3)
            duration = min(max(duration_ms, 40), longest) // TICK_MS * TICK_MS
            gap = max(gap_ms, 40) // TICK_MS
            self._jobs.append(_Job(taken, duration, gap))
        return taken

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
        duration = min(self._elapsed * self.clock // 1000, SEGMENT)
        payload = PAYLOAD.pack(EVENTS.index(job.digits[job.place]), flags, duration)
        return EventPacket(payload, self._start or 0, marker)

    def _next_digit(self, job: _Job) -> str:
        self._start = None
        job.place += 1
        if job.place < len(job.digits):
            return ""
        self._jobs.popleft()
        return job.digits


class ToneSender:
    """Sends queued digits as tones, one clip after the other: `player` has the present one's."""

    def __init__(self) -> None:
        self.player: Player | None = None
        self._jobs: deque[_Job] = deque()

    def queue(self, digits: str, duration_ms: int, gap_ms: int) -> str:
        """Queue digits; returns those taken: the sixteen keys, as far as there is room."""
        taken = _fitting(digits, self._jobs)
        if taken:
            self._jobs.append(_Job(taken, min(max(duration_ms, 40), 8000), min(max(gap_ms, 40), 8000)))
            if self.player is None:
                self._play()
        return taken

    @property
    def digit(self) -> str:
        """The present one."""
        return self._jobs[0].digits[self._jobs[0].place]

    def advance(self) -> str:
        """On to the next digit; those that are now done with."""
        job, done = self._jobs[0], ""
        job.place += 1
        if job.place == len(job.digits):
            done = self._jobs.popleft().digits
        self._play()
        return done

    def _play(self) -> None:
        self.player = None
        if self._jobs:
            job = self._jobs[0]
            self.player = Player(key_clip(job.digits[job.place], job.duration, job.gap), False, "")
