"""The loudspeaker: sound to its process, at the device's rate and clock."""

from __future__ import annotations

import socket

import numpy as np

from engine.media.codec import SAMPLE_RATE, Pcm
from engine.media.sound import host
from engine.media.sound.convert import RateConverter
from engine.media.sound.drift import DriftControl, Stretcher
from engine.media.sound.microphone import CONTROL_TICKS, EXCESS, MARGIN


class Loudspeaker:
    """`push` takes 20 ms a tick. Belongs to the media thread. The process reports what waits there."""

    def __init__(self, sock: socket.socket, rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        self.sock = sock
        self._channels = channels
        self._octets = 2 * channels * rate / SAMPLE_RATE
        """For each sample at 8 kHz."""
        self._width = 2 * channels
        self._convert = RateConverter(SAMPLE_RATE, rate)
        self._stretch = Stretcher()
        self._control = DriftControl(MARGIN, EXCESS)
        self._least = 1 << 30
        self._drop = 0
        self._ticks = 0
        self.underruns = 0

    def close(self) -> None:
        self.sock.close()
        self._convert.close()

    def push(self, pcm: Pcm) -> None:
        out = self._convert.process(self._stretch.process(pcm))
        if self._channels > 1:
            out = np.repeat(out, self._channels)
        try:
            self.sock.send(self._drop.to_bytes(4, "little") + out.tobytes())
            self._drop = 0
        except OSError:
            pass  # the device stalls, as many do when they start, or is gone
        self._ticks += 1
        if self._ticks % CONTROL_TICKS == 0:
            self._adjust()

    def _adjust(self) -> None:
        """Hold what waits at the margin."""
        least = 1 << 30
        try:
            while len(report := self.sock.recv(64)) == host.REPORT.size:
                each, self.underruns = host.REPORT.unpack(report)
                least = min(least, each)
        except OSError:
            pass  # no more reports have come
        if least < 1 << 30:
            self._stretch.trim, drop = self._control.update(round(least / self._octets))
            self._drop = round(drop * self._octets) // self._width * self._width
