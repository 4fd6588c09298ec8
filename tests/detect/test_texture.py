"""What tells music from speech, noise and a network's tones."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import MILLIWATT_RMS, silence, speech

from engine.detect.analyzer import Analyzer
from engine.detect.pure import SIZE, spectra
from engine.detect.texture import Movement, Notes

Floats = np.ndarray
RATE = 8000
SECONDS = 4


def noise(slope: float, dbm0: float) -> Floats:
    """Noise in a telephone's band whose power falls with frequency to the `slope`."""
    rng = np.random.default_rng(int(10 * slope))
    spectrum = np.fft.rfft(rng.normal(0, 1, SECONDS * RATE))
    hz = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)
    x = np.fft.irfft(spectrum / np.maximum(hz, 60) ** (slope / 2) * (hz > 150) * (hz < 3500))
    return np.asarray(x / np.sqrt((x**2).mean()) * MILLIWATT_RMS * 10 ** (dbm0 / 20))


def busy() -> Floats:
    t = np.arange(SECONDS * RATE) / RATE
    return np.asarray(MILLIWATT_RMS * 2**0.5 * 0.1 * np.sin(2 * np.pi * 425 * t) * (t % 0.5 < 0.25))


def chords() -> Floats:
    """Half a second each, with five partials a note."""
    t = np.arange(SECONDS * RATE) / RATE
    x = np.zeros(len(t))
    for note in (0, 4, 7):
        hz = 262 * 2 ** ((note + np.array([0, 5, 7, 2])[(t // 0.5).astype(int) % 4]) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / RATE
        x += sum(np.sin(k * phase) / k for k in range(1, 6))
    return np.asarray(x / np.sqrt((x**2).mean()) * MILLIWATT_RMS * 0.15)


def movement(x: Floats) -> int:
    moves = Movement()
    for at in range(0, len(x) - SIZE + 1, 160):
        moves.feed(spectra(x[None, at : at + SIZE].astype(np.float32))[0].power)
    return moves.count


def notes(x: Floats) -> bool:
    return listened(x).heard


def listened(x: Floats) -> Notes:
    heard = Notes()
    for at in range(0, len(x) - 159, 160):
        frame = x[at : at + 160].astype(np.float32)
        if np.abs(frame).max() > 100:
            heard.feed(frame)
        else:
            heard.pause()
    return heard


@pytest.mark.parametrize("slope", [0, 1, 5 / 3, 2])
def test_noise_of_any_colour_does_not_move_nor_does_a_tone_that_pulses_through_it(slope: float):
    assert movement(noise(slope, -26)) == 0
    assert movement(noise(slope, -26) + busy()) == 0


def test_music_moves_and_its_notes_are_heard_in_noise_too():
    for x in (chords(), chords() + noise(1, -28)):
        assert movement(x) >= 3
        assert notes(x)


def test_a_melody_under_much_noise_has_lines_that_change_where_noise_and_a_tone_have_none():
    assert listened(chords() + noise(0, -22)).changing()
    for x in (noise(0, -22), noise(1, -22) + busy(), busy()):
        assert not listened(x).changing()


def test_mains_hum_through_a_law_s_steps_is_no_music():
    t = np.arange(SECONDS * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 3, 5, 7)) * 1200
    coarse = np.sign(hum) * np.round(np.abs(hum) / 64) * 64
    assert not listened(coarse).changing()
    assert not notes(coarse)


@pytest.mark.parametrize("pitch", [110, 190, 300])
def test_speech_moves_but_has_no_notes(pitch: float):
    x = speech(SECONDS * 1000, pitch, 3).astype(float)
    assert movement(x) >= 3
    assert not notes(x)


def test_a_monotonous_voice_has_pauses_that_notes_have_not():
    t = np.arange(SECONDS * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 16)) * 2500
    assert notes(np.asarray(voice))
    assert not notes(np.asarray(voice * (t % 0.7 < 0.5)))


class NoSpeech:
    """A model to which nothing is speech."""

    def probability(self, chunk: object) -> float:
        return 0.0

    def reset(self) -> None:
        pass


def test_what_moved_before_a_pause_makes_steady_hum_after_it_no_music():
    moving = speech(1000, 150, 3)
    t = np.arange(8 * 6000) / 8000
    hum = (900 * sum(np.sin(2 * np.pi * 50 * n * t + n) / n for n in range(1, 9))).astype(np.int16)
    pcm = np.concatenate((moving, silence(4000), hum))
    analyzer = Analyzer(None, NoSpeech())
    heard = [d.tone.label for at in range(0, len(pcm) - 159, 160) for d in analyzer.feed(pcm[at : at + 160])]
    assert "colorringback" not in heard
