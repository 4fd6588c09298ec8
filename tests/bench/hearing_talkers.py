"""Who speaks in a corpus: espeak-ng, flite and PicoTTS, and the people of Debian's Asterisk sound packages.

A voice is espeak-ng's name of it, or `flite:NAME` or `pico:LANGUAGE`. What is not installed is left out, and
`missing` says so in a sentence. All sounds are float64 at 8 kHz through a telephone's band, at -18 dBm0.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from hearing_channel import RATE, Floats, at_level

PROMPTS = Path("/usr/share/asterisk/sounds")
TUNING_PEOPLE = ("en_US_f_Allison", "fr_CA_f_June")
HELD_OUT_PEOPLE = ("es_MX_f_Allison", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
NO_SPEECH = ("beep", "tt-monkeys", "ascending", "descending", "confbridge-join", "confbridge-leave")


def has(voice: str) -> bool:
    """Whether the voice's engine is installed."""
    if voice.startswith("flite:"):
        return shutil.which("flite") is not None
    if voice.startswith("pico:"):
        return importlib.util.find_spec("py_nanotts") is not None
    return True


def missing() -> list[str]:
    """A sentence for each kind of talker that is not there."""
    out = []
    if not has("flite:slt"):
        out.append("no flite (Debian: flite): its four English talkers are left out.")
    if not has("pico:en-US"):
        out.append("no PicoTTS (pip: py-nanotts): its six talkers are left out.")
    absent = [p for p in TUNING_PEOPLE + HELD_OUT_PEOPLE if not (PROMPTS / p).is_dir()]
    if absent:
        out.append(f"no recordings of {', '.join(absent)} (Debian: asterisk-core-sounds-*-wav).")
    return out


@functools.lru_cache(maxsize=4096)
def say(text: str, voice: str, speed: int = 160, pitch: int = 50) -> Floats:
    """`speed` in words a minute; `pitch` from 0 to 99, 50 being the voice's own."""
    x, rate = _engine(text, voice, speed, pitch)
    return at_level(band(np.asarray(soxr.resample(x, rate, RATE))), -18.0)


def _engine(text: str, voice: str, speed: int, pitch: int) -> tuple[Floats, int]:
    kind, _, name = voice.rpartition(":")
    if kind == "pico":
        nano = importlib.import_module("py_nanotts")
        pcm = nano.NanoTTS().speak(text, name, speed / 160, 0.75 + pitch / 200)
        return np.frombuffer(pcm, "<i2") / 32768, 16000
    if kind == "flite":
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            stretch = ["--setf", f"duration_stretch={160 / speed:.2f}"]
            command = ["flite", "-voice", name, *stretch, "-o", file.name, "-t", text]
            subprocess.run(command, capture_output=True, check=True)
            x, rate = soundfile.read(file.name, dtype="float64")
            return x, rate
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch), "--", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    x, rate = soundfile.read(io.BytesIO(wav), dtype="float64")
    return x, rate


@functools.lru_cache
def prompts(people: Sequence[str], shortest: float, longest: float) -> tuple[Path, ...]:
    """Recordings of these people that last from `shortest` to `longest` seconds and are speech."""
    found = [
        file for person in people for file in sorted((PROMPTS / person).glob("*.wav"))
        if not file.stem.startswith(NO_SPEECH)
    ]  # fmt: skip
    return tuple(f for f in found if shortest <= soundfile.info(str(f)).duration <= longest)


def recorded(file: Path) -> Floats:
    """A prompt without the silence around it."""
    x, rate = soundfile.read(str(file), dtype="float64")
    x = np.asarray(x if rate == RATE else soxr.resample(x, rate, RATE))
    loud = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    return at_level(x[loud[0] : loud[-1] + 1], -18.0)


def band(x: Floats) -> Floats:
    """A telephone's 300 to 3400 Hz, roughly: the skirts of a set's microphone and filters."""
    spectrum = np.fft.rfft(x)
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    gain = 1 / np.sqrt(1 + (220 / np.maximum(hz, 1)) ** 8) / np.sqrt(1 + (hz / 3500) ** 16)
    return np.asarray(np.fft.irfft(spectrum * gain, len(x)))
