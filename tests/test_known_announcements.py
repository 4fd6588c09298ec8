"""Known announcements follow their folder while the engine runs; what is wrong in it is named."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from lessons import Lesson, said

from engine.detect.prints import Sample
from engine.samples import edit

PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
async def lesson(tmp_path: Path) -> AsyncIterator[Lesson]:
    add(tmp_path / "samples", "first", 1)
    async with Lesson(tmp_path) as lesson:
        lesson.known.keep()
        yield lesson


def add(folder: Path, name: str, seed: int) -> None:
    edit.add(folder, edit.check_sound(said(seed), name), Sample(name, category=3, alias="does not exist"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def names(lesson: Lesson) -> set[str]:
    assert lesson.media.known is not None
    return {sample.uniqueid for sample in lesson.media.known.samples}


async def test_samples_that_are_added_and_removed_elsewhere_count_from_then_on(lesson: Lesson) -> None:
    before = lesson.media.known
    add(lesson.folder, "second", 2)
    await until(lambda: names(lesson) == {"first", "second"})
    assert before is not None
    assert len(before) == 1  # calls that are up keep what they began with
    edit.remove(lesson.folder, "first")
    await until(lambda: names(lesson) == {"second"})
    assert "1 announcement is known now (1 removed)" in lesson.told


async def test_a_category_that_is_changed_in_place_is_taken_over(lesson: Lesson) -> None:
    path = lesson.folder / "first.toml"
    path.write_text(path.read_text("utf-8").replace("does not exist", "power off"), "utf-8")
    await until(lambda: lesson.media.known and lesson.media.known.samples[0].alias == "power off")


async def test_a_broken_file_is_left_out_named_once_and_the_others_count(lesson: Lesson) -> None:
    (lesson.folder / "broken.toml").write_text("category = 99", "utf-8")
    (lesson.folder / "broken.wav").write_bytes(b"RIFF")
    add(lesson.folder, "second", 2)
    await until(lambda: names(lesson) == {"first", "second"})
    add(lesson.folder, "third", 3)
    await until(lambda: "third" in names(lesson))
    assert len([text for text in lesson.told if "broken.toml" in text]) == 1


async def test_a_broken_file_at_the_start_hinders_nothing(tmp_path: Path) -> None:
    add(tmp_path / "samples", "good", 1)
    (tmp_path / "samples" / "broken.wav").write_bytes(b"no sound")
    async with Lesson(tmp_path) as lesson:
        assert names(lesson) == {"good"}
        assert any("broken.wav" in text for text in lesson.told)


async def test_before_anything_is_known_all_that_is_said_counts_as_unknown(tmp_path: Path) -> None:
    async with Lesson(tmp_path) as lesson:
        assert lesson.media.known is not None
        assert len(lesson.media.known) == 0
        assert any("no announcements are known" in text for text in lesson.told)


async def test_a_folder_that_goes_away_is_told_and_what_it_held_stays_known(lesson: Lesson) -> None:
    shutil.rmtree(lesson.folder)
    await until(lambda: any("is gone" in text for text in lesson.told))
    assert names(lesson) == {"first"}
    add(lesson.folder, "second", 2)
    await until(lambda: names(lesson) == {"second"})


async def test_without_espeak_one_sentence_says_how_to_get_a_starter_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Lesson(tmp_path, starter=True) as lesson:
        lesson.known.keep()
        await until(lambda: any("espeak-ng" in text and "apt-get install" in text for text in lesson.told))
        assert any("must be taught" in text for text in lesson.told)
        assert not lesson.known.folder.exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_at_first_use_the_starter_library_is_made_and_says_what_must_be_taught(tmp_path: Path) -> None:
    async with Lesson(tmp_path, starter=True) as lesson:
        lesson.known.keep()
        await until(lambda: lesson.told and "must be taught" in lesson.told[-1])
        assert len(names(lesson)) > 70
    async with Lesson(tmp_path, starter=True) as again:
        assert again.told == [again.told[0]]
        assert again.told[0].startswith("only the starter library's announcements are known")
