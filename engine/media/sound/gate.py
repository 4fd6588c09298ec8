"""Opens and closes a microphone without a click."""

from __future__ import annotations

import numpy as np

from engine.media import codec
from engine.media.codec import Pcm

RAMP = 40
"""Samples that it takes from closed to open: 5 ms."""


class Gate:
    """Open at first. `pass_through` takes each frame with whether it should be open now."""

    def __init__(self) -> None:
        self._open = True
        self._up = (np.arange(1, RAMP + 1) / RAMP).astype(np.float32)

    def pass_through(self, pcm: Pcm, is_open: bool) -> Pcm:
        was, self._open = self._open, is_open
        if was == is_open:
            return pcm if is_open else codec.SILENT_PCM
        out = pcm.copy() if is_open else np.zeros_like(pcm)
        out[:RAMP] = pcm[:RAMP] * (self._up if is_open else self._up[::-1])
        return out
