"""Pauses, key presses of the muted and colliding SSRCs in a bridge whose packets pass untouched."""

from __future__ import annotations

import struct

import numpy as np
from media_rig import PCMA, bridged, octets, passes

from engine.media import codec, level
from engine.media.comfort import COMFORT_NOISE
from engine.media.network import rtcp
from engine.media.orders import Control, Mute

NOISE = bytes([40])
"""Comfort noise, 40 dB below full scale."""


def dbov(pcm: np.ndarray) -> float:
    return float(10 * np.log10(max(1e-9, level.power(pcm)) / 32768**2))


def test_comfort_noise_goes_on_to_a_side_that_agreed_to_it_and_nothing_else_is_sent(rig):
    (_, a), (second, b) = bridged(rig)
    rig.remote(second, b, comfort_noise=True)
    passes(a, b)
    spoken = a.send(octets("PCMA", 3))
    last = b.receive_until(lambda p: p.payload == spoken.payload)
    told = a.send(NOISE, COMFORT_NOISE)
    got = b.receive()
    assert (got.payload_type, got.payload) == (COMFORT_NOISE, NOISE)
    assert got.sequence == (last.sequence + 1) & 0xFFFF
    assert (got.timestamp - last.timestamp) & 0xFFFFFFFF == (told.timestamp - spoken.timestamp) & 0xFFFFFFFF
    assert b.silent_for(0.3)
    a.timestamp += 15 * 160
    spoken = a.send(octets("PCMA", 5))
    last, got = got, b.receive()
    assert got.payload == spoken.payload
    assert (got.timestamp - last.timestamp) & 0xFFFFFFFF == 16 * 160


def test_where_comfort_noise_was_not_agreed_on_it_is_made_here_until_the_voice_returns(rig):
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    a.send(NOISE, COMFORT_NOISE)
    b.receive()
    heard = [b.receive() for _ in range(20)]
    assert all(p.payload_type == 8 for p in heard)
    pcm = np.concatenate([codec.decode("PCMA", p.payload) for p in heard[2:]])
    assert abs(dbov(pcm) + 40) < 2
    spoken = a.send(octets("PCMA", 3))
    b.receive_until(lambda p: p.payload == spoken.payload)
    heard = [b.receive() for _ in range(12)]
    assert heard[-1].payload == codec.SILENCE["PCMA"]


def test_muting_ends_the_noise_of_a_pause(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    a.send(NOISE, COMFORT_NOISE)
    b.receive_until(lambda p: p.payload not in (octets("PCMA", 0), codec.SILENCE["PCMA"]))
    rig.engine.order(Mute(first, True))
    heard = [b.receive() for _ in range(12)]
    assert all(p.payload == codec.SILENCE["PCMA"] for p in heard[-5:])


def test_the_keys_of_who_is_muted_go_on_as_one_press_each(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    rig.engine.order(Mute(first, True))
    b.receive_until(lambda p: p.payload == codec.SILENCE["PCMA"])
    timestamp = a.timestamp & 0xFFFFFFFF
    for duration in range(160, 960, 160):
        a.send(struct.pack("!BBH", 7, 10, duration), 101, timestamp=timestamp)
    got = [b.receive_until(lambda p: p.payload_type == 101) for _ in range(5)]
    assert len({p.timestamp for p in got}) == 1
    assert rig.digits(1) == "7"


def test_a_far_end_with_our_ssrc_has_us_take_another_and_say_goodbye_to_the_first(rig):
    name, far = rig.open(PCMA, control=Control(mux=True))
    before = far.receive().ssrc
    far.ssrc = before
    far.send(octets("PCMA", 1))
    goodbyes: tuple[int, ...] = ()
    after = before
    while after == before or not goodbyes:
        data = far.sock.recv(4096)
        if data[1] in range(192, 224):
            goodbyes += rtcp.parse(data).goodbyes
        else:
            after = int.from_bytes(data[8:12], "big")
    assert goodbyes == (before,)
    far.ssrc = after  # an echo of what we send is no collision, time and again
    for _ in range(5):
        far.send(octets("PCMA", 1))
    assert {far.receive().ssrc for _ in range(10)} == {after}
    assert rig.engine.stream(name).reception.received == 6
