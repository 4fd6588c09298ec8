"""Comfort noise (RFC 3389): its level and its spectrum, both ways."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine.media import codec
from engine.media.comfort import ComfortNoise, describe


def heard(noise: ComfortNoise, frames: int = 50) -> np.ndarray:
    return np.concatenate([noise.frame() for _ in range(frames)]).astype(float)


def bands(x: np.ndarray) -> np.ndarray:
    """The power in four bands of 1 kHz, in dB."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    return np.array([10 * np.log10(part.mean()) for part in np.array_split(power[1:], 4)])


@pytest.mark.parametrize(("octet", "dbov"), [(40, -40), (60, -60), (0x80 | 50, -50), (5, -30)])
def test_comfort_noise_has_the_level_that_it_names_within_bounds(octet, dbov):
    """RFC 3389, 3.1; what would be loud is not believed."""
    noise = ComfortNoise(bytes([octet]))
    heard = np.concatenate([noise.frame() for _ in range(50)]).astype(float)
    assert 20 * np.log10(heard.std() / 32768) == pytest.approx(dbov, abs=1)


@pytest.mark.parametrize("payload", [b"", b"\x7f", b"\x50"])
def test_comfort_noise_that_nobody_could_hear_is_silence(payload):
    assert not ComfortNoise(payload).frame().any()


@pytest.mark.parametrize("colour", [[1.0], [1, 0.9, 0.5], [1, -0.8], [1, 0, -0.7]])
def test_background_noise_described_and_made_anew_has_its_level_and_its_spectrum(colour):
    rng = np.random.default_rng(3)
    background = np.convolve(rng.standard_normal(8000) * 300, colour, "valid").astype(np.int16)
    made = heard(ComfortNoise(describe(background)))
    assert 20 * np.log10(made.std() / background.std()) == pytest.approx(0, abs=1)
    assert bands(made) - bands(made).mean() == pytest.approx(
        bands(background) - bands(background).mean(), abs=2)


def test_reflection_coefficients_shape_the_noise():
    """RFC 3389, 3.2: index 254 is +1 nearly, 0 is -1; the first one tilts the spectrum."""
    dark, bright = (bands(heard(ComfortNoise(bytes([40, index])))) for index in (20, 234))
    assert dark[0] > dark[3] + 10
    assert bright[3] > bright[0] + 10


def test_hostile_payloads_are_noise_within_bounds():
    rng = random.Random(4)
    for _ in range(300):
        noise = ComfortNoise(rng.randbytes(rng.choice((0, 1, 2, 5, 13, 255))))
        made = heard(noise, 4)
        assert np.isfinite(made).all()
        assert made.std() <= 32768 * 10 ** (-30 / 20) * 2.5


def test_silence_is_described_as_silence():
    assert describe(codec.SILENT_PCM)[0] == 127
    assert not ComfortNoise(describe(codec.SILENT_PCM)).frame().any()
