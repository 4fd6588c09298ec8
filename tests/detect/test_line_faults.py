"""What lines do to tones: wrong speed, joining in the middle, noise around a fax machine's tone."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import Pcm, named, silence, tone, with_noise

from engine.detect.analyzer import Analyzer
from engine.detect.plans import plan
from engine.detect.synth import render_cycle


class NoSpeech:
    """A model to which nothing is speech."""

    def probability(self, chunk: object) -> float:
        return 0.0

    def reset(self) -> None:
        pass


def faster(pcm: Pcm, by: float) -> Pcm:
    at = np.arange(int(len(pcm) / by)) * by
    return np.interp(at, np.arange(len(pcm)), pcm).astype(np.int16)


def labels_of(pcm: Pcm) -> list[str]:
    analyzer = Analyzer(None, NoSpeech())
    return [d.tone.label for at in range(0, len(pcm) - 159, 160) for d in analyzer.feed(pcm[at : at + 160])]


@pytest.mark.parametrize("speed", [0.975, 1.025])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("country", ["it", "cn", "us", "uk"])
def test_ringback_of_a_line_whose_speed_is_off_is_ringback(country: str, known: bool, speed: float):
    pcm = faster(np.concatenate((silence(300), tone(plan(country).ringback, 14000))), speed)
    assert named(pcm, country if known else None) == ["ringback"]


def test_the_rest_of_a_long_burst_that_was_joined_is_not_taken_for_a_short_one():
    """Brazil's congestion, 250/250/750/250, heard from late in its long burst on, begins like its busy."""
    congestion = plan("br").congestion
    assert [b.on_ms for b in congestion.bursts] == [250, 750]
    pcm = np.tile(render_cycle(congestion, -13), 8)[8 * (500 + 750 - 240) :]
    assert named(pcm, "br") == ["congestion"]


def test_a_calling_fax_machine_in_noise_is_no_music():
    burst = (4000 * np.sin(2 * np.pi * 1100 * np.arange(4000) / 8000)).astype(np.int16)
    pcm = np.tile(np.concatenate((burst, silence(3000))), 3)
    assert "fax" in labels_of(with_noise(np.concatenate((silence(1200), pcm)), -32))
    assert "colorringback" not in labels_of(with_noise(np.concatenate((silence(1200), pcm)), -32))


@pytest.mark.parametrize("seed", range(8))
def test_special_information_tones_of_a_line_that_loses_packets_are_told(seed: int):
    """A tenth of them, each made up for with the one before at half its level."""
    sent = (914, 274), (1371, 274), (1777, 380)
    parts = [np.sin(2 * np.pi * hz * np.arange(8 * ms) / 8000) for hz, ms in sent]
    x = np.concatenate((np.zeros(1600), 4000 * np.concatenate(parts), np.zeros(3200)))
    lost = np.random.default_rng(seed).random(len(x) // 160) < 0.1
    for at in range(160, len(x) - 159, 160):
        if lost[at // 160]:
            x[at : at + 160] = x[at - 160 : at] / 2
    assert "sit" in labels_of(x.astype(np.int16))


def test_a_chord_that_holds_a_dial_tones_note_among_others_is_no_dial_tone():
    t = np.arange(8 * 4000) / 8000
    chord = (4000 * (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 523 * t))).astype(np.int16)
    assert "dial" not in labels_of(chord)


@pytest.mark.parametrize("level", [-62, -70])
def test_what_is_too_weak_to_be_looked_at_changes_nothing_of_what_follows(level: int):
    busy = tone(plan("cn").busy, 4000)
    weak = named(np.concatenate([with_noise(silence(1000), level), busy] * 2), "cn")
    assert weak == named(np.concatenate([silence(1000), busy] * 2), "cn") == ["busy", "busy"]


def with_losses(pcm: Pcm, share: float, seed: int) -> Pcm:
    """Packets that nothing makes up for."""
    lossy = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).copy()
    lossy[np.random.default_rng(seed).random(len(lossy)) < share] = 0
    return lossy.reshape(-1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("country", "which"), [("uk", "ringback"), ("cn", "ringback"), ("us", "busy")])
def test_holes_that_lost_packets_leave_in_a_lines_noise_make_it_no_other_sound(country, which, seed):
    pcm = np.concatenate((silence(300), tone(getattr(plan(country), which), 12000)))
    assert named(with_losses(with_noise(pcm, -32, seed), 0.08, seed), country)[:1] == [which]


def calling_fax() -> Pcm:
    burst = (4000 * np.sin(2 * np.pi * 1115 * np.arange(4000) / 8000)).astype(np.int16)
    return np.concatenate((silence(1200), *[burst, silence(3000)] * 3))


@pytest.mark.parametrize("seed", range(4))
def test_a_calling_fax_machine_is_told_in_noise_that_has_short_lines_of_its_own(seed: int):
    """Noise as a mobile's codec leaves it: it whistles for a frame or two, at the tone's height too."""
    pcm, rng = calling_fax().astype(np.float64), np.random.default_rng(seed)
    for at in range(0, len(pcm) - 319, 960):
        whistle = rng.choice((400.0, 700.0, 1100.0, 2000.0)) + rng.uniform(-60, 60)
        pcm[at : at + 320] += 1000 * np.sin(2 * np.pi * whistle * np.arange(320) / 8000)
    assert "fax" in labels_of(with_noise(pcm.astype(np.int16), -32, seed))


@pytest.mark.parametrize("seed", range(4))
def test_a_calling_fax_machine_is_told_where_packets_are_lost_and_made_up_for(seed: int):
    pcm, rng = calling_fax(), np.random.default_rng(seed)
    for at in range(160, len(pcm) - 159, 160):
        if rng.random() < 0.1:
            pcm[at : at + 160] = pcm[at - 160 : at]
    assert "fax" in labels_of(with_noise(pcm, -50, seed))


def test_a_note_of_a_calling_fax_machines_height_and_length_in_a_tune_is_none():
    notes = [(784, 400), (988, 500), (1100, 500), (880, 500), (784, 700), (1100, 500), (660, 900)]
    tune = [4000 * np.sin(2 * np.pi * hz * np.arange(8 * ms) / 8000) for hz, ms in notes]
    pcm = np.concatenate((*tune, np.zeros(8000)))
    assert "fax" not in labels_of(with_noise(pcm.astype(np.int16), -40))


@pytest.mark.parametrize("before", [55, 80])
def test_noise_that_lies_in_the_tones_band_for_a_moment_before_a_burst_does_not_lengthen_it(before: int):
    """A noise is heard anew wherever a weaker comfort noise filled a lost packet before it."""
    cycle = np.concatenate((silence(200), tone(plan("pt").congestion, 200, -12.0)))
    at = 8 * (200 - before)
    cycle[at : at + 200] = 80 * np.sin(2 * np.pi * 450 * np.arange(200) / 8000)
    assert named(np.concatenate((silence(400), np.tile(cycle, 10), silence(200))), "pt") == ["congestion"]


@pytest.mark.parametrize("lost", [(14,), (10, 16), (12, 20), (8, 14), (3, 12, 20)])
def test_packets_that_were_repeated_make_a_burst_neither_noise_nor_hide_the_next(lost: tuple[int, ...]):
    """20 ms of 425 Hz are eight and a half periods: what is repeated turns the tone's phase about."""
    burst = tone(plan("de").ringback, 5000)
    spoilt = burst.copy()
    for frame in lost:
        spoilt[frame * 160 : frame * 160 + 160] = spoilt[frame * 160 - 160 : frame * 160]
    assert named(np.concatenate((silence(300), burst, spoilt, burst)), None) == ["ringback"]


def test_ringback_whose_gap_is_longer_than_any_plans_is_one_ringback_without_silence():
    burst = tone(plan("cn").ringback, 1000)
    pcm = np.concatenate([piece for _ in range(3) for piece in (burst, silence(5400))])
    assert "silence" not in named(pcm, None)
