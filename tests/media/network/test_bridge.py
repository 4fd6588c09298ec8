"""Two streams joined: every packet goes on as it came, under the other session's own numbers."""

from __future__ import annotations

import itertools
import struct

import pytest
from media_rig import PCMA, PCMU, bridged, octets, passes

from engine.media import codec
from engine.media.network.bridge import Forwarder
from engine.media.orders import Bridge, Mute, Play, SendDigits, ToneSource, Unbridge


def test_packets_go_both_ways_with_their_payload_untouched(rig):
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    passes(b, a)
    for sender, receiver in ((a, b), (b, a)):
        for n in range(1, 20):
            payload = octets("PCMA", n)
            sender.send(payload)
            got = receiver.receive_until(lambda p, payload=payload: p.payload == payload)
            assert got.ssrc != sender.ssrc


def test_numbers_are_the_receiving_sessions_own_and_keep_their_differences(rig):
    """Across the sender's wraps of sequence and timestamp, and with one of its packets lost."""
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    got = []
    for n in range(1, 30):
        payload = octets("PCMA", n)
        if n == 10:
            a.sequence += 1
            a.timestamp += 160
            continue
        a.send(payload)
        got.append(b.receive_until(lambda p, payload=payload: p.payload == payload))
    assert len({p.ssrc for p in got}) == 1
    steps = [((y.sequence - x.sequence) & 0xFFFF, (y.timestamp - x.timestamp) & 0xFFFFFFFF)
             for x, y in itertools.pairwise(got)]
    assert steps == [(1, 160)] * 8 + [(2, 320)] + [(1, 160)] * (len(steps) - 9)


def test_sequence_numbers_never_repeat_from_tone_to_bridge_to_silence(rig):
    (first, a), (second, b) = bridged(rig)
    rig.engine.order(Unbridge(first))
    rig.engine.order(Play(second, ToneSource("cn"), loop=True))
    seen = [b.receive_until(b.is_sound)]
    rig.engine.order(Bridge(first, second))
    for n in range(40):
        a.send(octets("PCMA", 1 + n % 20))
        seen.append(b.receive())
    rig.engine.order(Unbridge(second))
    seen += [b.receive() for _ in range(20)]
    numbers = [p.sequence for p in seen]
    assert all(0 < (y - x) & 0xFFFF < 60 for x, y in itertools.pairwise(numbers))
    stamps = [p.timestamp for p in seen]
    assert all(0 < (y - x) & 0xFFFFFFFF < 0x80000000 for x, y in itertools.pairwise(stamps))


@pytest.mark.parametrize(("law_a", "law_b"), [(PCMA, PCMU), (PCMU, PCMA)])
def test_different_laws_are_transcoded_both_ways(rig, law_a, law_b):
    (_, a), (_, b) = bridged(rig, law_a, law_b)
    passes(a, b, law_a.name)
    for n in range(1, 10):
        payload = octets(law_a.name, n)
        expected = payload.translate(codec.TRANSCODE[law_a.name, law_b.name])
        a.send(payload)
        got = b.receive_until(lambda p, expected=expected: p.payload == expected)
        assert got.payload_type == law_b.payload_type
        back = octets(law_b.name, n)
        b.send(back)
        returned = back.translate(codec.TRANSCODE[law_b.name, law_a.name])
        a.receive_until(lambda p, returned=returned: p.payload == returned)


def test_key_presses_pass_under_the_other_sides_payload_type(rig):
    (_, a), (_, b) = bridged(rig, event_a=126, event_b=96)
    passes(a, b)
    timestamp = a.timestamp & 0xFFFFFFFF
    for duration in (160, 320, 480):
        payload = struct.pack("!BBH", 5, 10, duration)
        a.send(payload, 126, timestamp=timestamp, marker=duration == 160)
        got = b.receive_until(lambda p: p.payload_type == 96)
        assert got.payload == payload
        assert got.marker == (duration == 160)
    a.send(struct.pack("!BBH", 5, 0x8A, 480), 126, timestamp=timestamp)
    assert rig.digits(1) == "5"


def test_a_side_without_telephone_event_gets_silence_instead_of_unknown_packets(rig):
    (_, a), (_, b) = bridged(rig, event_b=None)
    passes(a, b)
    for duration in range(160, 3200, 160):
        a.send(struct.pack("!BBH", 5, 10, duration), 101)
        assert b.receive().payload_type == 8


def test_holding_one_side_leaves_the_other_with_silence_on_the_clock(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    rig.remote(first, a, direction="inactive")
    got = [b.receive() for _ in range(30)]
    assert all(p.payload == codec.SILENCE["PCMA"] for p in got[-20:])
    b.send(octets("PCMA", 3))
    assert a.silent_for(0.1)
    rig.remote(first, a, direction="sendrecv")
    passes(a, b)
    passes(b, a)


def test_on_hold_what_the_held_side_says_goes_nowhere(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    rig.remote(first, a, direction="sendonly")
    for _ in range(8):
        b.receive()
    for n in range(10):
        a.send(octets("PCMA", n))
        assert b.receive().payload == codec.SILENCE["PCMA"]


def test_a_far_end_that_falls_silent_leaves_the_other_with_silence(rig):
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    got = [b.receive() for _ in range(10)]
    assert all(p.payload == codec.SILENCE["PCMA"] for p in got)
    passes(a, b)


def test_muted_one_way_the_other_way_goes_on(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    rig.engine.order(Mute(first, True))
    passes(b, a)
    for _ in range(10):
        a.send(octets("PCMA", 4))
        last = b.receive()
    assert last.payload == codec.SILENCE["PCMA"]
    rig.engine.order(Mute(first, False))
    passes(a, b)


def test_bridging_ends_what_was_playing_and_any_earlier_bridge(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    third, c = rig.open()
    rig.engine.order(Play(third, ToneSource("cn"), loop=True))
    c.receive_until(c.is_sound)
    rig.engine.order(Bridge(first, third))
    passes(a, c)
    got = [b.receive() for _ in range(10)]
    assert got[-1].payload == codec.SILENCE["PCMA"]


def test_our_digits_go_out_in_a_bridge_and_the_far_audio_waits(rig):
    (_, a), (second, b) = bridged(rig)
    passes(a, b)
    rig.engine.order(SendDigits(second, "7", 100, 60))
    b.receive_until(lambda p: p.payload_type == 101)
    for _ in range(6):
        a.send(octets("PCMA", 2))
        assert b.receive().payload_type == 101
    passes(a, b)


def test_closing_one_side_frees_the_other(rig):
    from engine.media.orders import CloseStream

    (first, a), (second, b) = bridged(rig)
    passes(a, b)
    rig.engine.order(CloseStream(first))
    rig.engine.order(Play(second, ToneSource("cn"), loop=True))
    b.receive_until(b.is_sound)


def test_packets_from_before_the_anchor_are_dropped():
    forwarder = Forwarder()
    assert forwarder.map(1, 100, 16000, False, 7, 70) == (7, 70, True)
    assert forwarder.map(1, 99, 15840, False, 8, 230) is None
    assert forwarder.map(1, 102, 16320, False, 8, 230) == (9, 390, False)
    assert forwarder.map(1, 101, 16160, False, 10, 390) == (8, 230, False)


def test_another_ssrc_or_a_leap_anchors_anew():
    forwarder = Forwarder()
    forwarder.map(1, 100, 16000, False, 7, 70)
    assert forwarder.map(2, 9, 5, False, 8, 230) == (8, 230, True)
    assert forwarder.map(2, 10, 2**31, False, 9, 390) == (9, 390, True)
