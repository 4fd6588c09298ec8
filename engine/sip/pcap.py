"""Messages as a pcap file, which Wireshark, tshark and sngrep read: IP, UDP and TCP headers are made here.

What went by TLS is written in the clear as TCP, with port 5060 in place of 5061: readers try to decrypt 5061.
"""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from engine.sip.hop import Hop
from engine.sip.journal import Passed

LINKTYPE_RAW = 101
_UDP, _TCP = 17, 6
_PSH_ACK = 0x18
_MAX_SEGMENT = 65535 - 40 - 20
_TLS_PORT, _PLAIN_PORT = 5061, 5060


def pcap(messages: Iterable[Passed]) -> bytes:
    """The whole file. Times to the microsecond."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKTYPE_RAW)]
    sequence: dict[tuple[str, int, str, int], int] = {}
    for message in messages:
        source, target = (message.local, message.remote) if message.sent else (message.remote, message.local)
        ends = (source.host, _port(source)), (target.host, _port(target))
        way, back = (*ends[0], *ends[1]), (*ends[1], *ends[0])
        for part in _parts(message.data, message.remote.transport):
            if message.remote.transport == "udp":
                packet = _datagram(source, target, part)
            else:
                start = sequence.setdefault(way, 1)
                packet = _segment(source, target, part, start, sequence.get(back, 1))
                sequence[way] = (start + len(part)) % 2**32
            seconds, rest = divmod(round(message.at * 1_000_000), 1_000_000)
            out.append(struct.pack("<IIII", seconds, rest, len(packet), len(packet)) + packet)
    return b"".join(out)


def write_pcap(path: Path, messages: Iterable[Passed]) -> None:
    """Write a file that only its owner may read. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pcap(messages))


def _parts(data: bytes, transport: str) -> list[bytes]:
    limit = _MAX_SEGMENT
    if transport == "udp":
        return [data[:limit]]
    return [data[at : at + limit] for at in range(0, len(data), limit)]


def _datagram(source: Hop, target: Hop, data: bytes) -> bytes:
    header = struct.pack("!HHH", source.port, target.port, 8 + len(data))
    return _ip(source, target, _UDP, header, struct.pack("!H", 0), data)


def _segment(source: Hop, target: Hop, data: bytes, sequence: int, acknowledged: int) -> bytes:
    header = struct.pack(
        "!HHIIBBH", _port(source), _port(target), sequence, acknowledged, 5 << 4, _PSH_ACK, 65535
    )
    return _ip(source, target, _TCP, header, struct.pack("!HH", 0, 0), data)


def _port(hop: Hop) -> int:
    return _PLAIN_PORT if hop.transport == "tls" and hop.port == _TLS_PORT else hop.port


def _ip(source: Hop, target: Hop, protocol: int, before: bytes, after: bytes, data: bytes) -> bytes:
    """An IP packet; `before` and `after` are the transport's header around its checksum, which begins
    `after`."""
    one, two = _addresses(source, target)
    size = len(before) + len(after) + len(data)
    if isinstance(one, ipaddress.IPv4Address):
        pseudo = one.packed + two.packed + struct.pack("!BBH", 0, protocol, size)
        head = struct.pack("!BBHHHBB", 0x45, 0, 20 + size, 0, 0x4000, 64, protocol)
        head += struct.pack("!H", _checksum(head + one.packed + two.packed)) + one.packed + two.packed
    else:
        pseudo = one.packed + two.packed + struct.pack("!IHBB", size, 0, 0, protocol)
        head = struct.pack("!IHBB", 6 << 28, size, protocol, 64) + one.packed + two.packed
    checksum = _checksum(pseudo + before + after + data) or 0xFFFF
    return head + before + struct.pack("!H", checksum) + after[2:] + data


def _addresses(source: Hop, target: Hop) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address] | tuple[
    ipaddress.IPv6Address, ipaddress.IPv6Address
]:
    one, two = _address(source.host), _address(target.host)
    if isinstance(one, ipaddress.IPv4Address) and isinstance(two, ipaddress.IPv4Address):
        return one, two
    return _wide(one), _wide(two)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A name that was never resolved is written as 0.0.0.0."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ipaddress.IPv4Address(0)


def _wide(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address):
        return address
    return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
