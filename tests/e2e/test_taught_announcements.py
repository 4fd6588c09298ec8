"""An announcement is heard, taught, and known in calls recorded earlier, by another engine; a real terminal
shows what is heard meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rig import Bench, Driver

from engine.control import messages

Drive = Callable[[], Awaitable[Driver]]
UNKNOWN = 'early = "unknown"\nrefuse = 480\nrefuse_after = 9.0\n'
NUMBERS = f"[numbers.5550001]\n{UNKNOWN}[numbers.5550002]\n{UNKNOWN}"


class Screen:
    """A console in a terminal of its own; `shown` is all that it has written."""

    def __init__(self, socket: Path) -> None:
        self.shown = ""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        terminal = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "tui", "--socket", str(socket), "--attached"]
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=terminal)
        os.close(theirs)
        self._terminal = ours
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:
                return
            self.shown = (self.shown + data.decode("utf-8", "replace"))[-1_000_000:]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._terminal)


@contextmanager
def console(socket: Path) -> Iterator[Screen]:
    screen = Screen(socket)
    try:
        yield screen
    finally:
        screen.close()


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


async def logged(driver: Driver, text: str) -> messages.LogLine:
    return await driver.until(messages.LogLine, lambda line: text in line.text, 60)


async def called(driver: Driver, number: str) -> messages.AttemptDone:
    """A call that said something unknown, to its end."""
    await driver.send(messages.Dial(number=number))
    return await driver.until(messages.AttemptDone, lambda done: done.number == number, 60)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_what_is_taught_is_known_in_earlier_recordings_and_the_folder_is_followed(
    bench: Bench, drive: Drive, tmp_path: Path
) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    bench.start_carrier(NUMBERS)
    settings = (
        "recording.what=callee", "recording.begin=early", f"detection.samples={samples}",
        "operator.mode=cold", "operator.agents=8001",
    )  # fmt: skip
    first = bench.start_engine(*settings)
    driver = await drive()
    done = await called(driver, "5550001")
    assert "unmatch" in [heard.tone for heard in done.detections]
    first.terminate()
    first.wait(20)

    bench.start_engine(*settings)
    driver = await drive()
    with console(bench.socket) as screen:
        await driver.send(messages.Dial(number="5550002"))
        leg = await driver.until(messages.Leg, lambda leg: leg.number == "5550002" and leg.state == "early")
        await driver.send(messages.Look(leg=leg.id))
        spectrum = await driver.until(messages.Spectrum, lambda told: set(told.columns[0]) != {"0"})
        assert (spectrum.leg, len(spectrum.columns[0])) == (leg.id, 16)
        await driver.until(messages.AttemptDone, lambda done: done.number == "5550002", 60)
        await until(lambda: "4 kHz" in screen.shown and "unmatch" in screen.shown, "the timeline")
        await until(lambda: "▄" in screen.shown or "▀" in screen.shown, "the spectrogram")

        await driver.send(messages.Teach(category="does not exist"))
        await logged(driver, "listening again to 1 earlier call that said something unknown")
        entry = await driver.until(messages.Entry, lambda row: row.number == "5550001", 60)
        assert entry.disposition == "invalid_number"
        assert entry.reason.startswith("listened to again at 20")
        await logged(driver, "1 earlier call now matches: 5550001 (does not exist)")
        await until(lambda: "now matches" in screen.shown, "the result on the screen")

    sample = next(samples.glob("*.wav")).stem
    removed = await asyncio.to_thread(bench.offhook, "samples", "remove", sample, "--samples", str(samples))
    assert removed.returncode == 0, removed.stderr
    await logged(driver, "0 announcements are known now (1 removed)")
