"""RTCP packets (RFC 3550 section 6): parse and serialize compound packets, nothing else."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_COMPOUND = 1500
"""Longest compound packet taken, in octets."""
MAX_PACKETS = 16
"""Packets of one compound packet that are looked at."""
MAX_TEXT = 255
SR, RR, SDES, BYE = 200, 201, 202, 203
_CNAME = 1
_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_WORD = struct.Struct("!I")


class RtcpError(ValueError):
    """A datagram that is no valid compound RTCP packet; the text says why."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver tells of the source `ssrc` (6.4.1).

    `fraction` is in 1/256, `lost` signed, `highest` extended by cycles, `jitter` in units of the source's
    clock, `last_sr` the middle 32 bits of its SR's NTP time, 0 for none, `delay` since then in 1/65536 s.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_sr: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender tells of itself (6.4.1). `ntp` is 64 bits of NTP time, `timestamp` the same in RTP's."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report, or with `sent` None a receiver report."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    sent: Sent | None = None


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound packet: reports, canonical names by SSRC (6.5.1) and sources that leave, as far as we read
    or write them; APP, feedback and extended reports are skipped.
    """

    reports: tuple[Report, ...]
    names: dict[int, str] = field(default_factory=dict)
    goodbyes: tuple[int, ...] = ()
    reason: str = ""


def parse(data: bytes) -> Compound:
    """A datagram, checked as in appendix A.2. Raises RtcpError."""
    size = len(data)
    if size < 8:
        raise RtcpError("shorter than an RTCP packet")
    if size > MAX_COMPOUND:
        raise RtcpError("longer than any RTCP packet of a call")
    reports: list[Report] = []
    names: dict[int, str] = {}
    goodbyes: list[int] = []
    reason = ""
    at = 0
    for number in range(MAX_PACKETS):
        if at + 4 > size:
            raise RtcpError("the last packet is cut off")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2:
            raise RtcpError("not RTCP version 2")
        if end > size:
            raise RtcpError("a packet is longer than the datagram")
        if number == 0 and (kind not in (SR, RR) or first & 0x20):
            raise RtcpError("it does not begin with a report")
        body = data[at + 4 : end]
        if first & 0x20:  # padding: only ever of the last packet (6.4.1)
            if end != size or not body or body[-1] % 4 or not 0 < body[-1] <= len(body):
                raise RtcpError("the padding is wrong")
            body = body[: -body[-1]]
        count = first & 31
        if kind in (SR, RR):
            reports.append(_report(kind, count, body))
        elif kind == SDES:
            names |= _names(count, body)
        elif kind == BYE:
            if 4 * count > len(body):
                raise RtcpError("a BYE is cut off")
            goodbyes += struct.unpack_from(f"!{count}I", body)
            reason = _text(body[4 * count :]) or reason
        at = end
        if at == size:
            return Compound(tuple(reports), names, tuple(goodbyes), reason)
    raise RtcpError("too many packets in one")


def _report(kind: int, count: int, body: bytes) -> Report:
    start = 24 if kind == SR else 4
    if start + _BLOCK.size * count > len(body):
        raise RtcpError("a report is cut off")
    (ssrc,) = _WORD.unpack_from(body)
    blocks = []
    for at in range(start, start + _BLOCK.size * count, _BLOCK.size):
        source, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        blocks.append(ReportBlock(source, loss >> 24, lost, highest, jitter, last_sr, delay))
    sent = Sent(*_SENDER.unpack_from(body, 4)) if kind == SR else None
    return Report(ssrc, tuple(blocks), sent)


def _names(count: int, body: bytes) -> dict[int, str]:
    names: dict[int, str] = {}
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            raise RtcpError("a source description is cut off")
        (ssrc,) = _WORD.unpack_from(body, at)
        at += 4
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise RtcpError("a source description is cut off")
            if body[at] == _CNAME:
                names[ssrc] = body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")
            at += 2 + body[at + 1]
        at = (at // 4 + 1) * 4  # the null item, and more to the next word
    return names


def _text(data: bytes) -> str:
    return data[1 : 1 + data[0]].decode("utf-8", "replace") if data else ""


def serialize(compound: Compound) -> bytes:
    """The datagram. Raises RtcpError for more than 31 blocks, names or goodbyes, or too long a text."""
    return b"".join(
        [
            *(_report_octets(report) for report in compound.reports),
            _names_octets(compound.names) if compound.names else b"",
            _goodbye_octets(compound.goodbyes, compound.reason) if compound.goodbyes else b"",
        ]
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    if count > 31:
        raise RtcpError("more than 31 items")
    body += bytes(-len(body) % 4)
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _report_octets(report: Report) -> bytes:
    parts = [_WORD.pack(report.ssrc)]
    if (sent := report.sent) is not None:
        counts = sent.packets & 0xFFFFFFFF, sent.octets & 0xFFFFFFFF
        parts.append(_SENDER.pack(sent.ntp, sent.timestamp, *counts))
    for block in report.blocks:
        loss = block.fraction << 24 | block.lost & 0xFFFFFF
        parts.append(
            _BLOCK.pack(block.ssrc, loss, block.highest, block.jitter, block.last_sr, block.delay)
        )
    return _packet(SR if report.sent is not None else RR, len(report.blocks), b"".join(parts))


def _names_octets(names: dict[int, str]) -> bytes:
    chunks = []
    for ssrc, name in names.items():
        chunk = _WORD.pack(ssrc) + bytes([_CNAME]) + _counted(name)
        chunks.append(chunk + bytes(4 - len(chunk) % 4))
    return _packet(SDES, len(names), b"".join(chunks))


def _goodbye_octets(goodbyes: Sequence[int], reason: str) -> bytes:
    body = struct.pack(f"!{len(goodbyes)}I", *goodbyes)
    return _packet(BYE, len(goodbyes), body + (_counted(reason) if reason else b""))


def _counted(text: str) -> bytes:
    octets = text.encode()
    if len(octets) > MAX_TEXT:
        raise RtcpError("a text is too long")
    return bytes([len(octets)]) + octets
