"""Receives RTP in a process of its own, with the kernel's time of arrival of every packet.

    python bench_receiver.py COUNT SECONDS

Binds COUNT even ports and prints them as a JSON line; at a line on stdin it drops what has come so far and
collects for SECONDS; then prints, as JSON, each port's list of [sequence number, nanoseconds].
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35


def bind(count: int) -> list[socket.socket]:
    """Sockets on even ports, as RTP wants; the odd ones stay free for RTCP."""
    found: list[socket.socket] = []
    while len(found) < count:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        if sock.getsockname()[1] % 2:
            sock.close()
            continue
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setblocking(False)
        found.append(sock)
    return found


def drain(sock: socket.socket) -> list[tuple[int, int]]:
    packets = []
    while True:
        try:
            data, controls, _, _ = sock.recvmsg(2048, 64)
        except BlockingIOError:
            return packets
        if len(data) < 12 or data[0] >> 6 != 2:
            continue
        for level, kind, value in controls:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                packets.append((int.from_bytes(data[2:4], "big"), seconds * 10**9 + nanoseconds))


def main() -> None:
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    socks = bind(count)
    print(json.dumps([s.getsockname()[1] for s in socks]), flush=True)
    sys.stdin.readline()
    for sock in socks:
        drain(sock)
    seen: dict[int, list[tuple[int, int]]] = {s.getsockname()[1]: [] for s in socks}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        select.select([], [], [], min(0.25, left))  # kernel timestamps: no need to wake for each packet
        for sock in socks:
            seen[sock.getsockname()[1]] += drain(sock)
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
