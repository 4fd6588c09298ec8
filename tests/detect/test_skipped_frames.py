"""Frames that the detector was not given: its time goes on, and it makes nothing up."""

from __future__ import annotations

import numpy as np
import pytest
from line_sounds import silence, tone

from engine.detect.analyzer import Analyzer
from engine.detect.plans import plan
from engine.detect.types import Tone


def listen_skipping(pcm, country: str, skipped) -> list:
    """Detections of all frames but those for whose number `skipped` is true."""
    analyzer = Analyzer(country)
    found = []
    for n in range(len(pcm) // 160):
        if skipped(n):
            analyzer.skip()
        else:
            found += analyzer.feed(pcm[160 * n : 160 * n + 160])
    assert analyzer.now_ms == len(pcm) // 160 * 20
    return found + analyzer.finish()


@pytest.mark.parametrize("which", ["ringback", "busy", "congestion"])
@pytest.mark.parametrize("country", ["cn", "us", "uk"])
def test_a_tone_is_named_with_a_frame_missing_here_and_there(country, which):
    pcm = np.concatenate((silence(300), tone(plan(country).cadence(which), 14000)))
    found = listen_skipping(pcm, country, lambda n: n % 23 == 7)
    named = [d.tone.label for d in found if d.tone is not Tone.SINGLE]
    assert named == [plan(country).cadence(which).tone.label]


def test_times_stay_those_of_the_stream():
    pcm = np.concatenate((silence(3000), tone(plan("cn").cadence("busy"), 8000)))
    whole = listen_skipping(pcm, "cn", lambda n: False)
    cut = listen_skipping(pcm, "cn", lambda n: 20 <= n < 60)
    first, second = ([d for d in found if d.tone.label == "busy"] for found in (whole, cut))
    assert len(first) == len(second) == 1
    assert abs(first[0].begin_ms - second[0].begin_ms) <= 20


def test_silence_is_not_told_of_time_in_which_nothing_was_looked_at():
    pcm = silence(6000)
    assert listen_skipping(pcm, "cn", lambda n: n % 90 >= 20 and n % 90 < 60) == []
    assert [d.tone.label for d in listen_skipping(pcm, "cn", lambda n: n < 50)] == ["silence"]


def test_a_long_gap_ends_a_burst_instead_of_making_it_longer():
    """Two bursts of a busy tone with the gap between them not heard are no long tone."""
    pcm = tone(plan("cn").cadence("busy"), 1050)
    found = listen_skipping(pcm, "cn", lambda n: 15 <= n < 37)
    assert all(d.begin_ms >= 700 for d in found)
