"""RTP packets (RFC 3550, section 5.1) and telephone-event payloads (RFC 4733, section 2.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

EVENTS = "0123456789*#ABCD"
"""The DTMF events, in the order of their codes 0 to 15 (RFC 4733, section 3.2)."""


@dataclass(frozen=True, slots=True)
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    def pack(self) -> bytes:
        return struct.pack(
            "!BBHII", 0x80, self.marker << 7 | self.payload_type, self.sequence, self.timestamp, self.ssrc
        ) + self.payload


def parse(data: bytes) -> Packet | None:
    """The packet, or None for what is not RTP (too short, another version, lengths that don't fit)."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    _, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    begin, end = 12 + 4 * (data[0] & 0x0F), len(data)
    if data[0] & 0x10:
        if end < begin + 4:
            return None
        begin += 4 + 4 * int(struct.unpack_from("!H", data, begin + 2)[0])
    if data[0] & 0x20:
        end -= data[-1]
    if begin > end:
        return None
    return Packet(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[begin:end])


def event(digit: str, end: bool, duration: int, volume: int = 10) -> bytes:
    """A telephone-event payload. `duration` in timestamp units, `volume` in -dBm0."""
    return struct.pack("!BBH", EVENTS.index(digit), end << 7 | volume, min(duration, 0xFFFF))


def event_digit(payload: bytes) -> str | None:
    """The digit of a telephone-event payload; None where it is no DTMF event."""
    if len(payload) < 4 or payload[0] >= len(EVENTS):
        return None
    return EVENTS[payload[0]]
