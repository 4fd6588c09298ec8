"""A first library: an announcement of every category in Chinese and English, by two voices each.

They are spoken by espeak-ng on the user's machine, and show how recognition works; what a user's own carrier
says has to be taught.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
import soxr
import tomli

from engine.detect.categories import CATEGORIES
from engine.detect.prints import Sample
from engine.samples.audio import RATE
from engine.samples.edit import Pcm, add_all, sound_of
from engine.samples.entry import FolderError

SPEAKER = "espeak-ng"
SOURCE = "Offhook's starter library"
_LIMIT_S = 30
_LEVEL = 0.2


@dataclass(frozen=True, slots=True)
class Spoken:
    """An announcement of the starter library that is still to be spoken."""

    sample: Sample
    voice: str


def spoken() -> Iterator[Spoken]:
    """Everything that the starter library says."""
    told = tomli.loads(files("engine.samples").joinpath("starter.toml").read_text("utf-8"))
    for language, voices in told["voices"].items():
        for key, text in told[language].items():
            category = CATEGORIES[int(key)]
            for turn, voice in enumerate(voices, 1):
                sample = Sample(
                    f"starter-{language}-{category.id:02}-{turn}", category.name, category.alias, text,
                    language=language, source=SOURCE, category=category.id,
                )  # fmt: skip
                yield Spoken(sample, voice)


def say(text: str, voice: str) -> Pcm:
    """Text spoken by espeak-ng, at 8 kHz. Raises FolderError where it is not installed or fails."""
    command = [SPEAKER, "--stdout", "-v", voice, "-s", "165", "--", text]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_LIMIT_S, check=True, stdin=subprocess.DEVNULL
        )
        sound, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    except FileNotFoundError:
        raise FolderError(
            f"{SPEAKER}, which speaks the starter library, is not installed; install it (Debian, Ubuntu: "
            f"apt-get install {SPEAKER}), or add your carrier's announcements with `offhook samples add`"
        ) from None
    except (OSError, subprocess.SubprocessError, soundfile.LibsndfileError) as error:
        raise FolderError(f"{SPEAKER} could not speak with its voice {voice}: {error}") from None
    mono = soxr.resample(sound, rate, RATE)
    loudness = float(np.sqrt(np.mean(mono**2))) if len(mono) else 0.0
    mono = mono * (_LEVEL / loudness if loudness else 0.0)
    pcm: Pcm = np.clip(np.rint(mono * 32767), -32767, 32767).astype(np.int16)
    return pcm


def make_starter(folder: Path, speak: Callable[[str, str], Pcm] = say) -> list[Sample]:
    """Add what a folder has not yet of the starter library; the samples added. Takes some seconds.
    Raises FolderError."""
    have = {p.stem for p in folder.iterdir()} if folder.is_dir() else set()
    missing = [each for each in spoken() if each.sample.uniqueid not in have]
    with ThreadPoolExecutor(os.cpu_count() or 1) as speakers:  # each waits for a process of its own
        said = list(speakers.map(speak, [e.sample.brief for e in missing], [e.voice for e in missing]))
    return add_all(folder, [(sound_of(pcm), each.sample) for pcm, each in zip(said, missing, strict=True)])
