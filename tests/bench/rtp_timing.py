"""How punctual our RTP is, beside baresip's: `python tests/bench/rtp_timing.py [--console] [--seconds S]`.

A receiver in a process of its own takes the kernel's time of every packet. Each leg's packets are laid on
the ideal grid, 20 ms a sequence number from the leg's earliest; lateness is how far after its place a packet
came, over all legs. The gap's deviation is that of the time between two packets of a leg.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import pty
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_baresip

HERE = Path(__file__).parent
PERIOD_NS = 20_000_000
SETTLE_S = 1.5


@dataclass(frozen=True)
class Timing:
    """Milliseconds over all legs; `legs` that sent anything, `lost` packets."""

    p50: float
    p99: float
    max: float
    gap_sd: float
    legs: int
    lost: int
    cpu: float = 0.0
    """Of one core, by the whole process."""


def measure(seen: dict[str, list[list[int]]]) -> Timing:
    late: list[float] = []
    gaps: list[float] = []
    legs = lost = 0
    for packets in seen.values():
        if len(packets) < 10:
            continue
        legs += 1
        places, number, last = [], 0, packets[0][0]
        for sequence, at in packets:
            number += ((sequence - last + 0x8000) & 0xFFFF) - 0x8000
            last = sequence
            places.append((number, at))
        origin = min(at - n * PERIOD_NS for n, at in places)
        late += [(at - n * PERIOD_NS - origin) / 1e6 for n, at in places]
        gaps += [(b[1] - a[1]) / 1e6 for a, b in itertools.pairwise(places) if b[0] - a[0] == 1]
        lost += places[-1][0] - places[0][0] + 1 - len(places)
    if not late:
        raise RuntimeError("no packets came")
    late.sort()
    at99 = late[min(len(late) - 1, int(len(late) * 0.99))]
    return Timing(late[len(late) // 2], at99, late[-1], statistics.pstdev(gaps), legs, lost)


class Receiver:
    def __init__(self, count: int, seconds: float) -> None:
        command = [sys.executable, str(HERE / "bench_receiver.py"), str(count), str(seconds)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.ports: list[int] = json.loads(self._process.stdout.readline())

    def collect(self) -> Timing:
        output, _ = self._process.communicate("\n", timeout=120)
        return measure(json.loads(output))

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def our_engine(ports: list[int], priority: str = "raised") -> Iterator[int]:
    """Our engine playing to each port; its process."""
    command = [sys.executable, str(HERE / "bench_engine.py"), priority, *map(str, ports)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def busy_console() -> Iterator[None]:
    """A Textual screen that redraws without pause, on a terminal of its own that is read empty."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"}
    process = subprocess.Popen([sys.executable, str(HERE / "bench_console.py")], stdin=slave, stdout=slave,
                               stderr=slave, env=environment, start_new_session=True)
    os.close(slave)

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        time.sleep(SETTLE_S)
        if process.poll() is not None:
            raise RuntimeError("the console ended by itself")
        yield
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        os.close(master)


Sender = Callable[[list[int]], contextlib.AbstractContextManager[int]]


def cpu_ns(process: int) -> int:
    """What all threads of a process have used of a core, in nanoseconds."""
    used = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            used += int((task / "schedstat").read_text().split()[0])
    return used


def run(sender: Sender, legs: int, seconds: float) -> Timing:
    """One measurement; its share of a core is of the whole process, before and after as well."""
    receiver = Receiver(legs, seconds)
    try:
        with sender(receiver.ports) as process:
            time.sleep(SETTLE_S)
            used, began = cpu_ns(process), time.monotonic()
            timing = receiver.collect()
            share = (cpu_ns(process) - used) / 1e9 / (time.monotonic() - began)
            return dataclasses.replace(timing, cpu=share)
    finally:
        receiver.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each run")
    parser.add_argument("--legs", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--console", action="store_true", help="a busy Textual screen beside every run")
    parser.add_argument("--no-baresip", action="store_true")
    parser.add_argument("--unprivileged", action="store_true",
                        help="also measure with the scheduling priority that any user gets (row unprivil.)")
    options = parser.parse_args()
    seconds = min(max(options.seconds, 1.0), 60.0)
    beside = "a busy console" if options.console else "nothing"
    print(f"RTP lateness in ms against the 20 ms grid; {seconds:g} s a run, {os.cpu_count()} cores, "
          f"beside it {beside}")
    print(f"{'':10}{'legs':>5}{'p50':>9}{'p99':>9}{'max':>9}{'gap sd':>9}{'lost':>6}")
    status = 0
    with busy_console() if options.console else contextlib.nullcontext():
        for legs in options.legs:
            rows: dict[str, Timing] = {}
            rows["offhook"] = run(our_engine, legs, seconds)
            if options.unprivileged:
                rows["unprivil."] = run(lambda ports: our_engine(ports, "unprivileged"), legs, seconds)
            if not options.no_baresip:
                try:
                    rows["baresip"] = run(bench_baresip.calls, legs, seconds)
                except (bench_baresip.BaresipError, RuntimeError) as error:
                    print(f"baresip was not measured: {error}")
            for name, t in rows.items():
                print(f"{name:10}{t.legs:5}{t.p50:9.3f}{t.p99:9.3f}{t.max:9.3f}{t.gap_sd:9.3f}{t.lost:6}")
            if "baresip" in rows:
                ours, theirs = rows["offhook"], rows["baresip"]
                ratios = [b / a if a else float("inf") for a, b in (
                    (ours.p50, theirs.p50), (ours.p99, theirs.p99), (ours.max, theirs.max),
                    (ours.gap_sd, theirs.gap_sd))]
                print(f"{'ratio':15}" + "".join(f"{r:8.1f}x" for r in ratios), flush=True)
                status |= ours.p99 > theirs.p99
    return status


if __name__ == "__main__":
    sys.exit(main())
