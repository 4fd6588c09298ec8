"""The demo carrier's numbers for every tone and category are heard as what they are."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from engine.demo import announced, directory, sounds
from engine.detect.analyzer import Analyzer
from engine.detect.categories import CATEGORIES
from engine.detect.control import Listening, Settings
from engine.detect.outcome import Outcome
from engine.detect.prints import Library, fingerprint
from engine.detect.voice import voice_model
from engine.dialer.dispositions import of_outcome
from engine.samples.starter import say, spoken

NUMBERS = directory.load().numbers
with directory.DEFAULT.with_name("hearing.csv").open(newline="", encoding="utf-8") as file:
    QUEUE = {row["number"]: row["note"] for row in csv.DictReader(file)}
TONES = {n: c for n in QUEUE if (c := NUMBERS[n]).early not in ("announcement", None)}
ANNOUNCED = {n: c for n in QUEUE if (c := NUMBERS[n]).early == "announcement"}
ANSWERING = {n: c for n in QUEUE if (c := NUMBERS[n]).answer_after is not None}
speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def library() -> Library:
    """The announcements that the demo plays, each as the starter library has it."""
    wanted = {(c.announces, c.language) for c in ANNOUNCED.values()}
    first: dict[tuple[int, str], tuple] = {}
    for each in spoken():
        key = (each.sample.category, each.sample.language)
        if key in wanted and key not in first:
            first[key] = each.sample, fingerprint(say(each.sample.brief, each.voice))
    return Library(first.values())


def listen(
    source: sounds.Source, country: str, seconds: float, library: Library | None = None, *,
    answered: bool = False,
) -> tuple[set[str], Outcome]:
    """What is heard until listening ends; `answered`, for so long in any case."""
    listening = Listening(Analyzer(country, voice_model(), library), Settings())
    if answered:
        listening.answered()
    heard: set[str] = set()
    for _ in range(int(seconds * 50)):
        heard |= {each.tone.label for each in listening.feed(source.frame())}
        if listening.finished is not None and not answered:
            break
    return heard, listening.outcome


def ready(source: sounds.Source) -> sounds.Source:
    """A source whose sound has been made."""
    if isinstance(source, announced.Spoken):
        source.made.wait(20)
    return source


def test_the_queue_has_a_number_for_every_category_and_tone() -> None:
    assert {callee.announces for callee in ANNOUNCED.values()} == set(CATEGORIES)
    expected = {tone for n in QUEUE for tone in NUMBERS[n].expect.heard}
    assert expected >= {
        "busy", "ringback", "colorringback", "prompt", "sample", "silence", "450hz", "unmatch", "congestion",
        "sit", "fax", "dtmf", "human", "machine", "beep",
    }  # fmt: skip
    for number, note in QUEUE.items():
        assert NUMBERS[number].country == "us", "the demo's trunk is at home there, and so is its tone plan"
        assert note.rsplit(": ", 1)[1] in NUMBERS[number].expect.dispositions, number


@speaks
@pytest.mark.parametrize("number", TONES)
def test_each_number_is_heard_as_what_it_is(number: str, library: Library) -> None:
    callee = TONES[number]
    heard, outcome = listen(ready(directory.early_source(callee)), callee.country, 14.0, library)
    assert callee.expect is not None
    assert set(callee.expect.heard) <= heard
    if callee.expect.result:
        assert outcome.result == callee.expect.result
        assert of_outcome(outcome)[0] in callee.expect.dispositions


@speaks
@pytest.mark.parametrize("number", ANNOUNCED)
def test_each_announcement_is_known_by_its_category(number: str, library: Library) -> None:
    callee = ANNOUNCED[number]
    _, outcome = listen(ready(directory.early_source(callee)), callee.country, 14.0, library)
    assert callee.expect is not None
    assert outcome.category == callee.announces
    assert outcome.result == callee.expect.result == CATEGORIES[callee.announces].alias
    assert of_outcome(outcome)[0] in callee.expect.dispositions


@speaks
@pytest.mark.parametrize("number", ANSWERING)
def test_a_person_is_told_from_a_machine_and_the_beep_is_heard(number: str) -> None:
    callee = ANSWERING[number]
    source = directory.source(callee)
    assert source is not None
    heard, _ = listen(ready(source), callee.country, 16.0, answered=True)
    assert callee.expect is not None
    assert set(callee.expect.heard) <= heard
    assert len(heard & {"human", "machine"}) == 1


def test_without_espeak_the_carrier_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    announced.unknown.cache_clear()
    source = ready(announced.Spoken(announced.unknown))
    assert not np.any([source.frame() for _ in range(5)])
