"""Audio held in memory, ready to be sent: a whole WAV file, or one cycle of a tone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from engine.detect.keytone import HIGH, KEYS, LOW
from engine.detect.plans import PlanError, plan
from engine.detect.synth import render_cycle
from engine.media import codec
from engine.media.codec import FRAME, Pcm
from engine.media.orders import BeepSource, Source, ToneSource

_SINE_AT_0_DBM0 = 32768 / 10 ** (3.17 / 20)

MAX_SECONDS = 1800
"""Longest file taken, so that a wrong path cannot fill the memory."""


class SourceError(Exception):
    """A source that cannot be played; the text is one plain sentence."""


@dataclass(slots=True)
class Clip:
    """8 kHz mono audio, with its G.711 encodings made once."""

    pcm: Pcm
    _encoded: dict[str, bytes] = field(default_factory=dict)

    def encoded(self, law: str) -> bytes:
        if law not in self._encoded:
            self._encoded[law] = codec.encode(law, self.pcm)
        return self._encoded[law]


class Player:
    """A place in a clip. `octets` and `pcm` give the next 20 ms, then `advance` moves on."""

    def __init__(self, clip: Clip, loop: bool, tag: str) -> None:
        self.clip = clip
        self.loop = loop
        self.tag = tag
        self._at = 0
        self.ended = not len(clip.pcm)

    @property
    def begun(self) -> bool:
        """Whether some of it was played: what comes next is from its middle."""
        return self._at > 0

    def octets(self, law: str) -> bytes:
        data = self.clip.encoded(law)
        piece = data[self._at : self._at + FRAME]
        while len(piece) < FRAME:
            piece += data[: FRAME - len(piece)] if self.loop else codec.SILENCE[law][: FRAME - len(piece)]
        return piece

    def pcm(self) -> Pcm:
        data = self.clip.pcm
        piece = data[self._at : self._at + FRAME]
        while len(piece) < FRAME:
            more = data[: FRAME - len(piece)] if self.loop else codec.SILENT_PCM[: FRAME - len(piece)]
            piece = np.concatenate((piece, more))
        return piece

    def advance(self) -> None:
        self._at += FRAME
        if self._at >= len(self.clip.pcm):
            if self.loop:
                self._at %= len(self.clip.pcm)
            else:
                self.ended = True


def load(source: Source) -> Clip:
    """Read or synthesise a source. Blocks on the disk. Raises SourceError."""
    if isinstance(source, ToneSource):
        try:
            cadence = plan(source.country).cadence(source.tone)
        except PlanError as error:
            raise SourceError(f"The tone cannot be played: {error}.") from None
        clip = Clip(render_cycle(cadence, source.level_dbm0))
    elif isinstance(source, BeepSource):
        clip = Clip(_beep(source))
    else:
        clip = Clip(_read_wav(source.path))
    for law in codec.DECODE:
        clip.encoded(law)
    return clip


def _beep(source: BeepSource) -> Pcm:
    """It begins and ends within 5 ms, and so without a click."""
    t = np.arange(source.ms * 8) / codec.SAMPLE_RATE
    ramp = np.minimum(np.minimum(t, t[::-1]) / 0.005, 1.0)
    level = _SINE_AT_0_DBM0 * 10 ** (source.level_dbm0 / 20)
    return np.rint(level * ramp * np.sin(2 * np.pi * source.hertz * t)).astype(np.int16)


_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE


def _read_wav(path: str) -> Pcm:
    try:
        size = Path(path).stat().st_size
        if size > MAX_SECONDS * 48000 * 4:
            raise SourceError(f"{path} is too long to be played: at most {MAX_SECONDS // 60} minutes are.")
        data = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None
    rate, channels, samples = _decode_wav(path, data)
    if len(samples) > MAX_SECONDS * rate * channels:
        raise SourceError(f"{path} is too long to be played: at most {MAX_SECONDS // 60} minutes are.")
    if channels > 1:
        samples = samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1)
    if rate != codec.SAMPLE_RATE:
        samples = soxr.resample(samples, rate, codec.SAMPLE_RATE)
    if not len(samples):
        raise SourceError(f"{path} holds no audio.")
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def _decode_wav(path: str, data: bytes) -> tuple[int, int, npt.NDArray[np.float32]]:
    """RIFF/WAVE (8 to 32 bit PCM, A-law, mu-law) as rate, channels and samples from -1 to 1."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise SourceError(f"{path} is not a WAV file.")
    at, header, body = 12, b"", None
    while at + 8 <= len(data) and body is None:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        chunk = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            header = chunk
        elif name == b"data":
            body = chunk
        at += 8 + size + size % 2
    if len(header) < 16 or body is None:
        raise SourceError(f"{path} is a broken WAV file: it has no format or no data.")
    kind, channels = int.from_bytes(header[:2], "little"), int.from_bytes(header[2:4], "little")
    rate, bits = int.from_bytes(header[4:8], "little"), int.from_bytes(header[14:16], "little")
    if kind == _EXTENSIBLE and len(header) >= 26:
        kind = int.from_bytes(header[24:26], "little")
    if not 1 <= channels <= 8 or not 1000 <= rate <= 384000:
        raise SourceError(f"{path} is a broken WAV file: {channels} channels at {rate} Hz.")
    if kind in (_ALAW, _ULAW):
        table = codec.DECODE["PCMA" if kind == _ALAW else "PCMU"]
        return rate, channels, table[np.frombuffer(body, np.uint8)].astype(np.float32) / np.float32(32768)
    if kind != _PCM or bits not in (8, 16, 24, 32):
        raise SourceError(f"{path} is in a format that is not played: use PCM or G.711 in WAV.")
    body = body[: len(body) // (bits // 8) * (bits // 8)]
    if bits == 8:
        centred = np.frombuffer(body, np.uint8).astype(np.int16) - 128
        return rate, channels, centred.astype(np.float32) / np.float32(128)
    if bits == 16:
        return rate, channels, np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768)
    if bits == 32:
        return rate, channels, np.frombuffer(body, "<i4").astype(np.float32) / np.float32(2**31)
    octets = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int32)
    values = (octets[:, 0] | octets[:, 1] << 8 | octets[:, 2] << 16) << 8 >> 8
    return rate, channels, values.astype(np.float32) / np.float32(2**23)


_RISE = np.sin(np.pi / 2 * (np.arange(16) + 0.5) / 16) ** 2  # 2 ms, so that it does not click


@lru_cache(maxsize=32)
def key_clip(key: str, duration_ms: int, gap_ms: int) -> Clip:
    """A key as tones (ITU-T Q.23), -8 dBm0 the low one, -6 the high, and the gap after it."""
    row, column = divmod(KEYS.index(key), 4)
    t = np.arange(duration_ms * 8) / codec.SAMPLE_RATE
    low = 10 ** (-8 / 20) * np.sin(2 * np.pi * LOW[row] * t)
    high = 10 ** (-6 / 20) * np.sin(2 * np.pi * HIGH[column] * t)
    wave = (low + high) * _SINE_AT_0_DBM0
    wave[: len(_RISE)] *= _RISE
    wave[-len(_RISE) :] *= _RISE[::-1]
    return Clip(np.concatenate((np.rint(wave).astype(np.int16), np.zeros(gap_ms * 8, np.int16))))

