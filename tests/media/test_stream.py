"""One stream over real sockets: where it sends, what it sends, what it takes."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time

import numpy as np
import pytest
from media_rig import PCMA, PCMU, Rig, sine, udp_socket

from engine.media import codec
from engine.media.network import rtp
from engine.media.orders import (
    Bridge,
    CloseStream,
    Detect,
    Detected,
    Mute,
    OpenStream,
    Play,
    PlaybackEnded,
    Record,
    RecordingEnded,
    RtpStarted,
    RtpTimeout,
    SendDigits,
    SetRtpTimeout,
    StopPlay,
    StreamClosed,
    ToneSource,
    Unbridge,
    WavSource,
)


def test_silence_goes_first_to_a_far_end_that_waits_for_it(rig):
    _, far = rig.open()
    packets = [far.receive() for _ in range(5)]
    assert all(p.payload == codec.SILENCE["PCMA"] and p.payload_type == 8 for p in packets)
    assert packets[0].marker
    steps = list(itertools.pairwise(packets))
    assert all((b.sequence - a.sequence) & 0xFFFF == 1 for a, b in steps)
    assert all((b.timestamp - a.timestamp) & 0xFFFFFFFF == 160 for a, b in steps)
    assert len({p.ssrc for p in packets}) == 1


def test_without_send_first_nothing_is_sent_until_the_far_end_speaks(rig):
    _, far = rig.open(send_first=False)
    assert far.silent_for(0.2)
    far.send(codec.SILENCE["PCMA"])
    assert far.receive().payload == codec.SILENCE["PCMA"]


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_nothing_is_sent_where_the_direction_forbids_it(rig, direction):
    name, far = rig.open(direction=direction)
    rig.engine.order(Play(name, ToneSource("cn"), loop=True))
    assert far.silent_for(0.2)


def test_no_packet_is_sent_before_the_far_end_is_known(rig):
    name, far = rig.open(remote=False)
    assert far.silent_for(0.1)
    rig.remote(name, far)
    far.receive()


@pytest.mark.parametrize("host", ["224.0.0.1", "0.0.0.0", "255.255.255.255", "example.invalid", "::1"])
def test_an_address_nobody_should_be_sent_to_is_not_sent_to_but_packets_still_find_us(rig, host):
    name, far = rig.open(remote=False)
    rig.remote(name, far, host=host)
    far.send_pcm(sine(500, 6400))
    far.receive()


def test_the_first_tone_packet_comes_within_one_tick_of_the_order(rig):
    """Counted in packets of the stream's own clock, not in time."""
    rig.engine.preload(ToneSource("cn"))
    name, far = rig.open()
    far.receive()
    deadline = time.monotonic() + 5
    while rig.engine._board.loader.kept(ToneSource("cn")) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    before = far.receive()
    rig.engine.order(Play(name, ToneSource("cn"), loop=True))
    first = far.receive_until(far.is_sound)
    assert (first.sequence - before.sequence) & 0xFFFF <= 2


def test_a_looped_tone_is_the_countrys_without_a_seam(rig):
    name, far = rig.open()
    rig.engine.order(Play(name, ToneSource("ru", "congestion", -10.0), loop=True))
    first = far.receive_until(far.is_sound)
    pcm = codec.decode("PCMA", first.payload + b"".join(far.receive().payload for _ in range(69)))
    spectrum = np.abs(np.fft.rfft(pcm[:1200] * np.hanning(1200)))
    assert abs(int(spectrum.argmax()) * 8000 / 1200 - 425) < 7
    on = np.abs(pcm) > 16
    assert on[:1400].mean() > 0.9
    assert not on[1420:2780].any()
    assert np.array_equal(pcm[:8400], pcm[2800:])


def test_the_player_plays_a_file_once_and_says_so(rig, wav):
    name, far = rig.open()
    path = wav(sine(1000, 16000), 8000)
    rig.engine.order(Play(name, WavSource(path), tag="hello"))
    first = far.receive_until(far.is_sound)
    octets = first.payload + b"".join(far.receive().payload for _ in range(99))
    assert octets == codec.encode("PCMA", sine(1000, 16000))
    ended = rig.fact(PlaybackEnded)
    assert (ended.stream, ended.tag, ended.error) == (name, "hello", "")
    assert far.receive().payload == codec.SILENCE["PCMA"]


def test_the_player_stops_when_told(rig):
    name, far = rig.open()
    rig.engine.order(Play(name, ToneSource("us", "busy"), loop=True))
    far.receive_until(far.is_sound)
    rig.engine.order(StopPlay(name))
    assert [far.receive().payload for _ in range(40)][-30:] == [codec.SILENCE["PCMA"]] * 30


@pytest.mark.parametrize(("source", "problem"), [
    (WavSource(__file__ + "/tone.wav"), "cannot be read"),
    (WavSource(__file__), "not a WAV file"),
    (WavSource("/"), "cannot be read"),
    (ToneSource("xx"), "no tone plan 'xx'"),
    (ToneSource("cn", "jingle"), "jingle"),
])
def test_what_cannot_be_played_is_reported_in_one_sentence(rig, source, problem):
    name, _ = rig.open()
    rig.engine.order(Play(name, source, tag="t"))
    ended = rig.fact(PlaybackEnded)
    assert problem in ended.error
    assert "\n" not in ended.error
    assert ended.tag == "t"


def test_a_new_address_in_sdp_moves_the_stream_though_the_old_one_still_talks(rig):
    """180 with early media from a gateway, then 200 from another."""
    name, old = rig.open()
    old.send(codec.SILENCE["PCMA"])
    rig.fact(RtpStarted)
    new = udp_socket()
    rig.remote(name, old, port=new.getsockname()[1])
    new.recv(2000)
    old.send(codec.SILENCE["PCMA"])
    new.recv(2000)
    new.sendto(rtp.serialize(rtp.Packet(8, 1, 160, 5, codec.SILENCE["PCMA"])), old.ours)
    old.send(codec.SILENCE["PCMA"])
    for _ in range(5):
        new.recv(2000)
    assert old.silent_for(0.1)
    new.close()


def test_garbage_huge_and_unknown_packets_are_counted_and_dropped(rig):
    name, far = rig.open()
    rng = random.Random(5)
    for n in range(50):
        far.sock.sendto(rng.randbytes(n), far.ours)
    far.sock.sendto(b"\x80\x08" + bytes(9000), far.ours)
    far.sock.sendto(b"\x80\x08" + bytes(60000), far.ours)
    far.send(bytes(160), payload_type=77)
    far.sock.sendto(b"", far.ours)
    far.send(codec.SILENCE["PCMA"])
    rig.fact(RtpStarted)
    far.receive_until(lambda p: True)
    rig.engine.order(CloseStream(name))
    stats = rig.fact(StreamClosed).stats
    assert stats.received == 1
    assert stats.discarded >= 50


def test_negotiated_payload_types_are_used_not_the_usual_ones(rig):
    from engine.media.orders import Codec

    _, far = rig.open(Codec("PCMU", 118))
    assert far.receive().payload_type == 118
    far.send(codec.SILENCE["PCMU"], 118)
    rig.fact(RtpStarted)


def test_a_stream_without_packets_times_out_once(rig):
    name, far = rig.open()
    rig.engine.order(SetRtpTimeout(name, 0.3))
    far.send(codec.SILENCE["PCMA"])
    assert rig.fact(RtpTimeout).silent_s >= 0.3
    for _ in range(20):
        far.receive()
    assert not rig.has_fact(RtpTimeout)
    far.send(codec.SILENCE["PCMA"])
    assert rig.fact(RtpTimeout).stream == name


def test_a_bridged_stream_whose_packets_are_only_passed_on_times_out_too(rig):
    (a, far_a), (b, _) = rig.open(), rig.open()
    rig.engine.order(Bridge(a, b))
    far_a.send(codec.SILENCE["PCMA"])
    rig.fact(RtpStarted)
    rig.engine.order(SetRtpTimeout(a, 0.4))
    for _ in range(30):  # longer than that, on the clock of what comes back
        far_a.send(codec.SILENCE["PCMA"])
        far_a.receive()
    assert not rig.has_fact(RtpTimeout)
    assert rig.fact(RtpTimeout).stream == a


def test_after_hold_the_time_counts_anew(rig):
    name, far = rig.open()
    far.send(codec.SILENCE["PCMA"])
    rig.fact(RtpStarted)
    rig.engine.order(SetRtpTimeout(name, None))  # held: nothing comes
    for _ in range(25):
        far.receive()
    rig.engine.order(SetRtpTimeout(name, 0.3))
    told = rig.fact(RtpTimeout)
    assert 0.3 <= told.silent_s < 0.75  # and not since its last packet


def test_no_timeout_comes_while_it_is_switched_off(rig):
    name, far = rig.open()
    rig.engine.order(SetRtpTimeout(name, 0.2))
    rig.engine.order(SetRtpTimeout(name, None))
    for _ in range(25):
        far.receive()
    assert not rig.has_fact(RtpTimeout)


def test_levels_are_metered_in_dbm0_both_ways(rig):
    name, far = rig.open()
    rig.engine.order(Play(name, WavSource(__file__ + "/none")))
    far.send_pcm(np.tile(codec.decode("PCMA", bytes.fromhex("34212134b4a1a1b4")), 1000))
    meter = rig.engine.meters()[name]
    assert meter.received_dbm0 == pytest.approx(0, abs=0.5)
    assert meter.sent_dbm0 == -90.0


def test_a_tone_on_the_wire_is_detected_and_told(rig):
    from engine.detect.control import Settings
    from engine.detect.plans import plan
    from engine.detect.synth import render_cycle

    name, far = rig.open()
    rig.engine.order(Detect(name, country="us", settings=Settings(stop_on=frozenset())))
    far.send_pcm(np.tile(render_cycle(plan("us").congestion), 4))
    found = rig.fact(Detected).detection
    while found.tone.label == "450hz":
        found = rig.fact(Detected).detection
    assert found.tone.label == "congestion"
    assert rig.engine.meters()[name].tone == "congestion"


def test_a_recording_holds_both_sides(rig, tmp_path):
    import wave

    name, far = rig.open()
    path = str(tmp_path / "both.wav")
    rig.engine.order(Record(name, path))
    rig.engine.order(Play(name, ToneSource("cn", "busy", -10.0), loop=True))
    far.send_pcm(sine(1000, 8000))
    rig.engine.order(Record(name, None))
    ended = rig.fact(RecordingEnded)
    assert (ended.path, ended.error) == (path, "")
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    assert oct(os.stat(path).st_mode & 0o777) == "0o600"
    for channel, hz in ((0, 1000), (1, 450)):
        spectrum = np.abs(np.fft.rfft(both[:, channel] * np.hanning(len(both))))
        assert abs(spectrum.argmax() * 8000 / len(both) - hz) < 8


def test_a_recording_that_cannot_be_written_ends_and_the_call_goes_on(rig):
    name, far = rig.open()
    rig.engine.order(Record(name, __file__ + "/x.wav"))
    rig.engine.order(Play(name, ToneSource("cn"), loop=True))
    assert "cannot be written" in rig.fact(RecordingEnded).error
    far.receive_until(far.is_sound)


def test_a_recording_on_a_full_disk_ends_and_the_call_goes_on(rig, small_disk):
    (small_disk / "other").write_bytes(bytes(190_000))
    name, far = rig.open()
    rig.engine.order(Record(name, str(small_disk / "x.wav")))
    rig.engine.order(Play(name, ToneSource("cn"), loop=True))
    assert "the disk is full, so the recording ended" in rig.fact(RecordingEnded).error
    far.receive_until(far.is_sound)


def test_closing_a_stream_ends_its_recording_properly(rig, tmp_path):
    name, far = rig.open()
    rig.engine.order(Record(name, str(tmp_path / "x.wav")))
    for _ in range(10):
        far.receive()
    rig.engine.order(CloseStream(name))
    assert rig.fact(StreamClosed).stream == name
    assert rig.fact(RecordingEnded).error == ""
    assert (tmp_path / "x.wav").stat().st_size > 44 + 5 * 640


def test_orders_for_streams_that_do_not_exist_do_no_harm(rig):
    for order in (
        CloseStream("no"), StopPlay("no"), Record("no", None), Detect("no"), SetRtpTimeout("no", 1),
        Unbridge("no"), Bridge("no", "neither"), Mute("no", True), SendDigits("no", "1"),
    ):
        rig.engine.order(order)
    rig.engine.order(Play("no", ToneSource("cn"), tag="x"))
    assert rig.fact(PlaybackEnded).error
    rig.engine.order(Record("no", "/tmp/x"))
    assert rig.fact(RecordingEnded).error
    _, far = rig.open()
    far.receive()


def test_a_receiver_of_facts_that_fails_does_not_stop_the_media(caplog):
    from engine.media.engine import MediaEngine

    def fail(fact: object) -> None:
        raise ValueError("not today")

    engine = MediaEngine(fail)
    engine.start()
    try:
        sock, far = udp_socket(), udp_socket()
        engine.order(Play("nobody", ToneSource("cn")))
        engine.order(OpenStream("x", sock))
        from engine.media.orders import SetRemote

        engine.order(SetRemote("x", *far.getsockname(), (PCMA,)))
        far.recv(2000)
        far.close()
    finally:
        engine.stop()
    assert "not today" in caplog.text


def test_stop_leaves_no_thread_and_no_descriptor_behind(tmp_path):
    Rig().stop()  # whatever the process opens once and keeps
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    rig = Rig()
    for law in (PCMA, PCMU):
        name, far = rig.open(law)
        rig.engine.order(Record(name, str(tmp_path / f"{law.name}.wav")))
        rig.engine.order(Play(name, ToneSource("cn"), loop=True))
        far.receive_until(far.is_sound)
    rig.stop()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_an_engine_can_be_started_again_after_stop():
    rig = Rig()
    rig.engine.stop()
    rig.engine.start()
    _, far = rig.open()
    far.receive()
    rig.stop()


def test_ipv6_works_as_ipv4_does(rig):
    from engine.media.orders import SetRemote

    try:
        ours, far = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
        ours.bind(("::1", 0))
        far.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    far.settimeout(10)
    address = ours.getsockname()
    rig.engine.order(OpenStream("six", ours))
    rig.engine.order(SetRemote("six", "::1", far.getsockname()[1], (PCMA,)))
    far.recv(2000)
    far.sendto(rtp.serialize(rtp.Packet(8, 1, 1, 1, codec.SILENCE["PCMA"])), address)
    assert rig.fact(RtpStarted).host == "::1"
    far.close()
