"""What the carrier sends, hears and records, on the wire and on the clock."""

from __future__ import annotations

import time
import wave
from itertools import pairwise

import numpy as np
import pytest
from rawphone import Audio, media_port

from engine.demo import g711, sounds


def up(line, callee: str, record: bool = False, events: int = 101):
    carrier, phone = line(f"answer_after = 0\n{callee}", record=record)
    audio = Audio()
    dialog = phone.dial("5550001", audio, events)
    answer = dialog.until(200)
    return carrier, phone, audio, dialog, answer


def read(path: str) -> np.ndarray:
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def test_packets_are_consecutive_and_come_every_20_ms(line):
    _, _, audio, _, _ = up(line, "")
    packets = audio.collect(75)
    steps = {((b.sequence - a.sequence) % 65536, (b.timestamp - a.timestamp) % 2**32, len(b.payload))
             for a, b in pairwise(packets)}
    assert steps == {(1, 160, 160)}
    assert [p.marker for p in packets] == [True] + [False] * 74
    # Each packet against the clock that the first one began: the machine may be busy, but not drift.
    late = np.array([p.at - packets[0].at - 0.02 * n for n, p in enumerate(packets)])
    assert abs(np.median(late)) < 0.02
    assert abs(late[-1]) < 0.2


@pytest.mark.parametrize(("codec", "payload_type"), [("PCMA", 8), ("PCMU", 0)])
def test_the_voice_is_the_directorys_in_the_codec_it_names(line, codec, payload_type):
    _, _, audio, _, answer = up(line, f'codecs = ["{codec}"]\nvoice = 3')
    assert f"RTP/AVP {payload_type} " in answer.body
    packets = audio.collect(50)
    assert {p.payload_type for p in packets} == {payload_type}
    heard = np.concatenate([g711.decode(codec, p.payload) for p in packets]).astype(float)
    said = sounds.speech(3)[:len(heard)].astype(float)
    assert np.corrcoef(heard, said)[0, 1] > 0.99


def test_early_media_is_the_countrys_ringback(line):
    _, phone = line('early = "ringback"\ncountry = "cn"')
    audio = Audio()
    phone.dial("5550001", audio).until(183)
    heard = np.concatenate([g711.decode("PCMA", p.payload) for p in audio.collect(60)]).astype(float)
    spectrum = np.abs(np.fft.rfft(heard[:8000]))
    assert abs(int(np.argmax(spectrum)) - 450) <= 1
    assert np.abs(heard[8160:]).max() < 50  # the burst lasts one second
    level = 20 * np.log10(np.sqrt(2 * np.mean(heard[:8000] ** 2)) / 32767) + sounds.FULL_SCALE_DBM0
    assert -14 < level < -12


def test_echo_gives_back_what_it_hears(line):
    _, _, audio, _, answer = up(line, 'says = "echo"')
    port = media_port(answer)
    said = [g711.encode("PCMA", frame) for frame in sounds.speech(9)[:8000].reshape(-1, 160)]
    for n, frame in enumerate(said):
        audio.send(port, 8, n, 160 * n, frame)
        time.sleep(0.02)  # a talker's pace; the two clocks may still drift apart by a frame
    silence = g711.encode("PCMA", np.zeros(160, np.int16))
    heard = [p.payload for p in audio.collect(65) if p.payload != silence]
    left = iter(said)
    assert all(frame in left for frame in heard), "a frame that was not said, or not in this order"
    assert len(heard) > 40


def test_digits_are_sent_as_rfc_4733_has_them(line):
    carrier, _, audio, _, answer = up(
        line, 'digits = "5#"\ndigits_after = 0.1\nevent_payload_type = 126\nsays = "silence"', events=96
    )
    assert "a=rtpmap:126 telephone-event/8000" in answer.body
    events = []
    while len(events) < 22:
        packet = audio.receive()
        if packet.payload_type == 96:  # the number that the phone's offer gave them
            events.append(packet)
    for code, group in ((5, events[:11]), (11, events[11:])):
        assert {p.payload[0] for p in group} == {code}
        assert len({p.timestamp for p in group}) == 1
        assert [p.marker for p in group] == [True] + [False] * 10
        assert [bool(p.payload[1] & 0x80) for p in group] == [False] * 8 + [True] * 3
        durations = [int.from_bytes(p.payload[2:4], "big") for p in group]
        assert durations == [160 * n for n in range(1, 9)] + [1280] * 3
    assert events[11].timestamp - events[0].timestamp >= 1280 + 640
    assert [e["digit"] for e in carrier.events if e["event"] == "digit_sent"] == ["5", "#"]


def test_a_digit_is_heard_once_by_its_timestamp_whatever_the_marker_says(line):
    carrier, _, audio, _, answer = up(line, 'says = "silence"')
    port = media_port(answer)
    sequence = 0
    for timestamp, code, markers in ((1000, 7, (0, 0, 0)), (5000, 7, (1, 1, 0)), (9000, 10, (0, 1, 1))):
        for packet, marker in enumerate(markers):
            payload = bytes([code, 0x80 if packet == 2 else 0, 0, 160])
            audio.send(port, 101, sequence, timestamp, payload, bool(marker))
            sequence += 1
    carrier.wait("digit", digit="*")
    assert "".join(e["digit"] for e in carrier.events if e["event"] == "digit") == "77*"


def test_a_recording_says_when_a_sound_was_heard(line):
    carrier, _, audio, dialog, answer = up(line, 'says = "silence"', record=True)
    port = media_port(answer)
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(160) / 8000)).astype(np.int16)
    quiet = np.zeros(160, np.int16)
    began = time.monotonic()
    sent_at = 0.0
    for n in range(60):
        if n == 30:
            sent_at = time.monotonic()
        audio.send(port, 8, n, 160 * n, g711.encode("PCMA", tone if n >= 30 else quiet))
        time.sleep(max(0.0, began + 0.02 * (n + 1) - time.monotonic()))
    dialog.bye()
    told = carrier.wait("recording", number="5550001")
    received = read(told["received"])
    heard_at = told["t0"] + int(np.argmax(np.abs(received) > 2000)) / 8000
    assert abs(heard_at - sent_at) < 0.1
    loud = np.flatnonzero(np.abs(received) > 2000)
    assert 0.55 < (loud[-1] - loud[0]) / 8000 < 0.7  # thirty packets, joined


def test_a_recording_holds_what_was_sent_when_it_was_sent(line):
    carrier, _, audio, dialog, _ = up(line, "voice = 2", record=True)
    packets = audio.collect(40)
    dialog.bye()
    told = carrier.wait("recording", number="5550001")
    sent = read(told["sent"])
    heard = np.concatenate([g711.decode("PCMA", p.payload) for p in packets]).astype(float)
    at = int(np.argmax(np.correlate(sent, heard, "valid")))
    assert abs(told["t0"] + at / 8000 - packets[0].at) < 0.1
    assert np.corrcoef(sent[at:at + len(heard)], heard)[0, 1] > 0.99


def test_rtp_that_comes_from_elsewhere_is_answered_there(line):
    carrier, _, audio, _, answer = up(line, "")
    audio.receive()
    elsewhere = Audio()
    elsewhere.send(media_port(answer), 8, 1, 160, bytes(160))
    elsewhere.receive()
    assert carrier.wait("rtp", number="5550001")["source"] == f"127.0.0.1:{elsewhere.port}"


def test_datagrams_that_are_no_rtp_change_nothing(line):
    carrier, _, audio, _, answer = up(line, "")
    port = media_port(answer)
    counts_too_many, extension_too_long = b"\x9f" + bytes(11), b"\xbf\x08" + b"\xff" * 30
    for junk in (b"", b"x", bytes(11), bytes(200), counts_too_many, extension_too_long, bytes(1500)):
        audio.sock.sendto(junk, ("127.0.0.1", port))
    audio.drain()
    audio.collect(5)
    assert not [e for e in carrier.events if e["event"] in ("digit", "rtp")]
