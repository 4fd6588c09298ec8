"""Twenty milliseconds of audio as the packets that a stream sends: encoded, cut to the agreed length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.media import codec
from engine.media.clip import Player
from engine.media.codec import FRAME, Pcm
from engine.media.coders import Encoder, OpusEncoder, encoder
from engine.media.comfort import ComfortNoise
from engine.media.gain import Fader
from engine.media.mixer import Feed
from engine.media.pcm import PcmQueue, from_bytes


@dataclass(slots=True)
class Frame:
    """20 ms of our own: packets that are full, samples that were held before them, and what is heard."""

    packets: list[bytes]
    held: int
    heard: Pcm | bytes
    """Octets are of G.711."""


Source = Player | Feed | PcmQueue | ComfortNoise | None
"""What a stream is sent of our own: a player, a feed of others, what a program wrote, noise, or silence."""


def samples(source: Source, gain: Fader, width: int) -> Pcm:
    """The source's next 160, a feed's at a gain; what a program wrote is `width` octets each."""
    if source is None:
        return codec.SILENT_PCM
    if isinstance(source, Player):
        return source.pcm()
    if isinstance(source, ComfortNoise):
        return source.frame()
    if isinstance(source, PcmQueue):
        pcm = from_bytes(source.take(FRAME * width), width)
        return np.concatenate((pcm, codec.SILENT_PCM[len(pcm) :]))
    return gain.apply(source.pcm())


class Packer:
    """Of one stream. `law` is what it sends."""

    def __init__(self, law: str) -> None:
        self.law = law
        self._ptime_ms = 20
        self._encoder: Encoder = encoder(law)

    def set_format(self, law: str, ptime_ms: int) -> None:
        """The same one goes on where it was."""
        if (law, ptime_ms) != (self.law, self._ptime_ms):
            self.law, self._ptime_ms = law, ptime_ms
            self._encoder = encoder(law, ptime_ms)

    @property
    def size(self) -> int:
        """Samples in a packet."""
        return self._encoder.size

    @property
    def held(self) -> int:
        """Samples that wait for a packet to be full."""
        return self._encoder.held

    @property
    def stateless(self) -> bool:
        """Whether a frame that was made may be thrown away as if it had never been."""
        return self.law in codec.DECODE and self.size == FRAME

    def clear(self) -> None:
        """Forget what waits."""
        self._encoder.clear()

    def flush(self) -> bytes:
        """Take out what waits, for a packet shorter than others; Opus has no length for any."""
        if not self.held or isinstance(self._encoder, OpusEncoder):
            return b""
        return self._encoder.flush()

    def player(self, player: Player) -> Frame:
        return self._octets(player.octets(self.law)) if self.law in codec.DECODE else self.pcm(player.pcm())

    def feed(self, feed: Feed, gain: Fader) -> Frame:
        if gain.idle and self.law in codec.DECODE:
            return self._octets(feed.octets(self.law))
        return self.pcm(gain.apply(feed.pcm()))

    def silence(self) -> Frame:
        known = self.law in codec.DECODE
        return self._octets(codec.SILENCE[self.law]) if known else self.pcm(codec.SILENT_PCM)

    def pcm(self, pcm: Pcm) -> Frame:
        if self.law in codec.DECODE:
            return self._octets(codec.encode(self.law, pcm))
        held = self.held
        return Frame(self._encoder.encode(pcm), held, pcm)

    def _octets(self, octets: bytes) -> Frame:
        """G.711 that is encoded already."""
        assert not isinstance(self._encoder, OpusEncoder)
        held = self.held
        return Frame(self._encoder.pack(octets), held, octets)
