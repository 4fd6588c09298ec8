"""Echo cancelling: what the loudspeaker plays goes out of the microphone, what the operator says stays."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from media_rig import Rig
from sound_server import MISSING, PRIORITY, Ear, available, in_environment, locate, noise, sound_server

from engine.demo.sounds import speech
from engine.media.orders import SOUND, Bridge, OpenSound, SoundChanged
from engine.media.sound.voice_processor import VoiceProcessor

LEAST_ERLE_DB = 15.0
"""Echo return loss enhancement that is asked for; measured 25 and more."""


def talk(seconds: float, voice: int) -> np.ndarray:
    """Something like speech."""
    return np.tile(speech(voice), 2)[: int(seconds * 8000)]


def room(played: np.ndarray, delay_ms: int) -> np.ndarray:
    """What a microphone hears of a loudspeaker: 6 dB less, `delay_ms` later, with reflections."""
    path = np.zeros(delay_ms * 8 + 400)
    for at, part in ((0, 0.5), (40, 0.25), (130, -0.15), (333, 0.08)):
        path[delay_ms * 8 + at] = part
    return np.convolve(played, path)[: len(played)]


def level(pcm: np.ndarray) -> float:
    """In dB."""
    return float(10 * np.log10((pcm.astype(float) ** 2).mean() + 1))


def processed(heard: np.ndarray, played: np.ndarray, **options: bool) -> np.ndarray:
    chosen = {"echo_cancel": False, "noise_suppression": False, "auto_gain": False, **options}
    processor = VoiceProcessor(**chosen)
    frames = range(0, len(heard) - 159, 160)
    return np.concatenate([processor.process(heard[n : n + 160], played[n : n + 160]) for n in frames])


@pytest.mark.parametrize("delay_ms", [20, 150, 300])
def test_the_echo_is_gone_within_two_seconds_and_the_operators_voice_stays(delay_ms, capsys):
    played, near = talk(12, 1), talk(12, 3).astype(float)
    near[: 8 * 8000] = 0
    heard = (room(played, delay_ms) + near).astype(np.int16)
    out = processed(heard, played, echo_cancel=True)
    erle = level(heard[16000:64000]) - level(out[16000:64000])
    with capsys.disabled():
        print(f"\n  echo {delay_ms} ms late: {erle:.0f} dB less of it")
    assert erle > LEAST_ERLE_DB
    both = slice(9 * 8000, 12 * 8000)
    assert level(out[both]) > level(near[both].astype(np.int16)) - 6
    assert locate(out[8 * 8000 :], near[10 * 8000 : 11 * 8000].astype(np.int16))[1] > 0.5


def test_steady_noise_is_suppressed_and_a_faint_voice_made_louder():
    rng = np.random.default_rng(3)
    hiss = rng.normal(0, 30, 80000)
    voice = talk(10, 2) / 8
    heard = (hiss + voice).astype(np.int16)
    less = processed(hiss.astype(np.int16), np.zeros_like(heard), noise_suppression=True)
    assert level(less[40000:]) < level(hiss[40000:]) - 8
    more = processed(heard, np.zeros_like(heard), auto_gain=True)
    assert level(more[56000:]) > level(heard[56000:]) + 3


def test_without_the_module_the_microphone_works_and_one_sentence_says_what_is_missing(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    rig.engine.order(OpenSound("none", "none", echo_cancel=True))
    assert rig.fact(SoundChanged).problem == ""  # nothing to process
    rig.engine.order(OpenSound("a microphone", "none", echo_cancel=True))
    problem = rig.fact(SoundChanged, 30).problem
    assert "audio.echo_cancel, noise_suppression and auto_gain need pywebrtc-audio" in problem
    assert "install offhook[echo]." in problem


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason=MISSING)
def test_a_caller_does_not_hear_himself_from_a_loudspeaker_beside_the_microphone(capsys):
    """The loudspeaker's monitor is led into the microphone by the sound server, 60 ms late."""
    with sound_server() as environment, in_environment(environment):
        loop = ["load-module", "module-loopback", "source=phones.monitor", "sink=mic", "latency_msec=60"]
        subprocess.run(["pactl", *loop], check=True, capture_output=True, timeout=30)
        rig = Rig()
        try:
            rig.engine.order(OpenSound("default", "default", echo_cancel=True))
            assert rig.fact(SoundChanged, 30).problem == ""
            name, far = rig.open()
            rig.engine.order(Bridge(name, SOUND))
            ear = Ear("mic.monitor")
            assert ear.hearing.wait(20)
            back: list[np.ndarray] = []
            listener = threading.Thread(target=lambda: back.append(far.receive_pcm(8000 * 8)))
            listener.start()
            said = threading.Thread(target=far.send_pcm, args=(talk(7, 1),))
            said.start()
            voice = np.concatenate((np.zeros(8000 * 4, np.int16), noise(3, 7)))
            command = [*PRIORITY, "pacat", "--device=mic", "--rate=8000", "--channels=1", "--format=s16le",
                       "--raw"]
            subprocess.run(command, input=voice.tobytes(), check=True, timeout=60)
            said.join(30)
            listener.join(30)
            heard, _ = ear.stop()
        finally:
            rig.stop()
    begin = range(8000, 20000, 4000)
    echo = max(level(heard[n : n + 8000]) for n in begin)
    left = min(level(back[0][n : n + 8000]) for n in begin)  # a starved machine has gaps: the best second
    with capsys.disabled():
        print(f"\n  echo: {echo:.0f} dB at the microphone, {left:.0f} dB at the caller")
    assert echo - left > LEAST_ERLE_DB
    pieces = [noise(3, 7)[n : n + 4000] for n in range(4000, 20000, 4000)]
    assert max(locate(back[0][28000:], piece)[1] for piece in pieces) > 0.5
