"""What a bridged pair costs and how late its packets leave: `python tests/bench/bridge_cost.py [--console]`.

Far ends in processes of their own send a packet every 20 ms to each leg; each goes on to the other leg of its
pair. `late` is from the sending of a packet to its arrival at the other far end, by the kernel's clock; of
audio that is generated here, the lateness against the 20 ms grid. `gap sd` is the deviation of the time
between two packets that arrive, `in` that of the same packets as they were sent. CPU is that of the whole
process, signalling included, in % of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_baresip
from rtp_timing import SETTLE_S, Timing, busy_console, cpu_ns, our_engine, run

HERE = Path(__file__).parent
WORK = {"bridge": "", "bridge+record": "recorded", "bridge+detect": "detected",
        "bridge+record+detect": "both"}
GOAL_LATE_MS = 1.0
GOAL_CPU = {"bridge": 0.3, "bridge+detect": 1.0, "bridge+record+detect": 1.0}
"""% of a core a leg. FreeSWITCH's figure is of bridging alone, so recording has none to be held against."""
PUBLISHED = """\
published, measured on two cores elsewhere, not in this run:
  FreeSWITCH 1.11, 50 bridged pairs: late p99 0.13 ms, 0.30 % of a core a leg; adds 8.7 ms in the mean,
  19 at most
  baresip, playing to its legs: late p99 4.1 ms, 0.9-1.15 % of a core a leg"""


@dataclass(frozen=True)
class Passing:
    """Milliseconds over all legs; `cpu` a share of one core."""

    p50: float
    p99: float
    max: float
    gap_sd: float
    sent_gap_sd: float
    legs: int
    lost: int
    cpu: float


def summary(seen: list[list[list[int]]], cpu: float) -> Passing:
    late: list[float] = []
    gaps: list[float] = []
    sent_gaps: list[float] = []
    lost = legs = 0
    for packets in seen:
        if len(packets) < 10:
            continue
        legs += 1
        late += [(came - sent) / 1e6 for _, sent, came in packets]
        for a, b in itertools.pairwise(packets):
            step = (b[0] - a[0]) & 0xFFFF
            lost += max(0, step - 1)
            if step == 1:
                gaps.append((b[2] - a[2]) / 1e6)
                sent_gaps.append((b[1] - a[1]) / 1e6)
    if not late:
        raise RuntimeError("no packets came through the bridges")
    late.sort()
    at99 = late[min(len(late) - 1, int(len(late) * 0.99))]
    return Passing(late[len(late) // 2], at99, late[-1], statistics.pstdev(gaps),
                   statistics.pstdev(sent_gaps), legs, lost, cpu)


@contextlib.contextmanager
def ended(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    try:
        yield process
    finally:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bridged(pairs: int, work: str, seconds: float) -> Passing:
    with ended([str(HERE / "bench_traffic.py"), str(2 * pairs), str(seconds)]) as traffic:
        assert traffic.stdin is not None
        assert traffic.stdout is not None
        ports = json.loads(traffic.stdout.readline())
        with ended([str(HERE / "bench_bridge.py"), work, *map(str, ports)]) as engine:
            assert engine.stdout is not None
            traffic.stdin.write(engine.stdout.readline())
            traffic.stdin.flush()
            time.sleep(SETTLE_S)
            used, began = cpu_ns(engine.pid), time.monotonic()
            traffic.stdin.write("\n")
            traffic.stdin.flush()
            time.sleep(seconds)
            cpu = (cpu_ns(engine.pid) - used) / 1e9 / (time.monotonic() - began)
            return summary(json.loads(traffic.stdout.readline()), cpu)


def show(pairs: int, what: str, t: Passing | Timing) -> None:
    sent = f"{t.sent_gap_sd:8.3f}" if isinstance(t, Passing) else f"{'':8}"
    print(f"{pairs:5}{t.legs:5}  {what:20}{t.p50:8.3f}{t.p99:8.3f}{t.max:8.3f}{t.gap_sd:8.3f}{sent}{t.lost:6}"
          f"{100 * t.cpu:8.1f}{100 * t.cpu / max(1, t.legs):8.3f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="measured time of each run")
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 10, 30, 50])
    parser.add_argument("--work", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument("--console", action="store_true", help="a busy Textual screen beside every run")
    parser.add_argument("--only-bridges", action="store_true", help="without what is played")
    options = parser.parse_args()
    seconds = min(max(options.seconds, 1.0), 60.0)
    beside = "a busy console" if options.console else "nothing"
    print(f"Bridged pairs; {seconds:g} s a run, {os.cpu_count()} cores, beside it {beside}. Recorded: both "
          "sides of each pair. Detected: every leg.\nbaresip bridges nothing; it plays to as many legs.")
    print(f"{'pairs':>5}{'legs':>5}  {'':20}{'late50':>8}{'p99':>8}{'max':>8}{'gap sd':>8}{'in':>8}"
          f"{'lost':>6}{'cpu %':>8}{'a leg':>8}")
    missed: list[str] = []
    with busy_console() if options.console else contextlib.nullcontext():
        for pairs in options.pairs:
            for work in options.work:
                passing = bridged(pairs, work, seconds)
                show(pairs, f"offhook {WORK[work] or 'bridged'}", passing)
                goal = GOAL_CPU.get(work, 100.0)
                if pairs == max(options.pairs) and passing.p99 > GOAL_LATE_MS:
                    missed.append(f"{work}: late p99 {passing.p99:.3f} ms, not {GOAL_LATE_MS}")
                if pairs == max(options.pairs) and 100 * passing.cpu / passing.legs > goal:
                    missed.append(f"{work}: {100 * passing.cpu / passing.legs:.3f} % a leg, not {goal}")
            if options.only_bridges:
                continue
            show(pairs, "offhook playing", run(our_engine, 2 * pairs, seconds))
            try:
                show(pairs, "baresip playing", run(bench_baresip.calls, 2 * pairs, seconds))
            except (bench_baresip.BaresipError, RuntimeError) as error:
                print(f"baresip was not measured: {error}")
    print(PUBLISHED)
    for line in missed:
        print(f"goal missed at {max(options.pairs)} pairs: {line}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
