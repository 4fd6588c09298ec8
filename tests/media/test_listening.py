"""Who listens to a stream decides what its packets cost: a bridged one that nobody hears is not decoded."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from media_rig import G722, PCMA, bridged, octets, passes, sine, udp_socket, wait

from engine.media import codec
from engine.media.network import udp
from engine.media.orders import SOUND, Bridge, Detect, Mute, Record, RecordingEnded, Unbridge
from engine.media.stream import MAX_ARRIVALS, RtpStream


@pytest.fixture
def decoded(monkeypatch):
    """Payloads that were decoded since it was emptied."""
    seen: list[bytes] = []
    original = codec.decode

    def decode(law: str, payload: bytes):
        seen.append(payload)
        return original(law, payload)

    monkeypatch.setattr(codec, "decode", decode)
    return seen


def talk(sender, receiver, frames: int) -> None:
    for n in range(frames):
        payload = octets("PCMA", 1 + n % 20)
        sender.send(payload)
        receiver.receive_until(lambda p, payload=payload: p.payload == payload)


def test_a_bridged_stream_that_nobody_here_hears_is_counted_and_not_played_out(rig):
    (first, a), (second, b) = bridged(rig)
    passes(a, b)
    stream = rig.engine.stream(first)
    before = stream.reception.received
    talk(a, b, 20)
    assert stream.reception.received == before + 20
    assert not stream.listening.active
    assert not stream.listening.playout._packets
    assert not rig.engine.stream(second).listening.active


def test_only_packets_for_the_meter_are_decoded(rig, decoded):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    decoded.clear()
    for _ in range(50):
        talk(a, b, 1)
        time.sleep(0.01)
    assert len(decoded) < 25
    wait(lambda: first in rig.engine.meters() and rig.engine.meters()[first].received_dbm0 < -80)


def test_the_meters_of_a_bridge_show_both_ways_though_nobody_listens(rig):
    (first, a), (second, b) = bridged(rig)
    passes(a, b)
    wait(lambda: {first, second} <= rig.engine.meters().keys())

    def shown() -> bool:
        talk(a, b, 1)
        meters = rig.engine.meters()
        return meters[first].received_dbm0 > -30 and meters[second].sent_dbm0 > -30

    wait(shown)
    assert rig.engine.meters()[second].received_dbm0 < -80
    rig.engine.order(Mute(first, True))

    def muted() -> bool:
        a.send(octets("PCMA", 3))
        meters = rig.engine.meters()
        return meters[first].received_dbm0 > -30 and meters[second].sent_dbm0 < -80

    wait(muted)


def test_a_detector_in_the_middle_of_a_bridge_hears_from_the_next_packet_on(rig):
    (first, a), (second, b) = bridged(rig)
    passes(a, b)
    rig.engine.order(Detect(first))
    stream = rig.engine.stream(first)
    wait(lambda: stream.listening.active)
    assert not rig.engine.stream(second).listening.active
    talk(a, b, 12)
    wait(lambda: stream.rx.any())
    rig.engine.order(Detect(first, on=False))
    wait(lambda: not stream.listening.active)
    assert not stream.rx.any()
    talk(a, b, 5)


def test_recording_one_side_of_a_bridge_hears_both(rig, tmp_path):
    (first, a), (second, b) = bridged(rig)
    passes(a, b)
    path = tmp_path / "both.wav"
    rig.engine.order(Record(first, str(path)))
    wait(lambda: rig.engine.stream(first).listening.active and rig.engine.stream(second).listening.active)
    for n in range(30):
        a.send(codec.encode("PCMA", sine(500, 160)))
        b.send(codec.encode("PCMA", sine(1500, 160)))
        time.sleep(0.02 if n else 0)
    rig.engine.order(Record(first, None))
    rig.fact(RecordingEnded)
    wait(lambda: not rig.engine.stream(second).listening.active)
    samples = np.frombuffer(path.read_bytes()[44:], np.int16).reshape(-1, 2)
    spectrum = np.abs(np.fft.rfft(samples[-1600:], axis=0))
    assert abs(int(spectrum[:, 0].argmax()) * 5 - 500) < 10
    assert abs(int(spectrum[:, 1].argmax()) * 5 - 1500) < 10


def test_a_reader_of_a_bridged_stream_hears_it(rig):
    (first, a), (_, b) = bridged(rig)
    passes(a, b)
    rig.engine.read(first, 0, blocking=False)
    wait(lambda: rig.engine.stream(first).listening.active)
    talk(a, b, 10)
    wait(lambda: np.frombuffer(rig.engine.read(first, 160, blocking=False), np.uint8).std() > 5)


@pytest.mark.parametrize("law", [PCMA, G722])
def test_a_stream_that_must_be_encoded_anew_is_played_out(rig, law):
    (first, _), (second, _) = bridged(rig, PCMA, law)
    wait(lambda: rig.engine.stream(first).listening.active == (law is G722))
    assert rig.engine.stream(second).listening.active == (law is G722)


def test_the_headset_hears_its_stream_and_nothing_after_it(rig):
    name, far = rig.open()
    far.send(octets("PCMA", 1))
    rig.engine.order(Bridge(name, SOUND))
    wait(lambda: rig.engine.stream(name).listening.active)
    rig.engine.order(Unbridge(name))
    wait(lambda: not rig.engine.stream(name).listening.active)


def test_duplicates_do_not_pass_a_bridge(rig):
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    sent = a.send(octets("PCMA", 7))
    a.send_packet(sent)
    a.send(octets("PCMA", 8))
    b.receive_until(lambda p: p.payload == octets("PCMA", 7))
    assert b.receive().payload == octets("PCMA", 8)


def test_a_flood_at_one_stream_leaves_another_bridge_alone(rig):
    (_, a), (_, b) = bridged(rig)
    (_, c), (_, d) = bridged(rig)
    passes(a, b)
    passes(c, d)
    for n in range(2000):
        a.sock.sendto(bytes(12), a.ours)
        if n % 200 == 0:
            payload = octets("PCMA", 1 + n // 200)
            c.send(payload)
            d.receive_until(lambda p, payload=payload: p.payload == payload)
    talk(c, d, 5)
    passes(a, b)


def test_no_more_than_its_share_is_taken_from_a_socket_in_a_tick():
    with udp_socket() as ours, udp_socket() as far:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # by default 256 find room
        stream = RtpStream({}, "", 0, "", 0, name="flooded")
        stream.open(ours, 0.0)
        for _ in range(MAX_ARRIVALS + 10):
            far.sendto(b"not RTP", ours.getsockname())
        stream.receive_tick(udp.Inbox(), 0.02, [])
        assert stream.inbound.discarded == MAX_ARRIVALS
        assert stream.flooded
        stream.receive_tick(udp.Inbox(), 0.04, [])
        assert stream.inbound.discarded == MAX_ARRIVALS + 10
