"""The far ends of flow_latency.py: raw SIP, and phones that talk RTP at a phase of their own.

When a packet came is the kernel's word (SO_TIMESTAMPNS), on the clock of time.time().
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from raw_trunk import Message, RawTrunk

from engine.media import codec

AMPLITUDE = 8000
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")


class TimedTrunk(RawTrunk):
    """Knows when each message came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.came.setdefault(data.decode(), time.time())
        super().datagram_received(data, addr)

    def at(self, message: Message) -> float:
        return self.came[message.text]


@dataclass(frozen=True)
class Arrived:
    at: float
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


class Phone:
    """One far end's audio. It says a tone whose period fits into 20 ms, so every packet of it is alike; each
    begins at the tone's peak, so that a cut is heard.
    """

    def __init__(self, hertz: float, seed: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.sock.settimeout(0.2)
        self.port: int = self.sock.getsockname()[1]
        self.received: list[Arrived] = []
        self.clicks: dict[bytes, float] = {}
        """When each click was sent."""
        tone = AMPLITUDE * np.cos(2 * np.pi * hertz * np.arange(160) / 8000)
        self.voice = codec.encode("PCMA", tone.astype(np.int16))
        self._random = random.Random(seed)
        self._click = threading.Event()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._receive, daemon=True)]
        self._threads[0].start()

    def talk(self, port: int) -> None:
        """Begin to send to a port, at a random phase of the next 20 ms."""
        self._threads.append(threading.Thread(target=self._send, args=(port,), daemon=True))
        self._threads[-1].start()

    def click(self) -> None:
        self._click.set()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.sock.close()

    def _send(self, port: int) -> None:
        sequence, timestamp, ssrc = (self._random.getrandbits(n) for n in (15, 31, 32))
        at = time.monotonic() + self._random.uniform(0, 0.02)
        while not self._over.is_set():
            time.sleep(max(0.0, at - time.monotonic()))
            payload = self.voice
            if self._click.is_set():
                self._click.clear()
                payload = self._random.randbytes(160)
                self.clicks[payload] = time.time()
            header = struct.pack("!BBHII", 0x80, 8, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
            self.sock.sendto(header + payload, ("127.0.0.1", port))
            sequence, timestamp, at = sequence + 1, timestamp + 160, at + 0.02

    def _receive(self) -> None:
        while not self._over.is_set():
            try:
                data, extra, _, _ = self.sock.recvmsg(4096, 256)
            except TimeoutError:
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(extra[0][2])
            _, second, sequence, timestamp, _ = struct.unpack_from("!BBHII", data)
            if second & 0x7F == 8:
                self.received.append(
                    Arrived(seconds + nanoseconds / 1e9, sequence, timestamp, second >= 0x80, data[12:])
                )
