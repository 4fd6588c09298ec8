"""A real MediaEngine and far ends with real UDP sockets on loopback."""

from __future__ import annotations

import itertools
import queue
import socket
import time
from typing import TypeVar

import numpy as np

from engine.media import codec, coders
from engine.media.engine import MediaEngine
from engine.media.network import rtp
from engine.media.network.srtp import Decryption, Encryption
from engine.media.orders import Bridge, Codec, Event, Fact, OpenStream, SetRemote

PCMA, PCMU, G722, OPUS = Codec("PCMA", 8), Codec("PCMU", 0), Codec("G722", 9), Codec("opus", 96)
WAIT_S = 10.0
F = TypeVar("F")


def udp_socket(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(WAIT_S)
    return sock


def pitch(pcm: codec.Pcm) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * 8000 / len(pcm))


def sine(hz: float, samples: int, amplitude: int = 8000) -> codec.Pcm:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / 8000)).astype(np.int16)


class FarEnd:
    """The other side of one stream: sends and receives RTP packets as told."""

    def __init__(self, ours: tuple[str, int], law: Codec, event_payload_type: int | None) -> None:
        self.sock = udp_socket()
        self.ours = ours
        self.law = law
        self.event_payload_type = event_payload_type
        self.sequence, self.timestamp, self.ssrc = 65530, 2**32 - 800, 0x1234
        self.encryption: Encryption | None = None
        self.decryption: Decryption | None = None
        self._encoder = coders.encoder(law.name)

    @property
    def address(self) -> tuple[str, int]:
        return self.sock.getsockname()

    def send_packet(self, packet: rtp.Packet) -> None:
        data = rtp.serialize(packet)
        self.sock.sendto(data if self.encryption is None else self.encryption.protect(data), self.ours)

    def send(self, payload: bytes, payload_type: int | None = None, **changes: int) -> rtp.Packet:
        """The next packet of 20 ms; wraps sequence and timestamp on its way."""
        packet = rtp.Packet(self.law.payload_type if payload_type is None else payload_type,
                            self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc, payload)
        for name, value in changes.items():
            setattr(packet, name, value)
        self.sequence += 1
        self.timestamp += 160 * coders.scale(self.law.name)
        self.send_packet(packet)
        return packet

    def send_pcm(self, pcm: codec.Pcm, pace: bool = True) -> None:
        """Samples in packets of 20 ms, on the clock unless told otherwise."""
        start = time.monotonic()
        for n, at in enumerate(range(0, len(pcm) - 159, 160)):
            if pace:
                time.sleep(max(0.0, start + n * 0.02 - time.monotonic()))
            self.send(self._encoder.encode(pcm[at : at + 160])[0])

    def receive(self) -> rtp.Packet:
        data = self.sock.recv(4096)
        return rtp.parse(data if self.decryption is None else self.decryption.unprotect(data))

    def receive_pcm(self, samples: int) -> codec.Pcm:
        """So much audio, from the next packet on."""
        decoder, pieces, count = coders.Decoder(), [], 0
        while count < samples:
            packet = self.receive()
            if packet.payload_type == self.law.payload_type:
                pieces.append(decoder.decode(self.law.name, packet.payload))
                count += len(pieces[-1])
        return np.concatenate(pieces)[:samples]

    def receive_until(self, wanted, limit: int = 500) -> rtp.Packet:
        """The first packet for which `wanted` is true."""
        for packet in (self.receive() for _ in range(limit)):
            if wanted(packet):
                return packet
        raise AssertionError(f"not among {limit} packets")

    def forget(self) -> None:
        """Throw away what has come so far."""
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.recv(4096)
        except BlockingIOError:
            self.sock.settimeout(WAIT_S)

    def silent_for(self, seconds: float) -> bool:
        """Whether nothing comes for so long, after what is there already."""
        self.forget()
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(WAIT_S)
        return False

    def is_sound(self, packet: rtp.Packet) -> bool:
        return packet.payload_type == self.law.payload_type and packet.payload != codec.SILENCE[self.law.name]


class Rig:
    """The engine, its facts, and streams with their far ends."""

    def __init__(self) -> None:
        self.facts: queue.Queue[Fact] = queue.Queue()
        self.kept: list[Fact] = []
        self.engine = MediaEngine(self.facts.put)
        self.engine.start()
        self.far_ends: list[FarEnd] = []
        self._names = (f"leg{n}" for n in itertools.count())

    def stop(self) -> None:
        self.engine.stop()
        for far in self.far_ends:
            far.sock.close()

    def open(
        self, law: Codec = PCMA, event: int | None = 101, remote: bool = True, **changes: object
    ) -> tuple[str, FarEnd]:
        """A stream with its far end; SDP is exchanged unless `remote` is False."""
        name = next(self._names)
        sock = udp_socket()
        sock.setblocking(False)
        far = FarEnd(sock.getsockname(), law, event)
        self.far_ends.append(far)
        self.engine.order(OpenStream(name, sock))
        if remote:
            self.remote(name, far, **changes)
        return name, far

    def remote(self, name: str, far: FarEnd, **changes: object) -> None:
        fields: dict[str, object] = {
            "host": far.address[0], "port": far.address[1], "codecs": (far.law,),
            "events": () if far.event_payload_type is None else (Event(far.event_payload_type),), **changes,
        }
        self.engine.order(SetRemote(name, **fields))  # type: ignore[arg-type]

    def fact(self, kind: type[F], timeout: float = WAIT_S) -> F:
        """The next fact of a kind; others are kept aside for later."""
        for index, fact in enumerate(self.kept):
            if isinstance(fact, kind):
                return self.kept.pop(index)  # type: ignore[return-value]
        end = time.monotonic() + timeout
        while True:
            try:
                fact = self.facts.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind.__name__} within {timeout} s; kept {self.kept}") from None
            if isinstance(fact, kind):
                return fact
            self.kept.append(fact)

    def digits(self, count: int) -> str:
        from engine.media.orders import DigitReceived

        return "".join(self.fact(DigitReceived).digit for _ in range(count))

    def has_fact(self, kind: type[F]) -> bool:
        """Whether one has come so far."""
        while not self.facts.empty():
            self.kept.append(self.facts.get())
        return any(isinstance(fact, kind) for fact in self.kept)


def octets(law: str, n: int) -> bytes:
    """20 ms that no other packet of a test holds, silence excepted."""
    return codec.encode(law, sine(300 + 20 * n, 160, 4000))


def bridged(rig, a=PCMA, b=PCMA, event_a=101, event_b=101):
    first, far_a = rig.open(a, event_a)
    second, far_b = rig.open(b, event_b)
    far_a.receive()
    far_b.receive()
    rig.engine.order(Bridge(first, second))
    return (first, far_a), (second, far_b)


def passes(sender, receiver, law: str = "PCMA") -> None:
    """Wait until what one sends reaches the other, so that the order to bridge has been carried out."""
    for _ in range(100):
        sender.send(octets(law, 0))
        packet = receiver.receive()
        if receiver.is_sound(packet):
            return
    raise AssertionError("nothing passes the bridge")


def wait(condition) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)
