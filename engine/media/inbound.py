"""The receiving half of a stream: which datagrams are the far end's, and where it really is.

Symmetric RTP (RFC 4961): we send to where valid packets come from, whatever address SDP gave, so that
a far end behind NAT hears us. SDP's address is preferred, though: it takes over whenever it speaks.
While a source speaks, no other can take its place.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.media import rtp, udp
from engine.media.srtp import Decryption

QUIET_S = 2.0
"""A source unheard for so long may be replaced by its own SSRC or host at another port."""
MOVED_S = 0.5
"""After SDP moved the far end, its old source must stay the only one for so long to be believed."""


COMFORT_NOISE = 13
"""Its payload type (RFC 3389, 4); taken whether it was agreed on or not."""
_RTCP = range(192, 224)
"""Second octets of RTCP, which comes to the same port where rtcp-mux was agreed on (RFC 5761, 4)."""


class Inbound:
    """Filters datagrams. `source` is the struct sockaddr that packets come from, once known.

    `laws` are codecs by payload type, `events` the clocks of telephone-events in Hz. Where `encrypted`,
    nothing passes that `decryption` doesn't let pass.
    """

    def __init__(self, encrypted: bool = False) -> None:
        self.laws: dict[int, str] = {0: "PCMU", 8: "PCMA"}  # RFC 3551; until SDP says more
        self.events: dict[int, int] = {}
        self.encrypted = encrypted
        self.decryption: Decryption | None = None
        self.source: bytes | None = None
        self.expected: bytes | None = None
        self.last_valid: float | None = None
        self.ssrc: int | None = None
        self.discarded = 0
        self.on_rtcp: Callable[[bytes, bytes, float], None] = lambda data, source, now: None
        """Takes what comes to this port and is RTCP, with its sender's struct sockaddr and its time."""
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
        if len(data) > 1 and data[1] in _RTCP:
            self.on_rtcp(data, source, now)
            return None
        clear: bytes | None = data
        if self.encrypted:
            clear = self.decryption.unprotect(data) if self.decryption is not None else None
        if clear is None:
            self.discarded += 1
            return None
        try:
            packet = rtp.parse(clear)
        except rtp.RtpError:
            self.discarded += 1
            return None
        kind = packet.payload_type
        if kind not in self.laws and kind not in self.events and kind != COMFORT_NOISE:
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
