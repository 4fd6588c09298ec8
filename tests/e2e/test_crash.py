"""Killed at the worst moment: no call is lost with the screen, nobody is called twice or left on the line."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from rig import Bench, Driver

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.3
[numbers.5550002]
[numbers.5550003]
answer_after = 0.3
hangup_after = 1.0
[numbers.8001]
answer_after = 0.3
voice = 11
one_call = true
"""
COLD = ("operator.mode=cold", "operator.agents=8001")
Drive = Callable[[], Awaitable[Driver]]


class Terminal:
    """A real terminal: one tmux session of a server of its own."""

    def __init__(
        self, folder: Path, command: list[str], environment: dict[str, str], size: str = "120x36"
    ) -> None:
        self._socket = str(folder / "tmux")
        width, height = size.split("x")
        self._tmux("new-session", "-d", "-x", width, "-y", height, "--", *command, environment=environment)

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        ran = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True, text=True, env=environment, check=False, timeout=20,
        )  # fmt: skip
        return ran.stdout

    @property
    def pid(self) -> int:
        return int(self._tmux("list-panes", "-F", "#{pane_pid}").strip())

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, *words: str, timeout: float = 25) -> str:
        """The screen, once all these words are on it."""
        limit = time.monotonic() + timeout
        while time.monotonic() < limit:
            screen = self.screen()
            if all(word.lower() in screen.lower() for word in words):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"the screen never showed {words}:\n{screen}")

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def terminals(bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    assert shutil.which("tmux"), "this test needs tmux"
    opened: list[Terminal] = []

    def start(*arguments: str, size: str = "120x36") -> Terminal:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        environment = bench.environment | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "engine.cli", *arguments]
        opened.append(Terminal(folder, command, environment, size))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


async def test_a_killed_console_takes_no_call_with_it_and_attach_shows_it(
    bench: Bench, drive: Drive, terminals: Callable[..., Terminal]
) -> None:
    bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    console = terminals("attach", *bench.settings(*COLD))
    console.shows("registered", "1001")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    console.shows("bridged")
    os.kill(console.pid, signal.SIGKILL)
    again = terminals("attach", *bench.settings(*COLD), size="80x24")
    again.shows("bridged")
    snapshot = await fresh_snapshot(driver)
    assert [a.state for a in snapshot.attempts] == ["bridged"]
    assert not [e for e in bench.carrier.events if e["event"] == "bye"]
    again.keys("F8")
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    bench.carrier.wait("bye", number="5550001")


async def fresh_snapshot(driver: Driver) -> messages.Snapshot:
    driver.forget()
    await driver.send(messages.GetSnapshot())
    return await driver.until(messages.Snapshot)


async def test_a_killed_engine_leaves_its_entry_interrupted_and_hangs_up_when_it_is_back(
    bench: Bench, drive: Drive, tmp_path: Path
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    queue = tmp_path / "queue.csv"
    queue.write_text("number\n5550003\n5550001\n5550004\n")
    engine = bench.start_engine(*COLD, queue=queue)
    driver = await drive()
    await driver.send(messages.Resume())
    await driver.until(messages.AttemptDone, lambda d: d.number == "5550003")
    await driver.until(messages.Attempt, lambda a: a.state == "bridged" and a.number == "5550001")
    # the dialogs of both legs are on disk before the engine could be killed at the bridge
    await asyncio.to_thread(carrier.wait, "answered", number="8001")
    engine.kill()
    engine.wait()
    bench.start_engine(*COLD, queue=queue)
    driver = await drive()
    carrier.wait("bye", number="5550001")
    carrier.wait("bye", number="8001", timeout=10)
    rows = (await driver.client.send(messages.QueuePage(offset=0, limit=10))).rows
    assert rows is not None
    assert [(r.number, r.state, r.attempts) for r in rows.rows] == [
        ("5550003", "done", 1), ("5550001", "interrupted", 1), ("5550004", "queued", 0),
    ]  # fmt: skip
    await driver.send(messages.Resume())
    await driver.until(messages.AttemptDone, lambda d: d.number == "5550004")
    assert calls_to(bench, "5550001") == 1
    await driver.send(messages.Redial(entry=rows.rows[1].id))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged" and a.number == "5550001")
    assert calls_to(bench, "5550001") == 2


def calls_to(bench: Bench, number: str) -> int:
    return len([e for e in bench.carrier.events if e["event"] == "answered" and e["number"] == number])


async def test_a_callee_who_was_left_ringing_is_cancelled(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    engine = bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550002"))
    await driver.until(messages.Leg, lambda e: e.state == "ringing")
    carrier.wait("ringing", number="5550002")
    engine.kill()
    engine.wait()
    bench.start_engine(*COLD)
    carrier.wait("cancel", number="5550002")


def test_a_second_engine_says_where_the_first_is(bench: Bench) -> None:
    bench.start_carrier(NUMBERS)
    first = bench.start_engine(*COLD)
    second = bench.offhook("engine", *bench.settings(*COLD))
    assert second.returncode == 2
    assert str(bench.socket) in second.stderr
    assert str(first.pid) in second.stderr
    assert (bench.socket.stat().st_mode & 0o777) == 0o600


def test_ctl_sends_commands_and_streams_events(bench: Bench) -> None:
    bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    where = ["--set", f"control.socket={bench.socket}"]
    assert bench.offhook("ctl", "dial", "number=5550003", *where).returncode == 0
    events = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "ctl", "events", *where],
        stdout=subprocess.PIPE,
        env=bench.environment,
    )
    assert events.stdout is not None
    first = events.stdout.readline()
    assert b'"type":"snapshot"' in first
    refused = bench.offhook("ctl", "skip", "entry=999", *where)
    assert refused.returncode == 1
    assert "999" in refused.stderr
    assert bench.offhook("ctl", "dance", *where).returncode == 2
    assert bench.offhook("ctl", "dial", "numbr=1", *where).returncode == 2
    assert bench.offhook("ctl", "shutdown", *where).returncode == 0
    assert b'"type":"bye"' in events.stdout.read()
    assert events.wait(10) == 0
    events.stdout.close()
    gone = bench.offhook("ctl", "pause", *where)
    assert gone.returncode == 1
    assert "No engine is running" in gone.stderr


async def test_the_trunk_is_pulled_away_in_mid_call(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD, "rtp.timeout=2")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    os.kill(carrier.pid, signal.SIGKILL)
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "no_rtp"
    await driver.until(messages.Leg, lambda e: e.role == "agent" and e.state == "ended")
