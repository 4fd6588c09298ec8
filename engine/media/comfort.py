"""Comfort noise (RFC 3389): what is heard while the far end pauses and says so."""

from __future__ import annotations

import numpy as np

from engine.media import codec
from engine.media.codec import FRAME, Pcm

_QUIETEST = 78
"""Below 0 dBov, in dB; anything weaker is silence."""
_LOUDEST = 30
"""No noise is played louder than so far below 0 dBov, whatever is asked for."""
_NOISE = np.random.default_rng(0).standard_normal(8191).astype(np.float32)


class ComfortNoise:
    """White noise at the level that a packet's first octet tells; its spectrum is not followed."""

    def __init__(self, payload: bytes) -> None:
        below = payload[0] & 0x7F if payload else 127
        self._rms = 0.0 if below > _QUIETEST else 32768 * 10 ** (-max(below, _LOUDEST) / 20)
        self._at = 0

    def frame(self) -> Pcm:
        """The next 160 samples."""
        if not self._rms:
            return codec.SILENT_PCM
        at, self._at = self._at, (self._at + 997) % (len(_NOISE) - FRAME)
        noise: Pcm = np.rint(_NOISE[at : at + FRAME] * self._rms).astype(np.int16)
        return noise
