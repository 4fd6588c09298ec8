"""What the settings do to known announcements and unknown speech, with the real analyzer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from speech_like import speech_like

from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening, Settings
from engine.detect.outcome import FinishCause
from engine.detect.plans import plan
from engine.detect.prints import Library, Sample, fingerprint
from engine.detect.synth import render_cycle
from engine.detect.voice import SignalOnly

PAUSE = np.zeros(8000, np.int16)
BUSY_NOW, REDIAL, LOOSE, POWER_OFF = 1, 2, 3, 4
"""Seeds of announcements."""
UNKNOWN = 100


class Speech(SignalOnly):
    """Takes every sound for speech: what is drawn here is nobody's."""

    def probability(self, chunk: npt.NDArray[np.float32]) -> float:
        return 0.95 if float(np.abs(chunk).max()) > 0.003 else 0.02


@pytest.fixture(scope="module")
def library() -> Library:
    samples = (
        Sample("busy", alias="busy now", category=9), Sample("redial", alias="redial later", category=20),
        Sample("loose", alias="line fault", category=19, accuracy="LOOSE"),
        Sample("off", alias="power off", category=2),
    )  # fmt: skip
    return Library((s, fingerprint(speech_like(n + 1))) for n, s in enumerate(samples))


def listen(
    library: Library, *sounds: npt.NDArray[np.int16], began_s: float = 0.0, **keys: object
) -> Listening:
    """Until listening ends, or the sounds do."""
    settings = Settings(**keys)  # type: ignore[arg-type]
    analyzer = Analyzer("cn", Speech(), library, settings.amd, settings.max_prompt, settings.rules)
    listening = Listening(analyzer, settings, began_s)
    sound = np.concatenate(sounds)
    for at in range(0, len(sound) - 159, 160):
        listening.feed(sound[at : at + 160])
        if listening.finished is not None:
            return listening
    return listening


def ringback(seconds: float) -> npt.NDArray[np.int16]:
    cycle = render_cycle(plan("cn").cadence("ringback"))
    return np.tile(cycle, int(seconds * 8000 / len(cycle)) + 1)[: int(seconds * 8000)].astype(np.int16)


def test_an_announcement_ends_the_listening_and_says_what_it_is(library: Library) -> None:
    outcome = listen(library, PAUSE, speech_like(POWER_OFF)).outcome
    assert (outcome.finish_cause, outcome.result) == (FinishCause.STOPTONE, "power off")
    assert (outcome.category, outcome.sample) == (2, "off")
    assert outcome.status(answered=False, call_s=4) == "power off"


def test_one_that_is_ignored_counts_for_nothing_and_the_next_one_does(library: Library) -> None:
    sounds = speech_like(REDIAL), PAUSE, speech_like(POWER_OFF)
    assert listen(library, *sounds).outcome.result == "redial later"
    ignoring = listen(library, *sounds, ignored=frozenset({"redial later"}))
    assert (ignoring.outcome.result, ignoring.outcome.category) == ("power off", 2)


def test_one_that_is_not_accurate_does_not_act(library: Library) -> None:
    listening = listen(library, speech_like(LOOSE), PAUSE, speech_like(POWER_OFF), PAUSE)
    assert (listening.outcome.result, listening.outcome.sample) == ("power off", "off")


def test_so_many_matches_end_it_where_announcements_are_no_stop_tone(library: Library) -> None:
    sounds = speech_like(REDIAL), PAUSE, speech_like(POWER_OFF)
    none = listen(library, *sounds, stop_on=frozenset())
    assert (none.finished, none.outcome.category) == (None, 2)
    two = listen(library, *sounds, PAUSE, stop_on=frozenset(), matched_limit=2)
    assert (two.finished, two.outcome.result, two.hangs_up) == (FinishCause.MATCH, "power off", True)
    one = listen(library, *sounds, stop_on=frozenset(), matched_limit=1)
    assert one.outcome.result == "redial later"


def test_so_much_unknown_speech_in_a_row_ends_it(library: Library) -> None:
    unknown = speech_like(UNKNOWN), np.tile(PAUSE, 3), speech_like(UNKNOWN + 1), np.tile(PAUSE, 3)
    stop = frozenset({"unmatch"})
    assert listen(library, *unknown[:2], stop_on=stop).finished is None
    twice = listen(library, *unknown, stop_on=stop)
    assert (twice.finished, twice.outcome.result) == (FinishCause.STOPTONE, "unmatch")
    assert twice.outcome.status(answered=False, call_s=12) == "not recognised"
    assert listen(library, *unknown[:2], stop_on=stop, unmatched_limit=1).outcome.result == "unmatch"


def test_speech_that_goes_on_without_a_match_is_unknown_after_its_limit(library: Library) -> None:
    long = np.concatenate([speech_like(UNKNOWN + n) for n in range(4)])
    stop, at = frozenset({"unmatch"}), []
    for limit in (3.0, 8.0):
        listening = listen(library, long, stop_on=stop, unmatched_limit=1, max_prompt=limit)
        assert listening.outcome.result == "unmatch"
        at.append(listening.now_ms / 1000)
    assert 3.0 <= at[0] < 4.5
    assert 8.0 <= at[1] < 9.5


@pytest.mark.parametrize(("began_s", "means"), [(5.0, 6), (40.0, 15)])
def test_busy_after_ringing_means_declined_or_after_45_seconds_nobody_there(
    library: Library, began_s: float, means: int
) -> None:
    outcome = listen(library, ringback(6), speech_like(BUSY_NOW), began_s=began_s).outcome
    assert (outcome.category, outcome.correction, outcome.result) == (9, means, "busy now")
    assert listen(library, speech_like(BUSY_NOW), began_s=began_s).outcome.correction == 9
