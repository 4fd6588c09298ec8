"""Play-out: what comes out of a stream that the network treats badly, tick by tick on an injected clock."""

from __future__ import annotations

import random

import numpy as np
import pytest
from media_rig import sine

from engine.media import codec
from engine.media.network.rtp import Packet
from engine.media.playout.playout import MAX_PACKETS, Bounds, Playout

SEQ0, TS0 = 65500, 2**32 - 1000  # both wrap soon


def packet(n: int, size: int = 160, ssrc: int = 1) -> Packet:
    """The n-th packet of a stream, every octet its number."""
    return Packet(8, (SEQ0 + n) % 2**16, (TS0 + n * size) % 2**32, ssrc, bytes([n % 256]) * size)


def octets(law: str, payload: bytes) -> codec.Pcm:
    """In place of a codec: each octet as it is."""
    return np.frombuffer(payload, np.uint8).astype(np.int16)


def fixed(depth_ms: int) -> Playout:
    """A buffer whose depth doesn't adapt; a packet that comes just before a tick is played 3 ticks on."""
    return Playout(Bounds(depth_ms, depth_ms, depth_ms), octets)


def play(buffer: Playout, arrivals: dict[int, list[Packet]], ticks: int) -> list[int]:
    """Feed packets at their ticks; the middle octet of each frame played."""
    out: list[int] = []
    for tick in range(ticks):
        for each in arrivals.get(tick, []):
            buffer.put(each, "PCMA", tick * 0.02 - 0.001)
        frame = buffer.get(tick * 0.02)
        assert len(frame) == 160
        out.append(int(frame[80]))
    return out


def test_a_steady_stream_plays_whole_across_both_wraps():
    buffer = fixed(60)
    out = play(buffer, {n: [packet(n)] for n in range(200)}, 203)
    assert out[3:203] == [n % 256 for n in range(200)]
    assert (buffer.late, buffer.lost, buffer.resets, buffer.figures().stretched_ms) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_within_the_depth_loses_nothing(seed):
    rng = random.Random(seed)
    arrivals: dict[int, list[Packet]] = {}
    for n in range(300):
        arrivals.setdefault(n + (rng.choice((0, 1, 2)) if n else 0), []).append(packet(n))
    for each in arrivals.values():
        rng.shuffle(each)
    buffer = fixed(60)
    assert play(buffer, arrivals, 303)[3:303] == [n % 256 for n in range(300)]
    assert (buffer.lost, buffer.late, buffer.concealed) == (0, 0, 0)


def test_a_packet_that_is_there_already_is_of_no_use():
    buffer = fixed(60)
    assert buffer.put(packet(0), "PCMA", 0.0)
    assert not buffer.put(packet(0), "PCMA", 0.001)
    assert not buffer.put(Packet(8, 1, 1, 1, b""), "PCMA", 0.002)


def test_a_lost_packet_is_made_up_for_in_its_own_length():
    buffer = fixed(60)
    out = play(buffer, {n: [packet(n)] for n in range(20) if n not in (7, 8)}, 23)[3:]
    assert [v for n, v in enumerate(out) if n not in (7, 8)] == [n for n in range(20) if n not in (7, 8)]
    assert (buffer.lost, buffer.concealed) == (2, 320)


def test_a_packet_after_its_time_is_counted_late():
    buffer = fixed(60)
    arrivals = {n: [packet(n)] for n in range(20) if n != 5}
    arrivals[12] = [packet(5), packet(12)]
    out = play(buffer, arrivals, 23)[3:]
    assert [v for n, v in enumerate(out) if n != 5] == [n for n in range(20) if n != 5]
    assert (buffer.late, buffer.lost) == (1, 1)


def test_another_ssrc_is_heard_from_its_first_packet_on_after_the_last_of_the_one_before():
    buffer = fixed(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10):
        other = Packet(8, 77 + n, 123456 + 160 * n, 2, bytes([100 + n]) * 160)
        arrivals[10 + n] = [other]
    out = play(buffer, arrivals, 23)
    assert out[3:] == [*range(10), *range(100, 110)]
    assert buffer.resets == 1


@pytest.mark.parametrize("leap", [8000, 5_000_000, -1600, -5_000_000])
def test_a_leap_of_the_timestamp_in_a_running_stream_is_not_heard(leap):
    """An announcement server that starts its timestamps anew, keeping SSRC and sequence."""
    buffer = fixed(60)
    arrivals = {n: [packet(n)] for n in range(30)}
    for n in range(10, 30):
        arrivals[n][0].timestamp = (arrivals[n][0].timestamp + leap) % 2**32
    assert play(buffer, arrivals, 33)[3:] == list(range(30))
    assert buffer.resets == 1


@pytest.mark.parametrize("size", [80, 240, 320, 480])
def test_packets_of_other_lengths_play_whole(size):
    buffer = fixed(80)
    count = 40
    arrivals: dict[int, list[Packet]] = {}
    for n in range(count):
        arrivals.setdefault(n * size // 160, []).append(packet(n, size))
    heard = b""
    for tick in range(count * size // 160 + 5):
        for each in arrivals.get(tick, []):
            buffer.put(each, "PCMA", tick * 0.02 - 0.001)
        heard += buffer.get(tick * 0.02).astype(np.uint8).tobytes()
    start = heard.index(b"\1")
    assert heard[start - size : start + (count - 1) * size] == b"".join(
        packet(n, size).payload for n in range(count))


def test_after_a_long_stall_the_stream_goes_on():
    buffer = fixed(60)
    arrivals = {n: [packet(n)] for n in range(10)}
    for n in range(10, 60):
        arrivals[n + 25] = [packet(n)]
    assert play(buffer, arrivals, 88)[-50:] == list(range(10, 60))
    assert buffer.resets == 1


def test_a_burst_after_a_stall_is_cut_to_the_greatest_depth():
    buffer = Playout(Bounds(), octets)
    arrivals = {n: [packet(n)] for n in range(200)}
    arrivals[90] = [packet(n) for n in range(50, 91)]
    for n in range(50, 90):
        del arrivals[n]
    play(buffer, arrivals, 95)
    assert buffer.discarded > 20
    assert buffer.figures().depth_ms <= 240


def test_hostile_timestamps_and_floods_are_bounded():
    rng = random.Random(1)
    buffer = Playout(Bounds(), octets)
    for n in range(20000):
        wild = Packet(8, rng.randrange(2**16), rng.randrange(2**32), rng.choice((1, 1, 1, 2)),
                      bytes(rng.choice((1, 160, 1600))))
        buffer.put(wild, "PCMA", n * 0.0001)
        if n % 50 == 0:
            buffer.put_noise(wild)
            buffer.pass_over(wild)
        if n % 200 == 0:
            assert len(buffer.get(n * 0.0001)) == 160
        assert len(buffer._packets) <= MAX_PACKETS
        assert len(buffer._ready) < 3200
    played = []
    for n in range(150):
        buffer.put(packet(n, ssrc=9), "PCMA", 10 + n * 0.02)
        played.append(int(buffer.get(10.001 + n * 0.02)[80]))
    assert played[-40:] == sorted(played[-40:])
    assert played[-1] >= 135


def test_a_flood_of_future_packets_is_bounded():
    buffer = fixed(60)
    for n in range(5000):
        buffer.put(packet(n), "PCMA", 1.0)
    assert len(buffer._packets) <= MAX_PACKETS
    assert buffer.discarded > 4000


def test_a_change_of_law_inside_a_frame_is_heard_through():
    buffer = Playout(Bounds(60, 60, 60))
    buffer.put(Packet(8, 1, 0, 1, codec.SILENCE["PCMA"][:80]), "PCMA", 0.0)
    buffer.put(Packet(0, 2, 80, 1, codec.SILENCE["PCMU"][:80]), "PCMU", 0.0)
    assert abs(buffer.get(0.06)).max() == 8


def test_a_clock_of_48_khz_is_the_same_time():
    """Opus (RFC 7587, 4.1): 960 units in 20 ms, across the wrap of the timestamp."""
    opus = b"\x08" + bytes(20)  # 20 ms (RFC 6716, 3.1)
    buffer = Playout(Bounds(60, 60, 60), lambda law, payload: np.full(160, payload[1], np.int16))
    out = []
    for n in range(60):
        if n != 30:
            payload = opus[:1] + bytes([n]) + opus[2:]
            buffer.put(Packet(96, n, (2**32 - 20000 + 960 * n) % 2**32, 1, payload), "opus", n * 0.02)
        out.append(int(buffer.get(n * 0.02 + 0.001)[80]))
    assert [v for n, v in enumerate(out[3:]) if n != 30] == [n for n in range(57) if n != 30]
    assert (buffer.lost, buffer.resets) == (1, 0)


def test_another_clock_goes_on_where_the_one_before_ended():
    buffer = Playout(Bounds(60, 60, 60), lambda law, payload: np.full(160, len(law), np.int16))
    out = []
    for n in range(20):
        if n < 10:
            buffer.put(Packet(8, n, 1000 + 160 * n, 1, bytes(160)), "PCMA", n * 0.02)
        else:
            buffer.put(Packet(96, n, 48 * n, 1, b"\x08" + bytes(20)), "opus", n * 0.02)
        out.append(int(buffer.get(n * 0.02 + 0.001)[80]))
    assert out[3:] == [4] * 17
    assert (buffer.resets, buffer.concealed) == (1, 0)


def noisy(n: int, timestamp: int, octet: int = 40) -> Packet:
    return Packet(13, n, timestamp, 1, bytes([octet]))


class TestPauses:
    def test_comfort_noise_begins_where_the_audio_before_it_ends(self):
        buffer = Playout(Bounds(60, 60, 60))
        out = []
        for n in range(40):
            if n < 10:
                buffer.put(Packet(8, n, n * 160, 1, codec.encode("PCMA", sine(500, 160))), "PCMA", n * 0.02)
            elif n == 10:
                buffer.put_noise(noisy(n, n * 160))
            out.append(buffer.get(n * 0.02 + 0.001).astype(float))
        assert [frame.std() > 5000 for frame in out] == [3 <= n < 13 for n in range(40)]
        assert 20 * np.log10(np.concatenate(out[14:]).std() / 32768) == pytest.approx(-40, abs=1)
        assert (buffer.lost, buffer.concealed) == (0, 0)

    def test_audio_ends_it_and_keeps_its_depth(self):
        buffer = fixed(60)
        buffer.put_noise(noisy(0, 0))
        assert buffer.noise
        out = play(buffer, {n: [packet(n)] for n in range(5, 20)}, 23)
        assert out[8:] == list(range(5, 20))
        assert not buffer.noise

    @pytest.mark.parametrize("event_packets", [2, 8, 20, 60])
    def test_nothing_clicks_around_a_telephone_event_amid_audio(self, event_packets: int) -> None:
        buffer, told = Playout(), []
        tone = sine(440, 160 * 200)
        for n in range(180):
            at, arrival = n * 160, 100 + n * 0.02
            if 60 <= n < 60 + event_packets:
                buffer.pass_over(Packet(101, n, 60 * 160, 1, bytes(4)))
            else:
                buffer.put(Packet(8, n, at, 1, codec.encode("PCMA", tone[at : at + 160])), "PCMA", arrival)
            told.append(buffer.get(arrival + 0.01))
        heard = np.concatenate(told).astype(np.int32)
        own = np.abs(np.diff(tone.astype(np.int32))).max()
        assert np.abs(heard).max() > 7000
        assert np.abs(np.diff(heard)).max() <= 1.2 * own

    def test_a_telephone_event_is_silence_not_concealment(self):
        buffer = Playout(Bounds(60, 60, 60))
        tail = []
        for n in range(30):
            if n < 10:
                buffer.put(Packet(8, n, n * 160, 1, codec.encode("PCMA", sine(500, 160))), "PCMA", n * 0.02)
            else:
                buffer.pass_over(Packet(101, n, 1600, 1, bytes(4)))
            frame = buffer.get(n * 0.02 + 0.001)
            if n >= 13:
                tail.append(frame)
        heard = np.concatenate(tail)
        assert not heard[40:].any()
        own = np.abs(np.diff(sine(500, 160).astype(int))).max()
        assert np.abs(np.diff(heard.astype(int))).max() <= own
        assert buffer.concealed == 0
