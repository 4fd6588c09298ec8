"""A call's audio as it was at the line, on one time axis.

Sample 0 of both files is at the same moment of CLOCK_MONOTONIC (`t0`), so sample n was sent, or
arrived, at t0 + n / 8000.
"""

from __future__ import annotations

import wave
from pathlib import Path

from engine.demo.g711 import Samples
from engine.demo.rtp import Packet
from engine.demo.sounds import RATE

MAX_SECONDS = 600
"""Longest recording; what comes later is left out."""

_LATE = 0.02
_EARLY = 0.04
"""A packet further from its time than this, in seconds, is placed at its arrival: a position in `received`
is never more than that away from when the sound was heard."""


class Track:
    """One direction, kept in memory until `save`."""

    def __init__(self) -> None:
        self._data = bytearray()

    def put(self, at: int, samples: Samples) -> None:
        """Place samples at a position; gaps are silence, a later put wins."""
        if at < 0 or at + len(samples) > MAX_SECONDS * RATE:
            return
        begin, data = 2 * at, samples.astype("<i2").tobytes()
        if len(self._data) < begin + len(data):
            self._data.extend(bytes(begin + len(data) - len(self._data)))
        self._data[begin:begin + len(data)] = data

    def save(self, path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(bytes(self._data))


class Recording:
    """What was received and what was sent, from `t0` (seconds of time.monotonic) on."""

    def __init__(self, t0: float) -> None:
        self.t0 = t0
        self.received = Track()
        self.sent = Track()
        self._ssrc: int | None = None
        self._timestamp = 0
        self._expected = 0.0

    def put_sent(self, at: float, samples: Samples) -> None:
        self.sent.put(round((at - self.t0) * RATE), samples)

    def put_received(self, at: float, packet: Packet, samples: Samples) -> None:
        """Place a packet where a listener without a jitter buffer hears it.

        A packet that goes on where the one before it ended is joined to it seamlessly as long as it
        arrives near its time; any other is placed at its arrival.
        """
        step = (packet.timestamp - self._timestamp + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
        place = self._expected + step / RATE
        if packet.ssrc != self._ssrc or abs(step) > 5 * RATE or not -_EARLY < at - place < _LATE:
            place = at
        self.received.put(round((place - self.t0) * RATE), samples)
        self._ssrc, self._timestamp, self._expected = packet.ssrc, packet.timestamp, place
