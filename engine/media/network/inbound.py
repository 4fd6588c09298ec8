"""The receiving half of a stream: which datagrams are the far end's, and where it really is.

Symmetric RTP (RFC 4961): we send to where valid packets come from, whatever address SDP gave, so that
a far end behind NAT hears us. Nobody else may profit by that: SDP's own address is heard at once and always,
any other only where the `Latch` allows it and after SDP's has said nothing for a while; and while a source is
known, no other can take its place. An SSRC is no proof of anything: it can be guessed or seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from engine.media.comfort import COMFORT_NOISE
from engine.media.network import rtp, udp
from engine.media.network.srtp import Decryption
from engine.media.orders import Latch

GRACE_S = 0.5
"""Another source than SDP's must have been the only one for so long to be believed."""
QUIET_S = 2.0
"""After so long a silence, new SDP opens the way for another source of the same far end."""
MOVED_S = 2.0
"""After SDP moved the far end, its old source is heard for so long, or until the new one speaks."""

_RTCP = range(192, 224)
"""Second octets of RTCP, which comes to the same port where rtcp-mux was agreed on (RFC 5761, 4)."""


class Inbound:
    """Filters datagrams. `source` is the struct sockaddr that packets come from, once known.

    `laws` are codecs by payload type, `events` the clocks of telephone-events in Hz. Where `encrypted`,
    nothing passes that `decryption` doesn't let pass. `discards` counts what didn't pass, by reason:
    malformed, foreign (from elsewhere), payload_type and srtp.
    """

    def __init__(self, encrypted: bool = False, latch: Latch | None = None) -> None:
        self.laws: dict[int, str] = {0: "PCMU", 8: "PCMA"}  # RFC 3551; until SDP says more
        self.events: dict[int, int] = {}
        self.encrypted = encrypted
        self.decryption: Decryption | None = None
        self.source: bytes | None = None
        self.expected: bytes | None = None
        self.last_valid: float | None = None
        self.ssrc: int | None = None
        self.discards: Counter[str] = Counter()
        self.on_rtcp: Callable[[bytes, bytes, float], None] = lambda data, source, now: None
        """Takes what comes to this port and is RTCP, with its sender's struct sockaddr and its time."""
        self._latch = latch or Latch()
        self._trusted: tuple[bytes, ...] = ()
        self._described = False
        self._reopened = False
        self._left: bytes | None = None
        self._left_was_sdps = False
        self._moved_at = 0.0
        self._candidate: bytes | None = None
        self._since = self._seen = 0.0

    @property
    def discarded(self) -> int:
        return self.discards.total()

    @property
    def address(self) -> bytes | None:
        """Where to send."""
        return self.source or self.expected

    def expect(self, address: bytes | None, now: float, trusted: tuple[bytes, ...] = ()) -> None:
        """SDP's address for the far end, None for one that can't be used. Another than before makes us forget
        the present source. `trusted` are signalling's addresses, whose hosts may speak for it.
        """
        self._trusted = trusted
        self._described = True
        if address == self.expected or (address is None and self.source is not None):
            self._reopened = self.last_valid is not None and now - self.last_valid > QUIET_S
            return
        if self.source is not None and self.source != address:
            self._left, self._moved_at = self.source, now
            self._left_was_sdps = self.source == self.expected
            self.source = None
        self._candidate = None
        self.expected = address

    def is_strange(self, source: bytes) -> bool:
        """Whether nothing that comes from there can be of use, whatever it is; then it is counted. A flood
        costs no more than this look.
        """
        if (
            self.source is None or source in (self.source, self.expected) or self._reopened
            or self._latch.relatch_after
        ):
            return False
        self.discards["foreign"] += 1
        return True

    def accept(self, data: bytes, source: bytes, now: float) -> rtp.Packet | None:
        """The packet, if it is a valid one of this stream; None, and counted, if not."""
        if len(data) > 1 and data[1] in _RTCP:
            self.on_rtcp(data, source, now)
            return None
        clear: bytes | None = data
        if self.encrypted:
            clear = self.decryption.unprotect(data) if self.decryption is not None else None
        if clear is None:
            self.discards["srtp"] += 1
            return None
        try:
            packet = rtp.parse(clear)
        except rtp.RtpError:
            self.discards["malformed"] += 1
            return None
        kind = packet.payload_type
        if kind not in self.laws and kind not in self.events and kind != COMFORT_NOISE:
            self.discards["payload_type"] += 1
            return None
        if source != self.source and not self._admit(source, now):
            self.discards["foreign"] += 1
            return None
        self.last_valid = now
        self.ssrc = packet.ssrc
        return packet

    def _admit(self, source: bytes, now: float) -> bool:
        """Whether a source that is not the known one may be heard, and whether it is the known one now."""
        if source == self.expected:
            return self._take(source)
        if not self._described:
            return False
        if source == self._left and self.source is None and now - self._moved_at <= MOVED_S:
            if not self._left_was_sdps and now - self._moved_at >= GRACE_S:
                self._take(source)  # behind NAT: SDP has told another port of it, no more
            return True
        if not self._allowed(source):
            return False
        if self.source is not None and not self._replaceable(now):
            return False
        if self._latch.rule == "first" or self.encrypted:
            return self._take(source)  # encrypted: it has shown that it knows the key
        if source != self._candidate or now - self._seen > GRACE_S:
            if self._candidate is not None and now - self._seen <= GRACE_S:
                return False  # one at a time
            self._candidate, self._since = source, now
        self._seen = now
        return now - self._since >= GRACE_S and self._take(source)

    def _replaceable(self, now: float) -> bool:
        quiet = now - (self.last_valid or 0.0)
        after = self._latch.relatch_after
        return (after > 0 and quiet > after) or (self._reopened and quiet > GRACE_S)

    def _allowed(self, source: bytes) -> bool:
        """Whether a host may be the far end's at all."""
        expected = self.expected
        if expected is None or udp.same_host(source, expected):
            return True
        if any(udp.same_host(source, host) for host in self._trusted):
            return True
        if self._latch.rule == "nat":
            there = udp.scope(expected)
            return there != "global" and udp.scope(source) != there
        return self._latch.rule == "first"

    def _take(self, source: bytes) -> bool:
        self.source = source
        self._left = self._candidate = None
        self._reopened = False
        return True
