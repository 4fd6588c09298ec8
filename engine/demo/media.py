"""The carrier's RTP: one thread that serves every call from one absolute 20 ms clock."""

from __future__ import annotations

import secrets
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread

import numpy as np

from engine.demo import g711, rtp
from engine.demo.events import EventLog
from engine.demo.recording import Recording
from engine.demo.sdp import Description
from engine.demo.sounds import FRAME, Source

TICK = FRAME / 8000
"""Seconds between packets."""

_DIGIT_TICKS = 8
_GAP_TICKS = 4
_END_PACKETS = 3


@dataclass(slots=True)
class _Event:
    """A telephone-event on its way out."""

    digit: str
    timestamp: int
    ticks: int = 0


class Stream:
    """One call's RTP. Public methods may be called from any thread."""

    def __init__(self, host: str, log: EventLog, tags: dict[str, str], recorded: bool) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.sock.bind((host, 0))
        except OSError:
            self.sock.close()
            raise
        self.sock.setblocking(False)
        self.port = int(self.sock.getsockname()[1])
        self.recording = Recording(time.monotonic()) if recorded else None
        self._lock = Lock()
        self._log, self._tags = log, tags
        self._remote: tuple[str, int] | None = None
        self._codec: tuple[int, str] = (8, "PCMA")
        self._accepts: dict[int, str] = {}
        self._events_out: int | None = None
        self._events_in: int | None = None
        self._source: Source | None = None
        self._talks = False
        self._listens = True
        self._marker = True
        self._heard_from: tuple[str, int] | None = None
        self._digits: deque[str] = deque()
        self._event: _Event | None = None
        self._gap = 0
        self._last_event: tuple[int, int] | None = None
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._ssrc = secrets.randbits(32)

    def connect(self, remote: Description, codec: tuple[int, str], events_in: int | None) -> None:
        """Send to `remote` in `codec` (payload type, name); take telephone-events as `events_in`."""
        with self._lock:
            self._remote = (remote.host, remote.port)
            self._codec = codec
            self._accepts = {**remote.codecs, **{n: name for name, n in g711.PAYLOAD_TYPES.items()}}
            self._events_out, self._events_in = remote.event_payload_type, events_in
            self._talks = remote.wants_audio

    def play(self, source: Source | None) -> None:
        """Play in place of what was played; None sends nothing at all."""
        with self._lock:
            self._source, self._marker = source, True

    def send_digits(self, digits: str) -> None:
        """Queue DTMF by RFC 4733: 160 ms each, 80 ms apart, three end packets."""
        with self._lock:
            self._digits.extend(digits)

    def vanish(self) -> None:
        """Send nothing any more and be deaf, with the port still open (no ICMP gives it away)."""
        with self._lock:
            self._talks = self._listens = False
            self._source = None
            self._digits.clear()

    def receive(self) -> None:
        """Take what has arrived; a bounded number of packets at a time."""
        for _ in range(50):
            try:
                data, address = self.sock.recvfrom(2048)
            except OSError:
                return
            packet = rtp.parse(data)
            if packet is not None:
                with self._lock:
                    self._take(packet, address, time.monotonic())

    def _take(self, packet: rtp.Packet, address: tuple[str, int], now: float) -> None:
        codec = self._accepts.get(packet.payload_type)
        is_event = packet.payload_type == self._events_in
        if not self._listens or (codec is None and not is_event):
            return
        if address != self._heard_from:
            # Symmetric RTP: answer to where it really comes from (RFC 4961).
            self._log.write("rtp", t=round(now, 6), source=f"{address[0]}:{address[1]}", **self._tags)
            self._heard_from = self._remote = address
        if is_event:
            digit = rtp.event_digit(packet.payload)
            if digit is not None and (packet.ssrc, packet.timestamp) != self._last_event:
                self._last_event = (packet.ssrc, packet.timestamp)
                self._log.write("digit", t=round(now, 6), digit=digit, **self._tags)
            return
        assert codec is not None
        samples = g711.decode(codec, packet.payload)
        if self.recording:
            self.recording.put_received(now, packet, samples)
        if self._source:
            self._source.heard(samples)

    def tick(self, at: float) -> None:
        """Send what is due at `at`, a moment of the 20 ms clock."""
        with self._lock:
            self._timestamp = (self._timestamp + FRAME) % 0x1_0000_0000
            if self._remote is None or not self._talks:
                return
            if self._digits and self._event is None and self._gap == 0 and self._events_out is not None:
                self._event = _Event(self._digits.popleft(), self._timestamp)
                self._log.write("digit_sent", digit=self._event.digit, **self._tags)
            self._gap = max(0, self._gap - 1)
            if self._event is not None:
                self._send_event(self._event)
            elif self._source is not None:
                samples = self._source.frame()
                if self.recording:
                    self.recording.put_sent(at, samples)
                number, name = self._codec
                self._send(number, self._marker, self._timestamp, g711.encode(name, samples))
                self._marker = False

    def _send_event(self, event: _Event) -> None:
        assert self._events_out is not None
        event.ticks += 1
        payload = rtp.event(event.digit, event.ticks > _DIGIT_TICKS, min(event.ticks, _DIGIT_TICKS) * FRAME)
        self._send(self._events_out, event.ticks == 1, event.timestamp, payload)
        if event.ticks == _DIGIT_TICKS + _END_PACKETS:
            self._event, self._gap = None, _GAP_TICKS

    def _send(self, payload_type: int, marker: bool, timestamp: int, payload: bytes) -> None:
        packet = rtp.Packet(payload_type, marker, self._sequence, timestamp, self._ssrc, payload)
        self._sequence = (self._sequence + 1) % 0x1_0000
        assert self._remote is not None
        with suppress(OSError):  # what the network does not take is lost, as on any line
            self.sock.sendto(packet.pack(), self._remote)

    def save(self, directory: Path, name: str) -> None:
        """Write the recording as NAME-received.wav and NAME-sent.wav, and say so in the log."""
        if self.recording is None:
            return
        received, sent = directory / f"{name}-received.wav", directory / f"{name}-sent.wav"
        with self._lock:
            try:
                self.recording.received.save(received)
                self.recording.sent.save(sent)
            except OSError as error:
                self._log.write("recording_failed", error=str(error), **self._tags)
                return
        self._log.write("recording", t0=round(self.recording.t0, 6), received=str(received), sent=str(sent),
                        **self._tags)


class Clock(Thread):
    """Ticks every stream at the same absolute deadlines and reads what arrives in between."""

    def __init__(self) -> None:
        super().__init__(name="rtp", daemon=True)
        self._selector = selectors.DefaultSelector()
        self._lock = Lock()
        self._streams: list[Stream] = []
        self._running = True

    def add(self, stream: Stream) -> None:
        with self._lock:
            self._streams.append(stream)
            self._selector.register(stream.sock, selectors.EVENT_READ, stream)

    def remove(self, stream: Stream) -> None:
        """Stop serving a stream and close its socket; nothing happens the second time."""
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
                self._selector.unregister(stream.sock)
                stream.sock.close()

    def stop(self) -> None:
        self._running = False
        self.join(1)

    def run(self) -> None:
        # The first conversion builds numpy's machinery; have that behind us before a packet is due.
        g711.encode("PCMA", np.zeros(FRAME, np.int16))
        due = time.monotonic() + TICK
        while self._running:
            for key, _ in self._selector.select(max(0.0, due - time.monotonic())):
                key.data.receive()
            now = time.monotonic()
            if now < due:
                continue
            with self._lock:
                streams = list(self._streams)
            for stream in streams:
                stream.tick(due)
            due += TICK
            if now - due > 1.0:  # the machine slept; don't send a second's packets at once
                due = now + TICK
