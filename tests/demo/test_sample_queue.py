"""`offhook run` of the sample queue against the carrier: every number ends as the directory says."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.demo import directory
from engine.demo.process import CarrierProcess

DEMO = Path(directory.__file__).parent
CHANNELS = 8
"""Calls at a time, so that a minute's queue takes a few seconds; the demo itself makes one at a time."""


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queue")
    agents = [f"81{n:02}" for n in range(CHANNELS)]
    numbers = directory.DEFAULT.read_text("utf-8")
    for agent in agents:
        numbers += f"\n[numbers.{agent}]\nanswer_after = 1.2\nvoice = 11\none_call = true\n"
    (folder / "directory.toml").write_text(numbers, "utf-8")
    with CarrierProcess(directory=folder / "directory.toml") as carrier:
        settings = {"trunk.server": carrier.sip, "store.url": f"sqlite:///{folder}/queue.db",
                    "operator.agents": ",".join(agents), "dialer.max_channels": str(CHANNELS)}
        command = [sys.executable, "-m", "engine.cli", "run", str(DEMO / "queue.csv"),
                   "--config", str(DEMO / "demo.toml"), "--json"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        homes = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(folder))
        result = subprocess.run(command, env={**os.environ, **homes}, capture_output=True, text=True,
                                timeout=110, check=False)
        assert result.returncode == 0, result.stderr
        for event in carrier.events:
            assert event["event"] not in ("internal_error", "malformed"), event
        assert carrier.wait("deregistered")["user"] == "1001"
    return {done["number"]: done for done in map(json.loads, result.stdout.splitlines())}


def rows() -> list[str]:
    with (DEMO / "queue.csv").open(newline="", encoding="utf-8") as file:
        return [row["number"] for row in csv.DictReader(file)]


def test_each_number_is_worked_once(attempts):
    assert sorted(attempts) == sorted(rows())


@pytest.mark.parametrize("number", rows())
def test_a_number_ends_as_the_directory_says(attempts, number):
    expected = directory.load().find(number).expect
    done = attempts[number]
    assert done["disposition"] in expected.dispositions
    assert expected.sip_code in (None, done["sip_code"])
    assert done["digits"] == expected.digits
    assert set(expected.heard) <= {d["tone"] for d in done["detections"]}
    if done["disposition"] == "bridged":
        steps = "queued dialing listening answered wait_tone connecting bridged wrap_up done"
        assert list(done["states"]) == steps.split()
