"""Audio files as the detector takes them: 8 kHz, mono, 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE = 8000
MAX_SECONDS = 7200


class AudioError(Exception):
    """A file that can't be read as audio; the text is one plain sentence."""


def read(path: Path) -> npt.NDArray[np.int16]:
    """WAV (PCM or G.711), FLAC and what else libsndfile reads; other rates are resampled. Raises
    AudioError."""
    if not path.is_file():
        raise AudioError(f"there is no file {path}")
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.frames > MAX_SECONDS * file.samplerate:
                raise AudioError(f"{path} is longer than {MAX_SECONDS // 3600} hours; cut it")
            samples = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        why = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        raise AudioError(f"{path} can't be read as audio: {str(why).rstrip('.')}") from None
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    scaled: npt.NDArray[np.int16] = np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
    return scaled
