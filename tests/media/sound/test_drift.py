"""Two clocks that disagree: neither delay nor silence may grow out of it."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from media_rig import sine

from engine.media.sound.drift import MAX_TRIM, DriftControl, Stretcher
from engine.media.sound.host import Input, Output
from engine.media.sound.loudspeaker import Loudspeaker
from engine.media.sound.microphone import Microphone


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


def test_far_too_much_is_thrown_away_and_a_little_is_trimmed():
    control = DriftControl(80, 320)
    assert control.update(90) == (1.0, 0)
    assert control.update(80 + 1000) == (1.0, 1000)
    assert control.update(80 + 200) == (1 + MAX_TRIM, 0)
    assert 1 - MAX_TRIM <= control.update(0)[0] < 1


def ends(make, **kind):
    """One end of ours and the socket of its process, as between `sound_process` and `sound_host`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return make(ours, **kind), theirs


@pytest.mark.parametrize("ppm", [-400, 400])
def test_a_microphone_with_another_clock_neither_underruns_nor_lags(ppm):
    """Three minutes of a card that is off by as much as cheap cards are."""
    microphone, theirs = ends(Microphone)
    take = Input(theirs).callback(8000, 1)
    chunk = sine(500, 80).tobytes()
    due, held = 0.0, []
    for tick in range(9000):
        now = tick * 0.02
        while due <= now:
            take(chunk, 80, None, 0)
            due += 0.01 / (1 + ppm / 1e6)
        microphone.pull()
        held.append(microphone.waiting)
    assert microphone.underruns <= 1
    assert max(held[3000:]) < 400


@pytest.mark.parametrize("ppm", [-400, 400])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2)])
def test_a_loudspeaker_with_another_clock_neither_underruns_nor_lags(rate, channels, ppm):
    speaker, theirs = ends(Loudspeaker, rate=rate, channels=channels)
    output = Output(theirs)
    give = output.callback(rate, channels)
    frame = sine(500, 160)
    due, held = 0.0, []
    for tick in range(5000):
        now = tick * 0.02
        speaker.push(frame)
        while due <= now:
            out, _ = give(None, rate // 100, None, 0)
            assert len(out) == rate // 100 * 2 * channels
            due += 0.01 / (1 + ppm / 1e6)
        held.append(len(output.waiting) / 2 / channels / rate * 8000)
    assert speaker.underruns <= 1
    assert max(held[3000:]) < 500


def test_a_loudspeaker_that_stalls_does_not_lag_afterwards():
    speaker, theirs = ends(Loudspeaker)
    output = Output(theirs)
    give = output.callback(8000, 1)
    for _ in range(500):
        speaker.push(sine(500, 160))
    give(None, 80, None, 0)
    assert len(output.waiting) <= 8 * 320
    for _ in range(200):
        speaker.push(sine(500, 160))
        give(None, 80, None, 0)
        give(None, 80, None, 0)
    assert len(output.waiting) <= 1600


def test_a_flood_from_a_broken_device_is_bounded():
    microphone, theirs = ends(Microphone)
    take = Input(theirs).callback(8000, 1)
    for _ in range(10000):
        take(bytes(160), 80, None, 0)
    microphone.pull()
    assert microphone.waiting <= 100 * 80


def test_an_end_whose_process_has_died_gives_silence_and_takes_what_it_is_given():
    microphone, theirs = ends(Microphone)
    theirs.close()
    assert not microphone.pull().any()
    speaker, theirs = ends(Loudspeaker)
    theirs.close()
    for _ in range(50):
        speaker.push(sine(500, 160))
