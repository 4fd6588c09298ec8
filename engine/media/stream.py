"""One leg's audio: pyVoIP's `RTPClient`, served by the media thread instead of two threads of its own.

To a program it is pyVoIP's class: `start`, `stop`, `read`, `write`. To the media thread it is a stream:
`drain` on arrival, `send_tick`, `receive_tick`. The two sides meet in bounded queues and in orders.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.RTP alone is a circular import
from pyVoIP.RTP import PayloadType, RTPClient, TransmitType

from engine.detect.analyzer import Analyzer
from engine.media import codec, level, udp
from engine.media.clip import Player, dtmf_clip
from engine.media.codec import FRAME, Pcm
from engine.media.dtmf import DigitReceiver, DigitSender, Press
from engine.media.inbound import Inbound
from engine.media.jitter import JitterBuffer
from engine.media.orders import (
    CloseStream,
    Codec,
    Detected,
    DigitReceived,
    DigitsSent,
    Event,
    Fact,
    PlaybackEnded,
    RtpStarted,
    RtpTimeout,
    SetRemote,
    StreamStats,
)
from engine.media.outbound import Outbound
from engine.media.pcm import MAX_READ_S, MAX_WRITE_S, PcmQueue, from_bytes, to_bytes
from engine.media.recorder import Recording
from engine.media.rtp import Packet

if TYPE_CHECKING:
    from engine.media.engine import MediaEngine

MAX_DRAIN = 32
"""Datagrams taken from one socket at a time, so that a flood on one leg cannot hold up the others."""
FORWARD_IDLE = 5
"""Ticks without a packet to forward, after which a bridged stream is sent silence."""


class Sound(Protocol):
    """The local headset, as a bridged stream sees it."""

    mic: Pcm
    """This tick's frame from the microphone, silent while muted."""

    def speaker(self, pcm: Pcm) -> None:
        """Take this tick's frame for the loudspeaker."""

    def join(self, peer: Any) -> None: ...


class RtpStream(RTPClient):  # type: ignore[misc]
    """pyVoIP's per-call audio object. Audio is 8-bit unsigned linear as pyVoIP documents, or, with
    `sample_width=2`, 16-bit signed little-endian; always 8 kHz mono. `dtmf` is called in the media
    thread with each digit received.
    """

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
        jitter_ms: int = 60,
        sample_width: int = 1,
    ) -> None:
        self._out_ip, self._out_port = outIP, outPort
        self._engine: MediaEngine | None = None
        super().__init__(assoc, inIP, inPort, outIP, outPort, sendrecv, dtmf)
        self._engine = engine
        self._sendrecv = sendrecv
        self._running = False
        self.sample_width = sample_width
        self.name = name or f"{inIP}:{inPort}"
        # Kept by the media thread from here on.
        self.sock: socket.socket | None = None
        self.inbound = Inbound()
        self.out = Outbound(-1)
        self.jitter = JitterBuffer(jitter_ms)
        self.digits_in = DigitReceiver()
        self.digits_out = DigitSender()
        self.player: Player | None = None
        self.inband: Player | None = None  # DTMF as tones, where telephone-event was not negotiated
        self.inband_digits = ""
        self.peer: RtpStream | Sound | None = None
        self.muted = False
        self.may_send = self.may_receive = False
        self.send_first = True
        self.recording: Recording | None = None
        self.analyzer: Analyzer | None = None
        self.timeout_s: float | None = None
        self.timeout_from = 0.0
        self._timed_out = False
        self._started_fact = False
        self._ssrc: int | None = None
        self.rx: Pcm = codec.SILENT_PCM  # this tick's received frame
        self._tx: bytes | None = None  # what this tick sent of our own, in `out.law`
        self._ready: bytes | None = None  # the next tick's octets, made in the slack of this one
        self._missing = 0
        self._forward_idle = FORWARD_IDLE
        self.rx_power = self.tx_power = 0.0
        self._reader: PcmQueue | None = None
        self._writer = PcmQueue(MAX_WRITE_S * codec.SAMPLE_RATE * sample_width, keep_newest=False)
        self._stopped = False

    # --- pyVoIP's side, any thread ------------------------------------------------------------

    @property
    def outIP(self) -> str:
        """Where SDP says to send; setting it, as pyVoIP's renegotiation does, tells the media thread."""
        return self._out_ip

    @outIP.setter
    def outIP(self, value: str) -> None:
        self._out_ip = value
        self._announce()

    @property
    def outPort(self) -> int:
        return self._out_port

    @outPort.setter
    def outPort(self, value: int) -> None:
        self._out_port = value
        self._announce()

    def start(self) -> None:
        """Bind `inIP`:`inPort` and go. Raises OSError where the port is taken."""
        if self._engine is None:
            raise RuntimeError("an RtpStream needs a MediaEngine to serve it: RtpStream(..., engine=engine)")
        family = socket.AF_INET6 if ":" in self.inIP else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind((self.inIP, self.inPort))
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        self.inPort: int = sock.getsockname()[1]
        self.sin = self.sout = sock
        self._running = True
        self._engine.adopt(self, sock)
        self._announce()

    def stop(self) -> None:
        """Leave the media thread, which closes the socket; ends every blocked `read`."""
        self.NSD = False
        self._stopped = True
        if self._reader is not None:
            self._reader.close()
        if self._engine is not None:
            self._engine.order(CloseStream(self.name))

    def read(self, length: int = 160, blocking: bool = True) -> bytes:
        """`length` octets of received audio. Not blocking, silence fills what is not there yet."""
        reader = self._reader
        if reader is None:
            reader = PcmQueue(MAX_READ_S * codec.SAMPLE_RATE * self.sample_width, keep_newest=True)
            if self._stopped:
                reader.close()
            self._reader = reader
        data = reader.take_whole(length) if blocking and not self._stopped else reader.take(length)
        return data + (b"\x80" if self.sample_width == 1 else b"\0") * (length - len(data))

    def write(self, data: bytes) -> None:
        """Queue audio to be sent on the clock, at most five minutes of it."""
        self._writer.put(data)

    def _announce(self) -> None:
        if self._engine is None or not self._running:
            return
        codecs = tuple(Codec(str(kind), number) for number, kind in self.assoc.items()
                       if kind in (PayloadType.PCMU, PayloadType.PCMA))
        events = tuple(Event(number) for number, kind in self.assoc.items() if kind is PayloadType.EVENT)
        direction: Any = str(self._sendrecv)
        self._engine.order(SetRemote(self.name, self._out_ip, self._out_port, codecs,
                                     events, direction))

    # --- the media thread's side --------------------------------------------------------------

    def open(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.out.fd = sock.fileno()
        self.timeout_from = now

    def close(self) -> StreamStats:
        """Close the socket; the stream's final figures."""
        self.NSD = False
        self._stopped = True
        if self._reader is not None:
            self._reader.close()
        if self.sock is not None:
            self.sock.close()
        return StreamStats(self.out.sent, self.jitter.received, self.jitter.lost, self.jitter.late,
                           self.inbound.discarded)

    def set_remote(self, order: SetRemote, now: float) -> None:
        self._out_ip, self._out_port = order.host, order.port
        codecs = [c for c in order.codecs if c.name in codec.DECODE]
        expected = udp.sockaddr(order.host, order.port)
        self.inbound.expect(expected, now)
        if codecs:
            self.inbound.laws = {c.payload_type: c.name for c in (*order.also, *codecs)}
            self.out.payload_type, self.out.law = codecs[0].payload_type, codecs[0].name
            self.assoc = {c.payload_type: PayloadType[c.name] for c in codecs}
            self.preference = PayloadType[codecs[0].name]
        self.out.event_payload_type = order.events[0].payload_type if order.events else None
        self.inbound.event_payload_types = frozenset(event.payload_type for event in order.events)
        self.assoc |= dict.fromkeys(self.inbound.event_payload_types, PayloadType.EVENT)
        self.out.address = self.inbound.source or expected
        self.may_send = bool(codecs) and order.direction in ("sendrecv", "sendonly")
        self.may_receive = order.direction in ("sendrecv", "recvonly")
        self.send_first = order.send_first
        self._ready = None

    def join(self, peer: RtpStream | Sound | None) -> None:
        """Be bridged to another stream or to the headset, or to nothing; playing ends."""
        self.peer = peer
        self.out.own()
        self._ready = None
        self._forward_idle = FORWARD_IDLE

    def play(self, player: Player | None) -> None:
        self.player = player
        self._ready = None

    def send_digits(self, digits: str, duration_ms: int, gap_ms: int) -> None:
        """Send DTMF: as telephone-event, or as tones to a far end that did not offer it."""
        if self.out.event_payload_type is not None:
            self.digits_out.queue(digits, duration_ms, gap_ms)
        else:
            self.inband_digits = digits
            self.inband = Player(dtmf_clip(digits, duration_ms, gap_ms), False, "")
            self.out.own()
        self._ready = None

    def drain(self, receiver: udp.Receiver, now: float, facts: list[Fact]) -> None:
        """Take what has arrived; forward it at once where bridged to another stream."""
        for _ in range(MAX_DRAIN):
            datagram = receiver.receive(self.out.fd)
            if datagram is None:
                return
            packet = self.inbound.accept(*datagram, now)
            if packet is not None:
                self._take(packet, now, facts)

    def _take(self, packet: Packet, now: float, facts: list[Fact]) -> None:
        source = self.inbound.source
        if source is not None and source != self.out.address:
            self.out.address = source
        if not self._started_fact and source is not None:
            self._started_fact = True
            facts.append(RtpStarted(self.name, now, *udp.host_port(source)))
        law = self.inbound.laws.get(packet.payload_type)
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._presses(self.digits_in.reset(), now, facts)
        if law is None:
            self._presses(self.digits_in.feed(packet.payload, packet.timestamp, now), now, facts)
        elif not self.jitter.put(packet, law, now):
            return
        if self.may_receive and not self.muted and isinstance(self.peer, RtpStream):
            self.peer.forward(packet, law)

    def forward(self, packet: Packet, law: str | None) -> None:
        """Send a bridged stream's packet, unless this stream must be silent or is sending digits."""
        free = self.may_send and not self.digits_out.active and self.inband is None
        if free and self.out.forward(packet, law):
            self._forward_idle = 0

    def _presses(self, presses: list[Press], now: float, facts: list[Fact]) -> None:
        for press in presses:
            facts.append(DigitReceived(self.name, now, press.digit, press.duration_ms))
            if self.dtmf is not None:
                self.dtmf(press.digit)

    def send_tick(self, now: float, facts: list[Fact]) -> None:
        """Send what this tick asks for; nothing else may come before it in a tick."""
        out = self.out
        self._tx = None
        if not self.may_send or out.address is None:
            out.advance()
            return
        if self.digits_out.active:
            self._send_digits(now, facts)
        elif isinstance(self.peer, RtpStream) and self.inband is None:
            self._forward_idle += 1
            if self._forward_idle > FORWARD_IDLE:
                self._tx = out.silence()
                out.audio(self._tx)
        else:
            payload = self._ready or self._next()
            if payload is not None:
                self._tx = payload
                out.audio(payload)
                self._move_on(now, facts)
        out.advance()
        self._ready = None

    def _send_digits(self, now: float, facts: list[Fact]) -> None:
        self.out.own()
        event, done = self.digits_out.tick(self.out.timestamp)
        if event is not None:
            self.out.event(event.payload, event.timestamp, event.marker)
        else:
            self.out.audio(self.out.silence())
        if done:
            facts.append(DigitsSent(self.name, now, done))
            self._forward_idle = FORWARD_IDLE

    def _next(self) -> bytes | None:
        """This tick's octets from the headset, a player or a program; None where nothing is sent yet."""
        law = self.out.law
        player = self.inband or self.player
        if self.inband is None and self.peer is not None and not isinstance(self.peer, RtpStream):
            return codec.encode(law, self.peer.mic)
        if player is not None:
            return player.octets(law)
        if len(self._writer):
            width = self.sample_width
            pcm = from_bytes(self._writer.take(FRAME * width), width)
            return codec.encode(law, pcm) + codec.SILENCE[law][: FRAME - len(pcm)]
        if self.send_first or self.out.sent or self._started_fact:
            return codec.SILENCE[law]
        return None

    def _move_on(self, now: float, facts: list[Fact]) -> None:
        if self.inband is not None:
            self.inband.advance()
            if self.inband.ended:
                self.inband = None
                facts.append(DigitsSent(self.name, now, self.inband_digits))
        elif self.player is not None and self.peer is None:
            self.player.advance()
            if self.player.ended:
                facts.append(PlaybackEnded(self.name, now, self.player.tag))
                self.player = None

    def prepare(self) -> None:
        """Make the next tick's octets now, where nothing fresher can come until then."""
        player = self.inband or self.player
        if self.peer is None and player is not None:
            self._ready = player.octets(self.out.law)

    def receive_tick(self, receiver: udp.Receiver, now: float, facts: list[Fact]) -> None:
        """Play out 20 ms of what was received into `rx`, and hand it to all but the bridge."""
        self.drain(receiver, now, facts)
        found = self.jitter.get(now)
        if found is not None:
            self.rx = codec.decode(found[1], found[0])
            self._missing = 0
        else:
            self._conceal()
        self._presses(self.digits_in.poll(now), now, facts)
        if self.timeout_s is not None:
            self._check_timeout(now, facts)
        if not self._started_fact:
            return
        self.rx_power += level.power(self.rx)
        if self._reader is not None:
            self._reader.put(to_bytes(self.rx, self.sample_width))
        if self.analyzer is not None:
            for detection in self.analyzer.feed(self.rx):
                facts.append(Detected(self.name, now, detection))

    def _conceal(self) -> None:
        """Cover a lost frame by the one before, 6 dB down each time: plain repetition, no pitch search."""
        self._missing += 1
        self.rx = (self.rx >> 1) if self._missing <= 3 else codec.SILENT_PCM

    def _check_timeout(self, now: float, facts: list[Fact]) -> None:
        heard = max(self.inbound.last_valid or 0.0, self.timeout_from)
        silent = now - heard
        if silent <= (self.timeout_s or 0.0):
            self._timed_out = False
        elif not self._timed_out:
            self._timed_out = True
            facts.append(RtpTimeout(self.name, now, silent))

    def heard(self) -> Pcm:
        """What reaches others of this tick: silence while muted, or while we hold or refuse to receive."""
        return self.rx if self.may_receive and not self.muted else codec.SILENT_PCM

    def sent(self) -> Pcm:
        """This tick's sent frame."""
        if isinstance(self.peer, RtpStream) and self._tx is None:
            return self.peer.heard() if self.may_send else codec.SILENT_PCM
        if self._tx is not None:
            return codec.decode(self.out.law, self._tx)
        return codec.SILENT_PCM


