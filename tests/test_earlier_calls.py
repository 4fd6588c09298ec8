"""Earlier calls are listened to again once what they said is known, and what is stored of them put right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lessons import Lesson, said

from engine import wire
from engine.samples import edit


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
async def lesson(tmp_path: Path) -> AsyncIterator[Lesson]:
    async with Lesson(tmp_path) as lesson:
        yield lesson


async def test_recordings_of_earlier_calls_are_put_right_with_a_note_of_what_and_when(lesson: Lesson) -> None:
    same = [await lesson.attempt(f"555000{n}", f"L{n}") for n in (1, 2)]
    other = await lesson.attempt("5550003", "L3")
    await lesson.recorded(same[0], said(7, lead=16000))
    await lesson.recorded(same[1], said(7), stereo=False)
    await lesson.recorded(other, said(8))
    lesson.says("now", "5550009", said(7))
    assert await lesson.teach("3") == ""
    assert "listening again to 3 earlier calls that said something unknown" in lesson.told
    assert lesson.told[-1] == (
        "2 earlier calls now match: 5550002 (does not exist), 5550001 (does not exist)"
    )
    stored = await lesson.stored(same[0])
    assert (stored.disposition, stored.hearing["result"], stored.hearing["category"]) == (
        "invalid_number", "does not exist", 3,
    )  # fmt: skip
    assert stored.hearing["status"] == "does not exist"
    assert "listened to again at 20" in str(stored.hearing["corrected"])
    assert str(stored.hearing["corrected"]).endswith("it was bus_close")
    assert "it was no_answer, timed out" in stored.reason
    assert [heard.tone for heard in stored.detections] == ["unmatch", "sample", "silence"]
    told = wire.hearing(stored.hearing)
    assert told is not None
    assert told.corrected == stored.hearing["corrected"]
    assert (await lesson.stored(other)).hearing == other.hearing


async def test_the_queue_shows_what_was_put_right_and_why(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1")
    await lesson.recorded(record, said(7))
    lesson.says("now", "5550009", said(7))
    await lesson.teach("power off")
    (row,) = lesson.rows
    assert (row.id, row.disposition) == (record.entry_id, "power_off")
    assert row.heard == "unmatch, power off"
    assert row.reason.startswith("listened to again at 20")


async def test_the_call_that_was_taught_is_put_right_too_and_not_counted_as_earlier(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1")
    lesson.says("L1", "5550001", said(7))
    await lesson.teach("3")
    assert (await lesson.stored(record)).disposition == "invalid_number"
    assert not any("earlier call" in text for text in lesson.told)


async def test_a_call_that_is_still_up_is_put_right_once_it_is_over(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1", up=True)
    lesson.says("L1", "5550001", said(7))
    await lesson.teach("3")
    await lesson.store.finish(record, "done")
    lesson.earlier.ended(record)
    await lesson.earlier.done()
    assert (await lesson.stored(record)).hearing["result"] == "does not exist"


async def test_an_answered_call_keeps_what_it_came_to(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1", disposition="bridged", answered=True)
    await lesson.recorded(record, said(7))
    lesson.says("now", "5550009", said(7))
    await lesson.teach("3")
    stored = await lesson.stored(record)
    assert (stored.disposition, stored.reason) == ("bridged", "timed out")
    assert (stored.hearing["category"], stored.hearing["status"]) == (3, "call failed")


async def test_busy_after_ringing_means_declined_or_not_answered_then_too(lesson: Lesson) -> None:
    soon = await lesson.attempt("5550001", "L1", rang=True)
    late = await lesson.attempt("5550002", "L2", rang=True, unknown_ms=(46000, 52000))
    for record in (soon, late):
        await lesson.recorded(record, said(7))
    lesson.says("now", "5550009", said(7))
    await lesson.teach("busy now")
    assert [(await lesson.stored(record)).disposition for record in (soon, late)] == ["rejected", "no_answer"]


async def test_the_operators_own_word_stays(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1")
    await lesson.recorded(record, said(7))
    await lesson.store.label(record.entry_id, "abandoned", "I heard it myself")
    lesson.says("now", "5550009", said(7))
    await lesson.teach("3")
    (row,) = lesson.rows
    assert (row.disposition, row.note) == ("abandoned", "I heard it myself")


async def test_a_sample_that_is_not_accurate_changes_no_result(lesson: Lesson) -> None:
    record = await lesson.attempt("5550001", "L1")
    await lesson.recorded(record, said(7))
    sample = edit.Sample("loose", category=3, alias="does not exist", accuracy="LOOSE")
    edit.add(lesson.folder, edit.check_sound(said(7), "it"), sample)
    await lesson.known.refresh()
    await lesson.earlier.done()
    assert lesson.told[-1] == "1 earlier call now matches: 5550001 (does not exist)"
    assert (await lesson.stored(record)).hearing == record.hearing


async def test_a_recording_that_is_gone_is_told_and_the_others_are_heard(lesson: Lesson) -> None:
    gone, there = await lesson.attempt("5550001", "L1"), await lesson.attempt("5550002", "L2")
    (await lesson.recorded(gone, said(7))).unlink()
    await lesson.recorded(there, said(7))
    lesson.says("now", "5550009", said(7))
    await lesson.teach("3")
    assert any("1 earlier call could not be listened to" in text for text in lesson.told)
    assert lesson.told[-1] == "1 earlier call now matches: 5550002 (does not exist)"
