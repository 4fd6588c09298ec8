"""What one stream sends: a bridged stream's packets on their arrival, or a frame of our own in each tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.media import codec
from engine.media.clip import Player, dtmf_clip
from engine.media.codec import FRAME, Pcm
from engine.media.coders import Encoder, OpusEncoder, encoder
from engine.media.digit_sender import DigitSender
from engine.media.dtmf import rescale
from engine.media.gain import Fader
from engine.media.mixer import Feed
from engine.media.orders import Codec, DigitsSent, Event, Fact, PlaybackEnded
from engine.media.outbound import Outbound
from engine.media.pcm import PcmQueue, from_bytes
from engine.media.rtp import Packet
from engine.media.udp import Inbox

FORWARD_IDLE = 5
"""Ticks without a packet to forward, after which a bridged stream is sent silence."""
_RELAY_S = 0.06
"""So long after a bridged stream's telephone-event no audio of ours is mixed in."""


@dataclass(slots=True)
class _Frame:
    """20 ms of our own: packets that are full, samples that were held before them, and what is heard."""

    packets: list[bytes]
    held: int
    heard: Pcm | bytes
    """Octets are of G.711."""


class Sender:
    """Served by the media thread: `tick` first in each tick, `prepare` in its slack, `forward` in between.

    `direct` is true while a bridged stream's packets go on as they are; `feed` is what a bridge or a
    conference otherwise gives, at `gain`. `written` is what a program wrote, `width` octets a sample.
    """

    def __init__(self, written: PcmQueue, width: int) -> None:
        self.out = Outbound(-1)
        self.digits = DigitSender()
        self.player: Player | None = None
        self.inband: Player | None = None  # DTMF as tones, where telephone-event was not negotiated
        self.feed: Feed | None = None
        self.gain = Fader()
        self.direct = False
        self.may_send = False
        self.send_first = True
        self._inband_digits = ""
        self._written = written
        self._width = width
        self._encoder: Encoder = encoder(self.out.law)
        self._format = (self.out.law, 20)
        self._sent: Pcm | bytes | None = None
        self._ready: _Frame | None = None  # the next tick's, made in the slack of this one
        self._forward_idle = FORWARD_IDLE
        self._relaying: int | None = None
        self._relayed: int | None = None
        self._relayed_at = 0
        self._relayed_until = 0.0

    def set_format(self, sent: Codec | None, ptime_ms: int, events: tuple[Event, ...]) -> None:
        """What SDP agreed on. The same codec goes on where it was."""
        out = self.out
        if sent is not None:
            out.payload_type, out.law = sent.payload_type, sent.name
            if (sent.name, ptime_ms) != self._format:
                self._format = (sent.name, ptime_ms)
                self._encoder = encoder(sent.name, ptime_ms)
        out.event_payload_type = events[0].payload_type if events else None
        self.digits.clock = events[0].clock if events else 8000
        self._ready = None

    def play(self, player: Player | None) -> None:
        self.player = player
        self._ready = None

    def route(self, feed: Feed | None, direct: bool) -> None:
        """Send what a bridge or a conference gives, a bridged stream's packets, or neither."""
        if (feed, direct) == (self.feed, self.direct):
            return
        self.feed, self.direct = feed, direct
        self._own()
        self._forward_idle = FORWARD_IDLE

    def send_digits(self, digits: str, duration_ms: int, gap_ms: int, inband: bool = False) -> None:
        """Send DTMF: as telephone-event, or as tones where asked for or where the far end offered none."""
        if self.out.event_payload_type is not None and not inband:
            self.digits.queue(digits, duration_ms, gap_ms)
        else:
            self._inband_digits = digits
            self.inband = Player(dtmf_clip(digits, duration_ms, gap_ms), False, "")
            self._own()
        self._ready = None

    def _own(self) -> None:
        """What follows is no continuation of what was sent."""
        self.out.own()
        self._encoder.clear()
        self._ready = None

    # --- a bridged stream's packets, as they come ---------------------------------------------------

    @property
    def _free(self) -> bool:
        return self.may_send and not self.digits.active and self.inband is None

    def forward(self, packet: Packet, law: str) -> None:
        """Audio that can go on as it is, unless this stream must be silent or is sending digits."""
        if self._free and self.out.forward(packet, law):
            self._forward_idle = 0
            self._encoder.clear()

    def relays(self, law: str) -> bool:
        """Whether packets of a codec can be handed to `relay`."""
        out = self.out
        as_it_is = self.direct and law == out.law and out.encryption is None
        return as_it_is and self._free and out.address is not None

    def relay(self, inbox: Inbox, size: int, header: tuple[int, int, int, int, int]) -> None:
        """`forward`, from where the packet was received."""
        self.out.relay(inbox, size, header)
        if self._forward_idle:
            self._forward_idle = 0
            self._encoder.clear()

    def forward_event(self, packet: Packet, clock: int, now: float) -> None:
        """A telephone-event of a clock in Hz; beside audio that is encoded anew, on that audio's own time."""
        if not self._free:
            return
        payload = rescale(packet.payload, clock, self.digits.clock)
        if self.direct:
            if self.out.forward(packet, None, payload):
                self._forward_idle = 0
            return
        if packet.ssrc != self._relaying and now < self._relayed_until:
            return  # one press at a time: another party's is still going on
        self._relaying = packet.ssrc
        first = packet.timestamp != self._relayed
        if first:
            self._relayed, self._relayed_at = packet.timestamp, self.out.timestamp
            self._encoder.clear()
            self._ready = None
        self.out.event(payload, self._relayed_at, first)
        self._relayed_until = now + _RELAY_S

    # --- each tick ------------------------------------------------------------------------------------

    def tick(self, now: float, heard_far_end: bool, facts: list[Fact], name: str) -> None:
        """Send what this tick asks for; nothing else may come before it in a tick."""
        out = self.out
        ready, self._ready = self._ready, None
        self._sent = None
        if not self.may_send or out.address is None:
            self._encoder.clear()
        elif self.digits.active:
            self._send_digits(now, facts, name)
        elif now < self._relayed_until:
            pass
        elif self.direct and self.inband is None:
            self._forward_idle += 1
            if self._forward_idle > FORWARD_IDLE:
                self._send(self._silence())
        else:
            frame = ready or self._next(heard_far_end)
            if frame is not None:
                self._send(frame)
                self._move_on(now, facts, name)
        out.advance()

    def prepare(self) -> None:
        """Make the next tick's frame now, where nothing fresher can come until then."""
        if self.direct or not self.may_send or self.digits.active:
            return
        if self.inband is not None:
            self._ready = self._played(self.inband)
        elif self.feed is not None:
            self._ready = None if self.feed.fresh else self._fed(self.feed)
        elif self.player is not None:
            self._ready = self._played(self.player)

    def sent(self) -> Pcm | None:
        """What this tick sent of our own; None for nothing."""
        if isinstance(self._sent, bytes):
            return codec.decode(self.out.law, self._sent)
        return self._sent

    def _send(self, frame: _Frame) -> None:
        self._sent = frame.heard
        self.out.audio(frame.packets, self._encoder.size, frame.held)

    def _send_digits(self, now: float, facts: list[Fact], name: str) -> None:
        self.out.own()
        event, done = self.digits.tick(self.out.timestamp)
        if event is not None:
            self._encoder.clear()
            self.out.event(event.payload, event.timestamp, event.marker)
        else:
            self._send(self._silence())
        if done:
            facts.append(DigitsSent(name, now, done))
            self._forward_idle = FORWARD_IDLE

    def _next(self, heard_far_end: bool) -> _Frame | None:
        """This tick's audio of a bridge or conference, a player or a program; None where nothing is sent yet.
        """
        if self.inband is not None:
            return self._played(self.inband)
        if self.feed is not None:
            return self._fed(self.feed)
        if self.player is not None:
            return self._played(self.player)
        if len(self._written):
            pcm = from_bytes(self._written.take(FRAME * self._width), self._width)
            return self._encoded(np.concatenate((pcm, codec.SILENT_PCM[len(pcm) :])))
        if self.send_first or self.out.sent or heard_far_end:
            return self._silence()
        return None

    def _move_on(self, now: float, facts: list[Fact], name: str) -> None:
        if self.inband is not None:
            self.inband.advance()
            if self.inband.ended:
                self.inband = None
                facts.append(DigitsSent(name, now, self._inband_digits))
        elif self.player is not None and self.feed is None:
            self.player.advance()
            if self.player.ended:
                facts.append(PlaybackEnded(name, now, self.player.tag))
                self.player = None

    def _played(self, player: Player) -> _Frame:
        law = self.out.law
        return self._octets(player.octets(law)) if law in codec.DECODE else self._encoded(player.pcm())

    def _fed(self, feed: Feed) -> _Frame:
        law = self.out.law
        if self.gain.flat and law in codec.DECODE:
            return self._octets(feed.octets(law))
        return self._encoded(self.gain.apply(feed.pcm()))

    def _silence(self) -> _Frame:
        law = self.out.law
        return self._octets(codec.SILENCE[law]) if law in codec.DECODE else self._encoded(codec.SILENT_PCM)

    def _encoded(self, pcm: Pcm) -> _Frame:
        if self.out.law in codec.DECODE:
            return self._octets(codec.encode(self.out.law, pcm))
        held = self._encoder.held
        return _Frame(self._encoder.encode(pcm), held, pcm)

    def _octets(self, octets: bytes) -> _Frame:
        """G.711 that is encoded already."""
        coder = self._encoder
        assert not isinstance(coder, OpusEncoder)
        held = coder.held
        return _Frame(coder.pack(octets), held, octets)
