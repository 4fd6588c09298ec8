"""Forwarding one stream's packets into another's (RFC 3550 section 7.1, a translator between two
sessions): payload untouched; sequence number, timestamp and SSRC become the receiving session's own.
"""

from __future__ import annotations

_M16, _M32 = 0xFFFF, 0xFFFFFFFF
_LEAP_PACKETS = 3000
_LEAP = 48000 * 10
"""In timestamp units: 10 s of the fastest clock."""


class Forwarder:
    """Maps a sender's sequence numbers and timestamps onto a session's, keeping their differences.

    Loss, reordering and pauses stay visible to the receiver. It anchors anew (and sets the marker bit)
    at the first packet, after `reset`, at another SSRC and where the sender's numbers leap.
    """

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._seq = self._ts = 0
        self._out_seq = self._out_ts = 0
        self._first_out = 0

    def reset(self) -> None:
        """Something else was sent meanwhile: the next packet anchors anew."""
        self._ssrc = None

    def map(
        self, ssrc: int, sequence: int, timestamp: int, marker: bool, next_seq: int, next_ts: int
    ) -> tuple[int, int, bool] | None:
        """Sequence number (not yet modulo 2**16), timestamp (modulo 2**32) and marker to send with.

        `next_seq` and `next_ts` are what the session itself would use next. None for a packet from
        before the anchor, whose number has been used already.
        """
        dseq = ((sequence - self._seq + 0x8000) & _M16) - 0x8000
        dts = ((timestamp - self._ts + 0x80000000) & _M32) - 0x80000000
        if ssrc != self._ssrc or abs(dseq) > _LEAP_PACKETS or abs(dts) > _LEAP:
            self._ssrc = ssrc
            self._seq, self._ts = sequence, timestamp
            self._out_seq = self._first_out = next_seq
            self._out_ts = next_ts
            return next_seq, next_ts, True
        seq, ts = self._out_seq + dseq, self._out_ts + dts
        if seq < self._first_out:
            return None
        if dseq > 0:
            self._seq, self._ts = sequence, timestamp
            self._out_seq, self._out_ts = seq, ts
        return seq, ts & _M32, marker
