"""Key presses over real sockets: received whatever happens to their packets, and sent."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from engine.detect.dtmf import DtmfDetector
from engine.media import codec
from engine.media.clip import key_clip
from engine.media.dtmf import EVENTS
from engine.media.orders import DigitEnded, DigitsSent, SendDigits
from engine.media.sending.digit_sender import DigitSender, ToneSender


def press_payloads(digit: str, packets: int = 8, ends: int = 3) -> list[bytes]:
    event = EVENTS.index(digit)
    grow = [struct.pack("!BBH", event, 10, 160 * (n + 1)) for n in range(packets)]
    return grow + [struct.pack("!BBH", event, 0x8A, 160 * packets)] * ends


def send_press(far, digit: str, *, drop: set[int] = frozenset(), marker: object = 0, repeat: int = 1) -> None:
    """One press: 8 packets and 3 ends on one timestamp. `drop` says which never arrive; `marker` is the
    packet that carries the marker bit, None for none, `all` for each."""
    timestamp = far.timestamp & 0xFFFFFFFF
    for n, payload in enumerate(press_payloads(digit)):
        marked = marker == "all" or marker == n
        if n in drop:
            far.sequence += 1
        else:
            packet = far.send(payload, far.event_payload_type, timestamp=timestamp, marker=marked)
            for _ in range(repeat - 1):
                far.send_packet(packet)
    far.timestamp += 640


@pytest.mark.parametrize("event", [96, 101, 126])
def test_all_sixteen_keys_arrive_once_each(rig, event):
    _, far = rig.open(event=event)
    for digit in EVENTS:
        send_press(far, digit)
    assert rig.digits(16) == EVENTS


@pytest.mark.parametrize(("fault", "kwargs"), [
    ("the first packet lost", {"drop": {0}}),
    ("all but the ends lost", {"drop": set(range(8))}),
    ("all ends lost", {"drop": {8, 9, 10}}),
    ("all but one middle packet lost", {"drop": {0, 1, 2, 3, 5, 6, 7, 8, 9, 10}}),
    ("no marker bit", {"marker": None}),
    ("marker bit on every packet", {"marker": "all"}),
    ("marker bit on the end alone", {"marker": 8}),
    ("every packet three times", {"repeat": 3}),
])
def test_one_press_is_one_digit_whatever_is_lost_or_repeated(rig, fault, kwargs):
    _, far = rig.open()
    for digit in "1122":
        send_press(far, digit, **kwargs)
    assert rig.digits(4) == "1122"
    send_press(far, "9")
    assert rig.digits(1) == "9", f"{fault}: something was counted twice"


def test_presses_go_on_across_wraps_of_sequence_and_timestamp(rig):
    _, far = rig.open()
    far.sequence, far.timestamp = 65535 - 20, 2**32 - 900
    for digit in "1234567":
        send_press(far, digit)
    assert rig.digits(7) == "1234567"


def test_keys_are_heard_among_audio_and_from_a_new_ssrc(rig):
    _, far = rig.open()
    far.send(codec.SILENCE["PCMA"])
    before = far.timestamp
    send_press(far, "5")
    far.ssrc, far.timestamp = 99, before  # the very timestamp of the press before, in another session
    send_press(far, "5")
    assert rig.digits(2) == "55"


def test_the_duration_told_is_the_longest_seen(rig):
    _, far = rig.open()
    send_press(far, "7")
    assert rig.fact(DigitEnded).duration_ms == 160


def test_broken_and_foreign_events_are_ignored(rig):
    _, far = rig.open()
    for payload in (b"", b"\1", b"\1\2\3", struct.pack("!BBH", 16, 10, 160), b"\xff" * 4, b"\x20" * 400):
        far.send(payload, far.event_payload_type)
    send_press(far, "3")
    assert rig.digits(1) == "3"


def test_a_sent_digit_grows_on_one_timestamp_and_ends_three_times(rig):
    name, far = rig.open()
    far.receive()
    rig.engine.order(SendDigits(name, "5", 100, 80))
    events = [far.receive_until(lambda p: p.payload_type == 101)]
    while len(events) < 7:
        packet = far.receive()
        assert packet.payload_type == 101, "audio between the packets of a digit"
        events.append(packet)
    assert len({p.timestamp for p in events}) == 1
    assert [p.marker for p in events] == [True] + [False] * 6
    fields = [struct.unpack("!BBH", p.payload) for p in events]
    assert [duration for _, _, duration in fields] == [160, 320, 480, 640, 800, 800, 800]
    assert [flags >> 7 for _, flags, _ in fields] == [0, 0, 0, 0, 1, 1, 1]
    assert {flags & 0x7F for _, flags, _ in fields} == {10}, "-10 dBm0, and the reserved bit 0"
    assert {event for event, _, _ in fields} == {5}
    sequences = [p.sequence for p in events]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(sequences))
    assert rig.fact(DigitsSent).digits == "5"
    assert far.receive_until(lambda p: p.payload_type == 8).payload == codec.SILENCE["PCMA"]


def test_what_one_engine_sends_another_receives(rig):
    """Digit for digit, through two streams of ours joined by a wire."""
    name, far = rig.open()
    _, other = rig.open()
    rig.engine.order(SendDigits(name, "0123456789*#ABCD", 60, 40))
    ends = 0
    while ends < 16 * 3:
        packet = far.receive()
        if packet.payload_type == 101:
            ends += packet.payload[1] >> 7
            other.send_packet(packet)
    assert rig.digits(16) == EVENTS


def test_the_queue_of_digits_is_bounded_and_holds_keys_alone():
    sender = DigitSender()
    assert sender.queue("12x,3", 100, 80) == "123"
    assert len(sender.queue("1" * 1000, 100, 80)) == 125
    assert sender.queue("4", 100, 80) == ""


@pytest.mark.parametrize("asked_for", [False, True])
def test_without_telephone_event_or_where_asked_for_a_digit_is_sent_as_its_two_tones(rig, asked_for):
    name, far = rig.open(event=101 if asked_for else None)
    far.receive()
    rig.engine.order(SendDigits(name, "8", 200, 80, inband=asked_for))
    first = far.receive_until(far.is_sound)
    heard = first.payload + b"".join(far.receive().payload for _ in range(7))
    spectrum = np.abs(np.fft.rfft(codec.decode("PCMA", heard) * np.hanning(len(heard))))
    strongest = sorted(int(i) for i in np.argsort(spectrum)[-6:])
    hz = {round(i * 8000 / len(heard)) for i in strongest}
    assert any(abs(f - 852) < 10 for f in hz)
    assert any(abs(f - 1336) < 10 for f in hz)
    assert rig.fact(DigitsSent).digits == "8"


def test_digits_as_tones_follow_each_other_in_the_order_in_which_they_were_queued(rig):
    name, far = rig.open(event=None)
    far.receive()
    for digits in ("12", "3", "AA"):
        rig.engine.order(SendDigits(name, digits, 80, 60))
    detector, heard = DtmfDetector(), ""
    while len(heard) < 5:
        pcm = far.receive_pcm(160)
        heard += "".join(press.digit for press in detector.feed(pcm) if not press.over)
    assert heard == "123AA"
    assert [rig.fact(DigitsSent).digits for _ in range(3)] == ["12", "3", "AA"]


def test_tones_of_a_key_begin_and_end_without_a_click():
    """At their edges they rise and fall over 2 ms: no step is steeper than the tones themselves are."""
    for key in EVENTS:
        pcm = key_clip(key, 85, 40).pcm.astype(np.int32)
        steps = np.abs(np.diff(pcm, prepend=0))
        assert steps[:3].max() < 0.15 * steps.max()
        assert steps[85 * 8 - 3 :].max() < 0.15 * steps.max()


def test_the_queue_of_tones_is_bounded_and_holds_keys_alone():
    sender = ToneSender()
    assert sender.queue("12x,3", 100, 80) == "123"
    assert len(sender.queue("1" * 1000, 100, 80)) == 125
    assert sender.queue("4", 100, 80) == ""
    assert [sender.advance() for _ in range(3)] == ["", "", "123"]
    assert len(sender.queue("5" * 10, 100, 80)) == 3
