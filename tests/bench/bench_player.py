"""A call to baresip that plays back what its loudspeaker gets, packet for packet: what it made of ours."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from baresip import baresip
from bench_baresip import Answerer, BaresipError

from engine.media import codec
from engine.media.codec import Pcm
from engine.media.network import rtp


class _Asker(Answerer):
    """Tells where baresip wants its audio."""

    def __init__(self, ports: list[int]) -> None:
        self.asked = threading.Event()
        self.wanted = 0
        super().__init__(ports)

    def _answer(self, text: str, body: str) -> bytes:
        if found := re.search(r"^m=audio (\d+) ", text, re.MULTILINE):
            self.wanted = int(found[1])
            self.asked.set()
        return super()._answer(text, body)


class PlayerCall:
    """baresip's device `aubridge` hands what is played to what is recorded, so its own packets hold it."""

    def __init__(self, sock: socket.socket, port: int) -> None:
        self._sock = sock
        self._target = ("127.0.0.1", port)
        self._got: list[rtp.Packet] = []
        self._first: int | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    @classmethod
    @contextlib.contextmanager
    def to(cls, folder: Path) -> Iterator[PlayerCall]:
        """A baresip of its own, and a call with it. Raises BaresipError."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            asker = _Asker([sock.getsockname()[1]])
            account = f"<sip:bench@127.0.0.1:{asker.port};transport=udp>;regint=0;audio_codecs=pcmu"
            settings = ["ausrc_srate 8000", "auplay_srate 8000", "jitter_buffer_delay 5-10"]
            try:
                with baresip(folder, account, modules=("plc", "g711"), settings=settings) as phone:
                    phone.command("dial", f"sip:1@127.0.0.1:{asker.port}")
                    phone.event("CALL_ESTABLISHED")
                    if not asker.asked.wait(5):
                        raise BaresipError("baresip offered no audio")
                    yield cls(sock, asker.wanted)
            finally:
                asker.close()

    def send(self, data: bytes) -> None:
        with self._lock:
            if self._first is None:
                self._first = len(self._got)
        self._sock.sendto(data, self._target)

    def _receive(self) -> None:
        while True:
            try:
                data = self._sock.recv(4096)
            except OSError:
                return
            with contextlib.suppress(rtp.RtpError):
                packet = rtp.parse(data)
                if packet.payload_type == 0:
                    with self._lock:
                        self._got.append(packet)

    def heard(self) -> Pcm:
        """What was played since the first packet was sent to it."""
        with self._lock:
            got = self._got[self._first or 0 :]
        if not got:
            raise BaresipError("baresip sent nothing back")
        base = got[0].timestamp
        size = max((p.timestamp - base) & 0xFFFFFFFF for p in got) + 160
        if size > 8000 * 600:
            raise BaresipError("baresip's timestamps leap")
        pcm = np.zeros(size, np.int16)
        for packet in got:
            at = (packet.timestamp - base) & 0xFFFFFFFF
            piece = codec.decode("PCMU", packet.payload)[: size - at]
            pcm[at : at + len(piece)] = piece
        return pcm
