"""Wait tone, then bridge, over real sockets, as the callee's and the agent's own recordings have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.demo import directory
from engine.demo.process import CarrierProcess

DEMO = Path(directory.__file__).parent
RATE = 8000

PLACED = 0.02
"""How much later than the recording says a sound may have been heard, in seconds."""

NUMBERS = """
[[users]]
name = "1001"
password = "demo pass"

[numbers.5550001]
note = "hangs up itself"
answer_after = 0.3
voice = 21
hangup_after = 4.0

[numbers.5550002]
note = "stays until the agent has had enough"
answer_after = 0.3
voice = 22

[numbers.8001]
note = "the only agent"
answer_after = 1.2
voice = 31
one_call = true
hangup_after = 4.0
"""


class Track:
    """A recording of the carrier's, cut by moments of CLOCK_MONOTONIC."""

    def __init__(self, path: str, t0: float) -> None:
        with wave.open(path) as file:
            self.samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        self.t0 = t0

    def cut(self, begin: float, end: float) -> np.ndarray:
        first, last = round((begin - self.t0) * RATE), round((end - self.t0) * RATE)
        assert 0 <= first < last <= len(self.samples), "the recording does not reach that far"
        return self.samples[first:last]


@dataclass
class Party:
    """One leg as the carrier saw it."""

    events: list[dict[str, Any]]

    def at(self, event: str) -> float:
        return float(self.event(event)["t"])

    def event(self, event: str) -> dict[str, Any]:
        return next(e for e in self.events if e["event"] == event)

    def track(self, which: str) -> Track:
        told = self.event("recording")
        return Track(told[which], told["t0"])


@dataclass
class Run:
    done: dict[str, dict[str, Any]]
    callees: dict[str, Party]
    agents: list[Party]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("flow")
    (folder / "directory.toml").write_text(NUMBERS, "utf-8")
    (folder / "queue.csv").write_text("number\n5550001\n5550002\n", "utf-8")
    with CarrierProcess(directory=folder / "directory.toml", record_dir=folder) as carrier:
        command = [sys.executable, "-m", "engine.cli", "run", str(folder / "queue.csv"), "--json",
                   "--config", str(DEMO / "demo.toml"), "--set", f"trunk.server={carrier.sip}",
                   "--set", f"store.url=sqlite:///{folder}/queue.db", "--set", "operator.mode=cold",
                   "--set", "operator.agents=8001"]
        homes = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(folder))
        result = subprocess.run(command, env={**os.environ, **homes}, capture_output=True, text=True,
                                timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        carrier.wait("deregistered")
        events = list(carrier.events)
    calls: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if "call" in event:
            calls.setdefault(event["call"], []).append(event)
    parties = [(told[0]["number"], Party(told)) for told in calls.values()]
    return Run(
        {done["number"]: done for done in map(json.loads, result.stdout.splitlines())},
        {number: party for number, party in parties if number != "8001"},
        [party for number, party in parties if number == "8001"],
    )


def delay(said: Track, heard: Track, begin: float, seconds: float = 1.0) -> tuple[float, float]:
    """How much later what was said from `begin` on was heard, in s, and the correlation there."""
    template = said.cut(begin, begin + seconds)
    searched = heard.cut(begin - 0.05, begin + seconds + 0.5)
    products = np.correlate(searched, template, "valid")
    powers = np.convolve(searched**2, np.ones(len(template)), "valid")
    match = products / np.sqrt(np.sum(template**2) * powers + 1)
    best = int(np.argmax(match))
    return best / RATE - 0.05, float(match[best])


@pytest.mark.parametrize("number", ["5550001", "5550002"])
def test_the_callee_hears_the_wait_tone_at_once(run, number):
    callee = run.callees[number]
    answered = callee.at("answered")
    heard = callee.track("received")
    after = heard.cut(answered, answered + 1.0)
    begins = int(np.argmax(np.abs(after) > 500)) / RATE
    print(f"wait tone {1000 * begins:.0f} ms after the 200")
    assert np.abs(after).max() > 500
    assert begins < 0.1 - PLACED
    tone = heard.cut(answered + 0.2, answered + 0.7)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    loudest = {round(float(f) / 10) * 10 for f in np.argsort(spectrum)[-2:] * RATE / len(tone)}
    assert loudest == {440, 480}  # US ringback


@pytest.mark.parametrize("call", [0, 1])
def test_both_hear_each_other_after_the_bridge_without_much_delay(run, call):
    callee, agent = list(run.callees.values())[call], run.agents[call]
    begin = agent.at("answered") + 0.6
    for who, said, heard in (("the agent", agent.track("sent"), callee.track("received")),
                             ("the callee", callee.track("sent"), agent.track("received"))):
        late, match = delay(said, heard, begin)
        print(f"{who} is heard {1000 * late:.0f} ms late, correlation {match:.2f}")
        assert match > 0.8, who
        assert late < 0.1 - PLACED, who


def test_when_the_callee_hangs_up_the_agents_leg_ends_and_the_agent_is_free(run):
    callee, agent = run.callees["5550001"], run.agents[0]
    assert callee.event("bye")["by"] == "carrier"
    assert agent.event("bye")["by"] == "phone"
    assert agent.at("ended") - callee.at("bye") < 1.0
    assert len(run.agents) == 2  # the only agent took the next call


def test_when_the_agent_hangs_up_the_callees_leg_ends(run):
    callee, agent = run.callees["5550002"], run.agents[1]
    assert agent.event("bye")["by"] == "carrier"
    assert callee.event("bye")["by"] == "phone"
    assert callee.at("ended") - agent.at("bye") < 1.0


def test_both_calls_count_as_bridged_with_the_agent_named(run):
    assert [(d["disposition"], d["agent"]) for d in run.done.values()] == [("bridged", "8001")] * 2
