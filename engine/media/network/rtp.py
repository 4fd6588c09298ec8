"""RTP packets (RFC 3550 section 5.1): parse and serialize, nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_PACKET = 2048
"""Longest datagram taken for RTP, in octets: 200 ms of G.711 with room for headers."""

HEADER = struct.Struct("!BBHII")
"""The fixed header: its two first octets, sequence number, timestamp, SSRC."""
_EXTENSION = struct.Struct("!HH")


class RtpError(ValueError):
    """A datagram that is not a valid RTP packet; the text says why."""


@dataclass(slots=True)
class Packet:
    """One packet. `sequence` is modulo 2**16, `timestamp` (in 1/8000 s) and `ssrc` modulo 2**32."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    """The header extension's profile word and its data, a multiple of four octets."""


def parse(data: bytes) -> Packet:
    """A datagram as a packet; padding is removed. Raises RtpError."""
    size = len(data)
    if size < 12:
        raise RtpError("shorter than an RTP header")
    if size > MAX_PACKET:
        raise RtpError("longer than any RTP packet of a call")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise RtpError("not RTP version 2")
    packet = Packet(second & 0x7F, sequence, timestamp, ssrc, b"", second >= 0x80)
    if first == 0x80:  # the usual case: no padding, extension or CSRC
        packet.payload = data[12:]
        return packet
    start = 12 + 4 * (first & 15)
    if start > size:
        raise RtpError("the CSRC list runs past the end")
    packet.csrc = struct.unpack_from(f"!{first & 15}I", data, 12)
    if first & 0x10:
        if start + 4 > size:
            raise RtpError("the header extension runs past the end")
        profile, words = _EXTENSION.unpack_from(data, start)
        end = start + 4 + 4 * words
        if end > size:
            raise RtpError("the header extension runs past the end")
        packet.extension = (profile, data[start + 4 : end])
        start = end
    if first & 0x20:
        padding = data[-1]
        if not 1 <= padding <= size - start:
            raise RtpError("the padding is longer than the payload")
        size -= padding
    packet.payload = data[start:size]
    return packet


def serialize(packet: Packet) -> bytes:
    """A packet as a datagram, without padding. Raises RtpError for more than 15 CSRCs."""
    if len(packet.csrc) > 15:
        raise RtpError("more than 15 CSRCs")
    first = 0x80 | len(packet.csrc) | (0x10 if packet.extension else 0)
    second = packet.payload_type | (0x80 if packet.marker else 0)
    parts = [HEADER.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)]
    if packet.csrc:
        parts.append(struct.pack(f"!{len(packet.csrc)}I", *packet.csrc))
    if packet.extension:
        profile, data = packet.extension
        parts += [_EXTENSION.pack(profile, len(data) // 4), data]
    parts.append(packet.payload)
    return b"".join(parts)


def plain(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """A datagram with neither CSRC nor extension, on the shortest path: the clock's."""
    second = payload_type | 0x80 if marker else payload_type
    return HEADER.pack(0x80, second, sequence, timestamp, ssrc) + payload
