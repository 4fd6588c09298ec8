"""A phone that makes call after call: `bench_caller.py SERVER-PORT CALLS AT-ONCE`.

Each is hung up as soon as it is answered. Prints the seconds from the first INVITE to the last call's end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.config import Config, Rtp, Sip, Trunk
from engine.legs import LegState
from engine.station import Station
from engine.trunk_leg import TrunkLeg


async def main(port: int, calls: int, at_once: int) -> None:
    station = Station(
        Config(
            trunk=Trunk(server=f"127.0.0.1:{port}", username="bench", register=False),
            sip=Sip(listen="127.0.0.1:0"),
            rtp=Rtp(ports="26002-26400", codecs=["PCMU"]),
        )
    )
    await station.open(sound=False)
    done = asyncio.Event()
    left = waiting = calls

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
            assert leg.cause is not None
            if leg.cause.name != "normal":
                sys.exit(f"a call ended with {leg.cause}")
            left -= 1
            if left:
                dial()
            else:
                done.set()

    station.line.on_leg = changed
    began = time.monotonic()
    for _ in range(at_once):
        dial()
    await done.wait()
    print(time.monotonic() - began, flush=True)
    await station.close()


asyncio.run(main(*(int(word) for word in sys.argv[1:])))
