"""When listening ends, and what came of it: mod_da2's parameters and results."""

import numpy as np
import pytest

from engine.detect.categories import CATEGORIES, by_word, corrected
from engine.detect.control import Listening, Settings
from engine.detect.outcome import FinishCause, Outcome
from engine.detect.prints import Sample
from engine.detect.types import Detection, Tone

SILENT = np.zeros(160, np.int16)
SOUND = np.tile(np.array([3000, -3000], np.int16), 80)


class Script:
    """Stands for the analyzer: tells what it is told to, at its times in ms."""

    def __init__(self, *told):
        self.told = sorted(told, key=lambda t: t[0])
        self.now_ms = 0
        self.quiet = True
        self.current = ""
        self.was_answered = False

    def feed(self, frame):
        self.now_ms += 20
        self.quiet = not frame.any()
        return self.take()

    def take(self):
        found = []
        while self.told and self.told[0][0] <= self.now_ms:
            found.append(self.told.pop(0)[1])
        return found

    def answered(self):
        self.was_answered = True

    def finish(self):
        return []


def heard(ms, tone, **sample):
    known = Sample("s1", **sample) if sample else None
    return ms, Detection(tone, 0, ms, 1.0, "", sample=known)


def listen(script, seconds, frame=SOUND, settings=None, began_s=0.0):
    listening = Listening(script, settings or Settings(), began_s)
    for _ in range(round(seconds * 50)):
        listening.feed(frame)
        if listening.finished is not None:
            break
    return listening


def test_a_stop_tone_ends_the_listening_and_the_call():
    listening = listen(Script(heard(3000, Tone.BUSY)), 10)
    assert listening.outcome.finish_cause is FinishCause.STOPTONE
    assert listening.outcome.result == "busy"
    assert listening.hangs_up
    assert listening.now_ms == 3000


def test_congestion_is_a_busy_tone_to_mod_da2():
    listening = listen(Script(heard(3000, Tone.CONGESTION)), 10)
    assert (listening.outcome.result, listening.outcome.all_tone) == ("congestion", 0x01)


def test_without_automatic_hang_up_the_call_goes_on():
    assert not listen(Script(heard(100, Tone.BUSY)), 1, settings=Settings(hang_up=False)).hangs_up


def test_a_finish_cause_can_be_made_a_reason_to_hang_up():
    settings = Settings(max_time=1.0, hang_up_on=frozenset({"detecttime_timeout"}))
    assert listen(Script(), 2, settings=settings).hangs_up


def test_a_sample_stops_and_gives_its_category_and_alias():
    listening = listen(Script(heard(2000, Tone.SAMPLE, category=3, alias="does not exist")), 10)
    outcome = listening.outcome
    assert (outcome.category, outcome.result, outcome.all_tone) == (3, "does not exist", 0x10)
    assert outcome.status(answered=False, call_s=5) == "does not exist"


@pytest.mark.parametrize("accuracy", ["LOOSE", "INACCURACY"])
def test_only_an_accurate_sample_acts(accuracy):
    sample = heard(500, Tone.SAMPLE, category=3, alias="does not exist", accuracy=accuracy)
    listening = listen(Script(sample), 2)
    assert listening.finished is None
    assert listening.outcome.category == 0


def test_ignored_samples_are_left_out():
    settings = Settings(ignored=frozenset({"redial later"}))
    script = Script(heard(500, Tone.SAMPLE, category=20, alias="redial later"))
    listening = listen(script, 2, settings=settings)
    assert (listening.finished, listening.outcome.all_tone) == (None, 0)


def test_unmatched_speech_stops_when_it_came_often_enough():
    settings = Settings(stop_on=frozenset({"unmatch"}))
    once = listen(Script(heard(500, Tone.UNMATCH)), 2, settings=settings)
    twice = listen(Script(heard(500, Tone.UNMATCH), heard(900, Tone.UNMATCH)), 2, settings=settings)
    assert (once.finished, twice.finished) == (None, FinishCause.STOPTONE)


def test_so_many_samples_end_the_listening_by_themselves():
    settings = Settings(stop_on=frozenset(), matched_limit=2)
    samples = [heard(at, Tone.SAMPLE, category=2, alias="power off") for at in (500, 900)]
    outcome = listen(Script(*samples), 2, settings=settings).outcome
    assert (outcome.finish_cause, outcome.result) == (FinishCause.MATCH, "power off")


def test_the_answer_ends_the_listening_unless_it_is_to_go_on():
    listening = Listening(Script(), Settings())
    listening.answered()
    assert listening.finished is FinishCause.ANSWER
    listening = Listening(Script(), Settings(stop_at_answer=False, max_after_answer=1.0))
    listening.answered()
    assert listening.finished is None
    for _ in range(50):
        listening.feed(SOUND)
    assert listening.finished is FinishCause.TIMEOUT


@pytest.mark.parametrize(
    ("settings", "frame", "at_ms"),
    [
        (Settings(max_time=3.0), SOUND, 3000),
        (Settings(max_silence=2.0), SILENT, 2000),
        (Settings(max_sound=1.0), SOUND, 1020),
    ],
    ids=["maxdetecttime", "maxsilencetime", "maxanalysistime"],
)
def test_time_limits(settings, frame, at_ms):
    listening = listen(Script(), 10, frame, settings)
    assert (listening.finished, listening.now_ms) == (FinishCause.TIMEOUT, at_ms)


def test_a_call_that_ends_first_is_a_closed_bus():
    listening = listen(Script(heard(500, Tone.RINGBACK)), 1)
    listening.end()
    outcome = listening.outcome
    assert (outcome.result, outcome.last_tone, outcome.all_tone) == ("bus_close", "ringback", 0x02)


def test_all_tone_holds_every_tone_heard_and_last_tone_the_last():
    told = (
        heard(500, Tone.SINGLE), heard(1000, Tone.RINGBACK), heard(2000, Tone.COLORRINGBACK),
        heard(3000, Tone.PROMPT),
    )  # fmt: skip
    listening = listen(Script(*told), 4)
    listening.end()
    assert (listening.outcome.all_tone, listening.outcome.last_tone) == (0x40 | 0x02 | 0x04 | 0x08, "prompt")


@pytest.mark.parametrize(("began_s", "correction"), [(0.0, 6), (44.0, 15)])
def test_a_busy_announcement_after_ringing_means_declined_or_not_answered(began_s, correction):
    script = Script(heard(500, Tone.RINGBACK), heard(2000, Tone.SAMPLE, category=5, alias="hold on"))
    outcome = listen(script, 10, began_s=began_s).outcome
    assert (outcome.category, outcome.correction) == (5, correction)


def test_the_correction_needs_ringing_and_a_busy_category():
    assert corrected(5, False, 60) == 5
    assert corrected(3, True, 60) == 3
    assert corrected(9, True, 45.0) == 6


@pytest.mark.parametrize(
    ("outcome", "answered", "call_s", "status"),
    [
        (Outcome(FinishCause.ANSWER), False, 5, "answered"),
        (Outcome(FinishCause.BUS_CLOSE), True, 5, "answered"),
        (Outcome(FinishCause.BUS_CLOSE), False, 5, "call failed"),
        (Outcome(FinishCause.BUS_CLOSE), False, 25, "not recognised"),
        (Outcome(FinishCause.TIMEOUT, last_tone="ringback"), False, 60, "ringback"),
        (Outcome(FinishCause.TIMEOUT, last_tone="sample", alias="busy now"), False, 60, "busy now"),
        (Outcome(FinishCause.TIMEOUT, last_tone="prompt"), False, 60, "not recognised"),
        (Outcome(FinishCause.TIMEOUT), False, 60, "not recognised"),
        (Outcome(FinishCause.TIMEOUT), False, 5, "call failed"),
        (Outcome(FinishCause.BUG_ADD_FAIL), False, 5, "call failed"),
        (Outcome(FinishCause.BUG_ADD_FAIL), False, 25, "no early media"),
        (Outcome(FinishCause.STOPTONE, stop_tone="silence"), False, 9, "silence"),
        (Outcome(FinishCause.STOPTONE, stop_tone="sample", alias="power off"), False, 9, "power off"),
        (Outcome(FinishCause.STOPTONE, stop_tone="prompt"), False, 9, "not recognised"),
        (Outcome(FinishCause.LIMIT), False, 9, "limit"),
        (Outcome(FinishCause.FUNC_EXIT), False, 9, "not recognised"),
    ],
)
def test_the_status_to_show(outcome, answered, call_s, status):
    assert outcome.status(answered=answered, call_s=call_s) == status


def test_nineteen_categories_by_id_alias_and_name():
    assert sorted(CATEGORIES) == list(range(2, 21))
    for category in CATEGORIES.values():
        assert category.code == 430 + category.id
        for word in (str(category.id), category.alias.upper(), category.name):
            assert by_word(word) is category
    assert by_word("does not exis") is CATEGORIES[3]
    assert by_word("nonsense") is None
