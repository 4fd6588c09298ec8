"""Loudness: a gain that changes without a click, and the soft limit that keeps any sum within 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.media.codec import FRAME, SILENT_PCM, Pcm

KNEE = 24576
"""Up to here, 2.5 dB below full scale, the limit leaves samples as they are."""
_ROOM = 32767 - KNEE
MIN_DB, MAX_DB = -30.0, 20.0

RISE: npt.NDArray[np.float32] = ((np.arange(FRAME) + 0.5) / FRAME).astype(np.float32)
"""From nothing to all within 20 ms."""
FALL: npt.NDArray[np.float32] = 1 - RISE


def limit(samples: npt.NDArray[Any]) -> Pcm:
    """Samples of any size and type as int16: those above `KNEE` bend towards full scale, none wraps."""
    if samples.dtype.kind == "f":
        samples = np.rint(samples)
    if not len(samples):
        return samples.astype(np.int16)
    if samples.max() <= KNEE and samples.min() >= -KNEE:
        return samples.astype(np.int16)
    size = np.abs(samples.astype(np.float32))
    bent = KNEE + _ROOM * np.tanh((size - KNEE) / _ROOM)
    soft: Pcm = (np.where(size > KNEE, bent, size) * np.sign(samples)).astype(np.int16)
    return soft


class Fader:
    """A gain in dB, which moves to what it is set to within one frame."""

    def __init__(self) -> None:
        self._factor = self._wanted = self._open = 1.0
        self._taken: Pcm | None = None
        self._given: Pcm | None = None

    @property
    def flat(self) -> bool:
        """No gain is set: while open nothing is changed, or won't be after one more frame."""
        return self._open == 1.0

    @property
    def idle(self) -> bool:
        """Nothing is changed in this frame."""
        return self._factor == 1.0 == self._wanted

    def set(self, db: float) -> None:
        """From the next frame on; what is out of range or no number is brought into it."""
        wanted = max(MIN_DB, min(MAX_DB, db)) if db == db else 0.0
        closed = self._wanted == 0.0
        self._open = 10 ** (wanted / 20) if wanted else 1.0
        self.close(closed)

    def close(self, on: bool) -> None:
        """Let nothing through, or what is set again; from the next frame on."""
        self._wanted = 0.0 if on else self._open
        self._taken = None

    def apply(self, pcm: Pcm) -> Pcm:
        """A frame at this gain; the same one asked for again costs nothing."""
        if self.idle:
            return pcm
        if pcm is self._taken and self._given is not None:
            return self._given
        if self._factor == 0.0 == self._wanted:
            return SILENT_PCM
        if self._factor == self._wanted:
            louder = limit(pcm * np.float32(self._factor))
        else:
            way = RISE if len(pcm) == FRAME else np.linspace(0, 1, len(pcm), dtype=np.float32)
            louder = limit(pcm * (self._factor + (self._wanted - self._factor) * way))
            self._factor = self._wanted
        self._taken, self._given = pcm, louder
        return louder
