"""Far ends that each sing a note of their own, and tell whose notes they hear."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterable

import numpy as np
from raw_trunk import Message, RawTrunk, sdp, udp_port

from engine.media import codec

NOTES = (400, 650, 1000, 1450, 1950)
WINDOW = 10
"""Packets that are looked at: 200 ms."""
LOUD, QUIET = 400.0, 60.0
"""Amplitudes: a note is heard, or isn't; they are sung at 3000."""


class Voice:
    """An RTP end that sings one note, 20 ms a packet, for as long as it is open."""

    def __init__(self, note: int) -> None:
        self.note = note
        self.sock: socket.socket = udp_port()
        self.to: tuple[str, int] | None = None
        self.heard: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._task = asyncio.create_task(self._sing())
        asyncio.get_running_loop().add_reader(self.sock, self._take)

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def sdp(self, direction: str = "sendrecv", version: int = 1) -> str:
        return sdp(self.port, direction, version)

    async def _sing(self) -> None:
        n = 0
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while True:
            t = (np.arange(160) + 160 * n) / 8000
            pcm = (3000 * np.sin(2 * np.pi * self.note * t)).astype(np.int16)
            header = struct.pack("!BBHII", 0x80, 8, n & 0xFFFF, 160 * n & 0xFFFFFFFF, self.note)
            if self.to is not None:
                self.sock.sendto(header + codec.encode("PCMA", pcm), self.to)
            n += 1
            await asyncio.sleep(max(0.0, begin + 0.02 * n - loop.time()))

    def _take(self) -> None:
        while True:
            try:
                data = self.sock.recv(2000)
            except OSError:
                return
            if len(data) == 172 and data[1] & 0x7F == 8:
                self.heard.append(codec.decode("PCMA", data[12:]))

    def amplitude(self, note: int) -> float:
        """How loud a note is in what came last."""
        if len(self.heard) < WINDOW:
            return 0.0
        pcm = np.concatenate(self.heard).astype(float) * np.hanning(160 * WINDOW)
        wave = np.exp(-2j * np.pi * note * np.arange(len(pcm)) / 8000)
        return float(abs(pcm @ wave)) / len(pcm) * 4

    async def hears(self, *notes: int, timeout: float = 6.0) -> None:
        """Wait until it hears these notes and none of the others."""
        try:
            async with asyncio.timeout(timeout):
                while not all(
                    self.amplitude(note) > LOUD if note in notes else self.amplitude(note) < QUIET
                    for note in NOTES
                ):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            found = {note: round(self.amplitude(note)) for note in NOTES}
            raise AssertionError(f"{self.note} hears {found}, not {notes}") from None

    def close(self) -> None:
        self._task.cancel()
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()


class Choir:
    """A trunk whose numbers are answered by voices, and which agrees to every change of a call."""

    def __init__(self, trunk: RawTrunk) -> None:
        self.trunk = trunk
        self.voices: list[Voice] = []
        self.invites: dict[str, Message] = {}
        """The engine's INVITE, by the number it called."""
        self.refer_code = 202
        self._by_call: dict[str, Voice] = {}
        self._task = asyncio.create_task(self._agree())

    async def answers(self, number: str) -> Voice:
        """Take the engine's call to a number."""
        voice = self._new()
        invite = self.invites[number] = await self.trunk.answer(number, voice.sdp())
        voice.to = ("127.0.0.1", invite.rtp_port)
        self._by_call[invite.header("Call-ID")] = voice
        return voice

    def calls(self, number: str) -> Voice:
        """Call the engine; `taken` waits for its answer."""
        voice = self._new()
        self.trunk.invite(number, voice.sdp())
        return voice

    async def taken(self, number: str, voice: Voice) -> None:
        ok = await self.trunk.next(code=200, CSeq="1 INVITE", Call_ID=f"from-{number}")
        self.trunk.acknowledge(ok)
        voice.to = ("127.0.0.1", ok.rtp_port)
        self._by_call[f"from-{number}"] = voice

    def _new(self) -> Voice:
        voice = Voice(NOTES[len(self.voices)])
        self.voices.append(voice)
        return voice

    async def _agree(self) -> None:
        """Answer what the engine asks within calls: re-INVITE, REFER, BYE."""
        versions: dict[str, int] = {}
        while True:
            for message in list(self.trunk.heard):
                call = message.header("Call-ID")
                if call not in self._by_call or message.method not in ("INVITE", "REFER", "BYE"):
                    continue
                self.trunk.heard = [each for each in self.trunk.heard if each.text != message.text]
                if message.method == "INVITE":
                    held = "a=sendonly" in message.body
                    versions[call] = versions.get(call, 1) + 1
                    direction = "recvonly" if held else "sendrecv"
                    self.trunk.reply(message, 200, self._by_call[call].sdp(direction, versions[call]))
                else:
                    self.trunk.reply(message, 200 if message.method == "BYE" else self.refer_code)
            await asyncio.sleep(0.01)

    def close(self) -> None:
        self._task.cancel()
        for voice in self.voices:
            voice.close()


async def all_hear_each_other(voices: Iterable[Voice]) -> None:
    """Each of these hears every other of them, and nobody else."""
    present = list(voices)
    for voice in present:
        await voice.hears(*(other.note for other in present if other is not voice))
