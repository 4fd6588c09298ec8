"""What a call said that nothing matched becomes a known announcement; earlier calls are heard again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.detect.plans import plan
from engine.detect.prints import Library
from engine.detect.synth import render_cycle
from engine.media.orders import Unmatched
from engine.samples.folder import load
from engine.samples.starter import say
from engine.teaching import KEPT, Teaching

WORDS = "The number that you have dialled has not been given to anybody yet."
OTHER = "Please stay on the line, somebody will be with you in a moment, thank you."
speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


class Media:
    def __init__(self) -> None:
        self.known: Library | None = None

    def know(self, library: Library) -> None:
        self.known = library


class Lesson:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "samples"
        self.media = Media()
        self.told: list[str] = []
        self.teaching = Teaching(self.folder, self.media, lambda level, text, leg: self.told.append(text))  # type: ignore[arg-type]

    def said(self, leg: str, number: str, pcm: np.ndarray) -> None:
        self.teaching.note(Unmatched(leg, 0.0, pcm.tobytes()), leg, number)

    def teach(self, category: str, leg: str | None = None) -> str:
        return asyncio.run(self.teaching.teach(category, leg, ""))


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(tmp_path)


@speaks
def test_the_latest_unknown_speech_becomes_a_sample_at_once(lesson: Lesson) -> None:
    lesson.said("L1", "5550001", say(OTHER, "en-us"))
    lesson.said("L2", "5550002", say(WORDS, "en-us"))
    assert lesson.teach("does not exist") == ""
    (sample,) = load(lesson.folder).samples
    assert (sample.category, sample.alias, sample.number) == (3, "does not exist", "5550002")
    assert lesson.media.known is not None
    assert [each.uniqueid for each in lesson.media.known.samples] == [sample.uniqueid]
    assert "5550002" in lesson.told[0]


@speaks
def test_earlier_calls_are_listened_to_again(lesson: Lesson) -> None:
    words = say(WORDS, "en-us")
    lesson.said("L1", "5550001", words[1600:])
    lesson.said("L2", "5550002", say(OTHER, "en-us"))
    lesson.said("L3", "5550003", words)
    assert lesson.teach("3") == ""
    assert lesson.told[1:] == ["5550001 had said it too: does not exist"]
    assert lesson.teach("2", "L1").startswith("No call has said")
    assert lesson.teach("2", "L2") == ""


def test_what_can_not_be_learnt_is_one_sentence(lesson: Lesson) -> None:
    assert "nothing" in lesson.teach("nothing")
    assert lesson.teach("3") == "No call has said anything that is not known."
    lesson.said("L1", "5550001", np.zeros(800, np.int16))
    assert lesson.teach("3")
    assert not lesson.told


def test_only_the_latest_are_kept(lesson: Lesson) -> None:
    cycle = render_cycle(plan("cn").cadence("busy")).astype(np.int16)
    for n in range(KEPT + 1):
        lesson.said(f"L{n}", str(n), cycle)
    assert lesson.teach("3", "L0") == "No call has said anything that is not known."
