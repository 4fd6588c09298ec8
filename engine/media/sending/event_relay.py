"""Telephone-events (RFC 4733) of other parties, sent on beside audio encoded here, on that audio's time."""

from __future__ import annotations

from engine.media.network.outbound import Outbound
from engine.media.network.rtp import Packet

QUIET_S = 0.06
"""So long after an event's packet no audio is sent."""


class EventRelay:
    """One stream's. One press at a time: another party's that comes meanwhile is left out."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self._party: int | None = None  # its SSRC
        self._press: int | None = None  # its timestamp there
        self._at = 0  # and here
        self._until = 0.0

    def active(self, now: float) -> bool:
        """Whether a press goes on, in place of audio."""
        return now < self._until

    def takes(self, packet: Packet, now: float) -> bool:
        return packet.ssrc == self._party or not self.active(now)

    def begins(self, packet: Packet) -> bool:
        """Whether this packet is a new press's first."""
        return (packet.ssrc, packet.timestamp) != (self._party, self._press)

    def send(self, packet: Packet, payload: bytes, now: float) -> None:
        """`payload` is in this stream's clock."""
        first = self.begins(packet)
        if first:
            self._party, self._press, self._at = packet.ssrc, packet.timestamp, self._out.timestamp
        self._out.event(payload, self._at, first)
        self._until = now + QUIET_S
