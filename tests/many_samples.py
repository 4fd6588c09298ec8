"""Thousands of announcements that could occur, made in seconds: the words of a few talkers in another order.

The words are cut from spectrograms, so a seam is as sharp as a splice; all else is as a recording has it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from speech_like import RATE, speech_like

from engine.detect.landmarks import FINE_DB, FLOOR_DB, SIZE, Block, Floats, look, windows_of
from engine.detect.prints import Print, Sample, from_block
from engine.detect.types import FRAME_SAMPLES

TALK_SEEDS = range(500, 524)
WORD_FRAMES = (8, 35)
LENGTH_FRAMES = (100, 400)


def _spectrogram(pcm: Floats) -> Block:
    return look(windows_of(np.concatenate((np.zeros(SIZE - FRAME_SAMPLES), pcm)).astype(np.float32)))


def many_samples(count: int, seed: int = 1) -> Iterator[tuple[Sample, Print]]:
    """`count` samples of 2 to 8 s, no two alike: each is spoken at a level and on a line of its own."""
    rng = np.random.default_rng(seed)
    talks = [_spectrogram(speech_like(n, 12.0).astype(np.float32)) for n in TALK_SEEDS]
    frames = 12 * RATE // FRAME_SAMPLES - SIZE // FRAME_SAMPLES
    for number in range(count):
        rows, left = [], int(rng.integers(*LENGTH_FRAMES))
        while left > 0:
            size = min(int(rng.integers(*WORD_FRAMES)), left)
            rows.append((int(rng.integers(len(talks))), int(rng.integers(frames - size)), size))
            left -= size
        tilt = rng.uniform(-3, 3) * np.linspace(-1, 1, 32) + rng.uniform(-6, 6)
        bands = np.concatenate([talks[talk].bands[at : at + size] for talk, at, size in rows])
        fine = np.concatenate([talks[talk].fine[at : at + size] for talk, at, size in rows])
        block = Block(np.maximum(bands + tilt.astype(np.float32), FLOOR_DB), np.clip(fine, -FINE_DB, FINE_DB))
        yield Sample(f"many{number}"), from_block(block)
