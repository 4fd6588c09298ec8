"""A leg's audio as a program sees it: pyVoIP's `RTPClient`, without the two threads that it has for each.

`start`, `stop`, `read` and `write` may be called from any thread.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.RTP alone is a circular import
from pyVoIP.RTP import PayloadType, RTPClient, TransmitType

from engine.media import codec
from engine.media.coders import CLOCK
from engine.media.listening import Listening
from engine.media.orders import CloseStream, Codec, Event, SetRemote
from engine.media.pcm import MAX_READ_S, MAX_WRITE_S, PcmQueue
from engine.media.playout import Bounds

if TYPE_CHECKING:
    from engine.media.engine import MediaEngine
    from engine.media.stream import RtpStream


class AudioClient(RTPClient):  # type: ignore[misc]
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
        sendrecv: TransmitType,
        dtmf: Callable[[str], None] | None,
        *,
        engine: MediaEngine | None,
        name: str,
        depth: Bounds | None,
        sample_width: int,
    ) -> None:
        self._out_ip, self._out_port = outIP, outPort
        self._engine: MediaEngine | None = None
        super().__init__(assoc, inIP, inPort, outIP, outPort, sendrecv, dtmf)
        self._engine = engine
        self._sendrecv = sendrecv
        self._running = self._stopped = False
        self.sample_width = sample_width
        self.name = name or f"{inIP}:{inPort}"
        self.listening = Listening(depth)
        self._writer = PcmQueue(MAX_WRITE_S * codec.SAMPLE_RATE * sample_width, keep_newest=False)

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
        self._engine.adopt(cast("RtpStream", self), sock)
        self._announce()

    def stop(self) -> None:
        """Leave the media thread, which closes the socket; ends every blocked `read`."""
        self.NSD = False
        self._stopped = True
        if self.listening.reader is not None:
            self.listening.reader.close()
        if self._engine is not None:
            self._engine.order(CloseStream(self.name))

    def read(self, length: int = 160, blocking: bool = True) -> bytes:
        """`length` octets of received audio. Not blocking, silence fills what is not there yet."""
        reader = self.listening.reader
        if reader is None:
            reader = PcmQueue(MAX_READ_S * codec.SAMPLE_RATE * self.sample_width, keep_newest=True)
            if self._stopped:
                reader.close()
            self.listening.reader = reader
        data = reader.take_whole(length) if blocking and not self._stopped else reader.take(length)
        return data + (b"\x80" if self.sample_width == 1 else b"\0") * (length - len(data))

    def write(self, data: bytes) -> None:
        """Queue audio to be sent on the clock, at most five minutes of it."""
        self._writer.put(data)

    def _announce(self) -> None:
        if self._engine is None or not self._running:
            return
        codecs = tuple(Codec(str(kind), number) for number, kind in self.assoc.items()
                       if str(kind) in CLOCK)
        events = tuple(Event(number) for number, kind in self.assoc.items() if kind is PayloadType.EVENT)
        direction: Any = str(self._sendrecv)
        self._engine.order(SetRemote(self.name, self._out_ip, self._out_port, codecs,
                                     events, direction))
