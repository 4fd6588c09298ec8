"""What `offhook check` says of recordings."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.cli.recordings import check_recordings
from engine.config import Config

NOW = datetime(2026, 3, 2, 9, 5, 7)


def said(folder: Path, **keys: Any) -> tuple[bool, list[str]]:
    recording = {"folder": str(folder), "min_free_mb": 0, **keys}
    return check_recordings(msgspec.convert({"recording": recording}, Config), NOW)


def test_it_shows_how_and_where_to_with_an_example(tmp_path: Path) -> None:
    assert said(tmp_path / "not" / "yet", what="both", keep_days=30, announcement="/told.wav") == (True, [
        "both sides of every call, a file each, from the answer, stereo, 16-bit WAV",
        f"for example {tmp_path}/not/yet/2026-03-02/090507-+15550100-callee-bridged.wav",
        "after the announcement /told.wav",
        "deleted after 30 days",
    ])  # fmt: skip
    assert not (tmp_path / "not").exists()


def test_the_example_follows_the_pattern_and_the_format(tmp_path: Path) -> None:
    name = "{campaign}/{name}_{attempt}_{id}_{agent}_{trunk}"
    _, lines = said(tmp_path, name=name, format="flac", layout="mixed", begin="early")
    assert lines[0] == "only where the key r asks for it, from early media, mixed, FLAC"
    assert lines[1] == f"for example {tmp_path}/queue/Ann_Example_17_0a1b2c3d_8001_trunk.flac"


@pytest.mark.parametrize(("what", "good"), [("callee", False), ("off", True)])
def test_a_folder_that_can_not_be_used_is_told_and_matters_where_calls_are_recorded(
    tmp_path: Path, what: str, good: bool
) -> None:
    (tmp_path / "file").write_text("")
    ok, lines = said(tmp_path / "file" / "calls", what=what)
    assert (ok, lines[-1]) == (good, f"recording.folder: {tmp_path}/file is no folder")


def test_too_little_room_is_told(tmp_path: Path) -> None:
    ok, lines = said(tmp_path, what="callee", min_free_mb=1_000_000)
    assert not ok
    assert lines[-1].endswith("MB are left on its disk, less than recording.min_free_mb")
