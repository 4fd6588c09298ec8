"""`offhook detect`: lines for programs, words for people, a page for one recording."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.cli.common import Usage
from engine.cli.detect import Task, listen_to, run_detect, tasks_of
from engine.cli.detect_report import png, spectrogram
from engine.detect.control import Settings
from engine.detect.plans import plan
from engine.detect.synth import render_cycle

FIELDS = {
    "type", "file", "label", "verdict_at_s", "category", "sample", "digits", "beep_at_s", "result",
    "finish_cause", "all_tone", "last_tone", "cpu_s",
}


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    sound = np.tile(render_cycle(plan("cn").cadence("busy")), 8)[: 5 * 8000].astype(np.int16)
    path = tmp_path / "<busy>.wav"
    soundfile.write(path, sound, 8000)
    return path


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_for_each_detection_and_one_for_the_file(busy: Path, capsys: pytest.CaptureFixture) -> None:
    tasks = tasks_of([busy], "cn", None, None)
    assert run_detect(tasks, None, Settings(), True) == 0
    *heard, result = lines(capsys.readouterr().out)
    assert {line["type"] for line in heard} == {"detection"}
    assert result.keys() == FIELDS
    assert (result["label"], result["result"], result["finish_cause"]) == ("busy", "busy", "stoptone")
    assert result["verdict_at_s"] == next(line["at_s"] for line in heard if line["tone"] == "busy")


def test_a_list_says_the_country_and_the_answer_of_each(tmp_path: Path, busy: Path) -> None:
    listed = tmp_path / "tasks.jsonl"
    listed.write_text(json.dumps({"file": busy.name, "country": "us", "answer_at_s": 1.5}) + "\n", "utf-8")
    (task,) = tasks_of([], "cn", None, listed)
    assert (task.country, task.answer_at_s, task.path) == ("us", 1.5, busy)


def test_a_file_that_is_none_is_one_sentence_and_the_others_are_heard(
    tmp_path: Path, busy: Path, capsys: pytest.CaptureFixture
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF nothing")
    assert run_detect(tasks_of([bad, busy], "cn", None, None), None, Settings(), True) == 2
    told = lines(capsys.readouterr().out)
    assert str(bad) in told[0]["error"]
    assert told[-1]["label"] == "busy"


def test_the_report_is_one_file_with_the_picture_and_what_was_heard(
    tmp_path: Path, busy: Path, capsys: pytest.CaptureFixture
) -> None:
    report = tmp_path / "report.html"
    tasks = tasks_of([busy], "cn", None, None)
    assert run_detect(tasks, None, Settings(), False, report) == 0
    text = report.read_text("utf-8")
    assert "&lt;busy&gt;.wav" in text
    assert "<busy>" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    image = base64.b64decode(re.search(r"base64,([^\"]+)", text)[1])
    assert image.startswith(b"\x89PNG")
    assert str(report) in capsys.readouterr().err


def test_a_report_is_of_one_recording(tmp_path: Path, busy: Path) -> None:
    with pytest.raises(Usage, match="one recording"):
        run_detect(tasks_of([busy, busy], "cn", None, None), None, Settings(), False, tmp_path / "r.html")


def test_a_report_that_can_not_be_written_is_one_sentence(tmp_path: Path, busy: Path) -> None:
    with pytest.raises(Usage, match="--report"):
        run_detect(tasks_of([busy], "cn", None, None), None, Settings(), False, tmp_path / "no" / "r.html")


def test_the_picture_shows_a_tone_where_it_is() -> None:
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)).astype(np.int16)
    levels = spectrogram(tone)
    assert int(levels[:, 20].argmax()) == 32  # of 31.25 Hz
    assert levels[32, 20] == pytest.approx(-12.2, abs=1)
    image = png(levels)
    width, height = (int.from_bytes(image[at : at + 4], "big") for at in (16, 20))
    assert (height, width) == levels.shape
    data = image[image.index(b"IDAT") + 4 : image.index(b"IEND") - 8]
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width)
    bright = rows[:, 1 + 3 * 20 : 4 + 3 * 20].astype(int).sum(axis=1)
    assert int(bright.argmax()) == height - 1 - 32


def test_a_country_without_a_tone_plan_is_listened_to_for_all_plans(busy: Path) -> None:
    (told,) = listen_to([Task(str(busy), "zz")], None, Settings())
    assert told[-1]["type"] == "result"
    assert told[-1]["label"] == "busy"


def test_a_list_names_the_countries_without_a_tone_plan_once(
    tmp_path: Path, busy: Path, capsys: pytest.CaptureFixture
) -> None:
    listed = tmp_path / "tasks.jsonl"
    rows = [json.dumps({"file": str(busy), "country": country}) for country in ("zz", "zz", "cn")]
    listed.write_text("\n".join(rows), "utf-8")
    tasks_of([], None, None, listed)
    assert capsys.readouterr().err.count("zz") == 1


@pytest.mark.parametrize("answer", [-1.0, math.nan, math.inf])
def test_an_answer_is_somewhere_in_the_recording(busy: Path, answer: float) -> None:
    with pytest.raises(Usage, match="--answer-at"):
        tasks_of([busy], None, answer, None)


@pytest.mark.parametrize(("content", "said"), [(None, "directory"), (b"\xff\xfe\x00", "UTF-8")])
def test_a_list_that_is_none_is_told_in_words(tmp_path: Path, content: bytes | None, said: str) -> None:
    listed = tmp_path / "list"
    listed.mkdir() if content is None else listed.write_bytes(content)
    with pytest.raises(Usage, match=said):
        tasks_of([], None, None, listed)


def test_a_fault_of_ours_in_one_file_is_its_own_line(
    busy: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("engine.cli.detect.Analyzer", breaks)
    assert run_detect(tasks_of([busy], "cn", None, None), None, Settings(), True) == 2
    (told,) = lines(capsys.readouterr().out)
    assert told["type"] == "error"
    assert "fault of ours" in told["error"]
