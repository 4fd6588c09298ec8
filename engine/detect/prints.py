"""Known announcements, ready to be looked up: landmarks by their hash, and each sample's bands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.landmarks import BANDS, FINE, HASHES, Floats, Ints, Spectrogram, pairs, probes
from engine.detect.types import FRAME_SAMPLES

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sample:
    """A known announcement, in mod_da2's words. `category` is one of 2 to 20, 0 for none; `accuracy` LOOSE,
    INACCURACY or ACCURACY, of which only the last one's matches act."""

    uniqueid: str
    name: str = ""
    alias: str = ""
    brief: str = ""
    detail: str = ""
    language: str = ""
    source: str = ""
    number: str = ""
    category: int = 0
    accuracy: str = "ACCURACY"


@dataclass(frozen=True, slots=True)
class Print:
    """A sample's fingerprint: hashes with their frames, and the bands of its frames in half decibels above
    30 dB."""

    hashes: npt.NDArray[np.uint32]
    frames: npt.NDArray[np.uint16]
    bands: Bytes
    fine: Bytes
    """For each frame `FINE` bits: whether a bin is above those around it."""


LEAST_DB = 30.0
MAX_SECONDS = 60
"""So much of a sample is looked at."""


def fingerprint(pcm: npt.NDArray[np.int16]) -> Print:
    """Of a sample's audio at 8 kHz, twice: on the frames' grid and half a frame beside it."""
    hashes: list[Ints] = []
    frames: list[Ints] = []
    bands: Floats = np.zeros((0, BANDS), np.float32)
    fine: Floats = np.zeros((0, FINE), np.float32)
    sound = pcm[: MAX_SECONDS * 8000].astype(np.float32)
    for shift in (0, FRAME_SAMPLES // 2):
        spectrogram = Spectrogram()
        rows, fine_rows, peak_frames, peak_bins = [], [], [], []
        padded = np.concatenate(
            (np.zeros(shift, np.float32), sound, np.zeros(1600 + FRAME_SAMPLES, np.float32))
        )
        blocks = [
            spectrogram.feed(padded[at : at + FRAME_SAMPLES])
            for at in range(0, len(padded) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
        ]
        for block in (*blocks, spectrogram.finish()):
            if block is not None:
                rows.append(block.bands)
                fine_rows.append(block.fine)
                peak_frames.append(block.peak_frames)
                peak_bins.append(block.peak_bins)
        if shift == 0:
            count = -(-len(sound) // FRAME_SAMPLES) + 2
            bands = np.concatenate(rows)[:count]
            fine = np.concatenate(fine_rows)[:count]
        found, at_frames = pairs(np.concatenate(peak_frames), np.concatenate(peak_bins), 0)
        hashes.append(found)
        frames.append(at_frames)
    return Print(
        np.concatenate(hashes).astype(np.uint32),
        np.concatenate(frames).astype(np.uint16),
        np.clip(np.rint((bands - LEAST_DB) * 2), 0, 255).astype(np.uint8),
        np.packbits(fine > 0, axis=1),
    )


class Library:
    """Looked up by many streams at once; never changed. Make another to add or remove."""

    def __init__(self, samples: Iterable[tuple[Sample, Print]] = ()) -> None:
        taken = list(samples)
        self.samples: list[Sample] = [sample for sample, _ in taken]
        self.bands: list[Bytes] = [print_.bands for _, print_ in taken]
        self.fine: list[Bytes] = [print_.fine for _, print_ in taken]
        keys = np.concatenate([p.hashes for _, p in taken]) if taken else np.zeros(0, np.uint32)
        numbers = np.repeat(np.arange(len(taken), dtype=np.uint32), [len(p.hashes) for _, p in taken])
        frames = np.concatenate([p.frames for _, p in taken]) if taken else np.zeros(0, np.uint16)
        order = np.argsort(keys, kind="stable")
        self._entries = (numbers[order] << 12) | np.minimum(frames[order], 4095).astype(np.uint32)
        self._starts = np.searchsorted(keys[order], np.arange(HASHES + 1)).astype(np.int64)

    def __len__(self) -> int:
        return len(self.samples)

    def look_up(self, hashes: Ints, frames: Ints) -> tuple[Ints, Ints]:
        """Numbers of the samples that have such landmarks, and for each how many frames after the sample's
        beginning the stream began."""
        if not len(hashes) or not self.samples:
            empty = np.zeros(0, np.int64)
            return empty, empty
        near = probes(hashes)
        begin, end = self._starts[near].ravel(), self._starts[near + 1].ravel()
        counts = end - begin
        heard = np.repeat(frames, near.shape[1])
        total = int(counts.sum())
        if not total:
            empty = np.zeros(0, np.int64)
            return empty, empty
        places = np.repeat(begin - np.concatenate(([0], np.cumsum(counts)[:-1])), counts) + np.arange(total)
        entries = self._entries[places].astype(np.int64)
        return entries >> 12, (entries & 4095) - np.repeat(heard, counts)
