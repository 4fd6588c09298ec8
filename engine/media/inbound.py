"""The receiving half of a stream: which datagrams are the far end's, and where it really is.

Symmetric RTP (RFC 4961): we send to where valid packets come from, whatever address SDP gave, so that
a far end behind NAT hears us. SDP's address is preferred, though: it takes over whenever it speaks.
While a source speaks, no other can take its place.
"""

from __future__ import annotations

from engine.media import rtp, udp

QUIET_S = 2.0
"""A source unheard for so long may be replaced by its own SSRC or host at another port."""
MOVED_S = 0.5
"""After SDP moved the far end, its old source must stay the only one for so long to be believed."""


class Inbound:
    """Filters datagrams. `source` is the struct sockaddr that packets come from, once known."""

    def __init__(self) -> None:
        self.laws: dict[int, str] = {0: "PCMU", 8: "PCMA"}  # RFC 3551; until SDP says more
        self.event_payload_types: frozenset[int] = frozenset()
        self.source: bytes | None = None
        self.expected: bytes | None = None
        self.last_valid: float | None = None
        self.ssrc: int | None = None
        self.discarded = 0
        self._left: bytes | None = None
        self._moved_at = 0.0

    def expect(self, address: bytes | None, now: float) -> None:
        """SDP's address for the far end. Another than before makes us forget the present source."""
        if address == self.expected:
            return
        if self.expected is not None and self.source is not None and self.source != address:
            self._left, self._moved_at = self.source, now
            self.source = None
        self.expected = address

    def accept(self, data: bytes, source: bytes, now: float) -> rtp.Packet | None:
        """The packet, if it is a valid one of this stream; None, and counted, if not."""
        try:
            packet = rtp.parse(data)
        except rtp.RtpError:
            self.discarded += 1
            return None
        payload_type = packet.payload_type
        if payload_type not in self.laws and payload_type not in self.event_payload_types:
            self.discarded += 1
            return None
        if source != self.source and not self._believe(source, packet.ssrc, now):
            self.discarded += 1
            return None
        self.last_valid = now
        self.ssrc = packet.ssrc
        return packet

    def _believe(self, source: bytes, ssrc: int, now: float) -> bool:
        if self.source is None:
            if source == self._left and source != self.expected and now - self._moved_at < MOVED_S:
                return False
        elif source != self.expected:
            if self.last_valid is not None and now - self.last_valid <= QUIET_S:
                return False
            if ssrc != self.ssrc and not udp.same_host(source, self.source):
                return False
        self.source = source
        return True
