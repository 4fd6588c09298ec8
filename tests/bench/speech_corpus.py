"""Sentences for benchmarks: two talkers' prompts of Debian's asterisk-core-sounds, 8 kHz, 8 to 10 s each."""

from __future__ import annotations

import random
import wave
from pathlib import Path

import numpy as np

from engine.media.codec import Pcm

SOUNDS = Path("/usr/share/asterisk/sounds")
TALKERS = ("en_US_f_Allison", "it_IT_m_Carlo")
_PACKAGES = "asterisk-core-sounds-en-wav and asterisk-core-sounds-it-wav"
_PAUSE = np.zeros(2400, np.int16)


class CorpusError(Exception):
    """The recordings are not installed; the text says which packages have them."""


def _load(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (8000, 1, 2):
            return _PAUSE[:0]
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def sentences(each: int = 2) -> list[Pcm]:
    """So many of each talker, always the same; whole frames of 20 ms. Raises CorpusError."""
    found = []
    for talker in TALKERS:
        paths = sorted((SOUNDS / talker).glob("*.wav"))
        if not paths:
            raise CorpusError(f"no speech in {SOUNDS / talker}; Debian's packages {_PACKAGES} have it")
        random.Random(talker).shuffle(paths)
        pieces: list[Pcm] = []
        for prompt in (_load(path) for path in paths):
            if not 8000 * 1.5 <= len(prompt) <= 8000 * 6:
                continue
            pieces += [prompt, _PAUSE]
            if sum(map(len, pieces)) >= 8000 * 8:
                whole = np.concatenate(pieces)[: 8000 * 10]
                found.append(whole[: len(whole) // 160 * 160])
                pieces = []
                if len(found) % each == 0:
                    break
    return found
