"""What a telephone line does to a sound: level, hum, noise, speech codecs, lost packets, speed.

Every function takes and gives float64 samples at 8 kHz, 1.0 being full scale, and draws what is random from
the generator that it is given.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Floats = npt.NDArray[np.float64]
RATE = 8000
FRAME = 160
MILLIWATT_RMS = 10 ** (-3.17 / 20) / 2**0.5
"""Of a sine at 0 dBm0, full scale being 1.0 (ITU-T G.711)."""


@dataclass(frozen=True)
class Channel:
    """One line's conditions. `level` is the sound's in dBm0 (None: as it is), `snr_db` and `hum_db` are
    against
    it; `loss` is a share of packets, in bursts of `burst` on average; `speed` 1.02 is 2 % fast."""

    name: str
    level: float | None = None
    snr_db: float | None = None
    hum_db: float | None = None
    codecs: tuple[str, ...] = ("PCMA",)
    loss: float = 0.0
    burst: float = 1.0
    speed: float = 1.0
    concealed: bool = True

    def carry(self, sound: Floats, rng: np.random.Generator) -> npt.NDArray[np.int16]:
        """The sound as it arrives."""
        x = sound
        if self.speed != 1.0:
            x = soxr.resample(x, RATE * self.speed, RATE)
        if self.level is not None:
            x = at_level(x, self.level)
        rms = loudness(x)
        if self.snr_db is not None:
            x = x + rng.normal(0, rms * 10 ** (-self.snr_db / 20), len(x))
        if self.hum_db is not None:
            x = x + hum(len(x), rms * 10 ** (-self.hum_db / 20), rng)
        for each in self.codecs:
            x = through(each, x)
        if self.loss:
            x = lose(x, self.loss, self.burst, rng, self.concealed)
        return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)


def loudness(x: Floats) -> float:
    """Root mean square of the parts that sound: 20 ms frames within 25 dB of the loudest."""
    whole = len(x) // FRAME * FRAME
    if not whole:
        return 1e-6
    power = (x[:whole].reshape(-1, FRAME) ** 2).mean(axis=1)
    loud = power[power > power.max() * 10**-2.5]
    return float(np.sqrt(loud.mean())) if power.max() > 0 else MILLIWATT_RMS * 10 ** (-30 / 20)


def at_level(x: Floats, dbm0: float) -> Floats:
    """Scaled so that what sounds has a level, limited at full scale."""
    if not np.any(x):
        return x
    return np.clip(x * (MILLIWATT_RMS * 10 ** (dbm0 / 20) / loudness(x)), -1, 32767 / 32768)


def hum(count: int, rms: float, rng: np.random.Generator) -> Floats:
    """Mains hum: 50 or 60 Hz and the odd harmonics."""
    base = float(rng.choice([50.0, 60.0])) * rng.uniform(0.998, 1.002)
    t = np.arange(count) / RATE
    x = sum(np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.28)) / k**1.2 for k in (1, 2, 3, 5, 7))
    return np.asarray(x * rms / np.sqrt((x**2).mean()))


def through(codec: str, x: Floats) -> Floats:
    """Encoded and decoded again by libsndfile: PCMA, PCMU or GSM (06.10, full rate)."""
    subtype = {"PCMA": "ALAW", "PCMU": "ULAW", "GSM": "GSM610"}[codec]
    file = io.BytesIO()
    soundfile.write(file, np.clip(x, -1, 32767 / 32768), RATE, format="WAV", subtype=subtype)
    file.seek(0)
    out, _ = soundfile.read(file, dtype="float64")
    out = np.concatenate((out, np.zeros(max(0, len(x) - len(out)))))
    return np.asarray(out[: len(x)])


def lose(x: Floats, share: float, burst: float, rng: np.random.Generator, concealed: bool) -> Floats:
    """Packets of 20 ms lost in runs (Gilbert's model); repeated with fading, or silent."""
    y = x.copy()
    lost = False
    run = 0
    for at in range(0, len(y) - FRAME + 1, FRAME):
        leave, enter = 1 / burst, share / (burst * (1 - share))
        lost = rng.random() >= leave if lost else rng.random() < enter
        run = run + 1 if lost else 0
        if lost:
            before = y[at - FRAME : at]
            fill = before * 0.5 if concealed and run <= 3 and len(before) == FRAME else 0.0
            y[at : at + FRAME] = fill
    return y


TUNING = (
    Channel("clean"),
    Channel("mu-law", codecs=("PCMU",)),
    Channel("quiet", level=-32.0),
    Channel("faint", level=-42.0, codecs=("PCMU",)),
    Channel("loud", level=-4.0),
    Channel("noise 20 dB", snr_db=20.0),
    Channel("noise 12 dB", snr_db=12.0),
    Channel("noise 8 dB", level=-20.0, snr_db=8.0),
    Channel("hum", hum_db=15.0),
    Channel("mobile", codecs=("GSM", "PCMA")),
    Channel("mobile in noise", snr_db=18.0, codecs=("GSM", "PCMU")),
    Channel("loss 2 %", loss=0.02),
    Channel("loss 6 %", loss=0.06, burst=1.5),
    Channel("slow", speed=0.99),
)
"""The conditions that detectors are tuned on."""

HELD_OUT = (
    Channel("faint and noisy", level=-38.0, snr_db=10.0),
    Channel("very faint", level=-45.0, codecs=("PCMU",)),
    Channel("full", level=0.0),
    Channel("noise 5 dB", snr_db=5.0),
    Channel("hum and noise", snr_db=15.0, hum_db=8.0),
    Channel("two mobiles", codecs=("GSM", "PCMA", "GSM", "PCMA")),
    Channel("both laws", codecs=("PCMU", "PCMA")),
    Channel("loss 10 %", loss=0.10),
    Channel("loss 5 % in bursts", loss=0.05, burst=3.0, concealed=False),
    Channel("fast", speed=1.02),
    Channel("slow mobile", speed=0.98, codecs=("GSM", "PCMA")),
)
"""Conditions that are never used while tuning."""
