"""RTP ports and streams as a phone needs them: a port taken before the offer, given back at the end."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import pyVoIP.VoIP  # noqa: F401  first: `import pyVoIP.RTP` alone is a circular import
from pyVoIP.VoIP import NoPortsAvailableError

from engine.media.engine import MediaEngine
from engine.media.orders import (
    CloseStream,
    Codec,
    Control,
    Direction,
    Event,
    Fact,
    OpenStream,
    SetRemote,
    SrtpKeys,
)


class Crypto(Protocol):
    """One direction's SRTP key, as `engine.sip.sdp.crypto.Crypto` has it."""

    @property
    def suite(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def mki(self) -> int: ...


class Keys(Protocol):
    @property
    def ours(self) -> Crypto: ...
    @property
    def theirs(self) -> Crypto: ...


class Agreed(Protocol):
    """What SDP agreed on, as `engine.sip.sdp.Negotiated` has it; see there."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def codecs(self) -> Sequence[tuple[str, int]]: ...
    @property
    def also(self) -> Sequence[tuple[str, int]]: ...
    @property
    def events(self) -> Sequence[tuple[int, int]]: ...
    @property
    def direction(self) -> Direction: ...
    @property
    def ptime(self) -> int: ...
    @property
    def keys(self) -> Keys | None: ...
    @property
    def rtcp(self) -> tuple[str, int] | None: ...
    @property
    def rtcp_mux(self) -> bool: ...
    @property
    def comfort_noise(self) -> bool: ...
    @property
    def signalling(self) -> str: ...


RECEIVE_BUFFER = 1 << 19
"""Bytes that the kernel keeps for a stream, where it may: a flood at the port fills it between two ticks."""


class MediaPlane:
    """Binds a port of `low`-`high` on `host` for each stream, and with `rtcp` the next one for its reports,
    and tells the media thread of it.

    `inband` says which streams are listened to for DTMF in their audio: with "auto" those whose far end did
    not agree to telephone-event.
    """

    def __init__(
        self,
        media: MediaEngine,
        host: str,
        low: int,
        high: int,
        *,
        send_first: bool = True,
        rtcp: bool = True,
        inband: Literal["auto", "on", "off"] = "off",
    ) -> None:
        self._media = media
        self._host = host
        self._ports = range(low, high + 1)
        self._send_first = send_first
        self._rtcp = rtcp
        self._inband = inband
        self._open: dict[str, int] = {}

    @property
    def in_use(self) -> int:
        return len(self._open)

    def open(self, stream: str, encrypted: bool = False) -> int:
        """Bind a free port, an even one and the next for RTCP where there are two (RFC 3550, 11).

        Where no two are free together one is taken alone: a call without reports is better than none. Raises
        NoPortsAvailableError.
        """
        free = [p for p in self._ports if p not in self._open.values()]
        random.shuffle(free)
        pairs = [p for p in free if p % 2 == 0 and p + 1 in self._ports] if self._rtcp else []
        for port in pairs:
            if (sock := self._bind(port)) is None:
                continue
            if (control := self._bind(port + 1)) is None:
                sock.close()
                continue
            return self._opened(stream, port, sock, encrypted, control)
        for port in sorted(free, key=lambda p: p % 2):
            if (sock := self._bind(port)) is not None:
                return self._opened(stream, port, sock, encrypted, None)
        first, last = self._ports[0], self._ports[-1]
        raise NoPortsAvailableError(f"every RTP port from {first} to {last} is taken; widen rtp.ports")

    def _bind(self, port: int) -> socket.socket | None:
        sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((self._host, port))
        except OSError:
            sock.close()
            return None
        sock.setblocking(False)
        return sock

    def _opened(
        self, stream: str, port: int, sock: socket.socket, encrypted: bool, control: socket.socket | None
    ) -> int:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._open[stream] = port
        self._media.order(OpenStream(stream, sock, encrypted, control))
        return port

    def connect(self, stream: str, agreed: Agreed) -> None:
        """Where to send and in which format; see `SetRemote`."""
        keys = agreed.keys
        srtp = None
        if keys is not None:
            srtp = SrtpKeys(keys.ours.suite, keys.ours.key, keys.theirs.key, keys.theirs.mki)
        control = None
        if self._rtcp and agreed.rtcp is not None:
            control = Control(*agreed.rtcp, agreed.rtcp_mux)
        self._media.order(
            SetRemote(
                stream,
                agreed.host,
                agreed.port,
                tuple(Codec(name, number) for name, number in agreed.codecs),
                tuple(Event(number, clock) for number, clock in agreed.events),
                agreed.direction,
                self._send_first,
                tuple(Codec(name, number) for name, number in agreed.also),
                agreed.ptime,
                srtp,
                control,
                agreed.signalling,
                self._inband == "on" or (self._inband == "auto" and not agreed.events),
                agreed.comfort_noise,
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
