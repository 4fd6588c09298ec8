"""What SDP agreed on, kept on the wire: codecs, packet lengths, comfort noise, bridges between codecs."""

from __future__ import annotations

import itertools
import socket
import struct
import threading

import numpy as np
import pytest
from media_rig import G722, OPUS, PCMA, PCMU, pitch, sine, udp_socket

from engine.media import coders
from engine.media.network import rtp, udp
from engine.media.orders import (
    Bridge,
    Codec,
    DigitEnded,
    DigitReceived,
    DigitsSent,
    Event,
    Play,
    RtpStarted,
    SendDigits,
    WavSource,
)

E48 = (Event(97, 48000),)


def read(rig, name: str, samples: int) -> np.ndarray:
    """What the stream plays out next, as samples around zero."""
    octets = rig.engine.stream(name).read(samples, blocking=True)
    return np.frombuffer(octets, np.uint8).astype(float) - 128


@pytest.mark.parametrize("law", [PCMA, G722, OPUS])
def test_what_is_played_is_sent_in_the_agreed_codec(rig, wav, law):
    name, far = rig.open(law)
    rig.engine.order(Play(name, WavSource(wav(sine(440, 8000), 8000)), loop=True))
    far.receive_pcm(1600)
    assert pitch(far.receive_pcm(4800)) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("law", [G722, OPUS])
def test_what_is_received_is_heard(rig, law):
    name, far = rig.open(law)
    rig.engine.stream(name).read(0, blocking=False)
    far.send_pcm(sine(700, 160 * 50))
    heard = read(rig, name, 160 * 40)
    assert pitch(heard[2400:6400]) == pytest.approx(700, abs=3)
    assert rig.engine.stream(name).reception.lost == 0


@pytest.mark.parametrize("law", [PCMA, G722, OPUS])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_packets_have_the_length_that_the_far_end_asked_for(rig, law, ptime_ms):
    """RFC 8866, 6.4. Opus knows no 30 ms (RFC 7587, 6.1): 20."""
    _, far = rig.open(law, ptime_ms=ptime_ms)
    got = [far.receive() for _ in range(8)]
    length = 20 if law is OPUS and ptime_ms == 30 else ptime_ms
    assert {coders.duration(law.name, p.payload) for p in got} == {length * 8}
    steps = {((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF)
             for a, b in itertools.pairwise(got)}  # fmt: skip
    assert steps == {(1, length * coders.CLOCK[law.name] // 1000)}


@pytest.mark.parametrize("ptime_ms", [10, 40])
def test_longer_and_shorter_packets_hold_every_sample_once(rig, wav, ptime_ms):
    name, far = rig.open(PCMA, ptime_ms=ptime_ms)
    rig.engine.order(Play(name, WavSource(wav(sine(400, 8000), 8000)), loop=True))
    far.receive_until(far.is_sound)
    heard = far.receive_pcm(4800)[1600:]
    period = heard[20:] - heard[:-20].astype(int)
    assert abs(period).max() < 300  # a sample lost or doubled would break the wave


def test_digits_between_long_packets_keep_their_time(rig):
    """No sample that was held for a packet before the digit is sent after it."""
    name, far = rig.open(PCMA, ptime_ms=60)
    far.receive()
    rig.engine.order(SendDigits(name, "5", 80, 80))
    event = far.receive_until(lambda p: p.payload_type == 101)
    after = far.receive_until(lambda p: p.payload_type == 8)
    behind = (after.timestamp - event.timestamp) & 0xFFFFFFFF
    assert 640 <= behind <= 640 + 1600
    assert (after.timestamp - event.timestamp) % 160 == 0


def test_a_codec_changed_by_sdp_goes_on_at_once(rig):
    name, far = rig.open(PCMA)
    far.receive()
    rig.remote(name, far, codecs=(G722,))
    changed = far.receive_until(lambda p: p.payload_type == 9)
    assert len(changed.payload) == 160
    rig.remote(name, far, codecs=(OPUS, PCMU))
    first = far.receive_until(lambda p: p.payload_type == 96)
    second = far.receive_until(lambda p: p.payload_type == 96)
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 960


def test_the_other_number_of_a_codec_is_taken_too(rig):
    name, far = rig.open(Codec("PCMA", 97), also=(Codec("PCMA", 98),))
    far.send(bytes(160), 98)
    rig.fact(RtpStarted)
    assert rig.engine.stream(name).inbound.discarded == 0


class TestDigits:
    def test_their_length_is_told_in_the_events_own_clock(self, rig):
        """RFC 4733, 2.3.5: 160 ms are 7680 units at 48 kHz."""
        name, far = rig.open(OPUS, events=E48)
        far.receive()
        rig.engine.order(SendDigits(name, "7", 160, 80))
        durations = []
        while not durations or not durations[-1] & 0x800000:
            packet = far.receive_until(lambda p: p.payload_type == 97)
            durations.append(int.from_bytes(packet.payload[1:4], "big"))
        assert durations[-1] & 0xFFFF == 7680
        assert rig.fact(DigitsSent).digits == "7"

    def test_a_digit_too_long_for_one_segment_is_shortened(self, rig):
        """RFC 4733, 2.5.1.3: 16 bits of duration are 1.36 s at 48 kHz."""
        name, far = rig.open(OPUS, events=E48)
        far.receive()
        rig.engine.order(SendDigits(name, "7", 1500, 40))
        last = far.receive_until(lambda p: p.payload_type == 97 and p.payload[1] & 0x80)
        assert 65000 <= int.from_bytes(last.payload[2:], "big") <= 65535

    def test_received_ones_are_timed_by_it(self, rig):
        _, far = rig.open(OPUS, events=E48)
        for flags, duration in ((0, 960), (0, 4800), (0x80, 4800)):
            far.send(struct.pack("!BBH", 3, flags | 10, duration), 97, timestamp=777)
        assert rig.fact(DigitReceived).digit == "3"
        fact = rig.fact(DigitEnded)
        assert (fact.digit, fact.duration_ms) == ("3", 100)

    def test_without_telephone_event_they_are_heard_in_any_codec(self, rig):
        for law in (G722, OPUS):
            name, far = rig.open(law, events=())
            far.receive()
            rig.engine.order(SendDigits(name, "1", 400, 80))
            far.receive_pcm(1200)
            heard = np.abs(np.fft.rfft(far.receive_pcm(1600)))
            assert {round(5 * k) for k in np.argsort(heard)[-2:]} <= {690, 695, 700, 1205, 1210, 1215}
            rig.fact(DigitsSent)


class TestComfortNoise:
    def test_it_is_heard_in_the_pause_in_place_of_concealment(self, rig):
        """RFC 3389: 13 without an rtpmap."""
        name, far = rig.open(PCMA)
        rig.engine.stream(name).read(0, blocking=False)
        far.send_pcm(sine(700, 160 * 10))
        far.send(bytes([40]), 13)
        stream = rig.engine.stream(name)
        rig.fact(RtpStarted)
        heard = read(rig, name, 160 * 30)[160 * 16 :]
        level = 20 * np.log10(heard.std() / 128)
        assert level == pytest.approx(-40, abs=3)
        assert (stream.inbound.discarded, stream.reception.lost) == (0, 0)

    def test_audio_ends_it(self, rig):
        name, far = rig.open(PCMA)
        far.send(bytes([40]), 13)
        far.send_pcm(sine(700, 160 * 5))
        rig.engine.stream(name).read(160, blocking=True)
        assert not rig.engine.stream(name).listening.playout.noise


class TestBridges:
    @pytest.mark.parametrize(("a", "b"), [(G722, PCMA), (OPUS, PCMU), (OPUS, G722)])
    def test_two_codecs_hear_each_other(self, rig, a, b):
        (one, far_a), (two, far_b) = rig.open(a), rig.open(b)
        far_a.receive()
        far_b.receive()
        rig.engine.order(Bridge(one, two))
        for far, other, hz in ((far_a, far_b, 500), (far_b, far_a, 900)):
            sender = threading.Thread(target=far.send_pcm, args=(sine(hz, 160 * 38),))
            other.forget()
            sender.start()
            other.receive_pcm(160 * 12)
            assert pitch(other.receive_pcm(160 * 20)) == pytest.approx(hz, abs=5)
            sender.join()

    def test_the_same_codec_passes_untouched(self, rig):
        (one, far_a), (two, far_b) = rig.open(OPUS, events=E48), rig.open(Codec("opus", 111), events=E48)
        far_a.receive()
        far_b.receive()
        rig.engine.order(Bridge(one, two))
        coder = coders.encoder("opus")
        payloads = [coder.encode(sine(300 + 50 * n, 160))[0] for n in range(12)]
        for n, payload in enumerate(payloads):
            far_a.send(payload)
            got = far_b.receive_until(lambda p, want=payload, n=n: p.payload == want or n == 0)
            assert got.payload_type == 111
            assert n == 0 or got.payload == payload

    @pytest.mark.parametrize("direction", ["to 8000", "to 48000"])
    def test_digits_pass_between_clocks(self, rig, direction):
        """RFC 4733, 2.1: one timestamp a press, durations in the clock of their own session."""
        (one, wide), (two, narrow) = rig.open(OPUS, events=E48), rig.open(PCMA)
        wide.receive()
        narrow.receive()
        rig.engine.order(Bridge(one, two))
        far, other = (wide, narrow) if direction == "to 8000" else (narrow, wide)
        number, unit = (97, 48) if far is wide else (101, 8)
        out_number, out_unit = (101, 8) if far is wide else (97, 48)
        far.send_pcm(sine(500, 800))
        got = []
        for n in range(8):
            flags = 0x80 if n > 4 else 0
            duration = min(n + 1, 6) * 20 * unit
            far.send(struct.pack("!BBH", 9, flags | 10, duration), number, timestamp=5000)
            got.append(other.receive_until(lambda p: p.payload_type == out_number))
        assert len({p.timestamp for p in got}) == 1
        assert [p.sequence for p in got] == sorted(p.sequence for p in got)
        told = [struct.unpack("!BBH", p.payload) for p in got]
        assert [t[2] for t in told] == [min(n + 1, 6) * 20 * out_unit for n in range(8)]
        assert rig.fact(DigitReceived).digit == "9"

    def test_a_codec_changed_while_bridged_is_encoded_anew_from_then_on(self, rig):
        (one, far_a), (two, far_b) = rig.open(PCMA), rig.open(PCMA)
        far_a.receive()
        far_b.receive()
        rig.engine.order(Bridge(one, two))
        rig.remote(two, far_b, codecs=(G722,))
        far_b.law = G722
        sender = threading.Thread(target=far_a.send_pcm, args=(sine(600, 160 * 38),))
        sender.start()
        far_b.receive_until(lambda p: p.payload_type == 9)
        far_b.receive_pcm(160 * 15)
        assert pitch(far_b.receive_pcm(160 * 20)) == pytest.approx(600, abs=5)
        sender.join()


class TestAddresses:
    def test_rtcp_on_the_same_port_is_neither_audio_nor_counted(self, rig):
        """RFC 5761, 4."""
        name, far = rig.open(PCMA)
        for kind in (200, 201, 202, 203, 204):
            far.sock.sendto(bytes([0x80, kind, 0, 1]) + bytes(24), far.ours)
        far.send(bytes(160))
        rig.fact(RtpStarted)
        stream = rig.engine.stream(name)
        assert (stream.inbound.discarded, stream.reception.received) == (0, 1)

    def test_an_ipv6_socket_serves_a_far_end_on_ipv4(self, rig):
        """RFC 4291, 2.5.5.2."""
        from engine.media.orders import OpenStream, SetRemote

        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
            sock = probe.dup()
        sock.setblocking(False)
        far = udp_socket()
        rig.engine.order(OpenStream("both", sock))
        rig.engine.order(SetRemote("both", *far.getsockname(), (PCMA,)))
        data, source = far.recvfrom(4096)
        assert rtp.parse(data).payload_type == 8
        far.sendto(rtp.plain(8, False, 1, 160, 7, bytes(160)), ("127.0.0.1", source[1]))
        assert rig.fact(RtpStarted).host == "127.0.0.1"
        far.close()

    def test_an_ipv4_socket_sends_nothing_to_ipv6(self):
        assert udp.sockaddr("::1", 4000, socket.AF_INET) is None
        assert udp.sockaddr("::1", 4000, socket.AF_INET6) is not None
