"""The headset through PyAudio and a real sound server: what is said arrives, and how late.

Delays are upper bounds: they hold PulseAudio's own buffers and those of `parec` and `pacat` too.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time

import numpy as np
import pytest
from media_rig import Rig
from sound_server import MISSING, PRIORITY, Ear, available, in_environment, locate, noise, sound_server

from engine.media import codec
from engine.media.orders import (
    SOUND,
    Bridge,
    CloseSound,
    Mute,
    OpenSound,
    Play,
    PlaybackEnded,
    SoundChanged,
    WavSource,
)
from engine.media.sound.devices import list_devices

MAX_DELAY_MS = 200
"""What either way may add on a busy test machine. A quiet one shows less than half; it is printed."""

pytestmark = pytest.mark.skipif(not available(), reason=MISSING)


@pytest.fixture(scope="module")
def server():
    with sound_server() as environment, in_environment(environment):
        yield


@pytest.fixture
def headset(server):
    rig = Rig()
    rig.engine.order(OpenSound("default", "default"))
    changed = rig.fact(SoundChanged, 30)
    assert changed.problem == ""
    yield rig
    rig.stop()


def best_fit(said: np.ndarray, *places: np.ndarray) -> tuple[list[int], list[float]]:
    """Of many quarter seconds of what was said, the one that fits best in every place it should be in.

    While a device finds its pace, its speed is trimmed, and nothing long fits there; a starved machine has
    gaps. Returns, for each place, where the beginning of `said` lies and the correlation coefficient.
    """
    found = []
    for start in range(4000, len(said) - 2000, 2000):
        each = [locate(place, said[start : start + 2000]) for place in places]
        found.append(([at - start for at, _ in each], [fit for _, fit in each]))
    return max(found, key=lambda f: min(f[1]))


def test_what_a_caller_says_comes_out_of_the_loudspeaker(headset, capsys):
    name, far = headset.open()
    headset.engine.order(Bridge(name, SOUND))
    ear = Ear("phones.monitor")
    assert ear.hearing.wait(20)
    far.send_pcm(np.zeros(8 * 2500, np.int16))  # devices stall at first
    said = noise(5, 1)
    begun = time.monotonic()
    far.send_pcm(said)
    far.send_pcm(np.zeros(8 * 700, np.int16))
    heard, start = ear.stop()
    (at,), (fit,) = best_fit(said, heard)
    delay = (start + at / 8000 - begun) * 1000
    with capsys.disabled():
        print(f"\n  RTP -> loudspeaker: {delay:.0f} ms, correlation {fit:.3f}")
    assert fit > 0.7
    assert 0 < delay < MAX_DELAY_MS


def test_what_the_operator_says_reaches_the_caller(headset, capsys):
    name, far = headset.open()
    headset.engine.order(Bridge(name, SOUND))
    said = noise(5, 2)
    arrived: list[tuple[float, bytes]] = []
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            packet = far.receive()
            arrived.append((time.monotonic(), packet.payload))

    far.receive_until(lambda p: True)
    listener = threading.Thread(target=listen)
    listener.start()
    ear = Ear("mic.monitor")
    assert ear.hearing.wait(20)
    command = [*PRIORITY, "pacat", "--device=mic", "--rate=8000", "--channels=1", "--format=s16le", "--raw",
               "--latency-msec=20"]
    voice = np.concatenate((np.zeros(8 * 1500, np.int16), said, np.zeros(8 * 500, np.int16)))
    subprocess.run(command, input=voice.tobytes(), check=True, timeout=60)
    time.sleep(0.3)
    stop.set()
    listener.join(10)
    heard, start = ear.stop()
    sent = codec.decode("PCMA", b"".join(payload for _, payload in arrived))
    (spoken, at), (said_fit, fit) = best_fit(said, heard, sent)
    first = min(when - n * 0.02 for n, (when, _) in enumerate(arrived))
    # a packet's time is its sending, when its last sample has been in it for no time at all
    delay = (first + (at / 8000) - (start + spoken / 8000)) * 1000
    with capsys.disabled():
        print(f"\n  microphone -> RTP: {delay:.0f} ms, correlation {fit:.3f} (spoken {said_fit:.3f})")
    assert fit > 0.7
    assert delay < MAX_DELAY_MS


def test_a_muted_microphone_sends_silence(headset):
    name, far = headset.open()
    headset.engine.order(Bridge(name, SOUND))
    headset.engine.order(Mute(SOUND, True))
    command = [*PRIORITY, "pacat", "--device=mic", "--rate=8000", "--channels=1", "--format=s16le", "--raw"]
    subprocess.run(command, input=noise(1, 3).tobytes(), check=True, timeout=60)
    assert all(not far.is_sound(far.receive()) for _ in range(20))


def test_a_file_can_be_played_to_the_operator(headset, wav):
    ear = Ear("phones.monitor")
    assert ear.hearing.wait(20)
    said = noise(3, 4)
    path = wav(np.concatenate((np.zeros(8 * 3000, np.int16), said)), 8000)
    headset.engine.order(Play(SOUND, WavSource(path), tag="prompt"))
    assert headset.fact(PlaybackEnded, 30).tag == "prompt"
    time.sleep(0.7)
    heard, _ = ear.stop()
    assert best_fit(said, heard)[1][0] > 0.6


def test_devices_are_listed_and_nothing_is_written_to_stderr(server, capfd):
    devices = list_devices()
    assert any(d.default_input for d in devices)
    assert any(d.default_output for d in devices)
    assert capfd.readouterr().err == ""


def test_a_device_that_does_not_exist_is_named_with_those_that_do(server):
    rig = Rig()
    rig.engine.order(OpenSound("no such microphone", "none"))
    changed = rig.fact(SoundChanged, 30)
    assert (changed.input, changed.output) == ("default", "none")
    assert "There is no microphone 'no such microphone'; sound inputs here: " in changed.problem
    assert "'default'" in changed.problem.partition("here")[2]
    assert changed.problem.endswith("'default' stands in until it is there.")
    rig.stop()


def test_no_sound_wanted_is_no_problem(rig):
    rig.engine.order(OpenSound("none", "none"))
    changed = rig.fact(SoundChanged, 30)
    assert (changed.input, changed.output, changed.problem) == ("none", "none", "")


def test_opening_again_and_closing_leaves_no_descriptor_behind(server):
    def once() -> None:
        rig = Rig()
        rig.engine.order(OpenSound("default", "default"))
        rig.engine.order(OpenSound("default", "default"))
        rig.fact(SoundChanged, 30)
        rig.engine.order(CloseSound())
        rig.stop()

    once()
    before = len(os.listdir("/proc/self/fd"))
    once()
    until = time.monotonic() + 10  # what has ended is reaped by another thread
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
