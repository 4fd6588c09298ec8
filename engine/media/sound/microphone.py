"""The microphone: sound from its process, at the engine's rate and clock."""

from __future__ import annotations

import socket

import numpy as np

from engine.media import codec
from engine.media.codec import FRAME, SAMPLE_RATE, Pcm
from engine.media.sound import host
from engine.media.sound.convert import RateConverter
from engine.media.sound.drift import DriftControl, Stretcher

MARGIN = host.MARGIN_MS * SAMPLE_RATE // 1000
"""Samples left in a queue at its lowest."""
EXCESS = 160
"""Samples over the margin that are thrown away at once instead of played fast: 20 ms."""
CONTROL_TICKS = 25
MAX_PACKETS = 100
"""Packets taken in one tick: one second's."""


class Microphone:
    """`pull` gives 20 ms a tick. Belongs to the media thread."""

    def __init__(self, sock: socket.socket, rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        self.sock = sock
        self._channels = channels
        self._convert = RateConverter(rate, SAMPLE_RATE)
        self._stretch = Stretcher()
        self._control = DriftControl(MARGIN, EXCESS)
        self._fifo: Pcm = np.zeros(0, np.int16)
        self._filling = True
        self._least = 1 << 30
        self._ticks = 0
        self.underruns = 0

    def close(self) -> None:
        self.sock.close()
        self._convert.close()

    @property
    def waiting(self) -> int:
        """Samples at 8 kHz that have come and were not pulled yet."""
        return len(self._fifo)

    def pull(self) -> Pcm:
        """160 samples; silence until the device delivers steadily."""
        self._take()
        fifo = self._fifo
        if self._filling and len(fifo) >= FRAME + MARGIN:
            self._filling = False
            self._least = 1 << 30
        if self._filling or len(fifo) < FRAME:
            if not self._filling:
                self.underruns += 1
                self._filling = True
            return codec.SILENT_PCM
        frame, self._fifo = fifo[:FRAME], fifo[FRAME:]
        self._least = min(self._least, len(self._fifo))
        self._ticks += 1
        if self._ticks % CONTROL_TICKS == 0:
            self._stretch.trim, drop = self._control.update(self._least)
            self._fifo = self._fifo[drop:]
            self._least = 1 << 30
        return frame

    def _take(self) -> None:
        packets: list[bytes] = []
        try:
            while len(packets) < MAX_PACKETS and (packet := self.sock.recv(65536)):
                packets.append(packet)
        except OSError:
            pass  # nothing more has come
        if packets:
            heard = np.frombuffer(b"".join(packets), np.int16)[:: self._channels]
            self._fifo = np.concatenate((self._fifo, self._stretch.process(self._convert.process(heard))))
