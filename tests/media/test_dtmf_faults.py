"""What happens to key presses on their way, packet by packet over a real socket: each is one digit."""

from __future__ import annotations

import struct
import threading
import time

import numpy as np
import pytest
from media_rig import FarEnd, Rig

from engine.media import codec
from engine.media.clip import key_clip
from engine.media.dtmf import EVENTS
from engine.media.orders import Bridge, DigitEnded, DigitReceived, DigitsSent, SendDigits

UPDATES, ENDS = 8, 3


def payload(digit: str, duration: int, end: bool = False) -> bytes:
    return struct.pack("!BBH", EVENTS.index(digit), 10 | (0x80 if end else 0), duration)


def press(digit: str) -> list[bytes]:
    grow = [payload(digit, 160 * (n + 1)) for n in range(UPDATES)]
    return grow + [payload(digit, 160 * UPDATES, True)] * ENDS


def send(
    far: FarEnd, digit: str, order: list[int] | None = None, marked: frozenset[int] = frozenset({0})
) -> None:
    """A press whose packets arrive as `order` says: those not in it are lost, those twice in it doubled."""
    timestamp, sequence = far.timestamp, far.sequence
    packets = press(digit)
    for number in range(len(packets)) if order is None else order:
        far.sequence = sequence + number
        far.send(packets[number], far.event_payload_type,
                 timestamp=timestamp & 0xFFFFFFFF, marker=number in marked)
    far.sequence = sequence + len(packets)
    far.timestamp = timestamp + 160 * UPDATES + 640


def digits(rig: Rig, count: int) -> str:
    """The digits told, one for each end that was told."""
    heard = "".join(rig.fact(DigitReceived).digit for _ in range(count))
    assert "".join(rig.fact(DigitEnded).digit for _ in range(count)) == heard
    return heard


ALL = list(range(UPDATES + ENDS))
FAULTS = {
    "nothing": ALL,
    "the start lost": ALL[1:],
    "half of the updates lost": ALL[4:],
    "all but the ends lost": ALL[UPDATES:],
    "every end lost": ALL[:UPDATES],
    "all but one update lost": [4],
    "all but one end lost": [UPDATES + 1],
    "every other packet lost": ALL[::2],
    "ends repeated": [*ALL, *ALL[UPDATES:] * 3],
    "every packet doubled": [n for n in ALL for _ in range(2)],
    "neighbours swapped": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 10],
    "an update after the end": [0, 1, 2, 8, 3, 4, 9, 10],
    "backwards": ALL[::-1],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_press_is_one_digit_with(rig: Rig, fault: str):
    _, far = rig.open()
    for digit in "2253":
        far.send(codec.SILENCE["PCMA"])
        send(far, digit, FAULTS[fault])
    assert digits(rig, 4) == "2253"
    send(far, "9")
    assert digits(rig, 1) == "9", "something was counted twice"


@pytest.mark.parametrize(
    "marked", [(), tuple(ALL), (UPDATES,), (3, 5)], ids=["none", "all", "the end", "others"]
)
def test_marker_bits_make_no_difference(rig: Rig, marked: tuple[int, ...]):
    _, far = rig.open()
    for digit in "55*":
        send(far, digit, marked=frozenset(marked))
    assert digits(rig, 3) == "55*"


def test_a_press_overtaken_by_the_next_keeps_its_place(rig: Rig):
    _, far = rig.open()
    far.send(codec.SILENCE["PCMA"])
    first = (far.sequence, far.timestamp)
    far.sequence, far.timestamp = first[0] + 11, first[1] + 1920
    second = (far.sequence, far.timestamp)
    send(far, "2", ALL[:2])
    far.sequence, far.timestamp = first
    send(far, "1")
    far.sequence, far.timestamp = second
    send(far, "2")
    assert digits(rig, 2) == "12"


def test_a_long_press_in_segments_is_one_digit_as_long_as_all_of_them(rig: Rig):
    """RFC 4733, 2.5.1.3: a segment's timestamp is 0xFFFF after the one before."""
    _, far = rig.open()
    start = far.timestamp
    for segment in range(4):
        for duration in (8000, 40000, 0xFFFF):
            last = segment == 3 and duration == 0xFFFF
            at = (start + segment * 0xFFFF) & 0xFFFFFFFF
            far.send(payload("0", duration, last), far.event_payload_type, timestamp=at)
    assert rig.fact(DigitReceived).digit == "0"
    assert rig.fact(DigitEnded).duration_ms == 4 * 0xFFFF // 8
    far.timestamp = start + 5 * 0xFFFF
    send(far, "1")
    assert digits(rig, 1) == "1"


def test_a_press_that_goes_on_under_another_ssrc_is_one_digit(rig: Rig):
    _, far = rig.open()
    send(far, "7", ALL[:3])
    far.ssrc, far.timestamp, far.sequence = 0x9999, 5_000_000, 300
    send(far, "7", ALL[3:])
    send(far, "8")
    assert digits(rig, 2) == "78"


def test_payloads_that_are_no_key_are_dropped_among_those_that_are(rig: Rig):
    _, far = rig.open()
    for broken in (b"", b"\1", b"\1\2\3", b"\x10\x0a\x00\xa0", b"\xff" * 4, b"\x20" * 300):
        far.send(broken, far.event_payload_type)
        far.timestamp += 4000
    send(far, "3")
    assert digits(rig, 1) == "3"


def test_a_flood_of_presses_ends_in_few_digits_and_hurts_nobody_else(rig: Rig):
    _, far = rig.open()
    _, other = rig.open()
    for number in range(600):
        far.timestamp += 800
        far.send(payload(EVENTS[number % 16], 160), far.event_payload_type)
    send(other, "6")
    told = [rig.fact(DigitReceived).digit for _ in range(33)]
    assert "6" in told


# --- in the audio --------------------------------------------------------------------------------------


def send_tones(
    far: FarEnd, keys: str, on_ms: int = 80, off_ms: int = 60, lost: frozenset[int] = frozenset()
) -> None:
    """Keys as tones, on the clock; `lost` are the numbers of packets that never arrive."""
    quiet = np.zeros(2400, np.int16)
    pcm = np.concatenate([quiet, *(key_clip(key, on_ms, off_ms).pcm for key in keys), quiet])
    began = time.monotonic()
    for number, at in enumerate(range(0, len(pcm) - 159, 160)):
        time.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
        if number in lost:
            far.sequence, far.timestamp = far.sequence + 1, far.timestamp + 160
        else:
            far.send(codec.encode(far.law.name, pcm[at : at + 160]))


def test_keys_in_the_audio_are_told_when_they_begin_and_when_they_are_over(rig: Rig):
    _, far = rig.open(event=None, hear_keys=True)
    send_tones(far, "2A#")
    assert [(fact.digit, fact.way) for fact in (rig.fact(DigitReceived) for _ in range(3))] == [
        ("2", "inband"), ("A", "inband"), ("#", "inband"),
    ]  # fmt: skip
    ends = [rig.fact(DigitEnded) for _ in range(3)]
    assert all(fact.way == "inband" and abs(fact.duration_ms - 80) <= 30 for fact in ends)


def test_a_lost_packet_inside_a_tone_does_not_double_the_key(rig: Rig):
    _, far = rig.open(event=None, hear_keys=True)
    send_tones(far, "58", on_ms=160, off_ms=80, lost=frozenset({18, 31}))
    assert digits(rig, 2) == "58"
    assert not rig.has_fact(DigitReceived)


def test_keys_in_the_audio_are_heard_between_two_bridged_streams(rig: Rig):
    one, far = rig.open(event=None, hear_keys=True)
    two, _ = rig.open()
    rig.engine.order(Bridge(one, two))
    send_tones(far, "9")
    fact = rig.fact(DigitReceived)
    assert (fact.stream, fact.digit, fact.way) == (one, "9", "inband")


def test_the_echo_of_our_own_tones_is_no_press(rig: Rig):
    """A hybrid at the far end gives back what it gets, 10 dB weaker and 40 ms later."""
    name, far = rig.open(event=None, hear_keys=True)
    rig.engine.order(SendDigits(name, "58", 100, 60))
    sent: list[np.ndarray] = [np.zeros(160, np.int16)] * 2
    while not rig.has_fact(DigitsSent) or len(sent) < 40:
        sent.append(far.receive_pcm(160))
        far.send(codec.encode("PCMA", (sent[-3] * 0.3).astype(np.int16)))
    assert not rig.has_fact(DigitReceived)
    send_tones(far, "5")
    assert rig.fact(DigitReceived).digit == "5", "later the same key is a press"


def test_a_key_that_was_passed_on_and_comes_back_is_no_press_there(rig: Rig):
    one, far = rig.open(event=None, hear_keys=True)
    two, other = rig.open(event=None, hear_keys=True)
    rig.engine.order(Bridge(one, two))
    stop = threading.Event()

    def echo() -> None:
        past = [np.zeros(160, np.int16)] * 2
        while not stop.is_set():
            past.append(other.receive_pcm(160))
            other.send(codec.encode("PCMA", (past[-3] * 0.3).astype(np.int16)))

    thread = threading.Thread(target=echo)
    thread.start()
    send_tones(far, "3", on_ms=120)
    stop.set()
    thread.join()
    assert rig.fact(DigitReceived).stream == one
    assert not rig.has_fact(DigitReceived)


def test_nothing_is_listened_for_where_it_is_not_asked_for(rig: Rig):
    _, far = rig.open()
    send_tones(far, "9")
    send(far, "1")
    assert digits(rig, 1) == "1"
