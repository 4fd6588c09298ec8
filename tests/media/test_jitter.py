from __future__ import annotations

import random

import numpy as np
import pytest

from engine.media import codec
from engine.media.jitter import MAX_PACKETS, JitterBuffer
from engine.media.rtp import Packet

SEQ0, TS0 = 65500, 2**32 - 1000  # both wrap soon


def packet(n: int, size: int = 160, ssrc: int = 1) -> Packet:
    """The n-th packet of a stream, every octet its number."""
    return Packet(8, (SEQ0 + n) % 2**16, (TS0 + n * size) % 2**32, ssrc, bytes([n % 256]) * size)


def octets(law: str, payload: bytes) -> codec.Pcm:
    """In place of a codec: each octet as it is."""
    return np.frombuffer(payload, np.uint8).astype(np.int16)


def buffer_of(depth_ms: int) -> JitterBuffer:
    return JitterBuffer(depth_ms, octets)


def play(buffer: JitterBuffer, arrivals: dict[int, list[Packet]], ticks: int) -> list[int | None]:
    """Feed packets at their ticks; the first octet of each frame played."""
    out: list[int | None] = []
    for tick in range(ticks):
        for each in arrivals.get(tick, []):
            buffer.put(each, "PCMA", tick * 0.02 - 0.001)
        frame = buffer.get(tick * 0.02)
        out.append(None if frame is None else int(frame[0]))
    return out


def test_a_steady_stream_plays_whole_across_both_wraps():
    out = play(buffer_of(60), {n: [packet(n)] for n in range(200)}, 210)
    assert out[2:202] == [n % 256 for n in range(200)]


@pytest.mark.parametrize("seed", range(5))
def test_jitter_within_the_depth_loses_nothing(seed):
    rng = random.Random(seed)
    arrivals: dict[int, list[Packet]] = {}
    for n in range(300):
        arrivals.setdefault(n + (rng.choice((0, 1, 2)) if n else 0), []).append(packet(n))
    for each in arrivals.values():
        rng.shuffle(each)
    buffer = buffer_of(60)
    assert play(buffer, arrivals, 305)[2:302] == [n % 256 for n in range(300)]
    assert (buffer.lost, buffer.late) == (0, 0)


def test_duplicates_are_counted_and_forgotten():
    buffer = buffer_of(60)
    out = play(buffer, {n: [packet(n)] * 3 for n in range(20)}, 25)
    assert out[2:22] == list(range(20))
    assert buffer.duplicates == 40
    assert buffer.received == 20


def test_a_lost_packet_leaves_a_hole_of_its_own_length():
    buffer = buffer_of(60)
    out = play(buffer, {n: [packet(n)] for n in range(20) if n not in (7, 8)}, 25)
    assert out[2:22] == [None if n in (7, 8) else n for n in range(20)]
    assert buffer.lost == 2


def test_a_packet_after_its_time_is_counted_late():
    buffer = buffer_of(60)
    arrivals = {n: [packet(n)] for n in range(20) if n != 5}
    arrivals[12] = [packet(5), packet(12)]
    assert play(buffer, arrivals, 25)[2:22] == [None if n == 5 else n for n in range(20)]
    assert (buffer.late, buffer.lost) == (1, 0)


def test_another_ssrc_starts_over_with_its_own_time_axis():
    buffer = buffer_of(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10):
        other = Packet(8, 77 + n, 123456 + 160 * n, 2, bytes([100 + n]) * 160)
        arrivals[10 + n] = [other]
    out = play(buffer, arrivals, 25)
    assert out[12:22] == list(range(100, 110))
    assert buffer.resets == 1


def test_a_leap_of_the_timestamp_in_a_running_stream_does_not_stop_it():
    """An announcement server that starts its timestamps anew, keeping SSRC and sequence."""
    buffer = buffer_of(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10, 20):
        arrivals[n] = [Packet(8, (SEQ0 + n) % 2**16, 5_000_000 + n * 160, 1, bytes([n]) * 160)]
    out = play(buffer, arrivals, 30)
    assert [n for n in out if n is not None][-10:] == list(range(10, 20))


def test_a_second_of_timestamp_skipped_without_a_pause_is_no_second_of_silence():
    buffer = buffer_of(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10, 30):
        late = packet(n)
        late.timestamp = (late.timestamp + 8000) % 2**32
        arrivals[n] = [late]
    assert play(buffer, arrivals, 35)[2:32] == list(range(30))


@pytest.mark.parametrize("size", [80, 240, 320, 480])
def test_packets_of_other_lengths_play_whole(size):
    buffer = buffer_of(80)
    count = 40
    arrivals: dict[int, list[Packet]] = {}
    for n in range(count):
        arrivals.setdefault(n * size // 160, []).append(packet(n, size))
    heard = b""
    for tick in range(count * size // 160 + 10):
        for each in arrivals.get(tick, []):
            buffer.put(each, "PCMA", tick * 0.02 - 0.001)
        frame = buffer.get(tick * 0.02)
        heard += b"" if frame is None else frame.astype(np.uint8).tobytes()
    assert heard[: count * size] == b"".join(packet(n, size).payload for n in range(count))


def test_a_sender_whose_clock_is_fast_does_not_grow_the_delay():
    """One packet in twenty more than there is time for."""
    buffer = buffer_of(60)
    sent = 0
    behind = []
    for tick in range(4000):
        for _ in range(2 if tick % 20 == 0 else 1):
            buffer.put(packet(sent), "PCMA", tick * 0.02)
            sent += 1
        frame = buffer.get(tick * 0.02)
        if frame is not None:
            behind.append((sent - 1 - int(frame[0])) % 256)
    assert max(behind) <= 10


def test_after_a_long_stall_the_stream_goes_on():
    buffer = buffer_of(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10, 60):
        arrivals[n + 25] = [packet(n)]
    out = play(buffer, arrivals, 95)
    assert out[-10:-6] != [None] * 4
    heard = [n for n in out if n is not None]
    assert heard == sorted(heard)
    assert len(heard) >= 55


def test_hostile_timestamps_and_floods_are_bounded():
    rng = random.Random(1)
    buffer = buffer_of(60)
    for n in range(20000):
        wild = Packet(8, rng.randrange(2**16), rng.randrange(2**32), rng.choice((1, 1, 1, 2)),
                      bytes(rng.choice((1, 160, 1600))))
        buffer.put(wild, "PCMA", n * 0.0001)
        if n % 200 == 0:
            buffer.get(n * 0.0001)
        assert len(buffer._packets) <= MAX_PACKETS
    played = []
    for n in range(10):
        buffer.put(packet(n, ssrc=9), "PCMA", 10 + n * 0.02)
        played.append(buffer.get(10.001 + n * 0.02))
    assert [frame[0] for frame in played if frame is not None] == list(range(8))


def test_a_flood_of_future_packets_is_bounded():
    buffer = buffer_of(60)
    for n in range(5000):
        buffer.put(packet(n), "PCMA", 1.0)
    assert len(buffer._packets) <= MAX_PACKETS
    assert buffer.dropped > 4000


def test_a_change_of_law_inside_a_frame_is_heard_through():
    buffer = JitterBuffer(60)
    buffer.put(Packet(8, 1, 0, 1, codec.SILENCE["PCMA"][:80]), "PCMA", 0.0)
    buffer.put(Packet(0, 2, 80, 1, codec.SILENCE["PCMU"][:80]), "PCMU", 0.0)
    frame = buffer.get(0.1)
    assert frame is not None
    assert len(frame) == 160
    assert abs(frame).max() <= 8


def test_a_clock_of_48_khz_is_the_same_time():
    """Opus (RFC 7587, 4.1): 960 units in 20 ms, across the wrap of the timestamp."""
    opus = b"\x08" + bytes(20)  # 20 ms (RFC 6716, 3.1)
    buffer = JitterBuffer(60, lambda law, payload: np.full(160, payload[1], np.int16))
    out = []
    for n in range(60):
        if n != 30:
            payload = opus[:1] + bytes([n]) + opus[2:]
            buffer.put(Packet(96, n, (2**32 - 20000 + 960 * n) % 2**32, 1, payload), "opus", n * 0.02)
        frame = buffer.get(n * 0.02 + 0.001)
        out.append(None if frame is None else int(frame[0]))
    assert out[2:] == [None if n == 30 else n for n in range(58)]
    assert (buffer.lost, buffer.resets) == (1, 0)


def test_another_clock_starts_another_time_axis():
    buffer = JitterBuffer(60)
    buffer.put(Packet(8, 1, 1000, 1, bytes(160)), "PCMA", 0.0)
    buffer.put(Packet(96, 2, 1160, 1, b"\x08" + bytes(20)), "opus", 0.02)
    assert buffer.resets == 1


def test_packets_without_audio_are_not_counted_as_lost():
    buffer = buffer_of(60)
    for n in range(20):
        if 5 <= n < 10:
            buffer.pass_over(packet(n))
        else:
            buffer.put(packet(n), "PCMA", n * 0.02)
    assert buffer.lost == 0
