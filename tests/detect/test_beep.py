"""The beep that ends a greeting: told at any height, in noise, and told from vowels."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import MILLIWATT_RMS, Pcm, silence, with_noise

from engine.detect.beep import Beep
from engine.detect.pure import SIZE, PureTones, spectra


def beep(hz: float, ms: int, dbm0: float = -15.0) -> Pcm:
    t = np.arange(ms * 8) / 8000
    return (MILLIWATT_RMS * 2**0.5 * 10 ** (dbm0 / 20) * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def vowel(hz: float, ms: int) -> Pcm:
    """A high voice's: nearly all of it is the second harmonic, and the pitch trembles as voices do."""
    t = np.arange(ms * 8) / 8000
    pitch = hz / 2 * (1 + 0.006 * np.sin(2 * np.pi * 9 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / 8000
    x = 0.25 * np.sin(phase) + np.sin(2 * phase) + 0.2 * np.sin(3 * phase) + 0.1 * np.sin(5 * phase)
    return (6000 * x).astype(np.int16)


def told(pcm: Pcm, spoke: bool) -> list[int]:
    """When beeps are told, in ms; whether somebody `spoke` until then."""
    tones, listener = PureTones(), Beep()
    held = np.concatenate((np.zeros(SIZE - 160), pcm)).astype(np.float32)
    out = []
    for at in range(0, len(pcm) - 159, 160):
        now = at // 8 + 20
        spectrum = spectra(held[None, at : at + SIZE])[0]
        tones.feed(spectrum, now)
        if listener.look(tones, spectrum, now if spoke else -1e9, now) is not None:
            out.append(now)
    return out


@pytest.mark.parametrize("hz", [400, 425, 500, 700, 1000, 1400, 2000, 2400])
@pytest.mark.parametrize("ms", [100, 300, 1000])
def test_a_beep_is_told_once_within_a_quarter_of_a_second(hz: int, ms: int):
    for pcm in (beep(hz, ms), beep(hz, ms, -40.0)):
        at = told(np.concatenate((silence(500), pcm, silence(500))), spoke=False)
        assert len(at) == 1
        assert at[0] - 500 <= 250


@pytest.mark.parametrize("hz", [440, 1000, 2200])
def test_noise_five_db_down_hides_no_beep(hz: int):
    sound = np.concatenate((silence(500), beep(hz, 400, -15.0), silence(500)))
    assert len(told(with_noise(sound, -20.0), spoke=False)) == 1


@pytest.mark.parametrize("hz", [390, 420, 450, 500])
def test_a_vowel_within_speech_is_no_beep(hz: int):
    assert told(np.concatenate((silence(200), vowel(hz, 160), silence(200))), spoke=True) == []


def test_a_low_beep_right_after_a_word_is_told_by_its_purity():
    assert len(told(np.concatenate((silence(500), beep(440, 400), silence(300))), spoke=True)) == 1


@pytest.mark.parametrize("hz", [430, 700, 1300, 2350])
def test_a_beep_weaker_than_the_line_s_noise_is_told_where_nobody_speaks(hz: int):
    sound = np.concatenate((silence(1000), beep(hz, 400, -20.0), silence(1000)))
    at = told(with_noise(sound, -19.0), spoke=False)
    assert len(at) == 1
    assert at[0] - 1000 <= 300


def test_noise_alone_and_the_notes_of_a_melody_are_no_beeps():
    assert told(with_noise(silence(20_000), -15.0), spoke=False) == []
    t = np.arange(8000 * 4) / 8000
    chord = sum(np.sin(2 * np.pi * hz * k * t) / k for hz in (330, 415, 494) for k in (1, 2, 3, 4, 5, 6))
    assert told((2500 * np.asarray(chord)).astype(np.int16), spoke=False) == []
