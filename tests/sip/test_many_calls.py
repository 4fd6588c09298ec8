"""Many calls at once over a network that loses messages: each ends as it must, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
from collections import Counter

import pytest
from peers import Sipp, free_udp_port

from engine.config import Config, Rtp, Trunk
from engine.config import Sip as SipSection
from engine.legs import HangupCause, LegState
from engine.sip.call import Call
from engine.sip.dialog import Dialog
from engine.sip.transaction import Transaction
from engine.station import Station
from engine.trunk_leg import TrunkLeg

AT_ONCE = 20
PORTS = 80
FIRST = 80
"""Calls before the count begins, so that every cache and every memory of past calls, all bounded, is full."""
SETTLE_S = 45
"""Longest wait for the last transactions: 64*T1 (RFC 3261, timers H, J, L and M) and some slack."""

ENDS = {
    "1": {("normal", "far", None)},
    "2": {("normal", "us", None)},
    "3": {("rejected", "far", 486)},
    "4": {("cancelled", "us", 487), ("cancelled", "us", None)},  # None: the 487 took longer than we wait
}
"""Name, side and SIP code of a call's end, by its number's first digit; scenarios/many_fates.xml is the
other side."""


class Caller:
    """Dials `numbers`, some at once, and does our part of each one's fate."""

    def __init__(self, station: Station, numbers: list[str]) -> None:
        self._line = station.line
        self._waiting = numbers
        self._left = len(numbers)
        self.states: dict[str, list[LegState]] = {}
        self.causes: dict[str, HangupCause] = {}
        self.done = asyncio.Event()
        self._line.on_leg = self._changed

    def start(self) -> None:
        for _ in range(AT_ONCE):
            self._next()

    def _next(self) -> None:
        if self._waiting:
            leg = self._line.dial(self._waiting.pop(), role="manual")
            assert isinstance(leg, TrunkLeg), leg.cause

    def _changed(self, leg: TrunkLeg) -> None:
        states = self.states.setdefault(leg.number, [])
        if states[-1:] == [leg.state]:
            return
        states.append(leg.state)
        soon = asyncio.get_running_loop().call_later
        if leg.state is LegState.ANSWERED and leg.number[0] == "2":
            soon(0.1, leg.hangup)
        elif leg.state is LegState.RINGING and leg.number[0] == "4":
            soon(0.1, leg.hangup, "cancelled")
        elif leg.state is LegState.ENDED:
            assert leg.number not in self.causes, f"{leg.number} ended twice"
            assert leg.cause is not None
            self.causes[leg.number] = leg.cause
            self._left -= 1
            if self._left == 0:
                self.done.set()
            else:
                self._next()


def alive(*kinds: type) -> dict[str, int]:
    gc.collect()
    return dict(Counter(type(o).__name__ for o in gc.get_objects() if isinstance(o, kinds)))


def held(station: Station) -> dict[str, int]:
    """What a phone at rest holds of the machine."""
    return {
        "ports": station.plane.in_use,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "legs": len(station.line.legs),
    }


def memory() -> int:
    """Blocks of memory that Python's objects take up; the resident size also holds what is free again."""
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(200, marks=pytest.mark.timeout(120)),
        pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
async def test_calls_over_a_network_that_loses_a_twentieth_of_all_messages(sipp: Sipp, calls: int) -> None:
    """RFC 3261, 17: whatever is lost on the way there or back is sent again until it arrives."""
    options = ["-lost", "5", "-m", str(calls + FIRST), "-timeout", "500s", "-default_behaviors", "none"]
    sipp.start("many_fates", *options)
    low = free_udp_port(PORTS)
    station = Station(
        Config(
            trunk=Trunk(server=f"127.0.0.1:{sipp.port}", username="1001", register=False),
            sip=SipSection(listen="127.0.0.1:0"),
            rtp=Rtp(ports=f"{low}-{low + PORTS - 1}", timeout=0.0),
        )
    )
    await station.open(sound=False)
    agent = station.phone.agent
    assert agent is not None
    try:
        first = Caller(station, [f"{1 + n % 4}00{n:05}" for n in range(FIRST)])
        first.start()
        async with asyncio.timeout(60):
            await first.done.wait()
        before, blocks = held(station), memory()

        numbers = [f"{1 + n % 4}55{n:05}" for n in range(calls)]
        random.shuffle(numbers)
        caller = Caller(station, list(numbers))
        caller.start()
        async with asyncio.timeout(400):
            await caller.done.wait()

        wrong = {
            number: cause
            for number, cause in caller.causes.items()
            if (cause.name, cause.by, cause.sip_code) not in ENDS[number[0]]
        }
        assert not wrong
        assert caller.causes.keys() == set(numbers)
        answered = {n for n, states in caller.states.items() if LegState.ANSWERED in states}
        assert answered == {n for n in numbers if n[0] in "12"}

        async with asyncio.timeout(20):
            # the media thread may still have been closing the first calls' sockets when `before` was taken
            while any(now > before[what] for what, now in held(station).items()):
                await asyncio.sleep(0.05)
        assert not agent.calls
        await asyncio.to_thread(sipp.wait)
        if calls > 200:  # long enough to wait for every transaction's own end
            async with asyncio.timeout(SETTLE_S):
                while len(agent.layer):
                    await asyncio.sleep(0.1)
            assert alive(Call, Dialog, Transaction, TrunkLeg) == {}
            caller.states, caller.causes = {}, {}
            numbers.clear()
            answered.clear()
            assert memory() - blocks < calls
    finally:
        await station.close()
