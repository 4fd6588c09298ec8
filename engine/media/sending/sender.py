"""What one stream sends: a bridged stream's packets on their arrival, or a frame of our own in each tick."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.media import codec
from engine.media.clip import Player
from engine.media.codec import FRAME, Pcm
from engine.media.coders import duration
from engine.media.comfort import ComfortNoise
from engine.media.dtmf import rescale
from engine.media.gain import Fader
from engine.media.mixer import Feed
from engine.media.network.outbound import Outbound
from engine.media.network.rtp import Packet
from engine.media.network.udp import Inbox
from engine.media.orders import Codec, DigitsSent, Event, Fact, PlaybackEnded
from engine.media.pcm import PcmQueue
from engine.media.seam import Seam
from engine.media.sending.digit_sender import DigitSender, ToneSender
from engine.media.sending.event_relay import EventRelay
from engine.media.sending.packer import Frame, Packer, Source, samples
from engine.media.sending.pauses import Pauses

FORWARD_IDLE = 5
"""Ticks without a packet to forward, after which a bridged stream is sent silence."""
LINGER = 50
"""Ticks, 1 s, that what was played before a bridge goes on at most while the other side sends nothing."""
QUIET_TICKS = 100
"""Silence of ours after which time that was sent ahead may be waited for."""


class _Passed:
    """The source of packets that pass untouched."""


_PASSED: Final = _Passed()


class Sender:
    """Served by the media thread: `tick` first in each tick, `prepare` in its slack, `forward` in between.

    `direct` is true while a bridged stream's packets go on as they are; `feed` is what a bridge or a
    conference otherwise gives, at `gain`. `written` is what a program wrote, `width` octets a sample.

    One source follows the other without gap or click. What is played goes on on the clock until the first
    packet or frame of a bridge is there; that one is mixed with its end.
    """

    def __init__(self, written: PcmQueue, width: int) -> None:
        self.out = Outbound(-1)
        self.digits = DigitSender()
        self.player: Player | None = None
        self.tones = ToneSender()
        self.toned: dict[str, float] = {}
        """When each key was last heard there as tones, in monotonic seconds."""
        self.feed: Feed | None = None
        self.gain = Fader()
        self.direct = False
        self._begun = False  # the bridge's or conference's audio has been heard
        self._patience = 0
        self._seam = Seam()
        self._quiet = 0
        self._started: float | None = None  # when the first frame was sent, if since the last tick
        self.may_send = False
        self.send_first = True
        self._written = written
        self._width = width
        self._packer = Packer(self.out.law)
        self._sent: Pcm | bytes | None = None
        self._ready: tuple[Source, Frame] | None = None  # the next tick's, made in the slack of this one
        self._forward_idle = FORWARD_IDLE
        self._relay = EventRelay(self.out)
        self._pauses: Pauses | None = None
        self._faded = False  # this tick's frame is a seam, whose level is nobody's
        self._noise: ComfortNoise | None = None  # of a bridged stream's pause, made here
        self._noise_told = b""
        self._pausing = False  # the far end was told of a bridged stream's pause

    def set_format(self, sent: Codec | None, ptime_ms: int, events: tuple[Event, ...]) -> None:
        """What SDP agreed on. The same codec goes on where it was."""
        out = self.out
        if sent is not None:
            out.payload_type, out.law = sent.payload_type, sent.name
            self._packer.set_format(sent.name, ptime_ms)
        out.event_payload_type = events[0].payload_type if events else None
        self.digits.clock = events[0].clock if events else 8000
        self._ready = None

    def suppress(self, on: bool) -> None:
        """Describe pauses of what comes from a bridge or a conference in place of sending them (RFC 3389)."""
        if on != (self._pauses is not None):
            self._pauses = Pauses() if on else None

    def play(self, player: Player | None) -> None:
        self.player = player

    def route(self, feed: Feed | None, direct: bool) -> None:
        """Send what a bridge or a conference gives, or nothing of the kind. Where `direct`, the bridged
        stream's packets themselves; `feed` then is the same, decoded.
        """
        if (feed, direct) == (self.feed, self.direct):
            return
        if self.feed is not None and feed is None:
            self.player = None  # left over from before the bridge
        self.feed, self.direct = feed, direct
        self._begin_again()

    @property
    def passes(self) -> bool:
        """Whether a bridged stream's packets have begun to go on as they come."""
        return self.direct and self._begun

    def _begin_again(self) -> None:
        self._end_noise()
        self.out.own()
        self._begun = False
        self._patience = LINGER

    def pause(self, on: bool) -> None:
        """The bridged stream's packets will not come, or they will again: it is muted, or put on hold."""
        if on and not self._begun:
            self._patience = 0  # there is nothing to wait for
        elif self.direct and on:
            self._end_noise()
            self._forward_idle = FORWARD_IDLE
        elif self.direct:
            self._begin_again()

    def send_digits(self, digits: str, duration_ms: int, gap_ms: int, inband: bool = False) -> None:
        """Send DTMF: as telephone-event, or as tones where asked for or where the far end offered none."""
        if self.out.event_payload_type is not None and not inband:
            self.digits.queue(digits, duration_ms, gap_ms)
        else:
            self.tones.queue(digits, duration_ms, gap_ms)
            self.out.own()

    @property
    def inband(self) -> Player | None:
        """The digit that is sent as tones."""
        return self.tones.player

    # --- a bridged stream's packets, as they come ---------------------------------------------------

    @property
    def _free(self) -> bool:
        return self.may_send and not self.digits.active and self.inband is None

    def forward(self, packet: Packet, law: str) -> None:
        """Audio that can go on as it is, unless this stream must be silent or is sending digits."""
        if not self._free:
            return
        if not self._begun or self._seam.pending:
            if not packet.payload:
                return
            packet = self._spliced(packet, law)
        if self.out.forward(packet, law):
            self._passed_on(law, packet.payload)

    def _passed_on(self, law: str, payload: bytes) -> None:
        if self._noise is not None or self._pausing:
            self._end_noise()
        self._seam.last = (law, payload) if law in codec.DECODE else None
        if self._forward_idle or self._seam.was is not _PASSED:
            self._forward_idle, self._seam.was = 0, _PASSED
            self._packer.clear()

    def _spliced(self, packet: Packet, law: str) -> Packet:
        """The first packet of a bridge: faded in, mixed with the end of what was sent before. One in G.722 or
        Opus gives way to that end, since its encoder's state is not ours.
        """
        if not self._begun:
            self._flush()
            self._begin(_PASSED)
        if not self._seam.pending:
            return packet
        if law in codec.DECODE:
            pcm = codec.decode(law, packet.payload)
            spliced = self._seam.apply(pcm)
            return packet if spliced is pcm else replace(packet, payload=codec.encode(law, spliced))
        end = self._seam.apply(codec.SILENT_PCM)
        packets = self._packer.pcm(end).packets if end.any() else []
        fits = len(packets) == 1 and duration(law, packet.payload) == self._packer.size
        return replace(packet, payload=packets[0]) if fits and law == self.out.law else packet

    def _flush(self) -> None:
        """Send the samples that wait for a packet to be full."""
        if rest := self._packer.flush():
            self.out.audio([rest], len(rest), len(rest))
        self._ready = None

    def relays(self, law: str) -> bool:
        """Whether packets of a codec can be handed to `relay`."""
        out = self.out
        as_it_is = self.direct and self._begun and not self._seam.pending
        plain = law == out.law and out.encryption is None and out.address is not None
        return as_it_is and plain and self._free

    def relay(self, inbox: Inbox, size: int, header: tuple[int, int, int, int, int]) -> None:
        """`forward`, from where the packet was received."""
        self.out.relay(inbox, size, header)
        self._passed_on(self.out.law, bytes(inbox.payload(size)))

    def forward_event(self, packet: Packet, clock: int, now: float) -> None:
        """A telephone-event of a clock in Hz; beside audio that is encoded anew, on that audio's own time."""
        if not self._free or self.out.event_payload_type is None:
            return
        payload = rescale(packet.payload, clock, self.digits.clock)
        if self.direct and self._begun:
            if self.out.forward(packet, None, payload):
                self._forward_idle = 0
            return
        if self.out.event_payload_type is not None and self._relay.takes(packet, now):
            if self._relay.begins(packet):
                self._flush()
            self._relay.send(packet, payload, now)

    def forward_noise(self, packet: Packet) -> None:
        """A bridged stream's comfort noise: it goes on where the far end agreed to that, and is made here
        where not.
        """
        if not self._free or not self._begun:
            return
        if self._pauses is not None:
            if self.out.forward(packet, None):
                self._pausing = True
        elif self._noise is None or packet.payload != self._noise_told:
            self._noise, self._noise_told = ComfortNoise(packet.payload), packet.payload

    def _end_noise(self) -> None:
        self._noise, self._pausing = None, False

    # --- each tick ------------------------------------------------------------------------------------

    def start(self, now: float, heard_far_end: bool, facts: list[Fact], name: str) -> None:
        """Send the very first frame now, between two ticks: who has just answered waits for it."""
        if not self.out.sent and self.may_send and self._started is None:
            self.tick(now, heard_far_end, facts, name)
            self._started = now

    def tick(self, now: float, heard_far_end: bool, facts: list[Fact], name: str) -> None:
        """Send what this tick asks for; nothing else may come before it in a tick."""
        out = self.out
        if self._started is not None:
            started, self._started = self._started, None
            if out.too_soon(now - started):
                return
        self._sent = None
        if not self.may_send or out.address is None:
            self._packer.clear()
            self._seam.forget()
            self._ready = None
        elif self.digits.active:
            self._send_digits(now, facts, name)
        elif self._relay.active(now):
            pass
        elif self._passes():
            if self._forward_idle > 1:
                self._seam.last = None  # long gone
        else:
            frame = self._next(heard_far_end)
            if frame is not None:
                if not self._suppressed(frame):
                    self._send(frame)
                self._seam.last = (out.law, frame.heard) if isinstance(frame.heard, bytes) else frame.heard
                self._move_on(now, facts, name)
        out.advance()

    def _passes(self) -> bool:
        """Whether a bridged stream's packets are all that is sent in this tick."""
        if not self.direct or not self._begun or self.inband is not None or self._noise is not None:
            return False
        self._forward_idle += 1
        return self._pausing or self._forward_idle <= FORWARD_IDLE

    def prepare(self) -> None:
        """Make the next tick's frame now, where nothing fresher can come until then."""
        if not self.may_send or self.digits.active or self._ready is not None or self._seam.pending:
            return
        if self._packer.size != FRAME:
            return  # what waits for a packet to be full must not be half of a frame that is not sent then
        source = self._seam.was
        if isinstance(source, Player):
            settled = self.feed is None or source is self.inband
            if settled and not source.ended and source is (self.inband or self.player):
                self._ready = source, self._packer.player(source)
        elif (feed := self.feed) is not None and self._begun and source == feed and not feed.fresh:
            self._ready = feed, self._packer.feed(feed, self.gain)

    def sent(self) -> Pcm | None:
        """What this tick sent of our own; None for nothing."""
        if isinstance(self._sent, bytes):
            return codec.decode(self.out.law, self._sent)
        return self._sent

    def _send(self, frame: Frame) -> None:
        self._sent = frame.heard
        self.out.audio(frame.packets, self._packer.size, frame.held)

    def _suppressed(self, frame: Frame) -> bool:
        """Whether a frame is a pause of somebody's speech, which is described from time to time."""
        pauses = self._pauses
        speech = self._seam.was is not None and self._seam.was == self.feed
        if pauses is None or not speech or not self._packer.stateless or self._faded:
            return False
        heard = frame.heard
        pcm = codec.decode(self.out.law, heard) if isinstance(heard, bytes) else heard
        told = pauses.feed(pcm)
        if told is None:
            return False
        self._sent = heard
        self.out.pause(told)
        return True

    def _send_digits(self, now: float, facts: list[Fact], name: str) -> None:
        self.out.own()
        event, done = self.digits.tick(self.out.timestamp)
        if event is not None:
            self._flush()
            self._seam.forget()
            self.out.event(event.payload, event.timestamp, event.marker)
        else:
            self._send(self._packer.silence())
        if done:
            facts.append(DigitsSent(name, now, done))
            self._forward_idle = FORWARD_IDLE

    def _next(self, heard_far_end: bool) -> Frame | None:
        """This tick's frame of whatever is to be sent; None where nothing is yet, or for once."""
        source = self._present()
        if source is None:
            if not (self.send_first or self.out.sent or heard_far_end):
                return None
            self._quiet += 1
        else:
            self._quiet = 0
        ready, self._ready, self._faded = self._ready, None, False
        if ready is not None and (ready[0] == source or not self._packer.stateless):
            return ready[1]  # an encoder that remembers what it made would be out of step with the far end's
        if source != self._seam.was:
            self._seam.change(source)
        self._faded = self._seam.pending
        if self._faded:
            return self._packer.pcm(self._seam.apply(samples(source, self.gain, self._width)))
        if isinstance(source, Player):
            return self._packer.player(source)
        if source is None:
            waits = self._quiet > QUIET_TICKS and not self._packer.held and self.out.wait()
            return None if waits else self._packer.silence()
        if isinstance(source, PcmQueue | ComfortNoise):
            return self._packer.pcm(samples(source, self.gain, self._width))
        return self._packer.feed(source, self.gain)

    def _present(self) -> Source:
        """What is to be heard now."""
        if self.inband is not None:
            return self.inband
        if self.feed is None:
            return self.player or (self._written if len(self._written) else None)
        if self._begun:
            return self._noise if self.direct else self.feed
        self._patience -= 1
        if self.direct:  # until the first packet comes
            if self._patience <= 0:
                self.player = None
            was_fed = not isinstance(self._seam.was, Player | PcmQueue | _Passed | None)
            return self.feed if was_fed else self.player
        if self.feed.ready or self._patience <= 0:
            self._begin(self.feed)
            return self.feed
        return self.player

    def _begin(self, source: Feed | _Passed) -> None:
        """From here on the bridge or conference is heard."""
        self._begun = True
        self._seam.change(source)
        self.player = None

    def _move_on(self, now: float, facts: list[Fact], name: str) -> None:
        player = self._seam.was
        if not isinstance(player, Player):
            return
        if player is self.inband:
            self.toned[self.tones.digit] = now
        player.advance()
        if not player.ended:
            return
        if player is self.inband:
            if done := self.tones.advance():
                facts.append(DigitsSent(name, now, done))
        elif player is self.player:
            self.player = None
            facts.append(PlaybackEnded(name, now, player.tag))
