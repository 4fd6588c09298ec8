"""The far ends of bridged pairs, in processes of their own: `python bench_traffic.py COUNT SECONDS`.

Binds COUNT ports and prints them as JSON; then reads, as JSON, the ports to send to, in the same order, and
sends to each a packet every 20 ms, each leg at a phase of its own. At a line on stdin it measures for
SECONDS; then prints, as JSON, what came back at each port: a list of [which packet of the other leg of the
pair, when that was sent, when it came], in nanoseconds. The time of coming is the kernel's; that of sending
was read just before the system call.

The audio is noise in syllables and pauses; two octets of each packet tell which one it is.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import random
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from bench_receiver import SO_TIMESTAMPNS, bind

from engine.media.codec import encode

PERIOD_NS = 20_000_000
KEPT = 1 << 16


def speech() -> list[bytes]:
    """Four seconds of something with the rhythm of speech: A-law, 20 ms each."""
    noise = np.random.default_rng(1).standard_normal(32000)
    coloured = np.convolve(noise, np.hanning(12) / 3, "same")
    at = np.arange(32000) / 8000
    loudness = np.clip(np.sin(2 * np.pi * 4 * at), 0, 1) * (np.sin(2 * np.pi * 0.25 * at) > -0.5)
    octets = encode("PCMA", (2500 * coloured * loudness).astype(np.int16))
    return [octets[n : n + 160] for n in range(0, 32000, 160)]


def send(
    socks: list[socket.socket], targets: list[int], times: list[array.array[int]], stop: TextIO
) -> None:
    """Until there is something to read from `stop`."""
    frames = speech()
    addresses = [("127.0.0.1", port) for port in targets]
    phases = [PERIOD_NS * n // len(socks) for n in range(len(socks))]
    random.Random(1).shuffle(phases)
    turns = sorted(range(len(socks)), key=phases.__getitem__)
    begin = time.clock_gettime_ns(time.CLOCK_REALTIME) + PERIOD_NS
    number = 0
    while not select.select([stop], [], [], 0)[0]:
        header = struct.pack("!BBHI", 0x80, 8, number & 0xFFFF, number * 160 & 0xFFFFFFFF)
        stamp = struct.pack("!H", number & 0xFFFF)
        for leg in turns:
            due = begin + number * PERIOD_NS + phases[leg]
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            if now < due:
                time.sleep((due - now) / 1e9)
            frame = frames[(number + 37 * leg) % len(frames)]
            data = header + struct.pack("!I", leg + 1) + stamp + frame[2:]
            times[leg][number % KEPT] = now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            socks[leg].sendto(data, addresses[leg])
        number += 1


def drain(sock: socket.socket) -> list[tuple[int, int]]:
    packets = []
    while True:
        try:
            data, controls, _, _ = sock.recvmsg(2048, 64)
        except BlockingIOError:
            return packets
        if len(data) != 172 or data[12:] == b"\xd5" * 160:  # silence of the engine's own
            continue
        seconds, nanoseconds = struct.unpack("qq", controls[0][2][:16])
        packets.append((int.from_bytes(data[12:14], "big"), seconds * 10**9 + nanoseconds))


def receive(socks: list[socket.socket], seconds: float) -> list[list[tuple[int, int]]]:
    for sock in socks:
        drain(sock)
    seen: list[list[tuple[int, int]]] = [[] for _ in socks]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        select.select([], [], [], min(0.25, left))
        for n, sock in enumerate(socks):
            seen[n] += drain(sock)
    return seen


def main() -> None:
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    socks = bind(count)
    assert all(sock.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS) for sock in socks)
    print(json.dumps([s.getsockname()[1] for s in socks]), flush=True)
    targets = json.loads(sys.stdin.readline())
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        sys.stdin.readline()
        seen = receive(socks, seconds)
        with os.fdopen(writing, "w") as file:
            json.dump(seen, file)
        os._exit(0)
    os.close(writing)
    with contextlib.suppress(OSError):  # far ends are other machines, which wait for nobody here
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))
    times = [array.array("q", bytes(8 * KEPT)) for _ in socks]
    result = os.fdopen(reading)
    send(socks, targets, times, result)  # until the receiver tells what it saw
    seen = json.load(result)
    print(json.dumps([[(n, times[leg ^ 1][n], at) for n, at in packets] for leg, packets in enumerate(seen)]))


main()
