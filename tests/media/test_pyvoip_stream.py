"""`RtpStream` as the pyVoIP class it extends: what a program written for pyVoIP relies on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import pyVoIP.VoIP
from media_rig import PCMA, FarEnd, sine
from pyVoIP.RTP import PayloadType, RTPClient, TransmitType

from engine.media import codec
from engine.media.pcm import MAX_WRITE_S, PcmQueue, from_bytes, to_bytes
from engine.media.stream import RtpStream

assert pyVoIP.VoIP


@pytest.fixture
def call(rig):
    """A started stream and its far end, made as pyVoIP's VoIPCall makes them."""
    far = FarEnd(("127.0.0.1", 1), PCMA, 101)
    assoc = {8: PayloadType.PCMA, 101: PayloadType.EVENT}
    pressed: list[str] = []
    stream = RtpStream(
        assoc, "127.0.0.1", 0, *far.address, TransmitType.SENDRECV, pressed.append, engine=rig.engine
    )
    stream.start()
    far.ours = ("127.0.0.1", stream.inPort)
    yield stream, far, pressed
    stream.stop()
    far.sock.close()


def test_it_is_a_pyvoip_rtp_client_that_starts_no_thread_of_its_own(rig):
    before = threading.active_count()
    stream = RtpStream({8: PayloadType.PCMA}, "127.0.0.1", 0, "127.0.0.1", 9, engine=rig.engine)
    stream.start()
    assert isinstance(stream, RTPClient)
    assert threading.active_count() == before
    stream.stop()


def test_written_audio_goes_out_whole_and_in_a_law(call):
    stream, far, _ = call
    pcm = sine(700, 1600)
    stream.write(to_bytes(pcm, 1))
    first = far.receive_until(far.is_sound)
    octets = first.payload + b"".join(far.receive().payload for _ in range(9))
    assert octets == codec.encode("PCMA", from_bytes(to_bytes(pcm, 1), 1))


def test_sixteen_bit_audio_loses_nothing_to_eight_bits(rig):
    far = FarEnd(("127.0.0.1", 1), PCMA, None)
    stream = RtpStream({8: PayloadType.PCMA}, "127.0.0.1", 0, *far.address, engine=rig.engine, sample_width=2)
    stream.start()
    pcm = sine(700, 1600, 300)
    stream.write(to_bytes(pcm, 2))
    first = far.receive_until(far.is_sound)
    octets = first.payload + b"".join(far.receive().payload for _ in range(9))
    assert octets == codec.encode("PCMA", pcm)
    stream.stop()
    far.sock.close()


def test_received_audio_is_read_as_eight_bit_unsigned(call):
    stream, far, _ = call
    assert stream.read(160, blocking=False) == b"\x80" * 160
    payload = codec.encode("PCMA", sine(500, 160))
    for _ in range(10):
        far.send(payload)
    heard = b"".join(stream.read(160) for _ in range(15))
    assert to_bytes(codec.decode("PCMA", payload), 1) * 3 in heard


def test_stop_ends_a_blocked_read(call):
    stream, _, _ = call
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(stream.read(8000)))
    reader.start()
    stream.stop()
    reader.join(10)
    assert not reader.is_alive()
    assert len(got[0]) == 8000


def test_digits_reach_pyvoips_callback(call):
    from test_dtmf import send_press

    _, far, pressed = call
    send_press(far, "4")
    send_press(far, "2")
    for _ in range(200):
        if len(pressed) == 2:
            break
        far.receive()
    assert pressed == ["4", "2"]


def test_setting_the_address_as_a_renegotiation_does_moves_the_stream(call):
    stream, far, _ = call
    far.receive()
    moved = FarEnd(far.ours, PCMA, None)
    stream.outPort = moved.address[1]
    moved.receive()
    moved.sock.close()


def test_a_stream_without_an_engine_says_what_it_needs():
    with pytest.raises(RuntimeError, match="MediaEngine"):
        RtpStream({8: PayloadType.PCMA}, "127.0.0.1", 0, "127.0.0.1", 9).start()


def test_a_taken_port_is_an_error_and_leaves_nothing_open(rig):
    far = FarEnd(("127.0.0.1", 1), PCMA, None)
    stream = RtpStream({8: PayloadType.PCMA}, *far.address, "127.0.0.1", 9, engine=rig.engine)
    with pytest.raises(OSError, match="in use"):
        stream.start()
    far.sock.close()


def test_what_is_written_faster_than_it_is_sent_is_bounded(call):
    stream, _, _ = call
    for _ in range(20):
        stream.write(bytes(8000 * 30))
    assert len(stream._writer) <= MAX_WRITE_S * 8000
    assert stream._writer.dropped >= 8000 * 280


def test_a_reader_that_is_slow_loses_the_oldest():
    queue = PcmQueue(100, keep_newest=True)
    queue.put(bytes(range(80)))
    queue.put(bytes(range(80, 160)))
    assert queue.take(200) == bytes(range(60, 160))
    assert queue.dropped == 60


def test_eight_bit_conversion_is_pyvoips_unsigned_linear():
    assert to_bytes(np.array([0, 32767, -32768, 256, -256], np.int16), 1) == bytes([128, 255, 0, 129, 127])
    assert from_bytes(bytes([128, 255, 0]), 1).tolist() == [0, 32512, -32768]
