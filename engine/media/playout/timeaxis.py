"""A time axis of our own that goes on wherever a far end's RTP timestamps break."""

from __future__ import annotations

from engine.media.network.rtp import Packet

LEAP = 8000 * 3
"""A timestamp further than this from the last one is another time axis, in samples."""
SKIPPED = 1600
"""A timestamp that runs ahead of sequence and time by this is a time axis that broke."""
QUICK = 800
"""Packets that come within this of each other leave no time for a pause."""

_M16, _M32 = 0xFFFF, 0xFFFFFFFF


class TimeAxis:
    """Places packets in samples at 8 kHz, counted on past every wrap. `begin` anew where it `breaks`, else
    `place`. `end` is where the audio received so far ends. Times are in samples too.

    Where a packet that comes after a pause is further than `reach` from when it should, its time axis broke.
    """

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self.ssrc: int | None = None
        self.end = 0
        self._at = 0  # of the packet furthest on, and its timestamp as RTP had it
        self._timestamp = 0
        self._sequence = 0
        self._units = 1  # of the timestamp, in a sample
        self._arrival = 0.0

    def begin(self, packet: Packet, units: int, length: int, now: float, at: int) -> int:
        """Let a packet be at a place; what comes later follows. `units` of its clock make a sample."""
        self.ssrc = packet.ssrc
        self._units = units
        self._sequence, self._timestamp = packet.sequence, packet.timestamp
        self._at, self.end = at, at + length
        self._arrival = now
        return at

    def _steps(self, packet: Packet) -> tuple[int, int]:
        """How far sequence and timestamp are beyond the last ones."""
        ahead = ((packet.sequence - self._sequence + 0x8000) & _M16) - 0x8000
        step = (((packet.timestamp - self._timestamp + 0x80000000) & _M32) - 0x80000000) // self._units
        return ahead, step

    def breaks(self, packet: Packet, units: int, length: int, now: float, usual: float | None) -> bool:
        """Whether a packet can't be placed on this axis. After a pause `usual` is the transit to expect."""
        if packet.ssrc != self.ssrc or units != self._units:
            return True
        ahead, step = self._steps(packet)
        if abs(step) > LEAP:
            return True
        if ahead <= 0:
            return False
        at = self._at + step
        if now - self._arrival < QUICK and (step <= 0 or at - self.end - (ahead - 1) * length > SKIPPED):
            return True
        return usual is not None and abs(now - at - usual) > self._reach

    def place(self, packet: Packet, length: int, now: float) -> int:
        """Where a packet belongs."""
        ahead, step = self._steps(packet)
        at = self._at + step
        if ahead > 0:
            self._sequence = packet.sequence
            self._arrival = now
        if step > 0:
            self._at, self.end, self._timestamp = at, at + length, packet.timestamp
        return at

    def pass_over(self, packet: Packet, otherwise: int) -> int:
        """Where a packet without audio belongs; `otherwise` where it is of another stream."""
        if packet.ssrc != self.ssrc:
            return otherwise
        ahead, step = self._steps(packet)
        if ahead > 0:
            self._sequence = packet.sequence
        return self._at + step
