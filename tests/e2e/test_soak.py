"""Many calls of mixed fates through one engine: each ends as it must, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rig import Bench, Driver, udp_ports

from engine.config_file import load
from engine.control import messages
from engine.service import Engine

AGENTS = ("8001", "8002", "8003", "8004")
FATES = {
    "callee hangs up": ("answer_after = 0.1\nhangup_after = 0.9", "bridged"),
    "busy": ("refuse = 486\nrefuse_after = 0.1", "busy"),
    "agent hangs up": ("answer_after = 0.1", "bridged"),
    "no answer": ("", "no_answer"),
    "hangs up in the wait tone": ("answer_after = 0.1\nhangup_after = 0.12", "caller_hung_up"),
    "unreachable": ("refuse = 404", "invalid_number"),
    "operator hangs up": ("answer_after = 0.1", "bridged"),
    "cancelled while ringing": ("", "cancelled"),
    "declined": ('early = "ringback"\nrefuse = 603\nrefuse_after = 0.2', "rejected"),
    "vanishes": ("answer_after = 0.1\nvanish_after = 0.3", "no_rtp"),
}
WORKERS = {"media-ears", "media-loader", "recorder", "recordings", "offhook-store", "asyncio"}
"""Threads that the engine makes when they are wanted, and keeps."""
OUR_END = {("listening", "cancelled while ringing"), ("bridged", "operator hangs up")}
SETTINGS = (
    "operator.mode=cold",
    f"operator.agents={','.join(AGENTS)}",
    f"dialer.max_channels={len(AGENTS)}",
    "dialer.ring_timeout=1",
    "dialer.early_media=ignore",
    "rtp.timeout=1",
    "recording.what=both",
)


def numbers_of(calls: int) -> dict[str, str]:
    """As many numbers as calls, each with its fate."""
    names = list(FATES)
    return {f"555{1000 + i}": names[i % len(names)] for i in range(calls)}


def directory(fates: dict[str, str]) -> str:
    # an agent answers late enough for a callee to hang up in the wait tone
    agents = "".join(f"[numbers.{a}]\nanswer_after = 0.25\none_call = true\n" for a in AGENTS)
    return agents + "".join(f"[numbers.{n}]\n{FATES[fate][0]}\n" for n, fate in fates.items())


def queue_file(folder: Path, fates: dict[str, str]) -> Path:
    file = folder / "soak.csv"
    file.write_text("number\n" + "\n".join(fates) + "\n", "utf-8")
    return file


class Operator:
    """Does what the fates ask of our side, as the events tell of them. `hang_up(leg)` ends a leg."""

    def __init__(self, fates: dict[str, str], hang_up: Callable[[str], None]) -> None:
        self._fates, self._hang_up = fates, hang_up
        self._done: set[str] = set()
        self.dispositions: dict[str, str] = {}
        self.all_done = asyncio.Event()

    def see(self, event: object) -> None:
        if isinstance(event, messages.Attempt):
            fate = self._fates.get(event.number, "")
            key = f"{event.entry} {event.state}"
            if key in self._done:
                return
            self._done.add(key)
            if (event.state, fate) in OUR_END:
                self._hang_up(event.leg)
            elif event.state == "bridged" and fate == "agent hangs up":
                self._hang_up(event.agent_leg)
        elif isinstance(event, messages.AttemptDone):
            assert event.number not in self.dispositions, f"{event.number} was called twice"
            self.dispositions[event.number] = event.disposition
            if len(self.dispositions) == len(self._fates):
                self.all_done.set()

    def check(self) -> None:
        """Every call ended as its fate says."""
        wrong = {
            (fate, self.dispositions[number])
            for number, fate in self._fates.items()
            if self.dispositions[number] != FATES[fate][1]
        }
        assert not wrong, f"{wrong} of {Counter(self.dispositions.values())}"


def usage(pid: int) -> dict[str, int]:
    """RTP ports, open files, threads, and resident memory in KiB."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "ports": len(udp_ports(pid)),
        "files": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
        "kib": int(status["VmRSS"].split()[0]),
    }


async def settled(ask: Callable[[], object], wanted: object, within: float = 10.0) -> object:
    """What `ask` says once it says what is wanted, or at the end of the time."""
    try:
        async with asyncio.timeout(within):
            while ask() != wanted:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    return ask()


async def test_after_forty_calls_the_engine_holds_what_it_held_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fates = numbers_of(40)
    bench.start_carrier(directory(fates))
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    overrides = bench.settings(*SETTINGS)[1::2]
    loop = asyncio.get_running_loop()

    def hang_up(leg: str) -> None:
        command = engine.desk.handle(messages.Hangup(leg=leg))
        hanging.add(task := loop.create_task(command))
        task.add_done_callback(hanging.discard)

    hanging: set[asyncio.Task[object]] = set()
    operator = Operator(fates, hang_up)
    engine = Engine(load(None, overrides), on_event=operator.see)
    await engine.start(queue_file(bench.folder, fates))
    try:
        agent = engine.station.phone.agent
        assert agent is not None
        async with asyncio.timeout(10):
            await engine.line.until_registered()
        before = {t.get_coro().__qualname__ for t in asyncio.all_tasks()}
        threads = set(threading.enumerate())

        await engine.desk.handle(messages.Resume())
        async with asyncio.timeout(60):
            await operator.all_done.wait()
        operator.check()

        def left() -> dict[str, object]:
            return {
                "legs": len(engine.line.legs),
                "calls": len(agent.calls),
                "open rings of messages": len(engine.station.journal._calls),
                "ports": engine.station.plane.in_use,
                "streams": len(engine.station.media._board.streams),
                "meters": len(engine.station.media.meters()),
                "attempts": len(engine.dialer.active),
                "saved dialogs": len(engine.store.dialogs.left()),
                "agents in use": len(engine.dialer.seats.in_use),
                "tasks": sorted({t.get_coro().__qualname__ for t in asyncio.all_tasks()} - before),
            }

        nothing = dict.fromkeys(left(), 0) | {"tasks": []}
        assert await settled(left, nothing) == nothing
        # workers made when they were wanted, one of each kind: none is a call's own
        made = Counter(re.sub(r"[_-]?\d.*", "", t.name) for t in set(threading.enumerate()) - threads)
        assert set(made) <= WORKERS, made
        assert all(count == 1 for kind, count in made.items() if kind != "asyncio"), made
        assert udp_ports(os.getpid()) == []
    finally:
        await engine.close()
    assert len(agent.layer) == 0


LINGER = 33.0
"""Seconds for which transactions stay to absorb what comes late: 64*T1 and a little (RFC 3261, 17)."""


@pytest.mark.slow
@pytest.mark.timeout(360)
async def test_four_hundred_calls_leave_nothing_behind(
    bench: Bench, drive: Callable[[], Awaitable[Driver]]
) -> None:
    fates = list(numbers_of(420).items())
    bench.start_carrier(directory(dict(fates)))
    engine = bench.start_engine(*SETTINGS)
    driver = await drive()
    sending: set[asyncio.Task[object]] = set()

    def hang_up(leg: str) -> None:
        sending.add(task := asyncio.create_task(driver.client.send(messages.Hangup(leg=leg))))
        task.add_done_callback(sending.discard)

    await driver.send(messages.Resume())
    after: list[dict[str, int]] = []
    for third in (dict(fates[begin : begin + 140]) for begin in (0, 140, 280)):
        operator = Operator(third, hang_up)
        driver.watch(operator.see)
        await driver.send(messages.LoadQueue(path=str(queue_file(bench.folder, third))))
        async with asyncio.timeout(70):
            await operator.all_done.wait()
        operator.check()
        driver.unwatch(operator.see)
        driver.forget()
        await asyncio.sleep(LINGER)
        after.append(usage(engine.pid))
    print(f"after 140, 280 and 420 calls: {after}")
    _, warm, last = after  # by the second third everything that is kept and used again is there
    assert last["ports"] == 0
    assert last["files"] <= warm["files"]
    assert last["threads"] <= warm["threads"]
    assert last["kib"] - warm["kib"] < 3000  # 20 KiB a call would be a leak
    await driver.send(messages.Shutdown())
    assert await asyncio.to_thread(engine.wait, 5) == 0
