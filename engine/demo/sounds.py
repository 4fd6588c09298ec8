"""What the carrier's lines sound like: a country's tones, voices, echo, a WAV file.

All audio is 16-bit linear at 8 kHz, in frames of 160 samples (20 ms). Nothing here is random: the
same voice says the same in every run, so that a test can look for it in a recording.
"""

from __future__ import annotations

import wave
from collections import deque
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.demo.g711 import Samples
from engine.detect.plans import plan

RATE = 8000
FRAME = 160

FULL_SCALE_DBM0 = 3.14
"""Level of a sine that reaches full scale (G.711, A-law)."""

AM_DEPTH = 0.85
"""Modulation depth of the plans' amplitude-modulated tones."""


def amplitude(dbm0: float) -> float:
    """Peak of a sine at that level, in sample units."""
    return float(32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20))


def _samples(sound: NDArray[np.float64]) -> Samples:
    clipped: Samples = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    return clipped


@cache
def tone(country: str, name: str) -> Samples:
    """One cycle of a tone of a country's plan: ringback, busy or congestion.

    The plans are data shared with the detector; the sound is made here, with a switch's hard edges.
    """
    cadence = plan(country).cadence(name)
    time = np.arange(cadence.period_ms * RATE // 1000) / RATE
    sound = np.sum([np.sin(2 * np.pi * f * time) for f in cadence.frequencies], axis=0)
    if cadence.am_hz:
        sound *= (1 + AM_DEPTH * np.sin(2 * np.pi * cadence.am_hz * time)) / np.sqrt(1 + AM_DEPTH**2 / 2)
    gate = np.zeros(len(time))
    begin = 0
    for burst in cadence.bursts:
        gate[begin:begin + burst.on_ms * RATE // 1000] = 10 ** (burst.level_db / 20)
        begin += (burst.on_ms + burst.off_ms) * RATE // 1000
    level = amplitude(cadence.dbm0) / np.sqrt(len(cadence.frequencies))
    return _samples(sound * gate * level)


# Formants of six vowels in Hz (adult speakers, rounded).
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410),
           (490, 1350, 1690))


@cache
def speech(voice: int, seconds: float = 12.0, level_dbm0: float = -20.0) -> Samples:
    """Sound with the pitch, formants and rhythm of a voice; each `voice` has its own words and pitch."""
    random = np.random.default_rng(voice)
    pitch = 95.0 + 28.0 * (voice % 6)
    total = int(seconds * RATE)
    sound = np.zeros(total)
    at = 0
    while at < total:
        length = min(int(random.uniform(0.11, 0.27) * RATE), total - at)
        sound[at:at + length] = _syllable(random, pitch, length)
        pause = random.uniform(0.1, 0.35) if random.random() < 0.2 else random.uniform(0.01, 0.04)
        at += length + int(pause * RATE)
    active = sound[np.abs(sound) > 1e-3]
    scale = amplitude(level_dbm0) / np.sqrt(2) / np.sqrt(np.mean(active**2))
    return _samples(sound * scale)


def _syllable(random: np.random.Generator, pitch: float, length: int) -> NDArray[np.float64]:
    """A consonant's short noise, then a vowel: harmonics of a gliding pitch under the vowel's formants."""
    begin, end = pitch * random.uniform(0.85, 1.3, 2)
    phase = 2 * np.pi * np.cumsum(np.linspace(begin, end, length)) / RATE
    formants = np.array(_VOWELS[random.integers(len(_VOWELS))]) * random.uniform(0.92, 1.08)
    middle = (begin + end) / 2
    sound = np.zeros(length)
    for harmonic in range(1, int(3400 / max(begin, end)) + 1):
        gains = 1 / (1 + ((harmonic * middle - formants) / np.array((90.0, 120.0, 170.0))) ** 2)
        sound += (gains @ np.array((1.0, 0.5, 0.25)) + 0.02) * np.sin(harmonic * phase)
    sound *= np.sin(np.pi * np.arange(length) / length) ** 0.6
    onset = min(int(random.uniform(0.02, 0.05) * RATE), length)
    sound[:onset] += 0.3 * random.standard_normal(onset) * np.hanning(onset)
    return sound


def read_wav(path: Path) -> Samples:
    """A mono 16-bit WAV file at 8 kHz. Raises ValueError with what is wrong, for anything else."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, bits, rate = file.getnchannels(), file.getsampwidth() * 8, file.getframerate()
            if (channels, bits, rate) != (1, 16, RATE):
                raise ValueError(f"{channels} x {bits} bits at {rate} Hz; 1 x 16 bits at {RATE} Hz is needed")
            if not file.getnframes():
                raise ValueError("no sound in it")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (OSError, EOFError, wave.Error) as error:
        raise ValueError(str(error) or "not a WAV file") from None


class Source:
    """What a line plays: silence, until a subclass knows better."""

    def frame(self) -> Samples:
        """The next 160 samples."""
        return np.zeros(FRAME, np.int16)

    def heard(self, samples: Samples) -> None:
        """Samples that came from the far end."""


class Loop(Source):
    """The same sound over and over."""

    def __init__(self, sound: Samples) -> None:
        self._sound = sound
        self._at = 0

    def frame(self) -> Samples:
        wanted = np.arange(self._at, self._at + FRAME) % len(self._sound)
        self._at = (self._at + FRAME) % len(self._sound)
        return self._sound[wanted]


class Echo(Source):
    """What was heard, a frame later; at most 200 ms of it waits."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque(maxlen=10)

    def frame(self) -> Samples:
        return self._waiting.popleft() if self._waiting else super().frame()

    def heard(self, samples: Samples) -> None:
        for begin in range(0, len(samples) - FRAME + 1, FRAME):
            self._waiting.append(samples[begin:begin + FRAME])
