"""DTMF as telephone-event (RFC 4733 section 2), receiving: packets in, key presses out.

A press is known by its SSRC, its event code and the timestamp that all of its packets share. The marker
bit is never asked: it may be lost with its packet, or be set on several.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass

from engine.media.network.rtp import Packet

EVENTS = "0123456789*#ABCD"
SEGMENT = 0xFFFF
"""The longest duration that a packet can tell, in units of the event's clock."""
PAYLOAD = struct.Struct("!BBH")

HOLD_S = 0.04
"""After a gap in the sequence numbers a press is held so long, for one before it that was overtaken."""
LOST_END_S = 0.2
"""A press of which nothing more comes for so long is over."""
OLDEST_S = 2.0
"""A packet so much older than the newest press, by its timestamp, is no press that was overtaken."""
_BACK_S = 60.0  # further back than this is another time axis
MAX_BURST, MAX_RATE = 32, 25.0
"""Presses taken at once, and in a second for ever: no finger and no dialler is faster, a flood is."""
_KNOWN = 64
_SEGMENTS = 4  # so many whole segments may be lost
_NEVER = float("-inf")
_M32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Press:
    """A key that went down, or (`over`) came up. `duration_ms` is how long it was down as far as its packets
    tell yet."""

    digit: str
    duration_ms: int
    over: bool = False


@dataclass(slots=True)
class _Live:
    ssrc: int
    event: int
    clock: int
    first: int
    """The timestamp of its first segment; `segment` that of its latest."""
    segment: int
    heard: float
    due: float
    duration: int = 0
    told: bool = False
    over: bool = False
    ended: bool = False
    """Over by an end packet, not for want of one."""

    def press(self, over: bool) -> Press:
        return Press(EVENTS[self.event], self.duration * 1000 // self.clock, over)


class DigitReceiver:
    """Tells each key press twice: when it begins and when it is over.

    It begins with whatever packet of it comes first: at once, or `HOLD_S` after a gap in the sequence
    numbers, so that presses are told in the order of their timestamps. It is over at an end packet, at the
    next press, or `LOST_END_S` after its last packet. Presses longer than 0xFFFF units (8.2 s) come in
    segments with timestamps of their own (section 2.5.1.3) and are still one press; so is one that goes on
    under another SSRC.
    """

    def __init__(self) -> None:
        self._live: list[_Live] = []  # in the order of their timestamps; only the last can be down
        self._known: OrderedDict[tuple[int, int, int], tuple[_Live, int]] = OrderedDict()
        self._newest: _Live | None = None
        self._credit, self._credit_at = float(MAX_BURST), _NEVER
        self.ignored = 0
        """Packets that are no key press: too short, too old, or events other than the sixteen keys."""
        self.flooded = 0
        """Packets of presses that came faster than any come."""

    def feed(self, packet: Packet, now: float, clock: int = 8000, gap_at: float = _NEVER) -> list[Press]:
        """One telephone-event packet; `now` in monotonic seconds, `clock` the event's in Hz. `gap_at` is when
        a packet of this stream last came with others missing before it.
        """
        if len(packet.payload) < PAYLOAD.size:
            self.ignored += 1
            return []
        event, flags, duration = PAYLOAD.unpack_from(packet.payload)
        if event >= len(EVENTS):
            self.ignored += 1
            return []
        key = (packet.ssrc, event, packet.timestamp)
        found = self._known.get(key) or self._continued(key, clock, duration, now)
        if found is None:
            press = self._new(key, clock, now, gap_at)
            if press is None:
                return []
            found = press, 0
        if key not in self._known:
            self._known[key] = found
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        press, base = found
        press.duration = max(press.duration, base + duration)
        press.heard = now
        if flags & 0x80:
            press.over = press.ended = True
        return self._tell(now)

    def poll(self, now: float) -> list[Press]:
        """What has become certain with time; call it every frame."""
        if not self._live:
            return []
        last = self._live[-1]
        if now - last.heard > LOST_END_S:
            last.over = True
        return self._tell(now)

    def _tell(self, now: float) -> list[Press]:
        told: list[Press] = []
        live = self._live
        while live:
            press = live[0]
            if not press.told:
                if press.due > now:
                    break
                press.told = True
                told.append(press.press(False))
            if not press.over:
                break
            told.append(press.press(True))
            del live[0]
        return told

    def _continued(
        self, key: tuple[int, int, int], clock: int, duration: int, now: float
    ) -> tuple[_Live, int] | None:
        """The press that goes on with a timestamp unknown so far, and its units before; None if new."""
        ssrc, event, timestamp = key
        press = self._newest
        if press is None or press.event != event or press.ended:
            return None
        if press.ssrc != ssrc:  # was it down before the stream changed hands?
            if press.over or now - duration / clock > press.heard + 0.02:
                return None
            press.ssrc, press.first, press.segment, press.clock = ssrc, timestamp, timestamp, clock
            press.duration = 0
            return press, 0
        base = (timestamp - press.first) & _M32
        after = (timestamp - press.segment) & _M32
        segments, rest = divmod(after, SEGMENT)
        whole = rest == 0 and 1 <= segments <= _SEGMENTS
        # Some begin a segment at the last duration that was told, which is less by a packet's time.
        short = 0 < SEGMENT - after <= clock // 20 and now - press.heard < LOST_END_S and not press.over
        if not whole and not short:
            return None
        press.segment = timestamp
        return press, base

    def _new(self, key: tuple[int, int, int], clock: int, now: float, gap_at: float) -> _Live | None:
        newest = self._newest
        behind = 0
        if newest is not None and newest.ssrc == key[0]:
            behind = (newest.segment - key[2]) & _M32
            if OLDEST_S * clock < behind < _BACK_S * clock:
                self.ignored += 1
                return None
        if not self._has_credit(now):
            self.flooded += 1
            return None
        press = _Live(*key[:2], clock, key[2], key[2], now, max(now, gap_at + HOLD_S))
        if behind and behind < OLDEST_S * clock:  # it was overtaken
            press.over, press.due = True, now
            place = len(self._live)
            while place and not self._live[place - 1].told and self._is_before(press, self._live[place - 1]):
                place -= 1
            if place == len(self._live) and place and not self._live[-1].over:
                place -= 1  # the last may still be down and has been told
            self._live.insert(place, press)
        else:
            for other in self._live:
                other.over = True
            self._live.append(press)
            self._newest = press
        return press

    @staticmethod
    def _is_before(one: _Live, other: _Live) -> bool:
        return one.ssrc == other.ssrc and (other.first - one.first) & _M32 < 0x80000000

    def _has_credit(self, now: float) -> bool:
        if now > self._credit_at:
            self._credit = min(MAX_BURST, self._credit + (now - self._credit_at) * MAX_RATE)
            self._credit_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


def rescale(payload: bytes, received: int, sent: int) -> bytes:
    """A telephone-event of one clock (in Hz) for a session of another."""
    if received == sent or len(payload) < PAYLOAD.size:
        return payload
    event, flags, duration = PAYLOAD.unpack_from(payload)
    return PAYLOAD.pack(event, flags, min(duration * sent // received, SEGMENT))
