"""G.722 and Opus as 8 kHz audio, in packets of every length."""

from __future__ import annotations

import random

import numpy as np
import pytest
from media_rig import pitch, sine

from engine.media import coders
from engine.media.resample import Decimator, Interpolator

ALL = ("PCMA", "PCMU", "G722", "opus")
WIDE = ("G722", "opus")


def through(name: str, pcm: np.ndarray, ptime_ms: int) -> np.ndarray:
    """Audio encoded tick by tick and decoded again."""
    encoder, decoder = coders.encoder(name, ptime_ms), coders.Decoder()
    pieces = []
    for at in range(0, len(pcm) - 159, 160):
        for payload in encoder.encode(pcm[at : at + 160]):
            pieces.append(decoder.decode(name, payload))
            assert len(pieces[-1]) == coders.duration(name, payload) == encoder.size
    return np.concatenate(pieces)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("name", ALL)
def test_a_tone_keeps_its_pitch_and_level_in_every_codec_and_packet_length(name, ptime_ms):
    heard = through(name, sine(1000, 16000), ptime_ms)
    assert len(heard) >= 16000 - 480
    heard = heard[4000:12000]
    assert pitch(heard) == 1000
    assert 20 * np.log10(heard.std() / sine(1000, 8000).std()) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("hz", [300, 3400])
def test_the_telephone_band_is_flat(name, hz):
    heard = through(name, sine(hz, 16000), 20)[4000:12000]
    assert 20 * np.log10(heard.std() / sine(hz, 8000).std()) == pytest.approx(0, abs=0.7)


def test_what_lies_above_8_khz_audio_does_not_fold_into_it():
    t = np.arange(32000)
    for factor, hz in ((2, 5000), (2, 7000), (6, 5000), (6, 20000)):
        wide = (8000 * np.sin(2 * np.pi * hz * t / (8000 * factor))).astype(np.int16)
        heard = Decimator(factor).process(wide)[500:]
        assert 20 * np.log10(max(heard.std(), 1e-9) / 5657) < -50


def test_resampling_in_blocks_is_as_in_one_piece():
    pcm = sine(777, 1600)
    up, down = Interpolator(2), Decimator(2)
    blocks = np.concatenate([up.process(pcm[at : at + 160]) for at in range(0, 1600, 160)])
    assert np.array_equal(blocks, Interpolator(2).process(pcm))
    back = np.concatenate([down.process(blocks[at : at + 320]) for at in range(0, 3200, 320)])
    assert np.array_equal(back, Decimator(2).process(blocks))


def test_opus_durations():
    """RFC 6716, 3.1 and 3.2: configuration, frame count code, and no packet over 120 ms."""
    cases = {
        b"\x08": 160, b"\x00": 80, b"\x18": 480, b"\x80": 20, b"\x09": 320, b"\x0a": 320,
        b"\x0b\x03": 480, b"\x1b\x02": 960, b"\x1b\x03": 0, b"\x0b": 0, b"\x0b\x00": 0, b"": 0,
    }  # fmt: skip
    assert {payload: coders.duration("opus", payload) for payload in cases} == cases


@pytest.mark.parametrize("name", WIDE)
def test_hostile_payloads_become_as_much_audio_as_they_claim_and_nothing_worse(name):
    rng = random.Random(3)
    decoder = coders.Decoder()
    for _ in range(2000):
        payload = rng.randbytes(rng.choice((0, 1, 2, 3, 20, 160, 1400)))
        assert len(decoder.decode(name, payload)) == coders.duration(name, payload)
    heard = [decoder.decode(name, p) for n in range(50) for p in _tone(name, n)]
    assert pitch(np.concatenate(heard)[2000:]) == pytest.approx(500, abs=10)


_encoders: dict[str, object] = {}


def _tone(name: str, n: int) -> list[bytes]:
    encoder = _encoders.setdefault(name, coders.encoder(name))
    return encoder.encode(sine(500, 8000)[n * 160 : n * 160 + 160])  # type: ignore[attr-defined,no-any-return]


def test_what_can_pass_a_bridge_as_it_is():
    assert coders.passes("PCMA", "PCMU")
    assert coders.passes("opus", "opus")
    assert not coders.passes("G722", "PCMA")
    assert not coders.passes("PCMA", "opus")
