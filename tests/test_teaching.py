"""What a call said that nothing matched becomes a known announcement; earlier calls are heard again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from lessons import Lesson, said

from engine.earlier import KEPT
from engine.samples.folder import load


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
async def lesson(tmp_path: Path) -> AsyncIterator[Lesson]:
    async with Lesson(tmp_path) as lesson:
        yield lesson


async def test_the_latest_unknown_speech_becomes_a_sample_at_once(lesson: Lesson) -> None:
    lesson.says("L1", "5550001", said(1))
    lesson.says("L2", "5550002", said(2))
    assert await lesson.teach("does not exist") == ""
    (sample,) = load(lesson.folder).samples
    assert (sample.category, sample.alias, sample.number) == (3, "does not exist", "5550002")
    assert lesson.media.known is not None
    assert [each.uniqueid for each in lesson.media.known.samples] == [sample.uniqueid]
    assert any("learnt" in text and "5550002" in text for text in lesson.told)


async def test_what_the_last_calls_said_is_listened_to_again(lesson: Lesson) -> None:
    lesson.says("L1", "5550001", said(1)[1600:])
    lesson.says("L2", "5550002", said(2))
    lesson.says("L3", "5550003", said(1))
    assert await lesson.teach("3") == ""
    assert lesson.told[-1] == "1 earlier call now matches: 5550001 (does not exist)"
    assert (await lesson.teach("2", "L1")).startswith("No call has said")
    assert await lesson.teach("2", "L2") == ""


async def test_a_broken_file_beside_it_hinders_no_lesson(lesson: Lesson) -> None:
    (lesson.folder / "broken.wav").write_bytes(b"no sound")
    lesson.says("L1", "5550001", said(1))
    assert await lesson.teach("3") == ""
    assert lesson.media.known is not None
    assert len(lesson.media.known) == 1
    assert any("broken.wav" in text for text in lesson.told)


async def test_what_can_not_be_learnt_is_one_sentence(lesson: Lesson) -> None:
    assert "nothing" in await lesson.teach("nothing")
    assert await lesson.teach("3") == "No call has said anything that is not known."
    lesson.says("L1", "5550001", np.zeros(800, np.int16))
    assert await lesson.teach("3")
    assert not any("learnt" in text for text in lesson.told)


async def test_only_the_latest_are_kept(lesson: Lesson) -> None:
    words = said(1)
    for n in range(KEPT + 1):
        lesson.says(f"L{n}", str(n), words)
    assert await lesson.teach("3", "L0") == "No call has said anything that is not known."
