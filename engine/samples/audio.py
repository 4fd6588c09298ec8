"""Audio files as the detector takes them: 8 kHz, mono, 16 bits."""

from __future__ import annotations

import io
import struct
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
        raise AudioError(f"{path} is no file" if path.exists() else f"there is no file {path}")
    how: dict[str, Any] = {}
    if (bare := _HEADERLESS.get(path.suffix.lower())) is not None:
        how = {"format": "RAW", "samplerate": bare[0], "channels": 1, "subtype": bare[1], "endian": "LITTLE"}
    try:
        with soundfile.SoundFile(_whole(path), **how) as file:
            if file.frames > MAX_SECONDS * file.samplerate:
                raise AudioError(f"{path} is longer than {MAX_SECONDS // 3600} hours; cut it")
            samples = file.read(file.frames, dtype="float32", always_2d=True)  # GSM can't be asked for "all"
            rate = file.samplerate
    except TypeError:
        raise AudioError(
            f"{path} has no header that tells its rate; name it .sln (16 bits, 8 kHz), .alaw, .ulaw or .gsm"
        ) from None
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError) as error:
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


def _whole(path: Path) -> str | io.BytesIO:
    """A WAV file whose header says that it holds nothing, as a recorder leaves it that was killed: with the
    length that it has. Anything else: its name."""
    with path.open("rb") as file:
        head = file.read(4096)
        at = head.find(b"data", 12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE" or at < 0 or len(head) < at + 9:
            return str(path)
        if struct.unpack_from("<I", head, at + 4)[0] != 0:
            return str(path)
        size = path.stat().st_size
        if size > 2**31:
            raise AudioError(f"{path} is longer than {MAX_SECONDS // 3600} hours; cut it")
        file.seek(0)
        content = bytearray(file.read())
    struct.pack_into("<I", content, 4, len(content) - 8)
    struct.pack_into("<I", content, at + 4, len(content) - at - 8)
    return io.BytesIO(bytes(content))


def wav(pcm: npt.NDArray[np.int16]) -> bytes:
    """A WAV file of 16 bits at 8 kHz."""
    file = io.BytesIO()
    soundfile.write(file, pcm, RATE, subtype="PCM_16", format="WAV")
    return file.getvalue()
