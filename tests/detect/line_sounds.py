"""Signals for the detector's tests: what a line carries, made from the plans and from noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.detect.analyzer import Analyzer
from engine.detect.plans import Cadence
from engine.detect.synth import render_cycle
from engine.detect.types import Detection

Pcm = npt.NDArray[np.int16]
MILLIWATT_RMS = 32768 / 2**0.5 / 10 ** (3.17 / 20)


def silence(ms: int) -> Pcm:
    return np.zeros(ms * 8, np.int16)


def tone(cadence: Cadence, ms: int, level: float = -13.0) -> Pcm:
    cycle = render_cycle(cadence, level)
    return np.tile(cycle, ms * 8 // len(cycle) + 1)[: ms * 8]


def with_noise(pcm: Pcm, level: float, seed: int = 1) -> Pcm:
    noise = np.random.default_rng(seed).normal(0, MILLIWATT_RMS * 10 ** (level / 20), len(pcm))
    return np.clip(pcm + noise, -32768, 32767).astype(np.int16)


def speech(ms: int, pitch: float, seed: int) -> Pcm:
    """Vowels, glides and pauses: harmonics of a moving pitch under three resonances."""
    rng = np.random.default_rng(seed)
    out: list[npt.NDArray[np.float64]] = []
    phase, made = 0.0, 0
    while made < ms * 8:
        count = int(rng.uniform(0.08, 0.35) * 8000)
        made += count
        if rng.random() < 0.25:
            out.append(rng.normal(0, 20, count))
            continue
        place = np.linspace(0, 1, count)
        wobble = 1 + 0.01 * np.sin(2 * np.pi * 5 * np.arange(count) / 8000)
        f0 = pitch * rng.uniform(0.8, 1.4) * (1 + rng.uniform(-0.25, 0.25) * place) * wobble
        angle = phase + 2 * np.pi * np.cumsum(f0) / 8000
        phase = float(angle[-1])
        formants = (rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3000))
        x = np.zeros(count)
        for h in range(1, int(3600 / f0.mean()) + 1):
            hz = f0.mean() * h
            gain = sum(1 / (1 + ((hz - f) / w) ** 2) for f, w in zip(formants, (60, 90, 150), strict=True))
            x += gain / h**0.3 * np.sin(h * angle)
        x *= np.sqrt(np.sin(np.pi * place))
        out.append(x * 2500 * rng.uniform(0.4, 1.5) / (np.sqrt((x**2).mean()) + 1e-9))
    return np.clip(np.concatenate(out)[: ms * 8], -32000, 32000).astype(np.int16)


def listen(pcm: Pcm, country: str | None) -> list[tuple[Detection, int]]:
    """Every detection with the time, in ms, at which it was made."""
    analyzer = Analyzer(country)
    found = []
    for at in range(0, len(pcm) - 159, 160):
        found += [(d, analyzer.now_ms) for d in analyzer.feed(pcm[at : at + 160])]
    return found + [(d, analyzer.now_ms) for d in analyzer.finish()]


def named(pcm: Pcm, country: str | None) -> list[str]:
    """The labels in order, without the early word that some plan's tone is there."""
    return [d.tone.label for d, _ in listen(pcm, country) if d.tone.label != "450hz"]
