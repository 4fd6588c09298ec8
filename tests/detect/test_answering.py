"""A person or a machine: what each of Asterisk's AMD parameters changes, and what is no greeting."""

from __future__ import annotations

import pytest

from engine.detect.answering import TAIL_MS, AmdSettings, Answering
from engine.detect.types import Tone

Part = tuple[float, bool]


def said(parts: list[Part], **settings: int) -> tuple[str, float] | None:
    """The verdict and when, in ms after the answer, for stretches of (ms, whether it is speech), and silence
    after them."""
    answering = Answering(AmdSettings(**settings), 0.0)
    now = 0.0
    for ms, speech in [*parts, (9000.0, False)]:
        for _ in range(round(ms / 20)):
            now += 20
            told = answering.feed(speech, now, -18.0)
            if told is not None:
                return told.tone.label, now
    return None


SILENT: list[Part] = [(600, False)]
HELLO: list[Part] = [(600, False), (500, True)]
LONG: list[Part] = [(600, False), (3000, True)]
WORDS: list[Part] = [(400, False), *[(200, True), (100, False)] * 4]


def test_a_hello_and_silence_is_a_person_and_a_long_greeting_a_machine():
    assert said(HELLO) == ("human", 600 + 500 + 800)
    assert said(LONG) == ("machine", 600 + 1500 + TAIL_MS)


@pytest.mark.parametrize(
    ("parts", "settings", "wanted"),
    [
        (SILENT, {}, ("machine", 2500)),
        (SILENT, {"initial_silence": 1000}, ("machine", 1000)),
        (HELLO, {"greeting": 300}, ("machine", 600 + 300 + TAIL_MS)),
        (LONG, {"greeting": 2500}, ("machine", 600 + 2500 + TAIL_MS)),
        (HELLO, {"after_greeting_silence": 400}, ("human", 600 + 500 + 400)),
        (HELLO, {"after_greeting_silence": 1500}, ("human", 600 + 500 + 1500)),
        (SILENT, {"total_analysis_time": 2000}, None),
        (HELLO, {"total_analysis_time": 1500}, None),
        ([(500, False), (80, True), (60, False)], {}, ("machine", 2500)),
        ([(500, False), (80, True), (60, False)], {"min_word_length": 60}, ("human", 500 + 80 + 800)),
        (WORDS, {}, ("machine", 400 + 2 * 300 + 100)),
        (WORDS, {"maximum_number_of_words": 3}, ("machine", 400 + 3 * 300 + 100)),
        (WORDS, {"maximum_number_of_words": 9}, ("human", 400 + 4 * 300 - 100 + 800)),
        (WORDS, {"between_words_silence": 200}, ("human", 400 + 4 * 300 - 100 + 800)),
        (LONG, {"maximum_word_length": 900}, ("machine", 600 + 920)),
    ],
)  # fmt: skip
def test_each_parameter_moves_the_verdict_as_its_name_says(parts, settings, wanted):
    assert said(parts, **settings) == wanted


def test_a_network_s_tone_after_the_answer_is_not_somebody_s_silence():
    answering = Answering(AmdSettings(), 0.0)
    told = [answering.feed(False, now, -15.0, tone=True) for now in range(20, 8020, 20)]
    told += [answering.feed(True, now, -18.0) for now in range(8020, 8520, 20)]
    told += [answering.feed(False, now, -90.0) for now in range(8520, 10000, 20)]
    assert [t.tone for t in told if t is not None] == [Tone.HUMAN]


def test_a_voice_behind_the_one_who_answers_is_no_greeting():
    answering = Answering(AmdSettings(), 0.0)
    told = []
    for now in range(20, 5000, 20):
        near = 1000 < now <= 1500
        told.append(answering.feed(True, now, -15.0 if near else -40.0))
    assert [t.tone for t in told if t is not None] == [Tone.HUMAN]
    assert told.index(next(t for t in told if t)) * 20 < 1500 + 800 + 500


def test_a_word_that_fades_for_a_moment_is_not_two():
    answering = Answering(AmdSettings(maximum_number_of_words=1), 0.0)
    told = []
    for now in range(20, 3000, 20):
        fades = now % 200 < 80
        told.append(answering.feed(now < 900 and not fades, now, -18.0, voiced=now < 900))
    assert [t.tone for t in told if t is not None] == [Tone.HUMAN]
