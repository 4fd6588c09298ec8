"""What is done here with the audio that a stream receives: played out for a reader, the detector, a recording
or the headset, and measured.

While nobody listens nothing is decoded: packets are counted and passed on, no more.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.media import codec, level
from engine.media.codec import Pcm
from engine.media.coders import Decoder
from engine.media.pcm import PcmQueue, to_bytes
from engine.media.playout import Bounds, Playout

METERED = 5
"""Frames that the meter looks at, at most; it is read as often."""


class Listening:
    """One stream's. `rx` is this tick's frame, silence while not `active`."""

    def __init__(self, depth: Bounds | None) -> None:
        self.decoder = Decoder()
        self.playout = Playout(depth, self.decoder.decode)
        self.reader: PcmQueue | None = None
        self.active = False
        self.rx: Pcm = codec.SILENT_PCM
        self.wants_sample = False
        """A packet is wanted for the meter, since nothing is played out."""
        self._sample: tuple[str, bytes] | None = None
        self._unmeasured: deque[Pcm] = deque(maxlen=METERED)

    @property
    def playing(self) -> bool:
        """Whether this tick's frame came from the far end."""
        return self.active and self.playout.playing

    def activate(self, active: bool) -> None:
        """Begin with the next packet, or end."""
        if active == self.active:
            return
        self.active = active
        self.wants_sample = False
        self._sample = None
        self._unmeasured.clear()
        self.rx = codec.SILENT_PCM
        self.playout.flush()

    def sample(self, law: str, payload: bytes) -> None:
        """A packet for the meter."""
        self.wants_sample = False
        self._sample = law, payload

    def tick(self, now: float, width: int) -> None:
        """Play out 20 ms into `rx`; the reader gets it in octets of `width`."""
        self.rx = self.playout.get(now)
        self._unmeasured.append(self.rx)
        if self.reader is not None:
            self.reader.put(to_bytes(self.rx, width))

    def rest(self, now: float, most: int) -> list[Pcm]:
        """What the jitter buffer holds, so many frames at most: nothing follows it any more."""
        frames: list[Pcm] = []
        while self.playout.holds and len(frames) < most:
            frames.append(self.playout.get(now + 0.02 * len(frames)))
        return frames

    def measure(self) -> float:
        """The mean square of what came since the last time: of all frames played out, or of one packet."""
        if self.active:
            power = level.power(np.concatenate(self._unmeasured)) if self._unmeasured else 0.0
            self._unmeasured.clear()
            return power
        found, self._sample = self._sample, None
        self.wants_sample = True
        return level.power(self.decoder.decode(*found)) if found is not None else 0.0
