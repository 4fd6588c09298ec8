"""RTP ports and streams as a phone needs them: a port taken before the offer, given back at the end."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence

import pyVoIP.VoIP  # noqa: F401  first: `import pyVoIP.RTP` alone is a circular import
from pyVoIP.VoIP import NoPortsAvailableError

from engine.media.engine import MediaEngine
from engine.media.orders import CloseStream, Codec, Direction, Fact, OpenStream, SetRemote


class MediaPlane:
    """Binds a port of `low`-`high` on `host` for each stream and tells the media thread of it."""

    def __init__(
        self, media: MediaEngine, host: str, low: int, high: int, *, send_first: bool = True
    ) -> None:
        self._media = media
        self._host = host
        self._ports = range(low, high + 1)
        self._send_first = send_first
        self._open: dict[str, int] = {}

    @property
    def in_use(self) -> int:
        return len(self._open)

    def open(self, stream: str) -> int:
        """Bind a free port, even ones first (RFC 3550, 11). Raises NoPortsAvailableError."""
        taken = set(self._open.values())
        free = [p for p in self._ports if p not in taken]
        random.shuffle(free)
        free.sort(key=lambda p: p % 2)
        for port in free:
            sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind((self._host, port))
            except OSError:
                sock.close()
                continue
            sock.setblocking(False)
            self._open[stream] = port
            self._media.order(OpenStream(stream, sock))
            return port
        first, last = self._ports[0], self._ports[-1]
        raise NoPortsAvailableError(f"every RTP port from {first} to {last} is taken; widen rtp.ports")

    def connect(
        self,
        stream: str,
        host: str,
        port: int,
        codecs: Sequence[tuple[str, int]],
        event_payload_type: int | None,
        direction: Direction,
        own_event_payload_type: int | None = None,
    ) -> None:
        """Where to send and in which format; see `SetRemote`."""
        chosen = tuple(Codec(name, number) for name, number in codecs)
        self._media.order(
            SetRemote(
                stream,
                host,
                port,
                chosen,
                event_payload_type,
                direction,
                self._send_first,
                () if own_event_payload_type is None else (own_event_payload_type,),
            )
        )

    def close(self, stream: str) -> None:
        if self._open.pop(stream, None) is not None:
            self._media.order(CloseStream(stream))

    def read(self, stream: str, length: int, blocking: bool) -> bytes:
        """Received audio as pyVoIP gives it: 8-bit unsigned linear, 8 kHz."""
        found = self._media.stream(stream)
        audio: bytes = found.read(length, blocking) if found is not None else b"\x80" * length
        return audio

    def write(self, stream: str, data: bytes) -> None:
        """Queue 8-bit unsigned linear audio, 8 kHz, to be sent."""
        found = self._media.stream(stream)
        if found is not None:
            found.write(data)


class Standalone(MediaPlane):
    """A plane with a media thread of its own, for programs written for pyVoIP."""

    def __init__(self, host: str, low: int, high: int, on_fact: Callable[[Fact], None]) -> None:
        self._engine = MediaEngine(on_fact)
        self._engine.start()
        super().__init__(self._engine, host, low, high)

    def stop(self) -> None:
        self._engine.stop()
