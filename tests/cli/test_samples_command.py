"""`offhook samples`: what it prints, where it writes, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_like import speech_like
from typer.testing import CliRunner, Result

from engine.cli.main import app


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def samples(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["samples", *map(str, arguments)])


def recording(path: Path, seed: int, seconds: float = 3.0) -> Path:
    soundfile.write(path, speech_like(seed, seconds), 8000, subtype="PCM_16")
    return path


def listed(*arguments: str | Path) -> list[dict[str, object]]:
    result = samples("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_sample_is_added_listed_recognised_and_removed(tmp_path: Path) -> None:
    file = recording(tmp_path / "no such number.wav", 1)
    added = samples("add", file, "--category", "does not exist", "--brief", "空号", "--language", "zh")
    assert (added.exit_code, added.stdout) == (0, "no-such-number\n")
    assert [(s["uniqueid"], s["category"], s["alias"], s["name"]) for s in listed()] == [
        ("no-such-number", 3, "does not exist", "空号")
    ]
    assert Path(str(listed()[0]["file"])).parent == tmp_path / "state" / "offhook" / "samples"
    table = samples("list").stdout
    assert "no-such-number" in table
    assert "3 空号 does not exist" in table

    call = tmp_path / "call.wav"
    soundfile.write(call, np.concatenate((np.zeros(8000, np.int16), speech_like(1, 3.0) // 2)), 8000)
    heard = samples("test", call, "--json")
    assert heard.exit_code == 0
    match = json.loads(heard.stdout.splitlines()[0])
    assert (match["uniqueid"], match["category"], match["file"]) == ("no-such-number", 3, str(call))
    assert 1.0 < match["at_s"] < 4.0
    assert match["score"] > 0.7
    assert "no-such-number (3 does not exist) at " in samples("test", call).stdout

    stranger = recording(tmp_path / "stranger.wav", 2)
    other = samples("test", stranger)
    assert (other.exit_code, other.stdout) == (1, f"{stranger}: no sample matches\n")
    assert samples("remove", "no-such-number").exit_code == 0
    assert listed() == []


def test_the_folder_is_the_configuration_s_or_the_one_named(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.wav", 1)
    there = tmp_path / "there"
    assert samples("add", file, "--set", f"detection.samples={there}").exit_code == 0
    assert (there / "a.wav").is_file()
    added = samples("add", file, "--samples", tmp_path / "here", "--id", "b", "--category", "20")
    assert added.exit_code == 0
    assert [s["uniqueid"] for s in listed("--samples", tmp_path / "here")] == ["b"]


def test_a_part_of_a_recording_can_be_added(tmp_path: Path) -> None:
    file = recording(tmp_path / "a.wav", 1, seconds=6.0)
    assert samples("add", file, "--begin", "1", "--end", "3", "--samples", tmp_path / "s").exit_code == 0
    assert soundfile.info(tmp_path / "s" / "a.wav").duration < 2.1


def test_a_package_is_imported_and_exported(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    recording(pack / "please-try-call-later.wav", 1)
    recording(pack / "a.wav", 2, 0.5)
    done = samples("import", pack)
    assert done.exit_code == 0
    assert "1 samples added to " in done.stderr
    assert "1 of them with a category; 1 are too short to be recognised" in done.stderr
    assert samples("export", tmp_path / "all.zip").exit_code == 0
    assert samples("import", tmp_path / "all.zip", "--samples", tmp_path / "s").exit_code == 0
    assert [s["category"] for s in listed("--samples", tmp_path / "s")] == [20]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "is no folder of samples; `offhook samples add` makes one"),
        (["add", "none.wav"], "there is no file none.wav"),
        (["add", "none.wav", "--category", "21"], "--category: category '21' is none of 2 (power off)"),
        (["add", "none.wav", "--accuracy", "x"], "--accuracy: found 'x'; LOOSE, INACCURACY, ACCURACY"),
        (["import", "none"], "none is neither a folder nor a ZIP archive"),
        (["remove", "x"], "is no folder of samples"),
        (["test", "none.wav"], "is no folder of samples"),
        (["export", "all.zip"], "is no folder of samples"),
    ],
)
def test_what_a_user_got_wrong_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = samples(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("offhook: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_recording_of_silence_and_a_taken_name_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(24000, np.int16), 8000)
    result = samples("add", tmp_path / "silence.wav")
    assert (result.exit_code, "holds 0.00 s of sound" in result.stderr) == (2, True)
    file = recording(tmp_path / "a.wav", 1)
    assert samples("add", file, "--id", "x").exit_code == 0
    again = samples("add", file, "--id", "x")
    assert (again.exit_code, "holds a sample 'x' already" in again.stderr) == (2, True)
