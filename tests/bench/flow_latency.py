"""How long each step from the answer to the hang-up takes: `python tests/bench/flow_latency.py [--calls N]`.

A real engine in its process places each call over SIP to a callee, plays the wait tone, then calls an agent
and bridges the two; both far ends are raw sockets that answer and talk at random phases. Beside it stand the
figures that FreeSWITCH 1.11 had in the same flow, as published: it is not run here.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from flow_far_end import Arrived, Phone, TimedTrunk
from raw_trunk import sdp
from rig import Bench, Driver

from engine.control import messages
from engine.control.client import ControlClient
from engine.media import codec

SILENCE = codec.SILENCE["PCMA"]
CLICKS = 3
CALLEE_HZ, AGENT_HZ = 450, 650
JUMP = 6300
"""The largest step from one sample to the next where nothing is cut: the tone's 1,850 and the louder voice's
4,050 at once, the slopes of their fades, and what A-law rounds. The voices begin at their peaks, of 8,000.
"""


@dataclass
class Figures:
    """Milliseconds, one of each a call, but for clicks."""

    tone: list[float] = field(default_factory=list)
    agent: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    click: list[float] = field(default_factory=list)
    bye: list[float] = field(default_factory=list)
    jump: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Goal:
    name: str
    of: str
    percent: float
    limit: float
    freeswitch: str


GOALS = (
    Goal("callee's 200 -> first wait-tone packet", "tone", 95, 22, "21.8 / 23.1"),
    Goal("agent's 200 -> callee's voice at the agent", "agent", 95, 45, "90 / 115"),
    Goal("last wait-tone packet -> agent's voice: widest gap", "gap", 100, 25, "75 / 109"),
    Goal("click through the bridge, both ways", "click", 100, 20, "8.6 / 19.1"),
    Goal("BYE in -> BYE out", "bye", 95, 10, "18 / 36"),
)


def first(packets: Sequence[Arrived], payload: bytes) -> Arrived:
    return next(p for p in packets if p.payload == payload)


def jump(packets: Sequence[Arrived], voice: bytes) -> int:
    """The largest step between two samples from 0.2 s before a voice came until it has come alone."""
    came = first(packets, voice).at
    around = b"".join(p.payload for p in packets if came - 0.2 < p.at < came + 0.03)
    return int(np.abs(np.diff(codec.decode("PCMA", around).astype(int))).max())


async def wait_for(phone: Phone, payload: bytes) -> None:
    async with asyncio.timeout(10):
        while not any(p.payload == payload for p in phone.received):
            await asyncio.sleep(0.005)


async def one_call(trunk: TimedTrunk, driver: Driver, number: int, figures: Figures) -> None:
    random_ = random.Random(number)
    callee, agent = Phone(CALLEE_HZ, number), Phone(AGENT_HZ, -number)
    try:
        driver.forget()
        await driver.send(messages.Dial(number=f"55501{number:02}"))
        to_callee = await trunk.next("INVITE")
        trunk.reply(to_callee, 180)
        await asyncio.sleep(random_.uniform(0.05, 0.07))
        callee.talk(to_callee.rtp_port)
        answered = time.time()
        trunk.reply(to_callee, 200, sdp(callee.port))
        to_agent = await trunk.next("INVITE")
        trunk.reply(to_agent, 180)
        await asyncio.sleep(random_.uniform(0.3, 0.32))
        agent.talk(to_agent.rtp_port)
        taken = time.time()
        trunk.reply(to_agent, 200, sdp(agent.port))
        await wait_for(callee, agent.voice)
        await wait_for(agent, callee.voice)
        for _ in range(CLICKS):
            await asyncio.sleep(random_.uniform(0.05, 0.07))
            callee.click()
            agent.click()
        await asyncio.sleep(0.1)
        hung_up = time.time()
        trunk.request("BYE", to_callee, 2)
        bye = await trunk.next("BYE", Call_ID=to_agent.header("Call-ID"))
        trunk.reply(bye, 200)
        await driver.until(messages.AttemptDone)
    finally:
        callee.close()
        agent.close()
    tone = next(p for p in callee.received if p.payload != SILENCE and p.at > answered)
    voice = first(callee.received, agent.voice)
    around = [p.at for p in callee.received if taken - 0.05 < p.at <= voice.at]
    figures.tone.append((tone.at - answered) * 1000)
    heard = next(p for p in agent.received if p.payload != SILENCE)
    figures.agent.append((heard.at - taken) * 1000)
    figures.gap.append(max(b - a for a, b in itertools.pairwise(around)) * 1000)
    for speaker, listener in ((callee, agent), (agent, callee)):
        figures.click += [(first(listener.received, p).at - t) * 1000 for p, t in speaker.clicks.items()]
    figures.bye.append((trunk.at(bye) - hung_up) * 1000)
    figures.jump += [jump(callee.received, agent.voice), jump(agent.received, callee.voice)]


async def measure(calls: int, folder: Path) -> Figures:
    figures = Figures()
    bench = Bench(folder)
    trunk = await TimedTrunk.open()
    try:
        bench.start_engine(
            f"trunk.server={trunk.address}", "trunk.register=false", "operator.mode=cold",
            "operator.agents=8001", "rtp.send_first=true",
        )  # fmt: skip
        driver = Driver(await ControlClient.connect(bench.socket))
        for number in range(calls + 1):
            into = Figures() if number == 0 else figures  # the first call of a process warms it up
            await one_call(trunk, driver, number, into)
        await driver.close()
    finally:
        trunk.close()
        bench.close()
    return figures


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent do not pass, by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)]


def report(figures: Figures) -> bool:
    """Print the table; whether every goal is met."""
    print(f"wait-tone-then-bridge, {len(figures.tone)} calls at random phase, ms")
    print(f"{'':52} {'median':>7} {'p95':>7} {'worst':>7} {'goal':>9}   FreeSWITCH 1.11")
    print(f"{'':52} {'':7} {'':7} {'':7} {'':9}   median / worst, published")
    met = True
    for goal in GOALS:
        values = getattr(figures, goal.of)
        got = percentile(values, goal.percent)
        met &= got <= goal.limit
        what = "worst" if goal.percent == 100 else f"p{goal.percent:.0f}"
        print(f"{goal.name:52} {statistics.median(values):7.1f} {percentile(values, 95):7.1f} "
              f"{max(values):7.1f} {what + f' {goal.limit:g}':>9}{' ' if got <= goal.limit else '!'}  "
              f"{goal.freeswitch}")
    largest = max(figures.jump)
    print(f"largest step between two samples where a voice begins: {largest} (at most {JUMP})")
    return met and largest <= JUMP


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flow-") as folder:
        figures = asyncio.run(measure(arguments.calls, Path(folder)))
    return 0 if report(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
