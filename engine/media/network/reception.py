"""What a receiver knows of a source: loss, duplicates, order, jitter (RFC 3550, appendix A.1, A.3, A.8).

Fed with every packet that was accepted, also where it is only passed on to a bridged stream, so it does a few
integer operations a packet and keeps nothing that grows.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.media.network.rtp import Packet

MAX_DROPOUT = 3000
"""A step of the sequence number beyond this is a restart, not a loss (A.1)."""
MAX_MISORDER = 100
"""A packet so far behind is too old to be of use, or the first one of a restart (A.1)."""
PAUSE_S = 1.0
"""After so long without a packet, a leap of the sequence number is believed at once."""

_M16, _M32 = 0xFFFF, 0xFFFFFFFF
_WINDOW = (1 << MAX_MISORDER) - 1


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """What a report block says of the source (RFC 3550, 6.4.1). `fraction`: in 1/256, since the last report;
    `jitter`: in units of the source's clock.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int


class Reception:
    """One stream's sources, one after another; counts go on over a change of the SSRC or a restart.

    `take` says whether a packet is new. The RFC's probation of new sources is left out: which source may
    speak is decided by its address, and its first packets must be heard.
    """

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.clock = 8000
        """Of the audio received last, in Hz."""
        self.received = 0
        self.duplicates = 0
        self.reordered = 0
        """Packets that came after one of a higher sequence number, and in time to be of use."""
        self.strays = 0
        """Packets far outside of the sequence, discarded."""
        self.gaps = 0
        """Steps over packets that had not come: bursts of loss, and what was overtaken."""
        self.restarts = 0
        """Times that a source began anew, with another SSRC or not."""
        self.gap_at = float("-inf")
        """When a packet last came with others missing before it."""
        self._lost_before = 0
        self._base = self._highest = 0  # extended: cycles of 2**16 are counted in
        self._here = 0  # received since the base
        self._window = 0  # bit n: the sequence number `highest - n` came
        self._stray: int | None = None  # what would follow a stray, if it began a restart
        self._heard = 0.0
        self._transit: int | None = None
        self._jitter = 0.0
        self._expected_then = self._received_then = 0

    def take(self, packet: Packet, clock: int, now: float) -> bool:
        """Count a packet that came at `now`, in monotonic seconds. `clock` is its audio's in Hz, 0 for one
        without audio. False for a duplicate or a stray, which is to be forgotten.
        """
        return self.count(packet.ssrc, packet.sequence, packet.timestamp, clock, now)

    def count(self, ssrc: int, sequence: int, timestamp: int, clock: int, now: float) -> bool:
        """`take`, of a packet's numbers alone."""
        if ssrc != self.ssrc:
            self._begin(ssrc, sequence)
        else:
            delta = ((sequence - self._highest + 0x8000) & _M16) - 0x8000
            if 0 < delta < MAX_DROPOUT:
                self._highest += delta
                self._window = (self._window << delta | 1) & _WINDOW
                if delta > 1:
                    self.gaps += 1
                    self.gap_at = now
            elif -MAX_MISORDER < delta <= 0:
                bit = 1 << -delta
                if self._window & bit:
                    self.duplicates += 1
                    return False
                self._window |= bit
                if self._highest + delta < self._base:
                    self._base = self._highest + delta  # the first packet was overtaken
                self.reordered += 1
            elif sequence == self._stray or now - self._heard > PAUSE_S:
                self._begin(ssrc, sequence)
            else:
                self._stray = (sequence + 1) & _M16
                self.strays += 1
                return False
        self._heard = now
        self._here += 1
        self.received += 1
        if clock:
            self._time(timestamp, clock, now)
        return True

    def _begin(self, ssrc: int, sequence: int) -> None:
        if self.ssrc is not None:
            self.restarts += 1
            self._lost_before += max(0, self._lost_here())
        if ssrc != self.ssrc:
            self._jitter = 0.0
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._window = 1
        self._here = 0
        self._stray = self._transit = None
        self._expected_then = self._received_then = 0

    def _time(self, timestamp: int, clock: int, now: float) -> None:
        if clock != self.clock:
            self._transit = None
            self._jitter *= clock / self.clock
            self.clock = clock
        transit = int(now * clock) - timestamp
        if self._transit is not None:
            off = abs(((transit - self._transit + 0x80000000) & _M32) - 0x80000000)
            if off < clock:  # a leap of the timestamp is no jitter
                self._jitter += (off - self._jitter) / 16
        self._transit = transit

    def end(self, ssrc: int) -> None:
        """The source said goodbye (RTCP BYE): what it sends from now on begins anew."""
        if ssrc == self.ssrc:
            self._lost_before += max(0, self._lost_here())
            self.ssrc = None

    def _lost_here(self) -> int:
        return self._highest - self._base + 1 - self._here

    @property
    def lost(self) -> int:
        """Packets that never came, of all sources."""
        return self._lost_before + (max(0, self._lost_here()) if self.ssrc is not None else 0)

    @property
    def expected(self) -> int:
        """Packets that came or should have, of all sources."""
        return self.received + self.lost

    @property
    def jitter_ms(self) -> float:
        return self._jitter * 1000 / self.clock

    def report(self) -> ReportFigures | None:
        """For a report block; the next one's fraction begins here. None without a source."""
        if self.ssrc is None:
            return None
        expected = self._highest - self._base + 1
        expected_now = expected - self._expected_then
        lost_now = expected_now - (self._here - self._received_then)
        self._expected_then, self._received_then = expected, self._here
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        lost = max(-0x800000, min(0x7FFFFF, expected - self._here))
        return ReportFigures(self.ssrc, fraction, lost, self._highest & _M32, int(self._jitter))
