"""How long garbage collection stops a running engine: `python tests/bench/gc_pauses.py [--calls N]`.

Calls are set up and torn down, twenty at once, against SIPp. Every collection is timed in whichever thread
made it: the interpreter stands still for so long, the media thread with it. Beside it the media thread's
own lateness, in the calls and, before them, in quiet. `--queue`: with so many entries of a queue in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from call_setup import sipp

from engine.config import Config, Rtp, Sip, Trunk
from engine.legs import LegState
from engine.station import Station
from engine.trunk_leg import TrunkLeg

HEARD_MS = 5.0
"""A longer pause may be heard."""
QUIET_S = 3.0


class Pauses:
    """Milliseconds of every collection, by generation."""

    def __init__(self) -> None:
        self.by_generation: dict[int, list[float]] = {0: [], 1: [], 2: []}
        self._began = 0
        gc.callbacks.append(self._told)

    def _told(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic_ns()
        else:
            self.by_generation[info["generation"]].append((time.monotonic_ns() - self._began) / 1e6)

    @property
    def longest(self) -> float:
        return max((max(found) for found in self.by_generation.values() if found), default=0.0)

    def close(self) -> None:
        gc.callbacks.remove(self._told)


async def calls(station: Station, count: int, at_once: int) -> None:
    """So many calls, each hung up as soon as it is answered."""
    done = asyncio.Event()
    waiting = left = count

    def dial() -> None:
        nonlocal waiting
        if waiting:
            waiting -= 1
            station.line.dial(str(waiting), role="manual")

    def changed(leg: TrunkLeg) -> None:
        nonlocal left
        if leg.state is LegState.ANSWERED:
            leg.hangup()
        elif leg.state is LegState.ENDED:
            left -= 1
            dial()
            if not left:
                done.set()

    station.line.on_leg = changed
    for _ in range(at_once):
        dial()
    await done.wait()


async def measure(count: int, at_once: int, queue: int, say: Callable[[str], None]) -> float:
    with sipp(count) as far:
        trunk = Trunk(server=f"127.0.0.1:{far.port}", username="bench", register=False)
        station = Station(
            Config(trunk=trunk, sip=Sip(listen="127.0.0.1:0"), rtp=Rtp(ports="26402-26802", codecs=["PCMU"]))
        )
        await station.open(sound=False)
        held = [{"number": str(n), "attempts": [{"at": n}], "fields": {"name": str(n)}} for n in range(queue)]
        await asyncio.sleep(QUIET_S)
        quiet = [station.media.late_us(percent) / 1000 for percent in (99, 100)]
        before = station.media.lateness.ticks
        pauses = Pauses()
        began = time.monotonic()
        await calls(station, count, at_once)
        seconds = time.monotonic() - began
        late = sorted(station.media.lateness.last(station.media.lateness.ticks - before))
        pauses.close()
        await station.close()
        del held
    say(f"{count} calls, {at_once} at once, {queue} entries held: {count / seconds:.0f} calls/s; the "
        "collector in ms:")
    for generation, found in pauses.by_generation.items():
        if found:
            say(f"  generation {generation}: {len(found):5} collections, mean {sum(found) / len(found):.2f}, "
                f"longest {max(found):.2f}")
    say(f"  media thread late, ms: p99 {late[int(len(late) * 0.99)] / 1000:.2f}, most {late[-1] / 1000:.2f}; "
        f"in quiet {quiet[0]:.2f}, {quiet[1]:.2f}")
    return pauses.longest


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--queue", type=int, nargs="+", default=[0, 50000])
    options = parser.parse_args()
    if shutil.which("sipp") is None:
        sys.exit("gc_pauses: SIPp is not installed (Debian's package sip-tester)")
    longest = 0.0
    for queue in options.queue:
        longest = max(longest, asyncio.run(measure(options.calls, 20, queue, print)))
    print(f"longest pause {longest:.2f} ms; one of more than {HEARD_MS:g} ms may be heard")
    return longest > HEARD_MS


if __name__ == "__main__":
    sys.exit(main())
