"""SIP stacks of others' making that the tests run against, and phones of ours that have one as trunk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from charts import FakeMedia

from engine.sip.account import Account
from engine.sip.phone import Phone

Until = Callable[[Callable[[], bool]], Awaitable[None]]
SCENARIOS = Path(__file__).parent / "scenarios"
LIMIT_S = 40
"""Longest that one scenario may take, in seconds."""



def need(program: str, package: str) -> str:
    """The path of a program that a test runs against. Where it is missing: skipped, in CI failed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing; CI must have it (Debian's package {package})")
        pytest.skip(f"{program} is missing (Debian's package {package})")
    return found


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
        self.host = "127.0.0.1"

    def start(self, scenario: str, *options: str) -> None:
        media = free_udp_port(4)
        command = [
            need("sipp", "sip-tester"), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", self.host,
            "-p", str(self.port), "-mi", self.host, "-mp", str(media), "-m", "1", "-nostdin",
            "-timeout", f"{LIMIT_S}s", "-timeout_error", "-default_behaviors", "bye,abortunexp", "-trace_msg",
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


@contextlib.asynccontextmanager
async def phone_to(port: int, **more: Any) -> AsyncIterator[tuple[Phone, Until]]:
    """A phone in this process whose trunk is at a port of 127.0.0.1, and a wait for a condition on its calls.
    `more` are fields of its `Account`.
    """
    trunk = ("127.0.0.1", port)
    account = Account(*trunk, **{"username": "1001", "register": False, **more})
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
        [sys.executable, "-m", "engine.cli", *command.split(), *given, *options, "--json"],
        capture_output=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def call(sipp: Sipp, *options: str) -> tuple[int, dict[str, Any], list[str]]:
    """`offhook call`: exit status, how it ended, the states that it went through."""
    status, events = offhook("call 5551234", sipp.port, *options)
    states: list[str] = []
    for event in events:
        state = event.get("state")
        if event["type"] == "leg" and state not in states[-1:]:
            states.append(str(state))
    return status, events[-1], states
