"""`offhook register` and `offhook call` against SIPp, a SIP stack of another's making.

The scenarios in scenarios/ are the far end; SIPp's exit status says whether all that they expect came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from charts import FakeMedia

from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.phone import Phone

Until = Callable[[Callable[[], bool]], Awaitable[None]]
SCENARIOS = Path(__file__).parent / "scenarios"
LIMIT_S = 40


def free_udp_port(also_above: int = 0) -> int:
    """A free UDP port on loopback; `also_above` more after it are free too."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port % 2 or port + also_above > 65535:
            continue
        try:
            for n in range(1, also_above + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port + n))
        except OSError:
            continue
        return port


class Sipp:
    """SIPp playing one scenario once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_udp_port()

    def start(self, scenario: str, *options: str) -> None:
        media = free_udp_port(4)
        command = [
            "sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(self.port),
            "-mi", "127.0.0.1", "-mp", str(media), "-m", "1", "-nostdin", "-timeout", f"{LIMIT_S}s",
            "-timeout_error", "-default_behaviors", "bye,abortunexp", "-trace_msg",
            "-message_file", str(self._folder / "messages"), "-trace_err",
            "-error_file", str(self._folder / "errors"), *options,
        ]  # fmt: skip
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, cwd=self._folder, stdin=null, stdout=null, stderr=null)

    def wait(self) -> None:
        """Until the scenario is over. Fails with what SIPp says where it was not played as written."""
        assert self._process is not None
        status = self._process.wait(LIMIT_S + 10)
        if status != 0:
            files = [self._folder / name for name in ("errors", "messages")]
            said = "\n".join(file.read_text("utf-8") for file in files if file.exists())
            pytest.fail(f"SIPp ended with {status}\n{said}")

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def sipp(tmp_path: Path) -> Iterator[Sipp]:
    if shutil.which("sipp") is None:
        if os.environ.get("CI"):
            pytest.fail("SIPp is missing; CI must have it (Debian's package sip-tester)")
        pytest.skip("SIPp is missing (Debian's package sip-tester)")
    made = Sipp(tmp_path)
    yield made
    made.close()


def offhook(
    command: str, port: int, *options: str, register: bool = False
) -> tuple[int, list[dict[str, Any]]]:
    """Run a command of ours to its end: exit status and events."""
    rtp = free_udp_port(8)
    settings = {
        "trunk.server": f"127.0.0.1:{port}", "trunk.username": "1001", "trunk.password": "demo pass",
        "trunk.register": str(register).lower(), "trunk.expires": "60", "sip.listen": "127.0.0.1:0",
        "rtp.ports": f"{rtp}-{rtp + 8}", "audio.input": "none", "audio.output": "none",
    }  # fmt: skip
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", *command.split(), *options, *given, "--json"],
        capture_output=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.asynccontextmanager
async def phone_to(
    sipp: Sipp,
) -> AsyncIterator[tuple[Phone, Callable[[Callable[[], bool]], Awaitable[None]]]]:
    """A phone in this process whose trunk is SIPp, and a wait for a condition on its calls."""
    trunk = ("127.0.0.1", sipp.port)
    account = Account(*trunk, username="1001", register=False)
    phone = Phone(*trunk, "1001", "", "127.0.0.1", None, 0, account=account, media=FakeMedia())
    changed = asyncio.Event()
    phone.on_call_change = lambda call: changed.set()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                changed.clear()
                await changed.wait()

    await phone.open()
    try:
        yield phone, until
    finally:
        await phone.close()


def call(sipp: Sipp, *options: str) -> tuple[int, dict[str, Any], list[str]]:
    """`offhook call`: exit status, how it ended, the states that it went through."""
    status, events = offhook("call 5551234", sipp.port, *options)
    states: list[str] = []
    for event in events:
        state = event.get("state")
        if event["type"] == "leg" and state not in states[-1:]:
            states.append(str(state))
    return status, events[-1], states


def test_register_answers_the_challenge_and_leaves_at_the_end(sipp: Sipp) -> None:
    sipp.start("register")
    status, events = offhook("register --for 1.5", sipp.port, register=True)
    assert status == 0
    assert any(event.get("state") == "registered" for event in events)
    sipp.wait()


def test_a_stale_nonce_is_replaced(sipp: Sipp) -> None:
    sipp.start("stale_nonce")
    status, result, _ = call(sipp)
    sipp.wait()
    assert status == 0
    assert result["answered"]


def test_early_media_and_an_answer_with_another_tag_and_port(sipp: Sipp) -> None:
    sipp.start("early_media_then_another_fork")
    status, result, states = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")
    assert states == ["dialing", "early", "answered", "ended"]


def test_busy(sipp: Sipp) -> None:
    sipp.start("busy")
    status, result, _ = call(sipp)
    sipp.wait()
    assert (status, result["cause"], result["sip_code"]) == (3, "rejected", 486)


def test_a_cancelled_call(sipp: Sipp) -> None:
    sipp.start("cancelled")
    status, result, states = call(sipp, "--cancel-after", "0.8")
    sipp.wait()
    assert (status, result["cause"], result["sip_code"]) == (3, "cancelled", 487)
    assert "answered" not in states


def test_ack_and_bye_follow_the_recorded_route(sipp: Sipp) -> None:
    sipp.start("record_route")
    status, result, _ = call(sipp, "--hangup-after", "0.5")
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


def test_the_far_end_hangs_up(sipp: Sipp) -> None:
    sipp.start("far_bye")
    status, result, states = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")
    assert states == ["dialing", "trying", "ringing", "answered", "ended"]


async def test_a_call_survives_the_loss_of_every_fifth_message(sipp: Sipp) -> None:
    """The phone stays until SIPp has done, so that a BYE whose answer was lost is answered again."""
    sipp.start("far_bye", "-lost", "20")
    async with phone_to(sipp) as (phone, until):
        dialled = phone.dial("5551234")
        await until(lambda: dialled.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
    assert dialled.cause == HangupCause("normal", "far")


def test_the_far_end_holds_and_resumes(sipp: Sipp) -> None:
    sipp.start("far_hold")
    status, result, _ = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


async def test_we_hold_and_resume(sipp: Sipp) -> None:
    sipp.start("held")
    async with phone_to(sipp) as (phone, until):
        dialled = phone.dial("5551234")
        await until(lambda: dialled.progress is LegState.ANSWERED)
        dialled.hold(True)
        await until(lambda: dialled.held)
        dialled.hold(False)
        await until(lambda: not dialled.held)
    await asyncio.to_thread(sipp.wait)
