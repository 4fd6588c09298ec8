"""Without the speech model: speech, music and noise by the signal alone, and who answered."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import silence, speech, with_noise
from speech_like import speech_like

from engine.detect.analyzer import Analyzer
from engine.detect.voice import voice_model


def labels(pcm: np.ndarray, answer_ms: int | None = None) -> list[str]:
    analyzer = Analyzer(None, voice_model(signal_only=True))
    out = []
    for at in range(0, len(pcm) - 159, 160):
        if analyzer.now_ms == answer_ms:
            analyzer.answered()
        out += [d.tone.label for d in analyzer.feed(pcm[at : at + 160])]
    return out


def melody(ms: int) -> np.ndarray:
    t = np.arange(ms * 8) / 8000
    step = (t // 0.6).astype(int)
    x = np.zeros(len(t))
    for note in (0, 4, 7):
        hz = 262 * 2 ** ((note + np.array([0, 5, 7, 9, 2])[step % 5]) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / 8000
        x += sum(np.sin(k * phase) / k for k in range(1, 6)) * np.exp(-(t % 0.6))
    return (2500 * x).astype(np.int16)


@pytest.mark.parametrize("pitch", [110, 210])
def test_speech_is_told(pitch: float):
    heard = labels(np.concatenate((silence(500), speech(5000, pitch, 5))))
    assert "prompt" in heard
    assert "colorringback" not in heard


def test_a_melody_is_music_in_noise_too():
    for pcm in (melody(6000), with_noise(melody(6000), -30.0)):
        assert [x for x in labels(pcm) if x in ("prompt", "colorringback")][-1] == "colorringback"


def test_noise_is_neither():
    assert not {"prompt", "colorringback"} & set(labels(with_noise(silence(6000), -25.0)))


def test_a_word_is_a_person_and_a_long_greeting_a_machine():
    word = np.concatenate((silence(1000), speech_like(8, 0.5), silence(2500)))
    long = np.concatenate((silence(1000), speech_like(8, 4.0), silence(2500)))
    assert "human" in labels(word, 400)
    assert "machine" in labels(long, 400)
