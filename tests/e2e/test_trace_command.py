"""A call's SIP messages, asked of a running engine and written by `offhook call`."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rig import Bench, Driver

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.2
hangup_after = 0.6
"""


def methods(file: Path) -> list[str]:
    """What tshark sees in a pcap file."""
    ran = subprocess.run(
        ["tshark", "-r", str(file), "-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return ran.stdout.split()


async def test_a_running_engine_shows_a_call(
    bench: Bench, drive: Callable[[], Awaitable[Driver]]
) -> None:
    bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=headset")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    ended = await driver.until(messages.Leg, lambda leg: leg.state == "ended")

    async def trace(*more: str) -> subprocess.CompletedProcess[str]:
        where = ("--set", f"control.socket={bench.socket}")
        return await asyncio.to_thread(bench.offhook, "trace", *more, *where)

    for name in (ended.id, "5550001", "last"):
        reply = await driver.client.send(messages.Trace(call=name))
        assert reply.trace is not None
        assert b"BYE" in reply.trace.messages[-1].data
    full = await trace("last", "--full")
    assert "Proxy-Authorization: Digest ***" in full.stdout
    assert "demo pass" not in full.stdout
    for label in ("INVITE", "407", "200 OK", "ACK", "BYE", "200 OK (BYE)"):
        assert f"- {label}" in full.stdout
    rows = [json.loads(line) for line in (await trace("last", "-o", "json")).stdout.splitlines()]
    assert rows[0]["message"] == "INVITE"
    assert rows[0]["sent"] is True
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert "- REGISTER -" in (await trace("trunk")).stdout
    file = bench.folder / "call.pcap"
    assert (await trace("last", "--pcap", str(file))).returncode == 0
    if shutil.which("tshark"):
        assert [m for m in methods(file) if m.isalpha()][:2] == ["INVITE", "ACK"]
    missing = await trace("nobody")
    assert missing.returncode == 1
    assert missing.stderr == "offhook: No call with this leg, number or Call-ID is remembered.\n"
    nowhere = await trace("last", "--pcap", "/nowhere/x")
    assert nowhere.returncode == 2
    assert "--pcap: /nowhere/x can't be written: No such file or directory" in nowhere.stderr


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_a_single_call_is_written(bench: Bench) -> None:
    bench.start_carrier(NUMBERS)
    pcap, text = bench.folder / "call.pcap", bench.folder / "call.txt"
    ran = bench.offhook(
        "call", "5550001", *bench.settings(), "--pcap", str(pcap), "--trace", str(text)
    )
    assert ran.returncode == 0, ran.stderr
    assert {"INVITE", "407", "200", "ACK", "BYE"} <= set(methods(pcap))
    assert "- INVITE -" in text.read_text()
    assert "demo pass" not in text.read_text()
    assert text.stat().st_mode & 0o777 == pcap.stat().st_mode & 0o777 == 0o600
