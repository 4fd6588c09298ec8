"""`offhook check` and the sound card: devices told by name and rate, a microphone measured, a tone played."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from sound_server import MISSING, PRIORITY, Ear, available, card, in_environment, sound_server

from engine.cli import check_sound
from engine.cli.check_sound import check_devices, describe, describe_loop, try_devices
from engine.config import Audio


def sine(hz: float, amplitude: float, seconds: float = 2.0) -> np.ndarray:
    at = np.arange(int(8000 * seconds)) / 8000
    return np.clip(np.rint(amplitude * np.sin(2 * np.pi * hz * at)), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("amplitude", "said"),
    [
        (0, "level -100 dBFS, peak -100 dBFS: silent"), (10, "level -70 dBFS, peak -70 dBFS: silent"),
        (100, "level -50 dBFS, peak -50 dBFS: low"), (3277, "level -20 dBFS, peak -20 dBFS: good"),
        (50000, "peak 0 dBFS: clipping"), (-1, "silent"),
    ],
)  # fmt: skip
def test_a_microphones_level_is_told_in_dbfs_and_a_word(amplitude, said):
    heard = sine(440, amplitude) if amplitude >= 0 else np.full(16000, 900, np.int16)  # an offset is no sound
    assert said in describe(heard)


def test_a_moment_of_speech_among_silence_counts():
    heard = np.concatenate((np.zeros(10000, np.int16), sine(300, 3000, 0.5), np.zeros(2000, np.int16)))
    assert "good" in describe(heard)


def test_without_an_echo_there_is_no_round_trip():
    rng = np.random.default_rng(1)
    heard = rng.normal(0, 500, 24000).astype(np.int16)
    assert describe_loop(heard).startswith("no round trip")


@pytest.mark.skipif(not available(), reason=MISSING)
def test_devices_are_listed_measured_and_played_to(monkeypatch):
    monkeypatch.setattr(check_sound, "SETTLE_S", 0.6)
    monkeypatch.setattr(check_sound, "LISTEN_S", 1.0)
    said: list[str] = []
    with sound_server({"desk": 44100}, card("desk", "desk", "desk.monitor")) as environment, \
            in_environment(environment):  # fmt: skip
        audio = Audio(ring_output="DESK")
        assert check_devices(audio, said.append)
        text = "\n".join(said)
        assert re.search(r"^  desk  \(input and output; 8, 16, 44\.1, 48 kHz\)$", text, re.M), text
        assert re.search(r"^  default  \(.*; default input and output\)$", text, re.M), text
        said.clear()
        assert not check_devices(Audio(output="nowhere"), said.append)
        assert said[-1] == "sound: NOT OK: audio.output asks for 'nowhere', which is none of them"

        said.clear()
        loop = ["load-module", "module-loopback", "source=phones.monitor", "sink=mic", "latency_msec=30"]
        subprocess.run(["pactl", *loop], check=True, capture_output=True, timeout=30)
        ear = Ear("desk.monitor")
        tone = sine(300, 4000, 30).tobytes()
        command = [*PRIORITY, "pacat", "--device=mic", "--rate=8000", "--channels=1", "--format=s16le",
                   "--raw"]
        speaker = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert speaker.stdin is not None

        def say(line: str) -> None:
            said.append(line)
            if "level" in line:
                speaker.terminate()  # what was spoken was measured

        try:
            speaker.stdin.write(tone[: 16000 * 4])
            assert try_devices(audio, say)
        finally:
            speaker.kill()
            speaker.communicate()
        heard, _ = ear.stop()
    text = "\n".join(said)
    assert "sound: microphone 'default': OK: 8 kHz, 1 channel" in text
    assert re.search(r"level -1\d dBFS, peak -\d+ dBFS: good", text), text
    assert text.count("playing 440 Hz for 1 s") == 2
    trip = re.search(r"round trip (\d+) ms", text)
    assert trip, text
    assert 30 < int(trip[1]) < 800
    pieces = [heard[n : n + 1600].astype(float) for n in range(0, len(heard) - 1600, 800)]
    spectra = [np.abs(np.fft.rfft(piece)) for piece in pieces]
    assert any(s.argmax() == 88 and s[88] > 1e6 for s in spectra)  # 440 Hz


def test_a_machine_without_sound_is_told_so_in_one_sentence(monkeypatch):
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/dev/null")
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    said: list[str] = []
    assert check_devices(Audio(), said.append)
    assert said[-1] == "sound: no device on this machine; calls can be bridged to an agent's phone"
    assert not try_devices(Audio(), said.append)
    assert all(line.count("NOT OK") <= 1 for line in said)
