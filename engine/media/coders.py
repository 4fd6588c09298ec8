"""Every codec of a call, as 8 kHz audio: G.711 by table, G.722 and Opus by PyAV (FFmpeg and libopus).

Audio inside is narrow-band, since all that listens to a line is. So G.722 is heard and spoken at half of its
16 kHz, and Opus at a sixth of its 48 kHz. Streams that are bridged in the same codec lose nothing: their
packets pass untouched.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from engine.media import codec
from engine.media.codec import SAMPLE_RATE, Pcm
from engine.media.resample import Decimator, Interpolator

CLOCK = {"PCMA": 8000, "PCMU": 8000, "G722": 8000, "opus": 48000}
"""RTP clocks in Hz. G.722's is half of its sampling rate (RFC 3551, 4.5.2)."""
_OPUS_BITS_PER_S = 24000
_MAX_OPUS = 960
"""Longest Opus packet, 120 ms, in samples at 8 kHz."""
_OPUS_FRAME = (80, 160, 320, 480) * 3 + (80, 160) * 2 + (20, 40, 80, 160) * 4
"""Samples at 8 kHz in a frame of each of Opus's 32 configurations (RFC 6716, 3.1)."""


def preload(names: Iterable[str]) -> None:
    """Load PyAV now where one of these codecs needs it: it takes 0.1 s, which no tick has."""
    if any(name not in codec.DECODE for name in names):
        _av()


def _av() -> Any:
    return importlib.import_module("av")


def scale(name: str) -> int:
    """RTP timestamp units in one sample at 8 kHz."""
    return CLOCK[name] // SAMPLE_RATE


def duration(name: str, payload: bytes | memoryview) -> int:
    """How long a payload lasts, in samples at 8 kHz; 0 for one that is damaged."""
    if name != "opus":
        return len(payload)
    if not payload:
        return 0
    kind = payload[0] & 3
    frames = 1 if kind == 0 else 2 if kind < 3 else payload[1] & 63 if len(payload) > 1 else 0
    samples = _OPUS_FRAME[payload[0] >> 3] * frames
    return samples if samples <= _MAX_OPUS else 0


def passes(received: str, sent: str) -> bool:
    """Whether a packet of one codec can go on to a stream of another without encoding anew."""
    return received == sent or (received in codec.DECODE and sent in codec.DECODE)


def _decoder(name: str, rate: int) -> Any:
    context: Any = _av().CodecContext.create(name, "r")
    context.sample_rate, context.layout = rate, "mono"
    context.open()
    return context


class _Wide:
    """One PyAV decoder and the way down to 8 kHz."""

    def __init__(self, name: str) -> None:
        self._context = _decoder("g722", 16000) if name == "G722" else _decoder("libopus", 48000)
        self._factor = 2 if name == "G722" else 6
        self._down = Decimator(self._factor)

    def decode(self, payload: bytes, samples: int) -> Pcm:
        """`samples` at 8 kHz; silence where the payload is damaged."""
        av = _av()
        try:  # an empty packet would tell the decoder that no more will come
            frames = self._context.decode(av.Packet(payload)) if payload else []
        except av.error.FFmpegError:
            frames = []
        pieces = [np.frombuffer(f.planes[0], np.int16, f.samples) for f in frames]
        wide: Pcm = np.concatenate(pieces) if pieces else codec.SILENT_PCM[:0]
        need = samples * self._factor
        if len(wide) != need:
            wide = np.concatenate((wide[:need], np.zeros(max(0, need - len(wide)), np.int16)))
        return self._down.process(wide)


class Decoder:
    """One stream's payloads as audio, to be given in the order in which they are played."""

    def __init__(self) -> None:
        self._wide: dict[str, _Wide] = {}

    def ready(self, name: str) -> None:
        """Open what a codec needs now, not in the middle of a tick."""
        if name not in codec.DECODE and name not in self._wide:
            self._wide[name] = _Wide(name)

    def decode(self, name: str, payload: bytes) -> Pcm:
        """As many samples as `duration` tells."""
        if name in codec.DECODE:
            return codec.decode(name, payload)
        self.ready(name)
        return self._wide[name].decode(payload, duration(name, payload))


class OctetEncoder:
    """G.711 and G.722: an octet for each sample at 8 kHz, in packets of any length."""

    def __init__(self, name: str, ptime_ms: int) -> None:
        self.size = ptime_ms * SAMPLE_RATE // 1000
        self._name = name
        self._rest = b""
        self._context: Any = None
        if name == "G722":
            self._context = _encoder("g722", 16000, {})
            self._up = Interpolator(2)

    @property
    def held(self) -> int:
        """Samples taken for a packet that is not full yet."""
        return len(self._rest)

    def clear(self) -> None:
        """Forget them: what follows is not their continuation."""
        self._rest = b""

    def flush(self) -> bytes:
        """Take them out."""
        rest, self._rest = self._rest, b""
        return rest

    def encode(self, pcm: Pcm) -> list[bytes]:
        """20 ms of audio in, the payloads of the packets that are full out: `size` samples in each."""
        if self._context is None:
            return self.pack(codec.encode(self._name, pcm))
        return self.pack(_encode(self._context, self._up.process(pcm)))

    def pack(self, octets: bytes) -> list[bytes]:
        """Octets already encoded into packets."""
        if not self._rest and len(octets) == self.size:
            return [octets]
        data = self._rest + octets
        whole = len(data) // self.size * self.size
        self._rest = data[whole:]
        return [data[at : at + self.size] for at in range(0, whole, self.size)]


class OpusEncoder:
    """Mono speech at 24 kbit/s; 30 ms is no length of Opus's, 20 is sent instead."""

    def __init__(self, ptime_ms: int) -> None:
        length = 20 if ptime_ms == 30 else ptime_ms
        self.size = length * SAMPLE_RATE // 1000
        self._rest: Pcm = codec.SILENT_PCM[:0]
        options = {"application": "voip", "frame_duration": str(length)}
        self._context = _encoder("libopus", SAMPLE_RATE, options, _OPUS_BITS_PER_S)

    @property
    def held(self) -> int:
        return len(self._rest)

    def clear(self) -> None:
        self._rest = codec.SILENT_PCM[:0]

    def encode(self, pcm: Pcm) -> list[bytes]:
        data = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        whole = len(data) // self.size * self.size
        self._rest = data[whole:]
        return [_encode(self._context, data[at : at + self.size]) for at in range(0, whole, self.size)]


def _encoder(name: str, rate: int, options: dict[str, str], bits_per_s: int = 0) -> Any:
    context: Any = _av().CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "s16"
    context.time_base = Fraction(1, rate)
    context.options = options
    if bits_per_s:
        context.bit_rate = bits_per_s
    context.open()
    return context


def _encode(context: Any, pcm: Pcm) -> bytes:
    frame = _av().AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = context.sample_rate
    return b"".join(bytes(packet) for packet in context.encode(frame))


Encoder = OctetEncoder | OpusEncoder


def encoder(name: str, ptime_ms: int = 20) -> Encoder:
    """The encoder for what a stream sends, in packets of 10, 20, 30, 40 or 60 ms."""
    return OpusEncoder(ptime_ms) if name == "opus" else OctetEncoder(name, ptime_ms)

