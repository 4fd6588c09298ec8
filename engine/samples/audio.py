"""Audio files as the detector takes them: 8 kHz, mono, 16 bits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE = 8000
MAX_SECONDS = 7200
SUFFIXES = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".au")
_HEADERLESS: dict[str, tuple[int, str]] = {
    ".alaw": (8000, "ALAW"), ".al": (8000, "ALAW"), ".ulaw": (8000, "ULAW"), ".ul": (8000, "ULAW"),
    ".sln": (8000, "PCM_16"), ".sln16": (16000, "PCM_16"), ".gsm": (8000, "GSM610"),
}  # fmt: skip
"""Files that hold nothing but sound, as Asterisk names them."""
AUDIO = (*SUFFIXES, *_HEADERLESS)


class AudioError(Exception):
    """A file that can't be read as audio; the text is one plain sentence."""


def read(path: Path, channel: int | None = None) -> npt.NDArray[np.int16]:
    """WAV (PCM or G.711), FLAC, what else libsndfile reads, and Asterisk's files without a header; other
    rates are resampled. Of several channels the mean, or one. Raises AudioError."""
    if not path.is_file():
        raise AudioError(f"there is no file {path}")
    how: dict[str, Any] = {}
    if (bare := _HEADERLESS.get(path.suffix.lower())) is not None:
        how = {"format": "RAW", "samplerate": bare[0], "channels": 1, "subtype": bare[1], "endian": "LITTLE"}
    try:
        with soundfile.SoundFile(str(path), **how) as file:
            if file.frames > MAX_SECONDS * file.samplerate:
                raise AudioError(f"{path} is longer than {MAX_SECONDS // 3600} hours; cut it")
            samples = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        why = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        raise AudioError(f"{path} can't be read as audio: {str(why).rstrip('.')}") from None
    several = samples.shape[1] > 1
    one = (channel or 0) if several else 0
    mono = samples.mean(axis=1) if several and channel is None else samples[:, one]
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    mono = np.nan_to_num(mono, posinf=1.0, neginf=-1.0)
    scaled: npt.NDArray[np.int16] = np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
    return scaled


def wav(pcm: npt.NDArray[np.int16]) -> bytes:
    """A WAV file of 16 bits at 8 kHz."""
    file = io.BytesIO()
    soundfile.write(file, pcm, RATE, subtype="PCM_16", format="WAV")
    return file.getvalue()
