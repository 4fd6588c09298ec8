"""A real engine in a process of its own, against a real carrier, seen through the real control socket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine.control import messages
from engine.control.client import ControlClient
from engine.demo.process import CarrierProcess

RATE = 8000
T = TypeVar("T")


class Bench:
    """One carrier and the engines that are started against it, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.carrier: CarrierProcess
        self.engines: list[subprocess.Popen[bytes]] = []
        own = {"COLUMNS", "LINES"}  # of the terminal that the tests run in
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OFFHOOK") and k not in own}
        self.environment = kept | {
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def start_carrier(self, numbers: str, listen: str = "127.0.0.1:0") -> CarrierProcess:
        path = self.folder / "directory.toml"
        path.write_text(f'[[users]]\nname = "1001"\npassword = "demo pass"\n{numbers}', "utf-8")
        self.carrier = CarrierProcess(listen=listen, directory=path, record_dir=self.folder / "carrier")
        return self.carrier

    def settings(self, *more: str) -> list[str]:
        """Command-line overrides for an engine at this carrier."""
        keys = [
            *([f"trunk.server={self.carrier.sip}"] if hasattr(self, "carrier") else []),
            "trunk.username=1001",
            "trunk.password=demo pass",
            "trunk.country=us",
            "sip.listen=127.0.0.1:0",
            "rtp.ports=30000-30399",
            "audio.input=none",
            "audio.output=none",
            "detection.starter=false",
            f"store.url=sqlite:///{self.folder / 'queue.db'}",
            f"control.socket={self.socket}",
            f"recording.folder={self.folder / 'recordings'}",
            *more,
        ]
        return [part for key in keys for part in ("--set", key)]

    def start_engine(
        self, *more: str, queue: Path | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        arguments = ["--queue", str(queue)] if queue else []
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "engine", *self.settings(*more), *arguments],
            stdout=subprocess.PIPE,
            env=self.environment | (environment or {}),
        )
        self.engines.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ready")
        return process

    def offhook(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command `offhook` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment,
            check=False,
        )

    def recording(self, number: str) -> Recorded:
        """What the carrier's end of the latest call with a number sent and received."""
        event = [e for e in self.carrier.events if e["event"] == "recording" and e["number"] == number][-1]
        return Recorded(event["t0"], _samples(event["received"]), _samples(event["sent"]))

    def close(self) -> None:
        for process in self.engines:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if hasattr(self, "carrier"):
            self.carrier.close()


class Recorded:
    """Both directions of a call; sample n was at `t0` + n / 8000 of the machine's monotonic clock."""

    def __init__(self, t0: float, received: np.ndarray[Any, Any], sent: np.ndarray[Any, Any]) -> None:
        self.t0, self.received, self.sent = t0, received, sent

    def cut(self, side: str, begin: float, end: float) -> np.ndarray[Any, Any]:
        """The samples between two moments of the monotonic clock, silence where nothing was."""
        samples = getattr(self, side)
        first, last = round((begin - self.t0) * RATE), round((end - self.t0) * RATE)
        padded = np.zeros(last - first)
        part = samples[max(first, 0) : max(last, 0)]
        padded[max(-first, 0) : max(-first, 0) + len(part)] = part
        return padded


def _samples(path: str) -> np.ndarray[Any, Any]:
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


class Driver:
    """A console without a screen: sends commands, and waits for events instead of sleeping."""

    def __init__(self, client: ControlClient) -> None:
        self.client = client
        self.seen: list[messages.Event] = []
        self._watchers: list[Callable[[messages.Event], None]] = []
        self._new = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.client.events():
            self.seen.append(event)
            for watcher in self._watchers:
                watcher(event)
            self._new.set()

    def watch(self, see: Callable[[messages.Event], None]) -> None:
        """Have every later event seen by a function too."""
        self._watchers.append(see)

    def unwatch(self, see: Callable[[messages.Event], None]) -> None:
        self._watchers.remove(see)

    async def send(self, command: messages.Command) -> None:
        reply = await self.client.send(command)
        assert reply.ok, reply.error

    async def until(
        self, kind: type[T], test: Callable[[T], bool] = lambda event: True, timeout: float = 20
    ) -> T:
        """The first event of a kind that passes a test, already seen or yet to come."""
        checked = 0
        async with asyncio.timeout(timeout):
            while True:
                for event in self.seen[checked:]:
                    if isinstance(event, kind) and test(event):
                        return event
                checked = len(self.seen)
                self._new.clear()
                await self._new.wait()

    def forget(self) -> None:
        """Only later events count from here."""
        self.seen.clear()

    async def close(self) -> None:
        self._reader.cancel()
        await self.client.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def udp_ports(pid: int, low: int = 30000, high: int = 30399) -> list[int]:
    """The RTP ports that a process holds, by its sockets' inodes."""
    sockets = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue  # closed meanwhile
    rows = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]]
    ports = [int(row[1].split(":")[1], 16) for row in rows if f"socket:[{row[9]}]" in sockets]
    return [port for port in ports if low <= port <= high]


async def until_monotonic(moment: float) -> None:
    """Wait for a moment of the machine's monotonic clock, which the carrier's recordings are placed on."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
