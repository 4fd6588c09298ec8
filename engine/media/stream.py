"""One leg's audio as the media thread serves it: `arrive` for each packet, `send_tick`, `receive_tick`.

To a program it is pyVoIP's `RTPClient` (client.py). The two sides meet in bounded queues and in orders.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.RTP alone is a circular import
from pyVoIP.RTP import PayloadType, TransmitType

from engine.detect.dtmf import KeyPress
from engine.detect.outcome import FinishCause
from engine.media import codec
from engine.media.client import AudioClient
from engine.media.clip import Player
from engine.media.codec import Pcm
from engine.media.coders import CLOCK, passes
from engine.media.comfort import COMFORT_NOISE
from engine.media.dtmf import DigitReceiver, Press
from engine.media.ending import MOST, Ending
from engine.media.gain import Fader
from engine.media.heard_keys import HeardKeys
from engine.media.hearing import Hearing
from engine.media.mixer import Ear, Feed, Room
from engine.media.network import udp
from engine.media.network.control import ControlChannel
from engine.media.network.inbound import Inbound
from engine.media.network.outbound import Outbound
from engine.media.network.quality import QualityWatch
from engine.media.network.reception import Reception
from engine.media.network.rtp import MAX_PACKET, Packet
from engine.media.network.srtp import Decryption, Encryption
from engine.media.orders import (
    DigitEnded,
    DigitReceived,
    Fact,
    Latch,
    Quality,
    RtpStarted,
    RtpTimeout,
    SetRemote,
    SrtpKeys,
    StreamStats,
)
from engine.media.playout import Bounds
from engine.media.recorder import Recording
from engine.media.sending.sender import Sender
from engine.media.strip import Seen
from engine.media.timing.shedding import WAITING

if TYPE_CHECKING:
    from engine.media.engine import MediaEngine

MAX_ARRIVALS = 256
"""Datagrams taken from one socket in a tick, so that a flood on one leg cannot hold up the others."""

RECENT_S = 0.1
"""A far end whose last packet is no older is sending."""

_KIND = {"PCMA": PayloadType.PCMA, "PCMU": PayloadType.PCMU, "G722": PayloadType.G722}


class Sound(Protocol):
    """The local headset, as a bridged stream sees it."""

    @property
    def ready(self) -> bool: ...

    def heard(self) -> Pcm:
        """This tick's frame from the microphone, silent while muted."""

    def speaker(self, pcm: Pcm) -> None:
        """Take this tick's frame for the loudspeaker."""

    def join(self, peer: Any) -> None: ...


class RtpStream(AudioClient):
    """A stream. Its attributes belong to the media thread, but for what `AudioClient` gives to a program."""

    def __init__(
        self,
        assoc: dict[int, PayloadType],
        inIP: str,
        inPort: int,
        outIP: str,
        outPort: int,
        sendrecv: TransmitType = TransmitType.SENDRECV,
        dtmf: Callable[[str], None] | None = None,
        *,
        engine: MediaEngine | None = None,
        name: str = "",
        depth: Bounds | None = None,
        sample_width: int = 1,
        encrypted: bool = False,
        latch: Latch | None = None,
    ) -> None:
        super().__init__(
            assoc, inIP, inPort, outIP, outPort, sendrecv, dtmf,
            engine=engine, name=name, depth=depth, sample_width=sample_width,
        )
        self.sock: socket.socket | None = None
        self.inbound = Inbound(encrypted, latch)
        self.reception = Reception()
        self.sender = Sender(self._writer, sample_width)
        self.control = ControlChannel(self.inbound, self.reception, self.sender.out)
        self.inbound.on_rtcp = self._muxed
        self._watch = QualityWatch(self.reception, self.control.session)
        self._inbox: udp.Inbox | None = None
        self.digits_in = DigitReceiver()
        self.law = "PCMU"  # the codec that was received last, and the payload type it came with
        self._law_type = -1
        self._conflict: bytes | None = None  # the source that once had our SSRC
        self._paused = False
        self._arrivals = 0
        self.peer: RtpStream | Sound | None = None
        self.room: Room | None = None  # the conference it is in
        self.gain = Fader()  # of what others hear from it
        self.wanted = False  # by a conference that is about to begin
        self.muted = False
        self.may_receive = False
        self._srtp: SrtpKeys | None = None
        self._family = socket.AF_INET
        self.recording: Recording | None = None
        self.hearing: Hearing | None = None
        self.undetected: deque[Pcm] = deque()  # frames that the detector has had no time for
        self.keys: HeardKeys | None = None
        self.view: deque[Seen] | None = None  # of whoever looks at its spectrum
        self.timeout_s: float | None = None
        self.timeout_from = 0.0
        self._timed_out = False
        self._started_fact = False

    @property
    def out(self) -> Outbound:
        return self.sender.out

    @property
    def rx(self) -> Pcm:
        """This tick's received frame."""
        return self.listening.rx

    def open(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.out.fd = sock.fileno()
        self._family = sock.family
        self.timeout_from = now

    def close(self, now: float) -> StreamStats:
        """Close the sockets; the stream's final figures."""
        self.control.close(now)
        self.inbound.on_rtcp = lambda data, source, now: None  # no cycle for the collector to find
        self.NSD = False
        self._stopped = True
        if self.listening.reader is not None:
            self.listening.reader.close()
        if self.sock is not None:
            self.sock.close()
            self.out.fd = -1  # the number may be another socket's at once
        return StreamStats(self.out.sent, self.reception.received, self.reception.lost,
                           self.listening.playout.late, self.inbound.discarded, dict(self.inbound.discards),
                           self.reception.duplicates, self.reception.reordered, self.quality(now))

    def quality(self, now: float) -> Quality | None:
        """How it sounds; once a second."""
        figures = self.listening.playout.figures() if self.listening.active else None
        return self._watch.measure(figures, self.law)

    def set_remote(self, order: SetRemote, now: float) -> None:
        self._out_ip, self._out_port = order.host, order.port
        codecs = [c for c in order.codecs if c.name in CLOCK]
        expected = udp.sockaddr(order.host, order.port, self._family)
        signalling = udp.sockaddr(order.signalling, 1, self._family)
        self.inbound.expect(expected, now, () if signalling is None else (signalling,))
        self._secure(order.srtp)
        if codecs:
            self.inbound.laws = {c.payload_type: c.name for c in (*order.also, *codecs)}
            for each in codecs:
                self.listening.decoder.ready(each.name)
            self.assoc = {c.payload_type: _KIND.get(c.name, PayloadType.UNKNOWN) for c in codecs}
            self._law_type = -1
            self.preference = self.assoc[codecs[0].payload_type]
            if self.law not in self.inbound.laws.values():
                self.law = codecs[0].name
        self.sender.set_format(codecs[0] if codecs else None, order.ptime_ms, order.events)
        self.sender.suppress(order.comfort_noise)
        self.inbound.events = {event.payload_type: event.clock for event in order.events}
        self.assoc |= dict.fromkeys(self.inbound.events, PayloadType.EVENT)
        self.out.address = self.inbound.address
        self.sender.may_send = bool(codecs) and order.direction in ("sendrecv", "sendonly")
        may_receive, self.may_receive = self.may_receive, order.direction in ("sendrecv", "recvonly")
        if may_receive != self.may_receive and isinstance(self.peer, RtpStream):
            self.peer.sender.pause(not self.may_receive)
        self.sender.send_first = order.send_first
        if order.hear_keys != (self.keys is not None):
            self.keys = HeardKeys() if order.hear_keys else None
        self.control.set_remote(order.control, order.host, order.port, CLOCK[self.out.law])
        self._route()
        if isinstance(self.peer, RtpStream):
            self.peer._route()

    def _muxed(self, data: bytes, source: bytes, now: float) -> None:
        """RTCP that came to RTP's port, where it may have waited for the tick."""
        if self.control.muxed:
            self.control.take(data, source, self._inbox.arrived(self.out.fd) if self._inbox else now)

    def _secure(self, keys: SrtpKeys | None) -> None:
        """Encrypt as agreed; a key that stays keeps its context, and with it the count of roll-overs."""
        before, self._srtp = self._srtp, keys
        self.inbound.encrypted = keys is not None
        if keys is None:
            self.inbound.decryption = self.out.encryption = None
            return
        same_suite = before is not None and before.suite == keys.suite
        if before is None or not same_suite or before.sent != keys.sent:
            self.out.encryption = Encryption(keys.suite, keys.sent)
        if before is None or not same_suite or (before.received, before.received_mki) != (
            keys.received, keys.received_mki,
        ):
            self.inbound.decryption = Decryption(keys.suite, keys.received, keys.received_mki)

    def join(self, peer: RtpStream | Sound | None) -> None:
        """Be bridged to another stream or to the headset, or to nothing; playing ends."""
        self.peer = peer
        self._route()

    def enter(self, room: Room | None) -> None:
        """Become a member of a conference, in place of any bridge, or leave it."""
        self.peer, self.room = None, room
        self._route()

    def set_gain(self, received_db: float, sent_db: float) -> None:
        """How loud others hear it, and how loud it hears them."""
        self.gain.set(received_db)
        self.sender.gain.set(sent_db)
        self._route()
        if isinstance(self.peer, RtpStream):
            self.peer._route()

    def _route(self) -> None:
        """Whether the bridged stream's packets can be sent as they come, or must be encoded anew."""
        peer = self.peer
        feed: Feed | None = None
        direct = (isinstance(peer, RtpStream) and passes(peer.law, self.out.law)
                  and peer.gain.flat and self.sender.gain.flat)
        if self.room is not None:
            feed = self.room.places.get(self.name)
        elif peer is not None:
            feed = Ear(peer, fresh=not isinstance(peer, RtpStream))
        self.sender.route(feed, direct)
        if isinstance(peer, RtpStream) and (peer.muted or not peer.may_receive):
            self.sender.pause(True)

    def _listeners(self) -> list[RtpStream]:
        """The streams that hear this one."""
        if self.room is not None:
            return [party for party in self.room.listeners(self) if isinstance(party, RtpStream)]
        return [self.peer] if isinstance(self.peer, RtpStream) else []

    def play(self, player: Player | None) -> None:
        self.sender.play(player)

    def begin(self, now: float, facts: list[Fact]) -> None:
        """Where nothing was sent yet, send the beginning of what is played now."""
        self.sender.start(now, self._started_fact, facts, self.name)

    def send_digits(self, digits: str, duration_ms: int, gap_ms: int, inband: bool = False) -> None:
        """Send DTMF: as telephone-event, or as tones where asked for or where the far end offered none."""
        self.sender.send_digits(digits, duration_ms, gap_ms, inband)

    @property
    def flooded(self) -> bool:
        """Whether more came in this tick than is taken; the rest waits for the next one."""
        return self._arrivals >= MAX_ARRIVALS

    def arrive(self, inbox: udp.Inbox, now: float, facts: list[Fact]) -> bool:
        """Take one datagram that has come, and forward it at once where bridged to another stream; False
        where none has, or no more are taken in this tick.
        """
        if self._arrivals >= MAX_ARRIVALS:
            return False
        size = inbox.take(self.out.fd)
        if size < 0:
            return False
        self._arrivals += 1
        if not self._relay(inbox, size, now) and not self.inbound.is_strange(inbox.source()):
            self._inbox = inbox
            packet = self.inbound.accept(inbox.data(size), inbox.source(), now)
            if packet is not None:
                waited = not isinstance(self.peer, RtpStream)  # for the tick
                self._take(packet, now, inbox.arrived(self.out.fd) if waited else now, facts)
        return True

    def _relay(self, inbox: udp.Inbox, size: int, now: float) -> bool:
        """Forward a packet from where it lies; False where it asks for a closer look: for whatever differs
        from the packet before but its numbers and its payload.
        """
        peer, inbound, law = self.peer, self.inbound, self.law
        if (
            not isinstance(peer, RtpStream) or not peer.sender.relays(law) or not self.may_receive
            or self.muted or inbound.encrypted or not 12 < size <= MAX_PACKET
        ):
            return False
        header = first, second, sequence, timestamp, ssrc = inbox.header()
        if (
            first != 0x80 or second & 0x7F != self._law_type or ssrc != inbound.ssrc
            or inbox.source() != inbound.source
        ):
            return False
        inbound.last_valid = now
        if self.reception.count(ssrc, sequence, timestamp, CLOCK[law], now):
            peer.sender.relay(inbox, size, header)
            listening = self.listening
            if listening.active:
                payload = bytes(inbox.payload(size))
                listening.playout.put(Packet(self._law_type, sequence, timestamp, ssrc, payload), law, now)
            elif listening.wants_sample:
                listening.sample(law, bytes(inbox.payload(size)))
        return True

    def _take(self, packet: Packet, now: float, arrived: float, facts: list[Fact]) -> None:
        source = self.inbound.source
        if source is not None and source != self.out.address:
            self.out.address = source
        if not self._started_fact and source is not None:
            self._started_fact = True
            facts.append(RtpStarted(self.name, now, *udp.host_port(source)))
        if packet.ssrc == self.out.ssrc and source != self._conflict:
            self._conflict = source  # once: it may be an echo of our own packets
            self.control.collided(now)
        law = self.inbound.laws.get(packet.payload_type)
        if not self.reception.take(packet, CLOCK[law] if law is not None else 0, arrived):
            return
        peer = self.peer if isinstance(self.peer, RtpStream) and self.may_receive and not self.muted else None
        if law is None:
            clock = self.inbound.events.get(packet.payload_type)
            if clock is None:
                assert packet.payload_type == COMFORT_NOISE
                self._paused = True
                self._law_type = -1  # no short cut for the packet that ends the pause
                if self.listening.active:
                    self.listening.playout.put_noise(packet)
                if peer is not None and peer.sender.direct:
                    peer.sender.forward_noise(packet)
                return
            if self.listening.active:
                self.listening.playout.pass_over(packet)
            self._presses(self.digits_in.feed(packet, now, clock, self.reception.gap_at), now, facts)
            if self.may_receive:  # muted or not: a key is not a voice
                for other in self._listeners():
                    other.sender.forward_event(packet, clock, now)
            return
        if law != self.law:
            self.law = law
            if isinstance(self.peer, RtpStream):
                self.peer._route()
        self._law_type = packet.payload_type
        self._paused = False
        if peer is not None and peer.sender.direct:
            peer.sender.forward(packet, law)
        if self.listening.active:
            self.listening.playout.put(packet, law, now)
        elif self.listening.wants_sample:
            self.listening.sample(law, packet.payload)

    def _presses(self, presses: list[Press], now: float, facts: list[Fact]) -> None:
        for press in presses:
            if press.over:
                facts.append(DigitEnded(self.name, now, press.digit, press.duration_ms))
                continue
            facts.append(DigitReceived(self.name, now, press.digit, press.duration_ms))
            if self.dtmf is not None:
                self.dtmf(press.digit)

    def send_tick(self, now: float, facts: list[Fact]) -> None:
        """Send what this tick asks for; nothing else may come before it in a tick."""
        self.sender.tick(now, self._started_fact, facts, self.name)

    def prepare(self) -> None:
        """Make the next tick's octets now, where nothing fresher can come until then."""
        self.sender.prepare()

    def receive_tick(self, inbox: udp.Inbox, now: float, facts: list[Fact]) -> None:
        """Play out 20 ms of what was received, where anybody here listens."""
        self._arrivals = 0
        self.listening.activate(self._listened_to())
        if not isinstance(self.peer, RtpStream):  # a bridged stream's packets are taken as they come
            while self.arrive(inbox, now, facts):
                pass
        self._presses(self.digits_in.poll(now), now, facts)
        if self.timeout_s is not None:
            self._check_timeout(now, facts)
        if self.listening.active and self._started_fact:
            self.listening.tick(now, self.sample_width)
            if self.view is not None:
                self.view.append((now, self.rx))

    def _listened_to(self) -> bool:
        """Whether anybody here hears what comes: a bridged stream whose packets pass untouched does not."""
        wanted = self.wanted or self.recording is not None or self.hearing is not None
        wanted = wanted or self.view is not None
        if wanted or self.keys is not None or self.listening.reader is not None:
            return True
        peer = self.peer
        if isinstance(peer, RtpStream):
            return not peer.sender.direct or peer.recording is not None
        return peer is not None or self.room is not None

    @property
    def analysed(self) -> bool:
        """Whether its audio has begun and is listened to for detection."""
        return self.hearing is not None and self._started_fact

    def keep_for_detection(self) -> bool:
        """Have this tick's frame wait for the detector; False where an older one had to be shed for it."""
        if self.hearing is None or not self.analysed:
            return True
        room = len(self.undetected) < WAITING
        ready = self.hearing.ready
        if not room:
            self.undetected.popleft()
            self.hearing.skip()
        self.undetected.append(self.rx)
        return room or not ready

    def detected(self, now: float, facts: list[Fact]) -> None:
        """Take what the detector heard in the frame that it began with."""
        if self.hearing is not None:
            self.hearing.end_frame(now, facts)
            if self.hearing.over:
                self.end_hearing(now, facts)

    @property
    def waits_for_detection(self) -> bool:
        """Whether there is a frame that the detector can hear now."""
        return bool(self.undetected) and self.hearing is not None and self.hearing.ready

    def end_hearing(self, now: float, facts: list[Fact], cause: FinishCause = FinishCause.BUS_CLOSE) -> None:
        """Nobody listens any more; what waits is heard first."""
        hearing, self.hearing = self.hearing, None
        if hearing is not None:
            hearing.end(self.undetected, now, facts, cause)
        self.undetected.clear()

    def last_heard(self, now: float, facts: list[Fact]) -> Ending | None:
        """The stream is about to be closed: what is still to be heard of it, where anybody listens."""
        hearing = self.hearing
        if hearing is None:
            return None
        while self._inbox is not None and self.arrive(self._inbox, now, facts):
            pass
        self.hearing, frames = None, self.undetected
        self.undetected = deque()
        if self._started_fact and self.listening.active:
            frames.extend(self.listening.rest(now, MOST))
        hearing.end_frame(now, facts)
        return Ending(hearing, frames, now)

    @property
    def hears_keys(self) -> bool:
        """Whether this tick's frame is to be listened to for DTMF."""
        return self.keys is not None and self.listening.active and self._started_fact

    def heard_key(self, press: KeyPress, now: float, facts: list[Fact]) -> None:
        """A key in the audio, which goes on to whoever hears this stream."""
        assert self.keys is not None
        if self.hearing is not None:
            self.hearing.key(press)
        fact = self.keys.fact(self.name, press, now, self.sender.toned)
        if fact is not None:
            facts.append(fact)
            for other in self._listeners():
                other.sender.toned[press.digit] = now

    def _check_timeout(self, now: float, facts: list[Fact]) -> None:
        heard = max(self.inbound.last_valid or 0.0, self.timeout_from)
        if self._paused:  # it has announced that it will be silent: its reports tell that it is there
            heard = max(heard, self.control.last_heard or 0.0)
        silent = now - heard
        if silent <= (self.timeout_s or 0.0):
            self._timed_out = False
        elif not self._timed_out:
            self._timed_out = True
            facts.append(RtpTimeout(self.name, now, silent))

    @property
    def ready(self) -> bool:
        """Whether others hear what comes from it."""
        return self.listening.playing

    @property
    def passes_untouched(self) -> bool:
        """Whether a bridged stream gets its packets as they are."""
        return isinstance(self.peer, RtpStream) and self.peer.sender.passes

    def unheard(self, now: float) -> bool:
        """Whether audio comes that is not played out here."""
        sends = self.inbound.last_valid is not None and now - self.inbound.last_valid < RECENT_S
        return sends and not self.ready and not self.listening.active

    def heard(self) -> Pcm:
        """What reaches others of this tick: silence while muted, or while we hold or refuse to receive."""
        return self.gain.apply(self.rx) if self.may_receive else codec.SILENT_PCM

    def mute(self, on: bool) -> None:
        """Whether it reaches nobody."""
        self.muted = on
        self.gain.close(on)
        if isinstance(self.peer, RtpStream):
            self.peer.sender.pause(on)

    def sent(self) -> Pcm:
        """This tick's sent frame."""
        own = self.sender.sent()
        if own is not None:
            return own
        source = self.passed_on()
        return source.heard() if source is not None else codec.SILENT_PCM

    def passed_on(self) -> RtpStream | None:
        """The bridged stream whose packets are sent here as they are, if it is to be heard."""
        peer = self.peer
        if not isinstance(peer, RtpStream) or not (self.sender.direct and self.sender.may_send):
            return None
        return peer if peer.may_receive and not peer.muted else None
