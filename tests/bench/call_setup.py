"""How fast calls are set up, beside baresip's: `python tests/bench/call_setup.py [--calls N]`.

SIPp answers every INVITE at once and takes the time from INVITE to ACK; each call is hung up as soon as it is
answered, and the next one dialled. A second run of ours has twenty calls at once.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_baresip

HERE = Path(__file__).parent


class Sipp:
    """SIPp as the callee of so many calls."""

    def __init__(self, folder: Path, calls: int) -> None:
        self._folder = folder
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [
            "sipp", "-sf", str(HERE / "answer_at_once.xml"), "-i", "127.0.0.1", "-p", str(self.port), "-m",
            str(calls), "-nostdin", "-trace_shortmsg", "-shortmessage_file", str(folder / "messages"),
            "-timeout", "120s", "-mp", "27000",
        ]  # fmt: skip
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, cwd=folder, stdin=null, stdout=null, stderr=null)

    def times(self) -> list[float]:
        """Milliseconds from INVITE to ACK, once every call is over. (SIPp's own response times count in
        steps of the kernel's tick, the times of its messages in microseconds.)"""
        self._process.wait(30)
        invited: dict[str, float] = {}
        found = []
        for line in (self._folder / "messages").read_text().splitlines():
            _, _, at, direction, call, cseq, *_ = line.split("\t")
            if direction == "R" and cseq.endswith("INVITE"):
                invited.setdefault(call, float(at))
            elif direction == "R" and cseq.endswith("ACK") and call in invited:
                found.append((float(at) - invited.pop(call)) * 1000)
        return sorted(found)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def sipp(calls: int) -> Iterator[Sipp]:
    with tempfile.TemporaryDirectory(prefix="call-setup-") as folder:
        made = Sipp(Path(folder), calls)
        try:
            yield made
        finally:
            made.close()


def ours(calls: int, at_once: int) -> tuple[list[float], float]:
    with sipp(calls) as far:
        command = [sys.executable, str(HERE / "bench_caller.py"), str(far.port), str(calls), str(at_once)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])
        return far.times(), float(done.stdout)


def theirs(calls: int) -> tuple[list[float], float]:
    with sipp(calls) as far, bench_baresip.running(far.port) as phone:
        began = time.monotonic()
        for number in range(calls):
            phone.command("dial", f"sip:{number}@127.0.0.1:{far.port}")
            phone.event("CALL_ESTABLISHED")
            phone.command("hangup")
            phone.event("CALL_CLOSED")
        seconds = time.monotonic() - began
        return far.times(), seconds


def show(name: str, times: list[float], calls: int, seconds: float) -> float:
    median = statistics.median(times)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{name:18}{calls / seconds:9.1f}{median:9.2f}{p99:9.2f}{times[-1]:9.2f}", flush=True)
    return median


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--calls", type=int, default=300)
    calls = min(max(parser.parse_args().calls, 10), 2000)
    if shutil.which("sipp") is None:
        sys.exit("call_setup: SIPp is not installed (Debian's package sip-tester)")
    print(f"Call set-up against SIPp; {calls} calls a row, milliseconds from INVITE to ACK")
    print(f"{'':18}{'calls/s':>9}{'p50':>9}{'p99':>9}{'max':>9}")
    mine = show("offhook", *_row(ours(calls, 1), calls))
    try:
        other = show("baresip", *_row(theirs(calls), calls))
        print(f"ratio of the medians, ours to baresip's: {mine / other:.2f}")
    except bench_baresip.BaresipError as error:
        print(f"baresip: not measured, {error}")
    show("offhook, 20 at once", *_row(ours(calls, 20), calls))


def _row(found: tuple[list[float], float], calls: int) -> tuple[list[float], int, float]:
    return found[0], calls, found[1]


if __name__ == "__main__":
    main()
