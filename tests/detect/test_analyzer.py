from __future__ import annotations

import numpy as np
import pytest
from line_sounds import listen, named, silence, speech, tone, with_noise

from engine.detect.analyzer import Analyzer
from engine.detect.plans import Cadence, PlanError, plan, plans
from engine.detect.types import Tone
from engine.media import codec

CADENCES = [pytest.param(c, id=f"{c.country}-{c.tone.label}") for p in plans().values() for c in p.cadences]


@pytest.mark.parametrize("cadence", CADENCES)
def test_each_plans_tone_is_named_once_with_the_country_known(cadence: Cadence):
    pcm = np.concatenate((silence(300), tone(cadence, 14000)))
    assert named(pcm, cadence.country) == [cadence.tone.label]


@pytest.mark.parametrize("cadence", CADENCES)
def test_each_plans_tone_is_named_from_its_very_first_frame_on(cadence: Cadence):
    assert named(tone(cadence, 14000), cadence.country) == [cadence.tone.label]


@pytest.mark.parametrize("cadence", CADENCES)
def test_joining_in_mid_burst_costs_a_cycle_and_nothing_else(cadence: Cadence):
    pcm = tone(cadence, 20000)[int(cadence.bursts[0].on_ms * 8 * 0.6) :]
    assert named(pcm, cadence.country) == [cadence.tone.label]


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
@pytest.mark.parametrize("level", [-40, -25, 0])
@pytest.mark.parametrize("which", ["ringback", "busy", "congestion"])
@pytest.mark.parametrize("country", ["cn", "us", "jp", "uk"])
def test_levels_from_full_to_faint_and_both_laws_make_no_difference(country, which, level, law):
    cadence = plan(country).cadence(which)
    pcm = np.concatenate((silence(137), tone(cadence, 12000, level)))
    assert named(codec.decode(law, codec.encode(law, pcm)), country) == [cadence.tone.label]


@pytest.mark.parametrize("which", ["ringback", "busy", "congestion"])
@pytest.mark.parametrize("country", ["cn", "us", "za", "br"])
def test_noise_fifteen_db_below_the_tone_makes_no_difference(country, which):
    cadence = plan(country).cadence(which)
    pcm = with_noise(np.concatenate((silence(1500), tone(cadence, 15000, -20))), -35)
    assert named(pcm, country) == [cadence.tone.label]


@pytest.mark.parametrize(("country", "which", "latest"), [
    ("cn", "ringback", 1900), ("cn", "busy", 1500), ("cn", "congestion", 2800),
    ("us", "congestion", 1050), ("us", "ringback", 2900), ("uk", "ringback", 1900), ("fr", "busy", 2050),
])
def test_a_verdict_falls_no_later_than_the_cadence_allows(country, which, latest):
    """In stream time, which no machine's speed changes."""
    cadence = plan(country).cadence(which)
    found = [when for d, when in listen(tone(cadence, 9000), country) if d.tone is cadence.tone]
    assert found[0] <= latest


@pytest.mark.parametrize("cadence", CADENCES)
def test_with_the_country_unknown_a_tone_is_named_by_some_country_that_has_it(cadence: Cadence):
    (detection, _), = [(d, at) for d, at in listen(tone(cadence, 14000), None) if d.tone is not Tone.SINGLE]
    if detection.tone is not cadence.tone:
        assert "otherwise" in detection.why
        assert detection.confidence < 0.7
        other = plan(detection.plan).cadence(detection.tone.label)
        assert abs(other.frequencies[0] - cadence.frequencies[0]) <= 10
        assert abs(other.bursts[0].on_ms - cadence.bursts[0].on_ms) <= 60


def test_unknown_country_and_a_sound_of_two_meanings_gets_the_commoner_one():
    """425 Hz 250/250: busy in Brazil, Mexico and Sweden, congestion in Singapore and five others."""
    (detection, _), = listen(tone(plan("br").busy, 8000), None)
    assert detection.tone is Tone.CONGESTION
    assert "425 Hz" in detection.why


@pytest.mark.parametrize("country", ["cn", "uk", "us", "de", None])
@pytest.mark.parametrize("pitch", [100, 150, 210])
def test_speech_is_no_cadence_and_no_silence(country, pitch):
    assert named(speech(30000, pitch, int(pitch)), country) == []


def test_white_noise_is_nothing():
    assert listen(with_noise(silence(20000), -20), None) == []


@pytest.mark.parametrize("hz", [350, 500, 697, 1000, 2000])
def test_beeps_at_frequencies_of_no_plan_are_nothing(hz):
    burst = (8000 * np.sin(2 * np.pi * hz * np.arange(2800) / 8000)).astype(np.int16)
    pcm = np.tile(np.concatenate((burst, silence(350))), 12)
    assert named(pcm, None) == []


def test_a_steady_plan_tone_is_told_as_a_tone_without_a_cadence():
    pcm = (8000 * np.sin(2 * np.pi * 450 * np.arange(8 * 6000) / 8000)).astype(np.int16)
    labels = [d.tone.label for d, _ in listen(pcm, "cn")]
    assert labels == ["450hz", "dial"]


def test_ringback_then_busy_are_two_detections_in_order():
    pcm = np.concatenate((tone(plan("cn").ringback, 10000), tone(plan("cn").busy, 5000)))
    assert named(pcm, "cn") == ["ringback", "busy"]


def test_ringback_speech_ringback_is_told_twice():
    ringback = tone(plan("cn").ringback, 10000)
    pcm = np.concatenate((ringback, speech(4000, 130, 5), ringback))
    assert named(pcm, "cn") == ["ringback", "ringback"]


def test_the_gap_of_ringback_is_not_silence_but_what_follows_it_is():
    pcm = np.concatenate((tone(plan("cn").ringback, 10000), silence(7000)))
    found = [d for d, _ in listen(pcm, "cn") if d.tone is not Tone.SINGLE]
    assert [d.tone.label for d in found] == ["ringback", "silence"]
    assert found[1].begin_ms == pytest.approx(6000, abs=40)


def test_silence_is_told_once_after_two_seconds():
    (detection, when), = listen(silence(10000), "cn")
    assert detection.tone is Tone.SILENCE
    assert (detection.begin_ms, detection.end_ms, when) == (0, 2000, 2000)


def test_the_quietest_code_of_a_law_is_silence():
    pcm = np.tile(codec.decode("PCMA", codec.SILENCE["PCMA"]), 150)
    assert [d.tone.label for d, _ in listen(pcm, None)] == ["silence"]


def test_a_detection_says_where_and_what_in_numbers():
    pcm = np.concatenate((silence(1000), tone(plan("cn").busy, 4000)))
    found = next(d for d, _ in listen(pcm, "cn") if d.tone is Tone.BUSY)
    assert found.begin_ms == pytest.approx(1000, abs=25)
    assert found.plan == "cn"
    assert found.confidence > 0.9
    assert "450 Hz" in found.why
    assert "350/350" in found.why


def test_what_is_heard_now_follows_the_line():
    analyzer = Analyzer("cn")
    seen = []
    for at in range(0, 8 * 16000, 160):
        pcm = tone(plan("cn").ringback, 8000)
        analyzer.feed(pcm[at : at + 160] if at < len(pcm) else silence(20))
        if not seen or seen[-1] != analyzer.current:
            seen.append(analyzer.current)
    assert seen == ["", "450hz", "", "ringback", "silence"]


def test_lost_frames_inside_a_burst_do_not_split_it():
    pcm = tone(plan("cn").ringback, 12000).copy()
    for at in range(8 * 300, len(pcm), 8 * 900):
        pcm[at : at + 320] = 0
    assert named(pcm, "cn") == ["ringback"]


def test_a_country_without_a_plan_is_refused():
    with pytest.raises(PlanError):
        Analyzer("zz")
