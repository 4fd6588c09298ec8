"""The media thread's own code and real sockets, in a time that the test moves on: quick, always the same."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from media_rig import FarEnd, udp_socket

from engine.media import codec, coders
from engine.media.board import Adopt
from engine.media.clip import Clip
from engine.media.engine import MediaEngine
from engine.media.loader import _File
from engine.media.network import rtp
from engine.media.orders import Codec, Event, Fact, Order, SetRemote, WavSource
from engine.media.stream import RtpStream

TICK_S = 0.02


@dataclass
class Heard:
    at: float
    packet: rtp.Packet
    pcm: codec.Pcm


class Talker:
    """A far end that says a signal, a packet every 20 ms at its own phase, and keeps what it hears."""

    def __init__(self, far: FarEnd, voice: codec.Pcm, phase_s: float) -> None:
        self.far = far
        self.voice = voice
        self.phase_s = phase_s
        self.heard: list[Heard] = []
        self.other: list[rtp.Packet] = []
        self._at = 0
        self._encoder = coders.encoder(far.law.name)
        self._decoder = coders.Decoder()

    def speak(self) -> None:
        piece = self.voice[self._at : self._at + 160]
        self._at += 160
        if len(piece) == 160:
            self.far.send(self._encoder.encode(piece)[0])

    def listen(self, now: float) -> None:
        self.far.sock.setblocking(False)
        while True:
            try:
                packet = self.far.receive()
            except BlockingIOError:
                return
            if packet.payload_type == self.far.law.payload_type:
                self.heard.append(Heard(now, packet, self._decoder.decode(self.far.law.name, packet.payload)))
            else:
                self.other.append(packet)

    def pcm(self, last: int | None = None) -> np.ndarray:
        """What was heard, or the last packets of it."""
        heard = self.heard if last is None else self.heard[-last:]
        return np.concatenate([each.pcm for each in heard]).astype(int)


class Simulation:
    """An engine whose thread does not run: `run` does its work, tick after tick."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.engine = MediaEngine(self.facts.append)
        self.board = self.engine._board
        self.now = 1000.0
        self.talkers: list[Talker] = []
        self._names = (f"leg{n}" for n in itertools.count())

    def open(
        self, law: Codec, voice: codec.Pcm, phase_s: float = 0.007, ptime_ms: int = 20
    ) -> tuple[str, Talker]:
        name, sock = next(self._names), udp_socket()
        far = FarEnd(sock.getsockname(), law, 101)
        self.board.carry_out(Adopt(RtpStream({}, "", 0, "", 0, name=name), sock), self.now)
        remote = SetRemote(name, *far.address, (law,), (Event(101),), ptime_ms=ptime_ms)
        self.board.carry_out(remote, self.now)
        self.talkers.append(Talker(far, voice, phase_s))
        return name, self.talkers[-1]

    def order(self, order: Order) -> None:
        self.engine.order(order)
        self.engine._take_orders(self.now, tick=False)

    def source(self, pcm: codec.Pcm) -> WavSource:
        """Something to play, as if it had been read from a file."""
        source = WavSource(f"{len(self.board.loader._files)}.wav")
        self.board.loader._files[source] = _File(Clip(pcm), (0, 0, 0), float("inf"))
        return source

    def run(self, seconds: float) -> None:
        """Move on, to 10 ms after a tick."""
        for _ in range(round(seconds / TICK_S)):
            begin = self.now
            steps = [*((t.phase_s, t.speak) for t in self.talkers), (0.01, self._tick)]
            for phase, step in sorted(steps, key=lambda step: step[0]):
                self.now = begin + phase
                step()
                self._pass_on()
                for talker in self.talkers:
                    talker.listen(self.now)
            self.now = begin + TICK_S

    def _tick(self) -> None:
        self.engine._tick(round(self.now * 1e9))
        self.engine._work.finish()
        self.facts += self.board.facts
        self.board.facts = []

    def _pass_on(self) -> None:
        """What the thread does between ticks: packets of bridged streams."""
        for stream in self.board.streams.values():
            if isinstance(stream.peer, RtpStream):
                while stream.arrive(self.engine._inbox, self.now, self.board.facts):
                    pass

    def close(self) -> None:
        for name in list(self.board.streams):
            self.board.close(name, self.now)
        for talker in self.talkers:
            talker.far.sock.close()
