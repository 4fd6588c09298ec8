"""An engine-like process that bridges pairs of streams: `python bench_bridge.py WHAT PORT PORT ...`.

The far ends are at the given ports, two of a pair after another. WHAT is any of `record` (each pair to a
file of its own, both sides), `detect` (every stream), or `bridge` for neither, joined by `+`. Prints our
ports as JSON, then works beside it as bench_engine.py does until stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from bench_engine import work

from engine.media.engine import MediaEngine
from engine.media.orders import Bridge, Codec, Detect, OpenStream, Record, SetRemote


def heard(engine: MediaEngine, stream: str) -> bool:
    """Whether a stream's detector has been made."""
    found = engine.stream(stream)
    return found is not None and found.hearing is not None and found.hearing.ready


def main() -> None:
    wanted, far_ends = sys.argv[1].split("+"), sys.argv[2:]
    engine = MediaEngine(lambda fact: None)
    engine.start()
    engine.neighbours.join()  # as the engine's loop does
    ports = []
    for port in far_ends:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 19)
        ports.append(sock.getsockname()[1])
        engine.order(OpenStream(port, sock))
        engine.order(SetRemote(port, "127.0.0.1", int(port), (Codec("PCMA", 8),)))
        if "detect" in wanted:
            engine.order(Detect(port, country="cn"))
    while "detect" in wanted and not all(heard(engine, port) for port in far_ends):
        time.sleep(0.05)  # detectors are made one by one
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as folder:
        for a, b in zip(far_ends[::2], far_ends[1::2], strict=True):
            engine.order(Bridge(a, b))
            if "record" in wanted:
                engine.order(Record(a, f"{folder}/{a}.wav"))
        print(json.dumps(ports), flush=True)
        asyncio.run(work())
        engine.stop()


main()
