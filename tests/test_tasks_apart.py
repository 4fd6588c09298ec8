"""What takes long with announcements is done in a process of its own, which ends with who waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from engine.apart import Apart, ApartError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


async def test_a_terminals_interrupt_does_not_reach_it_and_leaving_ends_it(tmp_path: Path) -> None:
    async with Apart("listen", tmp_path) as task:
        process = task._process
        assert process is not None
        assert os.getpgid(process.pid) != os.getpgid(0)
    assert process.returncode is not None


async def test_a_recording_that_can_not_be_read_is_told_and_the_next_is_heard(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    async with Apart("listen", tmp_path) as task:
        gone = await task.ask({"path": str(tmp_path / "gone.wav")})
        assert gone == {"error": f"there is no file {tmp_path / 'gone.wav'}"}
        assert "can't be read as audio" in (await task.ask({"path": str(tmp_path / "broken.wav")}))["error"]
        assert await task.ask({"pcm": ""}) == {"match": None}


async def test_what_goes_wrong_in_it_is_a_sentence_and_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Apart("read", tmp_path / "none") as task:
        assert "is no folder of samples" in (await task.answer())["error"]
    async with Apart("listen", tmp_path) as task:
        assert (await task.ask({}))["error"] == "KeyError: 'path'"
        with pytest.raises(ApartError, match="ended early"):
            async with asyncio.timeout(20):
                await task.ask({})
    assert "Traceback" not in capfd.readouterr().err
