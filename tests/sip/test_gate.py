"""What is dropped unread when too much comes, and what never is."""

from __future__ import annotations

import time

import pytest

from engine.sip.gate import (
    MAX_SOURCES,
    NEW_BURST,
    NEW_RATE,
    OURS_BURST,
    STRANGER_BURST,
    WITHIN_BURST,
    Gate,
    TokenBucket,
    begins_something,
)

TRUNK, STRANGER = "192.0.2.10", "203.0.113.66"


def message(start: str, to: str = "To: <sip:b@h>", call_id: str = "Call-ID: x") -> bytes:
    return f"{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n{call_id}\r\n{to}\r\n\r\n".encode()


INVITE = message("INVITE sip:a@b SIP/2.0")
BYE = message("BYE sip:a@b SIP/2.0", "To: <sip:b@h>;tag=1")


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(10, 5)
    assert sum(bucket.take(100.0) for _ in range(20)) == 5
    assert sum(bucket.take(100.0 + n / 100) for n in range(1, 101)) == 10
    assert sum(bucket.take(1000.0) for _ in range(20)) == 5


@pytest.mark.parametrize(
    ("data", "new"),
    [
        (INVITE, True),
        (message("OPTIONS sip:a@b SIP/2.0"), True),
        (b"\x00" * 40, True),
        (b"", True),
        (message("INVITE sip:a@b SIP/2.0", "t:<sip:b@h> ; TAG = 9"), False),
        (message("INVITE sip:a@b SIP/2.0", "To: <sip:b@h>\r\n  ;tag=9"), False),
        (message("INVITE sip:a@b SIP/2.0", "To: <sip:b@h>\r\nFrom: <sip:a@h>;tag=9"), True),
        (message("SIP/2.0 200 OK"), False),
        (message("ACK sip:a@b SIP/2.0"), False),
        (message("CANCEL sip:a@b SIP/2.0"), False),
        (BYE, False),
    ],
)
def test_what_begins_something_is_seen_at_a_glance(data: bytes, new: bool) -> None:
    assert begins_something(data) is new


def test_a_flood_of_invites_leaves_room_for_what_belongs_to_calls() -> None:
    """The trunk's own address: its flood of new requests takes nothing from its other messages."""
    gate = Gate()
    admitted = sum(gate.admits(INVITE, TRUNK, True, 100.0 + n / 10_000) for n in range(20_000))
    assert NEW_BURST <= admitted <= NEW_BURST + 2 * NEW_RATE + 1
    assert gate.dropped == 20_000 - admitted
    assert gate.received == 20_000
    assert gate.admits(BYE, TRUNK, True, 102.0)
    assert gate.admits(message("SIP/2.0 200 OK"), TRUNK, True, 102.0)


def test_a_flood_of_anything_leaves_room_for_the_calls_that_are_up() -> None:
    """Even made-up dialogs from the trunk's address, and whoever sends what names our Call-ID."""
    gate = Gate(knows=lambda call_id: call_id == "ours@h")
    assert sum(gate.admits(BYE, TRUNK, True, 100.0) for _ in range(5000)) == WITHIN_BURST
    assert sum(gate.admits(INVITE, STRANGER, False, 100.0) for _ in range(5000)) == STRANGER_BURST
    for name in ("Call-ID: ours@h", "i:ours@h ", "call-id :  ours@h"):
        ours = message("BYE sip:a@b SIP/2.0", "To: <sip:b@h>;tag=1", name)
        assert gate.admits(ours, TRUNK, True, 100.0)
        assert gate.admits(ours, STRANGER, False, 100.0)
    assert sum(gate.admits(ours, STRANGER, False, 100.0) for _ in range(5000)) < OURS_BURST


def test_a_flood_is_told_at_once_and_then_once_a_minute() -> None:
    told: list[str] = []
    gate = Gate(on_flood=told.append)
    for n in range(13_000):
        gate.admits(INVITE, STRANGER, False, 100.0 + n / 100)
        gate.admits(INVITE, STRANGER, False, 100.0 + n / 100)
    assert len(told) == 3
    assert all(STRANGER in text for text in told)
    assert told[0].startswith("SIP messages come faster than they are looked at: 1 dropped")


def test_forged_addresses_take_no_memory() -> None:
    gate = Gate()
    for n in range(20_000):
        gate.admits(INVITE, f"198.51.{n >> 8}.{n & 255}", False, 100.0)
    assert len(gate._sources) <= MAX_SOURCES


@pytest.mark.parametrize(
    "piece", [b";", b"; ", b";\t;", b" ", b"\nt:", b"\nt:;", b"\r\n ;", b"\ni:", b"\nCall-ID:  "]
)
def test_no_datagram_takes_long_to_look_at(piece: bytes) -> None:
    data = b"INVITE x SIP/2.0\r\nTo:" + piece * (65_000 // len(piece))
    gate = Gate(knows=lambda call_id: False)
    began = time.process_time()
    for n in range(20):
        gate.admits(data, TRUNK, True, 100.0 + n)
    assert time.process_time() - began < 1.0
