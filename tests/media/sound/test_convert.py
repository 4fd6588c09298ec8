"""Between a sound device's rate and ours: clean, level, and 4 ms late."""

from __future__ import annotations

import numpy as np
import pytest

from engine.media.sound.convert import LOOK_S, RateConverter

DEVICE_RATES = [11025, 16000, 22050, 32000, 44100, 48000, 96000]
BOTH_WAYS = [(rate, 8000) for rate in DEVICE_RATES] + [(8000, rate) for rate in DEVICE_RATES]


def converted(source: int, target: int, x: np.ndarray, chunk: int) -> np.ndarray:
    converter = RateConverter(source, target)
    return np.concatenate([converter.process(x[at : at + chunk]) for at in range(0, len(x), chunk)])


def tone(hz: float, rate: int, seconds: float = 1.5) -> np.ndarray:
    return np.rint(8000 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def signal_to_noise(pcm: np.ndarray, hz: int) -> float:
    """In dB, of one second of a tone of whole hertz."""
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    peak = power[hz - 5 : hz + 6].sum()
    return float(10 * np.log10(peak / (power.sum() - peak)))


def level(pcm: np.ndarray) -> float:
    """In dB over that of `tone`."""
    return float(20 * np.log10(pcm.astype(float).std() / (8000 / 2**0.5) + 1e-9))


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_a_tone_keeps_its_frequency_and_level_and_gains_no_noise(source, target):
    steady = converted(source, target, tone(1000, source), source // 100)[target // 4 : target // 4 + target]
    assert level(steady) == pytest.approx(0, abs=0.1)
    assert signal_to_noise(steady, 1000) > 55


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_speech_up_to_3700_hz_is_level(source, target):
    for hz in (300, 3400, 3700):
        steady = converted(source, target, tone(hz, source), source // 50)[target // 4 :]
        assert level(steady) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("source", DEVICE_RATES)
def test_nothing_above_half_the_rate_comes_back_as_another_frequency(source):
    for hz in (4600, 5200):
        assert level(converted(source, 8000, tone(hz, source), source // 100)[2000:10000]) < -55


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
@pytest.mark.parametrize("chunk", [7, 80, 441, 960])
def test_all_that_can_be_known_comes_out_at_once_whatever_the_size_of_the_pieces(source, target, chunk):
    converter, given, made = RateConverter(source, target), 0, 0
    for _ in range(40):
        made += len(converter.process(np.zeros(chunk, np.int16)))
        given += chunk
        assert -1 <= given * target / source - made <= 1


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_the_delay_is_four_milliseconds(source, target):
    x = np.zeros(source, np.int16)
    at = int(0.5 * source)
    x[at - source // 1000 : at + source // 1000] = 10000
    out = converted(source, target, x, source // 100).astype(float)
    centre = (np.arange(len(out)) * out**2).sum() / (out**2).sum()
    assert centre / target - 0.5 == pytest.approx(LOOK_S, abs=0.0005)


def test_at_one_rate_nothing_is_changed_or_delayed():
    x = tone(700, 8000)
    assert np.array_equal(converted(8000, 8000, x, 160), x)
