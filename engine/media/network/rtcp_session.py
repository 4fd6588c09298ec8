"""One stream's side of RTCP: when to report what, and what the far end's reports tell us (RFC 3550, 6).

A call has two participants, so the rules for large sessions (6.3.3, reconsideration; 6.3.5, timing members
out) have nothing to do here, and the interval is its minimum. No socket and no clock: times are passed in.
"""

from __future__ import annotations

import base64
import random
import secrets
from collections import deque

from engine.media.network import rtcp
from engine.media.network.outbound import Outbound
from engine.media.network.reception import Reception
from engine.media.network.rtcp import Compound, Report, ReportBlock, RtcpError, Sent

INTERVAL_S = 5.0
"""Mean seconds between reports (6.2); the first comes after half of it."""
_SPREAD = 2.71828 - 1.5
"""Makes up for the mean of the randomised interval (6.3.1)."""
_NTP_EPOCH_S = 2208988800
"""From 1900, where NTP counts from, to 1970."""
_KEPT = 4
"""Sender reports of ours that the far end may answer to."""
MAX_ROUND_TRIP_S = 10.0
BURST, PER_SECOND = 20.0, 4.0
"""Compound packets taken from a far end: so many at once, and so many a second."""
_M32 = 0xFFFFFFFF


def ntp_time(wall: float) -> int:
    """Unix time in seconds as a 64-bit NTP timestamp (6.4.1)."""
    return int((wall + _NTP_EPOCH_S) * 4294967296) & 0xFFFFFFFFFFFFFFFF


def new_name() -> str:
    """A short-term persistent canonical name that tells nothing of us (RFC 7022, 4.2)."""
    return base64.b64encode(secrets.token_bytes(12)).decode()


class RtcpSession:
    """`report` makes what is to be sent once `due`; `receive` takes what came. What they learnt is in
    `round_trip_s`, `far_lost`, `far_fraction` and `far_jitter_ms`, None before it is known.
    """

    def __init__(self, reception: Reception, out: Outbound, clock: int = 8000) -> None:
        self._reception = reception
        self._out = out
        self.clock = clock
        """Of what we send, in Hz: the far end tells its jitter in these units."""
        self._name = new_name()
        self._next: float | None = None
        self._first = True
        self._sent_then = [0, 0]  # packets sent by the time of the last two reports
        self._sender_reports: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._last_sr = 0
        self._last_sr_at = 0.0
        self._last_sr_of: int | None = None
        self._allowance, self._allowed_at = BURST, 0.0
        self.sent = self.received = self.discarded = 0
        self.round_trip_s: float | None = None
        self.far_lost: int | None = None
        self.far_fraction: float | None = None
        """Of what we sent between the far end's last two reports, 0 to 1."""
        self.far_jitter_ms: float | None = None
        self.far_name = ""

    # --- what we tell -------------------------------------------------------------------------------

    def due(self, now: float) -> bool:
        """Whether the time for a report has come; the first call starts the clock."""
        if self._next is None:
            self._schedule(now)
        return now >= (self._next or 0.0)

    def _schedule(self, now: float) -> None:
        interval = INTERVAL_S / 2 if self._first else INTERVAL_S
        self._next = now + interval * random.uniform(0.5, 1.5) / _SPREAD

    def report(self, now: float, wall: float) -> bytes:
        """The report that is due: an SR where we sent since the report before the last (6.4), an RR
        otherwise, with our canonical name. `wall` is the Unix time at `now`.
        """
        self._first = False
        self._schedule(now)
        return rtcp.serialize(self._compound(now, wall))

    def goodbye(self, now: float, wall: float) -> bytes | None:
        """What ends our source (6.3.7); None where nobody has heard of it."""
        if not self._out.sent and not self.sent:
            return None
        last = self._compound(now, wall)
        return rtcp.serialize(Compound(last.reports, last.names, (self._out.ssrc,)))

    def _compound(self, now: float, wall: float) -> Compound:
        out = self._out
        sent = None
        if out.sent > self._sent_then[0]:
            ntp = ntp_time(wall)
            sent = Sent(ntp, out.position, out.sent, out.octets)
            self._sender_reports.append((ntp >> 16 & _M32, now))
        self._sent_then = [self._sent_then[1], out.sent]
        self.sent += 1
        return Compound((Report(out.ssrc, self._blocks(now), sent),), {out.ssrc: self._name})

    def _blocks(self, now: float) -> tuple[ReportBlock, ...]:
        of = self._reception.report()
        if of is None:
            return ()
        last_sr = self._last_sr if self._last_sr_of == of.ssrc else 0
        delay = min(_M32, max(0, int((now - self._last_sr_at) * 65536))) if last_sr else 0
        return (ReportBlock(of.ssrc, of.fraction, of.lost, of.highest, of.jitter, last_sr, delay),)

    # --- what we are told -----------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bool:
        """Take a compound packet that came at `now`; False, and counted, where it is discarded."""
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * PER_SECOND)
        self._allowed_at = now
        if self._allowance < 1:
            self.discarded += 1
            return False
        self._allowance -= 1
        try:
            compound = rtcp.parse(data)
        except RtcpError:
            self.discarded += 1
            return False
        self.received += 1
        for report in compound.reports:
            self._take(report, now)
        far = self._reception.ssrc
        if far is not None:
            self.far_name = compound.names.get(far, self.far_name)
            if far in compound.goodbyes:
                self._reception.end(far)
        return True

    def _take(self, report: Report, now: float) -> None:
        if report.sent is not None:
            self._last_sr = report.sent.ntp >> 16 & _M32
            self._last_sr_at, self._last_sr_of = now, report.ssrc
        for block in report.blocks:
            if block.ssrc != self._out.ssrc:
                continue
            self.far_lost = block.lost
            self.far_fraction = block.fraction / 256
            self.far_jitter_ms = block.jitter * 1000 / self.clock
            at = next((at for ntp, at in self._sender_reports if ntp == block.last_sr), None)
            if at is not None:
                round_trip = now - at - block.delay / 65536
                if -0.1 < round_trip < MAX_ROUND_TRIP_S:
                    self.round_trip_s = max(0.0, round_trip)
