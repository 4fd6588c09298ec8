"""The sending half of a stream: one RTP session's own numbers, and the address they go to."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from engine.media.codec import FRAME, SAMPLE_RATE, TRANSCODE
from engine.media.coders import duration, scale
from engine.media.comfort import COMFORT_NOISE
from engine.media.network import udp
from engine.media.network.bridge import Forwarder
from engine.media.network.rtp import Packet, plain
from engine.media.network.srtp import Encryption
from engine.media.network.udp import Inbox

_M16, _M32 = 0xFFFF, 0xFFFFFFFF
SOON_S = 0.005


class Outbound:
    """Everything sent on a stream passes here, so that its numbers never jump by mistake.

    `timestamp` is the present tick's, in units of the codec's clock. SSRC, first sequence number and first
    timestamp are random (RFC 3550 section 5.1).
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.address: bytes | None = None
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(15)  # of the next packet, counted on past 2**16
        self.timestamp = secrets.randbits(32)
        self.payload_type = 0
        self.law = "PCMU"
        self.event_payload_type: int | None = None
        self.encryption: Encryption | None = None
        self.sent = 0
        self.octets = 0
        """Of the payloads sent (RFC 3550, 6.4.1)."""
        self.failed = 0
        self._marker = True
        self._forwarder = Forwarder()
        self._forwarding = False
        self._end = self.timestamp  # where the audio sent so far ends
        self._ahead = 0  # units sent more than time has gone by, by packets that came before their tick

    def _put(self, payload_type: int, marker: bool, sequence: int, timestamp: int, payload: bytes) -> None:
        if self.address is None:
            return
        data = plain(payload_type, marker, sequence & _M16, timestamp & _M32, self.ssrc, payload)
        secret = data if self.encryption is None else self.encryption.protect(data)
        if secret is not None and udp.send(self.fd, secret, self.address):
            self.sent += 1
            self.octets += len(payload)
        else:
            self.failed += 1

    def new_source(self) -> None:
        """Another SSRC: the far end has the same (RFC 3550, 8.2)."""
        self.ssrc = secrets.randbits(32)
        self._marker = True

    @property
    def position(self) -> int:
        """The timestamp that stands for this moment, also of what a bridged sender drives."""
        return self._end & _M32

    def own(self) -> None:
        """What follows is generated here: leave the bridged sender's time axis."""
        if self._forwarding:
            self._forwarding = False
            self._forwarder.reset()
            behind = (self._end - self.timestamp) & _M32
            if 0 < behind < 0x80000000:
                self.timestamp = self._end
                self._ahead += behind
            self._marker = True

    def audio(self, payloads: Sequence[bytes], size: int, held: int = 0) -> None:
        """Send packets of `law`, `size` samples at 8 kHz in each, the first `held` before this tick."""
        if self._forwarding:
            self.own()
        units = scale(self.law)
        timestamp = self.timestamp - held * units
        for payload in payloads:
            self._put(self.payload_type, self._marker, self.sequence, timestamp, payload)
            self.sequence += 1
            timestamp += size * units
            self._marker = False

    def pause(self, noise: bytes) -> None:
        """Send no audio in this tick, but a packet of comfort noise (RFC 3389) where it has a payload."""
        if self._forwarding:
            self.own()
        if noise:
            self._put(COMFORT_NOISE, False, self.sequence, self.timestamp, noise)
            self.sequence += 1
        self._marker = True

    def event(self, payload: bytes, timestamp: int, marker: bool) -> None:
        """Send a telephone-event packet (RFC 4733) in this tick."""
        if self.event_payload_type is None:
            return
        self._put(self.event_payload_type, marker, self.sequence, timestamp, payload)
        self.sequence += 1
        self._marker = True

    def forward(self, packet: Packet, law: str | None, payload: bytes | None = None) -> bool:
        """Send a bridged stream's packet now; `law` is its codec, None for a telephone-event or comfort
        noise. `payload` is sent in place of its own where given.

        False where nothing was sent: no telephone-event negotiated here, or a packet too late.
        """
        payload_type = self.payload_type if law is not None else self.event_payload_type
        if law is None and packet.payload_type == COMFORT_NOISE:
            payload_type = COMFORT_NOISE
        if payload_type is None or self.address is None:
            return False
        mapped = self._forwarder.map(packet.ssrc, packet.sequence, packet.timestamp, packet.marker,
                                     self.sequence, self.timestamp)
        if mapped is None:
            return False
        sequence, timestamp, marker = mapped
        payload = packet.payload if payload is None else payload
        if law is not None and law != self.law:
            payload = payload.translate(TRANSCODE[law, self.law])
        self._put(payload_type, marker, sequence, timestamp, payload)
        self._forwarded(sequence, timestamp, duration(law, payload) * scale(law) if law is not None else 0)
        return True

    def relay(self, inbox: Inbox, size: int, header: tuple[int, int, int, int, int]) -> None:
        """Send a bridged stream's packet of this very codec on from where it was received: `forward` without
        a copy. Not for a stream that is encrypted, or without `address`.
        """
        _, second, sequence, timestamp, ssrc = header
        mapped = self._forwarder.map(ssrc, sequence, timestamp, second >= 0x80, self.sequence, self.timestamp)
        if mapped is None or self.address is None:
            return
        sequence, timestamp, marker = mapped
        second = self.payload_type | 0x80 if marker else self.payload_type
        if inbox.send_on(self.fd, size, self.address, (0x80, second, sequence & _M16, timestamp, self.ssrc)):
            self.sent += 1
            self.octets += size - 12
        else:
            self.failed += 1
        samples = size - 12 if self.law != "opus" else duration(self.law, inbox.payload(size))
        self._forwarded(sequence, timestamp, samples * scale(self.law))

    def _forwarded(self, sequence: int, timestamp: int, units: int) -> None:
        self._forwarding = True
        if sequence >= self.sequence:
            self.sequence = sequence + 1
        if units:
            end = (timestamp + units) & _M32
            if (end - self._end) & _M32 < 0x80000000:
                self._end = end

    def too_soon(self, elapsed_s: float) -> bool:
        """In the first tick after a packet that was sent between ticks: whether this one must be left out, so
        that what is sent is no more than 15 ms early and never 5 ms late.
        """
        rate = SAMPLE_RATE * scale(self.law)
        soon = elapsed_s < SOON_S
        self._ahead += round(((0.0 if soon else 0.02) - elapsed_s) * rate)
        return soon

    def wait(self) -> bool:
        """Send nothing in this tick where a whole one was sent ahead: what bridges bring of that must not add
        up at the far end. False where none was.
        """
        units = FRAME * scale(self.law)
        if self._ahead < units:
            return False
        self._ahead -= units
        self.timestamp = (self.timestamp - units) & _M32
        return True

    def advance(self, ticks: int = 1) -> None:
        """On to the next tick, whether this one sent anything or not."""
        self.timestamp = (self.timestamp + FRAME * scale(self.law) * ticks) & _M32
        if not self._forwarding:
            self._end = self.timestamp
