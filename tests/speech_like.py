"""Sounds with the course of speech, without anybody who speaks: voiced syllables of drawn formants."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 8000


def speech_like(seed: int, seconds: float = 4.0) -> npt.NDArray[np.int16]:
    """Another announcement for each seed, at about -17 dBm0."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    x = np.zeros(count)
    at = 0
    while at < count:
        size = min(int(rng.uniform(0.08, 0.25) * RATE), count - at)
        t = np.arange(size) / RATE
        pitch = rng.uniform(95, 230) * (1 + rng.uniform(-0.15, 0.15) * t / t[-1] if size > 1 else 1)
        phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, size)) / RATE
        begin, end = rng.uniform((250, 800, 1900), (850, 2300, 3300), (2, 3))
        syllable = np.zeros(size)
        for k in range(1, 30):
            f = k * float(np.mean(pitch))
            if f > 3500:
                break
            blend = t / max(t[-1], 1e-3)
            gain = sum(
                np.exp(-(((f - (a + (b - a) * blend)) / 130) ** 2)) / (i + 1)
                for i, (a, b) in enumerate(zip(begin, end, strict=True))
            )
            syllable += (gain + 0.01) * np.sin(k * phase)
        syllable *= np.sin(np.pi * np.linspace(0, 1, size)) ** 0.5
        x[at : at + size] += syllable
        at += size + int(rng.uniform(0.0, 0.06) * RATE)
    x /= np.sqrt(np.mean(x**2))
    return np.clip(np.rint(x * 3000), -32767, 32767).astype(np.int16)
