"""Two clocks that disagree: neither delay nor silence may grow out of it."""

from __future__ import annotations

import numpy as np
import pytest
from media_rig import sine

from engine.media.drift import MAX_TRIM, DriftControl, Stretcher
from engine.media.sound import Loudspeaker, Microphone


@pytest.mark.parametrize("chunk", [1, 7, 80, 160, 441])
def test_at_its_own_speed_audio_passes_unchanged_but_for_eight_samples(chunk):
    stretcher = Stretcher()
    x = sine(1000, 4410)
    out = np.concatenate([stretcher.process(x[at : at + chunk]) for at in range(0, len(x), chunk)])
    assert abs(len(out) - len(x)) <= 16
    best = min(np.abs(out[n : n + 4000].astype(int) - x[:4000]).max() for n in range(16))
    assert best <= 1


@pytest.mark.parametrize("ratio", [1 - MAX_TRIM, 1 + MAX_TRIM])
def test_trimmed_audio_has_the_length_asked_for_and_stays_clean(ratio):
    stretcher = Stretcher()
    stretcher.trim = ratio
    out = np.concatenate([stretcher.process(sine(1000, 80000)[at : at + 160]) for at in range(0, 80000, 160)])
    assert len(out) == pytest.approx(80000 / ratio, abs=20)
    spectrum = np.abs(np.fft.rfft(out[1000:65000] * np.hanning(64000)))
    peak = int(spectrum.argmax())
    assert peak * 8000 / 64000 == pytest.approx(1000 * ratio, abs=0.3)
    around = spectrum[peak - 8 : peak + 9]
    noise = (spectrum**2).sum() - (around**2).sum()
    assert 10 * np.log10((around**2).sum() / noise) > 50


@pytest.mark.parametrize(("source", "target"), [(48000, 8000), (44100, 8000), (8000, 48000), (8000, 44100)])
def test_conversion_between_rates_is_clean_and_gives_all_it_can_at_once(source, target):
    stretcher = Stretcher(source, target)
    x = (8000 * np.sin(2 * np.pi * 1000 * np.arange(source * 2) / source)).astype(np.int16)
    chunk = source // 100
    made, out = 0, []
    for n, at in enumerate(range(0, len(x), chunk), 1):
        out.append(stretcher.process(x[at : at + chunk]))
        made += len(out[-1])
        assert abs(made - n * chunk * target / source) <= 18 * max(1, target / source)
    steady = np.concatenate(out)[target // 2 : target // 2 + target]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(target))) ** 2
    peak = spectrum[995:1006].sum()
    assert 10 * np.log10(peak / (spectrum.sum() - peak)) > 45


def test_nothing_above_half_the_rate_comes_back_as_another_frequency():
    x = (8000 * np.sin(2 * np.pi * 6500 * np.arange(48000) / 48000)).astype(np.int16)
    out = Stretcher(48000, 8000).process(x).astype(float)[100:]
    assert 20 * np.log10(out.std() / 5657) < -45


def test_far_too_much_is_thrown_away_and_a_little_is_trimmed():
    control = DriftControl(80, 320)
    assert control.update(90) == (1.0, 0)
    assert control.update(80 + 1000) == (1.0, 1000)
    assert control.update(80 + 200) == (1 + MAX_TRIM, 0)
    assert 1 - MAX_TRIM <= control.update(0)[0] < 1


@pytest.mark.parametrize("ppm", [-400, 0, 400])
def test_a_microphone_with_another_clock_neither_underruns_nor_lags(ppm):
    """Ten minutes of a card that is off by as much as cheap cards are."""
    microphone = Microphone()
    take = microphone.callback(8000, 1)
    chunk = sine(500, 80).tobytes()
    due, held = 0.0, []
    for tick in range(30000):
        now = tick * 0.02
        while due <= now:
            take(chunk, 80, None, 0)
            due += 0.01 / (1 + ppm / 1e6)
        microphone.pull(now)
        held.append(len(microphone._fifo))
    assert microphone.underruns <= 1
    assert max(held[3000:]) < 400


@pytest.mark.parametrize("ppm", [-400, 0, 400])
@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_loudspeaker_with_another_clock_neither_underruns_nor_lags(rate, ppm):
    speaker = Loudspeaker()
    give = speaker.callback(rate, 1)
    frame = sine(500, 160)
    due, held = 0.0, []
    for tick in range(15000):
        now = tick * 0.02
        speaker.push(frame)
        while due <= now:
            out, _ = give(None, rate // 100, None, 0)
            assert len(out) == rate // 100 * 2
            due += 0.01 / (1 + ppm / 1e6)
        held.append((speaker._queued - speaker._taken) / 2 / rate * 8000)
    assert speaker.underruns <= 1
    assert max(held[3000:]) < 500


def test_a_loudspeaker_that_stalls_does_not_lag_afterwards():
    speaker = Loudspeaker()
    give = speaker.callback(8000, 1)
    for _ in range(500):
        speaker.push(sine(500, 160))
    assert speaker._queued - speaker._taken <= 9 * 320
    for _ in range(200):
        speaker.push(sine(500, 160))
        give(None, 80, None, 0)
        give(None, 80, None, 0)
    assert speaker._queued - speaker._taken <= 1600


def test_a_flood_from_a_broken_device_is_bounded():
    microphone = Microphone()
    take = microphone.callback(8000, 1)
    for _ in range(10000):
        take(bytes(160), 80, None, 0)
    assert len(microphone._chunks) <= 100
