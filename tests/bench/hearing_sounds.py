"""Sounds that lines carry, made here: tones, fax, DTMF, beeps.

All are float64 at 8 kHz, 1.0 being full scale; what is random comes from the generator given.
"""

from __future__ import annotations

import numpy as np
from hearing_channel import MILLIWATT_RMS, RATE, Floats

from engine.detect.plans import Cadence

SIT = {
    "intercept": ((913.8, 274), (1370.6, 274), (1776.7, 380)),
    "vacant": ((985.2, 380), (1370.6, 274), (1776.7, 380)),
    "reorder": ((913.8, 274), (1428.5, 380), (1776.7, 380)),
    "no circuit": ((985.2, 380), (1428.5, 380), (1776.7, 380)),
    "reorder, other carrier": ((985.2, 274), (1428.5, 274), (1776.7, 380)),
    "no circuit, other carrier": ((913.8, 380), (1370.6, 380), (1776.7, 380)),
    "itu": ((950.0, 330), (1400.0, 330), (1800.0, 330)),
}
"""Special information tones: Hz and ms of each of the three (ITU-T E.180, Telcordia's variants)."""

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"


def silence(seconds: float) -> Floats:
    return np.zeros(round(seconds * RATE))


def sine(hz: float, seconds: float, dbm0: float, phase: float = 0.0) -> Floats:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(MILLIWATT_RMS * 2**0.5 * 10 ** (dbm0 / 20) * np.sin(2 * np.pi * hz * t + phase))


def edges(x: Floats, ms: float = 3.0) -> Floats:
    """Faded in and out, as exchanges' tones are at least a little."""
    n = min(len(x) // 2, round(ms * RATE / 1000))
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** 2 if n else np.ones(0)
    y = x.copy()
    y[:n] *= ramp
    y[len(y) - n :] *= ramp[::-1]
    return y


def cadence(tone: Cadence, seconds: float, rng: np.random.Generator, *, join: bool, dbm0: float) -> Floats:
    """A plan's tone with frequencies up to 0.6 % and times up to 4 % off; `join` begins anywhere in it."""
    off = 1 + rng.uniform(-0.006, 0.006)
    slow = 1 + rng.uniform(-0.04, 0.04)
    cycle = []
    for burst in tone.bursts:
        length = burst.on_ms * slow / 1000
        level = dbm0 + burst.level_db - 10 * np.log10(len(tone.frequencies))
        x = sum(sine(hz * off, length, level, rng.uniform(0, 6.28)) for hz in tone.frequencies)
        if tone.am_hz:
            t = np.arange(len(x)) / RATE
            x = x * (1 + rng.uniform(0.6, 1.0) * np.cos(2 * np.pi * tone.am_hz * t)) / 1.4
        cycle += [edges(np.asarray(x)), silence(burst.off_ms * slow / 1000)]
    one = np.concatenate(cycle)
    start = int(rng.integers(len(one))) if join else 0
    count = round(seconds * RATE)
    return np.tile(one, count // len(one) + 2)[start : start + count]


def sit(kind: str, dbm0: float) -> Floats:
    pieces: list[Floats] = []
    for hz, ms in SIT[kind]:
        pieces += [edges(sine(hz, ms / 1000, dbm0)), silence(0.004)]
    return np.concatenate(pieces)


def dtmf(digits: str, on_ms: int, off_ms: int, dbm0: float, twist_db: float = 0.0) -> Floats:
    """`twist_db` above 0: the low group is the stronger one."""
    pieces = []
    for key in digits:
        row, column = divmod(KEYS.index(key), 4)
        low = sine(LOW[row], on_ms / 1000, dbm0 - 3 + twist_db / 2)
        pieces += [low + sine(HIGH[column], on_ms / 1000, dbm0 - 3 - twist_db / 2), silence(off_ms / 1000)]
    return np.concatenate(pieces)


def cng(dbm0: float) -> Floats:
    """A calling fax: 1100 Hz, 0.5 s in every 3.5 s (ITU-T T.30)."""
    return np.tile(np.concatenate((edges(sine(1100, 0.5, dbm0)), silence(3.0))), 4)


def ced(dbm0: float, rng: np.random.Generator) -> Floats:
    """An answering fax: 2100 Hz for 2.6 to 4 s, some with phase reversals every 450 ms (ITU-T T.30, V.8)."""
    x = sine(2100, float(rng.uniform(2.6, 4.0)), dbm0)
    if rng.random() < 0.5:
        turn = (np.arange(len(x)) // round(0.45 * RATE)) % 2
        x = x * (1 - 2 * turn)
    return edges(x)


def beep(rng: np.random.Generator, dbm0: float, kind: str = "") -> Floats:
    """The end of a greeting: a tone of 400 to 2400 Hz; `kind` makes it short, decaying or of two tones."""
    spans = {"short beep": (0.1, 0.2), "two-tone beep": (0.15, 0.5)}
    seconds = float(rng.uniform(*spans.get(kind, (0.15, 1.0))))
    hz = float(rng.choice([440, 800, 1000, 1400])) if rng.random() < 0.5 else float(rng.uniform(400, 2400))
    x = sine(hz, seconds, dbm0)
    if kind == "decaying beep":
        x *= np.exp(-np.arange(len(x)) / RATE * rng.uniform(2, 8))
    elif kind == "two-tone beep":
        x = edges(x, 5) if rng.random() < 0.5 else x[: len(x) // 2]
        second = sine(hz * float(rng.choice([1.25, 1.5, 0.8])), max(0.12, len(x) / RATE), dbm0)
        x = np.concatenate((x, second[: max(len(x), round(0.12 * RATE))]))
    return edges(x, 5)
