"""How soon a tone is named, and that it is not named before it can be nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import MILLIWATT_RMS, Pcm, listen, named, silence, tone

from engine.detect.plans import Burst, Cadence, plan
from engine.detect.types import Tone


def told_at(pcm: Pcm, country: str | None, wanted: Tone) -> int:
    return next(at for d, at in listen(pcm, country) if d.tone is wanted)


def bursts(hz: float, *times: int) -> Pcm:
    """Tone and quiet in turn, in ms."""
    parts = []
    for n, ms in enumerate(times):
        x = 6000 * np.sin(2 * np.pi * hz * np.arange(8 * ms) / 8000)
        parts.append(x.astype(np.int16) if n % 2 == 0 else silence(ms))
    return np.concatenate(parts)


@pytest.mark.parametrize(("country", "which", "latest"), [
    ("cn", "ringback", 1300), ("us", "ringback", 2300), ("uk", "ringback", 1000), ("se", "ringback", 1300),
    ("cn", "busy", 900), ("us", "busy", 1200), ("in", "busy", 1700), ("br", "busy", 1400),
    ("us", "congestion", 900), ("cn", "congestion", 1600), ("uk", "congestion", 1200), ("es", "busy", 1400),
])
@pytest.mark.parametrize("known", [True, False])
def test_a_tone_is_named_as_soon_as_it_can_be_nothing_else(country, which, latest, known):
    cadence = plan(country).cadence(which)
    pcm = np.concatenate((silence(400), tone(cadence, 9000)))
    found = [at for d, at in listen(pcm, country if known else None) if d.tone is not Tone.SINGLE]
    assert found[0] <= 400 + latest + (0 if known else 400)


def test_ringback_joined_in_its_burst_is_told_by_a_gap_no_busy_tone_has():
    pcm = tone(plan("cn").ringback, 9000)[8 * 700 :]
    assert told_at(pcm, "cn", Tone.RINGBACK) <= 300 + 900


@pytest.mark.parametrize("country", ["cn", "us", "de", None])
def test_one_burst_of_a_busy_tones_length_is_none(country):
    assert named(np.concatenate((bursts(450, 350, 500), silence(1000))), country) in ([], ["ringback"])
    assert "busy" not in named(np.concatenate((bursts(450, 350), silence(9000))), country)


def test_two_bursts_without_the_cadences_gap_are_none():
    assert named(np.concatenate((bursts(450, 350, 150, 350), silence(600))), "cn") == []


def test_a_cadence_that_begins_as_another_does_is_waited_for():
    """Brazil's congestion, joined in the rest of its long burst: its first three bursts are those of busy."""
    pcm = bursts(425, 250, 250, 250, 250, 750, 250, 250, 250, 750, 250)
    assert named(pcm, "br") == ["congestion"]


def test_spains_busy_waits_for_the_gap_that_its_congestion_would_have():
    assert told_at(tone(plan("es").busy, 6000), "es", Tone.BUSY) > 1000
    assert named(tone(plan("es").congestion, 6000), "es") == ["congestion"]


def test_after_the_answer_one_beep_of_ringbacks_length_is_no_ringback_until_its_gap():
    from engine.detect.analyzer import Analyzer

    analyzer = Analyzer("cn")
    analyzer.answered()
    found = []
    for frame in np.concatenate((silence(400), bursts(450, 1000), silence(600))).reshape(-1, 160):
        found += analyzer.feed(frame)
    assert Tone.RINGBACK not in [d.tone for d in found]


def test_a_sound_that_is_busy_here_and_congestion_there_is_busy_after_ringback():
    ringback = tone(Cadence("x", Tone.RINGBACK, (425.0,), (Burst(1000, 4000),)), 5000)
    pips = tone(Cadence("x", Tone.BUSY, (425.0,), (Burst(250, 250),)), 5000)
    assert named(np.concatenate((ringback, pips)), None) == ["ringback", "busy"]


def coloured(count: int, slope: float, dbm0: float, seed: int) -> np.ndarray:
    """Noise that falls with frequency by `slope` (1: pink), in a telephone's band."""
    hz = np.fft.rfftfreq(count, 1 / 8000)
    shape = np.where((hz > 150) & (hz < 3600), np.maximum(hz, 1.0) ** (-slope / 2), 0)
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(seed).normal(0, 1, count)) * shape, count)
    return noise * MILLIWATT_RMS * 10 ** (dbm0 / 20) / noise.std()


@pytest.mark.parametrize("below", [20, 7])
@pytest.mark.parametrize("slope", [1.0, 2.0])
@pytest.mark.parametrize(("country", "which"), [("cn", "busy"), ("de", "ringback"), ("us", "congestion")])
def test_noise_that_is_strongest_where_the_tones_are_hides_none(country, which, slope, below):
    cadence = plan(country).cadence(which)
    pcm = np.concatenate((silence(900), tone(cadence, 12000, -20)))
    noisy = np.clip(pcm + coloured(len(pcm), slope, -20 - below, 3), -32768, 32767).astype(np.int16)
    assert set(named(noisy, country)) == {cadence.tone.label}


@pytest.mark.parametrize(("heard", "which", "given"), [
    ("us", "busy", "de"), ("de", "ringback", "us"), ("uk", "congestion", "cn"), ("cn", "busy", "us"),
])
def test_another_countrys_tone_is_told_too_once_it_has_been_shown_one_time_more(heard, which, given):
    """Ported numbers, and trunks abroad that make the tones themselves."""
    cadence = plan(heard).cadence(which)
    pcm = tone(cadence, 14000)
    assert named(pcm, given) == [cadence.tone.label]
    assert told_at(pcm, given, cadence.tone) > told_at(pcm, heard, cadence.tone)


@pytest.mark.parametrize("country", ["fr", "de", None])
def test_one_burst_and_its_gap_and_then_another_sound_are_no_busy_tone(country):
    hz = plan(country or "fr").busy.frequencies[0]
    on = plan(country or "fr").busy.bursts[0].on_ms
    t = np.arange(8 * 1500) / 8000
    glide = 5000 * np.sin(2 * np.pi * (hz - 25) * t + 40 * t**2) + 2500 * np.sin(2 * np.pi * 610 * t)
    pcm = np.concatenate((bursts(hz, on, on), glide.astype(np.int16), silence(1000)))
    assert "busy" not in named(pcm, country)


def note(ms: int, *parts: tuple[float, float]) -> np.ndarray:
    t = np.arange(8 * ms) / 8000
    return sum(level * np.sin(2 * np.pi * hz * t) for hz, level in parts).astype(np.int16)


@pytest.mark.parametrize("second", [((430.0, 8000.0),), ((441.0, 4500.0), (415.0, 3500.0))])
def test_one_burst_and_its_gap_and_then_notes_near_its_height_are_no_busy_tone(second):
    """Russia's busy lasts 350 ms: a note 5 Hz above, stronger, or two beside it are not its own."""
    music = np.concatenate((note(330, *second), silence(110), note(900, *second), silence(1000)))
    busy = note(350, (425.0, 5000.0))
    assert "busy" not in named(np.concatenate((silence(300), busy, silence(350), music)), "ru")


def test_bursts_that_lost_packets_have_made_unlike_each_other_are_busy_after_three():
    pcm = bursts(425, *[350] * 12)
    rng = np.random.default_rng(5)
    for at in range(0, len(pcm) - 159, 160):
        pcm[at : at + 160] = pcm[at : at + 160] * rng.uniform(0.5, 1.0)
    assert named(pcm, "ru") == ["busy"]


def test_busy_goes_on_being_busy_though_a_burst_of_it_begins_a_little_off():
    """What is busy in the given country is congestion in another, at a height 11 Hz lower."""
    rings, busy = bursts(425, 1000, 4000, 1000, 900), bursts(425, *[250] * 8)
    off = note(150, (395, 2300.0))
    busy[8 * 1500 : 8 * 1500 + len(off)] += off
    assert named(np.concatenate((rings, busy)), "mx") == ["ringback", "busy"]
