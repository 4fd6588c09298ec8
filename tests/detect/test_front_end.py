"""Frames looked at many at once: what is heard in them does not depend on how many."""

from __future__ import annotations

import numpy as np
from key_sounds import key_sounds
from line_sounds import listen, silence, speech, tone, with_noise

from engine.detect.analyzer import Analyzer, look_at_each
from engine.detect.front import Front
from engine.detect.plans import plan
from engine.detect.types import Tone


def calls() -> list[np.ndarray]:
    """Three of one length, with something for every part of the analyzer."""
    ringing = with_noise(tone(plan("uk").cadence("ringback"), 8000), -45)
    busy = tone(plan("cn").cadence("busy"), 9000)
    made = [
        np.concatenate((silence(510), ringing, speech(3000, 120, 3), silence(2300))),
        np.concatenate((key_sounds("159D", snr=15), speech(2000, 200, 4), busy)),
        np.concatenate((tone(plan("de").cadence("congestion"), 4000), speech(5000, 90, 9), silence(4000))),
    ]
    whole = [np.concatenate((each, silence(3000)))[:96_000] for each in made]
    return [with_noise(each, -62, seed) for seed, each in enumerate(whole)]


def test_what_is_told_does_not_depend_on_how_many_frames_are_looked_at_at_once():
    for pcm in calls():
        alone = listen(pcm, None)
        frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160)
        for size in (7, 50):
            analyzer, found = Analyzer(None), []
            for at in range(0, len(frames), size):
                for look in analyzer.look(frames[at : at + size]):
                    found += [(d, analyzer.now_ms) for d in analyzer.hear(look)]
            found += [(d, analyzer.now_ms) for d in analyzer.finish()]
            assert found == alone


def test_a_tick_of_many_streams_tells_of_each_what_it_alone_would():
    streams = calls()
    analyzers = [Analyzer(None) for _ in streams]
    found: list[list] = [[] for _ in streams]
    for at in range(0, 96_000, 160):
        looks = look_at_each(analyzers, [pcm[at : at + 160] for pcm in streams])
        for analyzer, look, told in zip(analyzers, looks, found, strict=True):
            told += [(d, analyzer.now_ms) for d in analyzer.hear(look)]
    for analyzer, told, pcm in zip(analyzers, found, streams, strict=True):
        told += [(d, analyzer.now_ms) for d in analyzer.finish()]
        assert told == listen(pcm, None)
    tones = {d.tone for told in found for d, _ in told}
    assert tones >= {Tone.RINGBACK, Tone.BUSY, Tone.DTMF, Tone.CONGESTION}


def test_figures_of_a_frame_are_those_of_it_and_the_one_before():
    rng = np.random.default_rng(1)
    frames = rng.normal(0, 1000, (6, 160)).astype(np.int16)
    whole, after = Front().look(frames)[5], Front()
    after.look(frames[4:5])
    last = after.look(frames[5:])[0]
    assert abs(whole.level - last.level) < 1e-3
    np.testing.assert_allclose(whole.line.power, last.line.power, rtol=1e-3, atol=1)
    np.testing.assert_allclose(whole.keys.powers, last.keys.powers, rtol=1e-3, atol=1e3)


def test_the_frame_after_one_not_heard_is_seen_after_nothing():
    frames = np.full((2, 160), 1000, np.int16)
    fresh, skipping = Front(), Front()
    expected = fresh.look(frames[1:])[0]
    skipping.look(frames[:1])
    skipping.skip()
    assert skipping.look(frames[1:])[0].band.total == expected.band.total


def test_levels_are_in_dbm0_and_an_offset_does_not_count():
    sine = np.sin(2 * np.pi * 1000 / 8000 * np.arange(320)) * 32768 / 10 ** (3.17 / 20) / 10
    looks = Front().look((sine + 500).astype(np.int16).reshape(2, 160))
    assert abs(looks[1].level + 20) < 0.1
    assert Front().look(np.full((1, 160), 2000, np.int16))[0].level == -90
