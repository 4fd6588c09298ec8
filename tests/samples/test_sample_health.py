"""Samples that can't be told from one another are found, and told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from many_samples import many_samples
from speech_like import speech_like
from typer.testing import CliRunner, Result

from engine.cli.main import app
from engine.detect.prints import Library, Sample, fingerprint
from engine.samples.audio import wav
from engine.samples.health import Twins, clashes, twins


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def library(*sounds: tuple[Sample, np.ndarray]) -> Library:
    return Library((sample, fingerprint(sound)) for sample, sound in sounds)


def another_line(sound: np.ndarray) -> np.ndarray:
    """The same, later, quieter and with noise."""
    noise = np.random.default_rng(1).normal(0, 40, len(sound))
    return np.concatenate((np.zeros(900), sound / 3 + noise)).astype(np.int16)


def test_the_same_recording_over_two_lines_is_found_and_the_longer_is_the_better() -> None:
    found = twins(library(
        (Sample("a"), speech_like(1)), (Sample("b"), speech_like(2)),
        (Sample("a again"), another_line(speech_like(1, 4.0))), (Sample("c"), speech_like(3)),
    ))  # fmt: skip
    assert found == [Twins(2, 0)]


def test_the_more_accurate_is_the_better() -> None:
    sound = speech_like(1)
    two = library((Sample("a", accuracy="LOOSE"), sound), (Sample("b"), sound[:-800]))
    assert twins(two) == [Twins(1, 0)]


def test_a_shared_opening_or_end_makes_no_twins() -> None:
    opening, other = speech_like(1, 3.0), speech_like(2, 3.0)
    ends = [np.concatenate((opening, speech_like(n, 1.2))) for n in (5, 6)]
    assert twins(library(*((Sample(f"s{n}"), x) for n, x in enumerate(ends)))) == []
    whole = np.concatenate((other, opening))
    assert twins(library((Sample("part"), opening), (Sample("whole"), whole))) == []


def test_strangers_are_no_twins() -> None:
    assert twins(Library(many_samples(60))) == []
    assert twins(Library()) == []


def test_only_those_that_mean_something_else_clash() -> None:
    sound = speech_like(1)
    same = library((Sample("a", category=2), sound), (Sample("b", category=2), sound))
    assert clashes(same) == []
    other = library((Sample("a", category=2), sound), (Sample("b", category=3), sound))
    [sentence] = clashes(other)
    assert "'a' (2 power off) and 'b' (3 does not exist) are the same recording" in sentence


def samples(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["samples", *map(str, arguments)])


def test_the_command_tells_what_is_taught_twice_and_leaves_out_what_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "off.wav"
    soundfile.write(file, speech_like(1), 8000, subtype="PCM_16")
    assert samples("add", file, "--category", "2").exit_code == 0
    assert samples("test").exit_code == 0
    again = samples("add", file, "--category", "2")
    assert "are the same recording and mean the same (2 power off)" in again.output
    assert samples("test").exit_code == 0
    other = samples("add", file, "--category", "3")
    assert "'off-3' (3 does not exist)" in other.output
    told = samples("test")
    assert told.exit_code == 1
    assert "3 samples, 3 pairs that are alike, 2 of them mean something else" in told.output
    pairs = [json.loads(line) for line in samples("test", "--json").stdout.splitlines()]
    assert sorted(pair["clash"] for pair in pairs) == [False, True, True]

    folder = tmp_path / "state" / "offhook" / "samples"
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    heard = samples("test", file)
    assert heard.exit_code == 0
    assert "left out: " in heard.output
    assert "broken.wav can't be read as audio" in heard.output
    assert ": off" in heard.output


def test_detect_names_what_it_leaves_out_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "good.wav").write_bytes(wav(speech_like(1)))
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    call = tmp_path / "call.wav"
    call.write_bytes(wav(speech_like(1)))
    told = CliRunner().invoke(app, ["detect", str(call), "--samples", str(folder), "--json"])
    assert told.exit_code == 0
    assert "broken.wav can't be read as audio" in told.output
