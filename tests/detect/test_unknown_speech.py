"""Speech that no known announcement matches is told as such, from the first call on."""

from __future__ import annotations

import numpy as np
import pytest
from speech_like import speech_like

from engine.detect.analyzer import Analyzer
from engine.detect.prints import Library, Sample, fingerprint
from engine.detect.types import Detection, Tone
from engine.detect.voice import Floats


class Speech:
    """Takes all that sounds for speech."""

    def probability(self, chunk: Floats) -> float:
        return 1.0 if np.abs(chunk).max() > 0.01 else 0.0

    def reset(self) -> None:
        pass


def heard(library: Library | None, seed: int = 1) -> list[Detection]:
    still = np.zeros(16000, np.int16)
    pcm = np.concatenate((still, speech_like(seed), still))
    analyzer = Analyzer(None, Speech(), library)
    return [d for frame in pcm.reshape(-1, 160) for d in analyzer.feed(frame)]


@pytest.mark.parametrize("known", [Library(), Library([(Sample("other"), fingerprint(speech_like(2)))])])
def test_it_is_unmatched_where_others_are_known_and_where_none_is_yet(known: Library) -> None:
    (unknown,) = [d for d in heard(known) if d.tone is Tone.UNMATCH]
    assert abs(unknown.begin_ms - 2000) < 300
    assert unknown.end_ms > 5500


def test_it_is_a_sample_where_it_is_known_and_nothing_more_where_nobody_compares() -> None:
    known = Library([(Sample("this"), fingerprint(speech_like(1)))])
    tones = {d.tone for d in heard(known)}
    assert Tone.SAMPLE in tones
    assert Tone.UNMATCH not in tones
    assert Tone.UNMATCH not in {d.tone for d in heard(None)}
