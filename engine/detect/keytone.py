"""Measures what may be a key's two tones: exactly enough to hold the edges of ITU-T Q.24.

A least-squares fit of both tones at once gives frequencies, levels and what is left over; how likely it is of
each sample that it belongs to them gives beginning and end. What remains is to compare with limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.types import SAMPLE_RATE

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"

OFF = 0.025
"""How far a frequency may be off: 1.5 % is a key, 3.5 % is none, and this half-way."""
NORMAL_TWIST, REVERSE_TWIST = 10.0, 6.0
"""How much stronger the low tone may be, and the high one, in dB: two more than is asked for."""
CLEAN, FLAT = 14.0, 0.38
"""Where the tones are so many dB above all the rest, the rest may be anything. Where they are less, it must
be noise, which speech is not: its spectral flatness, the geometric by the arithmetic mean (0.56 for white
noise), is `FLAT` at least."""
NOISE, NOISY = -2.0, 3.5
"""The least ratio of the tones to all the rest, in dB; below `NOISY` of it the limits are tighter."""
NOISY_OFF, NOISY_TWIST, NOISY_FLAT, NOISY_PEAK = 0.02, 5.0, 0.41, 13.0
"""`NOISY_PEAK` is how far any of the rest may stand out of its mean power."""
BESIDE, LOWEST = 200.0, 520.0
"""The rest in three parts: below `LOWEST` Hz, within `BESIDE` Hz of one of the tones, and elsewhere."""
CODED, APART = 4.0, 13.0
"""A mobile's codec (GSM 06.10) leaves its noise beside the tones, some 10 dB down: where the tones are
`CODED` above all the rest, and `APART` above what is not beside them, they are a key. A voice that comes near
a key's tones has other harmonics everywhere: none in three hours had over 2.7 dB with the rest so weak."""
UNDERNEATH = 16.0
"""Hum and dial tones lie below the key's tones: where these are so far above everything else there is, what
is below may be as strong as they are. Speech comes up to 11.4 dB."""
EXACT = 0.0175
"""How far a frequency may be off in these two cases."""

_DOUBT_OFF, _DOUBT_DB, _DOUBT_FLAT = 0.01, 6.0, 0.15
"""What 30 ms leave in doubt of a frequency and of levels, and the flatness that they don't show of noise."""

SHORTEST = 31 * SAMPLE_RATE // 1000
"""Tones of 40 ms are keys and those of 23 ms are none: half-way."""

OCTAVE = 0.012
"""A note and its second harmonic are so close to two to one; no key's tones are, unless the low one is 2 %
too low and the high one 2 % too high."""
_STRIDE = 32  # samples whose sines are made by turning the first one's
_INNER = np.arange(_STRIDE)[:, None]
_SPOILT = 12 * SAMPLE_RATE // 1000
_CORE = 240  # samples that the first estimate looks at
_MARGIN = 160  # samples looked at before the first and after the last window
_LONGEST = 480  # samples of it that are fitted
_STEPS = np.arange(-0.045, 0.0451, 0.005)
_HANN = np.hanning(_CORE + 2)[1:-1]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.floating]


def _search(frequencies: tuple[int, ...]) -> Floats:
    """Windowed sines about each frequency: [frequency, sample, cosines and sines of the steps]."""
    n = np.arange(_CORE)
    angles = 2 * np.pi / SAMPLE_RATE * np.multiply.outer(np.multiply.outer(frequencies, 1 + _STEPS), n)
    both = np.concatenate((np.cos(angles), np.sin(angles)), axis=1) * _HANN
    return np.ascontiguousarray(both.transpose(0, 2, 1)).astype(np.float32)


_SEARCH = np.concatenate((_search(LOW), _search(HIGH)))


@dataclass(frozen=True, slots=True)
class KeyTone:
    """Both tones of a key. `begin` and `end` are sample numbers, `power` is both amplitudes squared, `noise`
    the mean square of the rest."""

    pair: int
    begin: int
    end: int
    power: float
    noise: float
    why: str

    @property
    def digit(self) -> str:
        return KEYS[self.pair]


def _estimate(core: Floats, tone: int, hz: int) -> float:
    """The frequency near a tone's, in Hz, by the peak of its windowed spectrum."""
    both = core @ _SEARCH[tone]
    steps = len(_STEPS)
    power = both[:steps] ** 2 + both[steps:] ** 2
    at = min(max(int(power.argmax()), 1), steps - 2)
    before, here, after = np.log(power[at - 1 : at + 2] + 1e-3).tolist()
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return hz * (1 + float(_STEPS[at]) + min(max(shift, -1.0), 1.0) * 0.005)


def _sines(hz: tuple[float, float], first: float, count: int) -> Doubles:
    """cos, sin of one frequency and of the other, [count, 4], at sample numbers `first` and up."""
    angles = 2j * np.pi / SAMPLE_RATE * np.array(hz)
    starts = np.exp(np.arange(first, first + count, _STRIDE)[:, None, None] * angles)
    both = (starts * np.exp(_INNER * angles)).reshape(-1, 2)[:count]
    return both.view(np.float64)


def _fit(basis: Doubles, x: Doubles) -> Doubles:
    products = basis.T @ basis
    products.ravel()[:: len(products) + 1] += 1e-6
    return np.linalg.solve(products, basis.T @ x)


def _refine(hz: tuple[float, float], x: Doubles, first: float) -> tuple[float, float]:
    """One step of Gauss and Newton: frequencies that fit better. `first` is the number of x[0]."""
    count = len(x)
    basis = np.empty((count, 8))
    basis[:, :4] = _sines(hz, first, count)
    np.multiply(basis[:, :4], np.arange(first, first + count)[:, None] / count, out=basis[:, 4:])
    c = _fit(basis, x)
    out = []
    for at, f in zip((0, 2), hz, strict=True):
        a, b, da, db = c[at], c[at + 1], c[at + 4], c[at + 5]
        power = a * a + b * b
        turn = (b * da - a * db) / (power * count) if power > 0 else 0.0
        out.append(f + min(max(turn * SAMPLE_RATE / (2 * np.pi), -30.0), 30.0))
    return out[0], out[1]


def measure(kept: Floats, start: int, pair: int, first: int, last: int) -> KeyTone | None:
    """Whether the windows from `first` to `last` hold a key's tones; None if they don't.

    `kept` are the latest samples, the first of them number `start`.
    """
    r, c = divmod(pair, 4)
    nominal = LOW[r], HIGH[c]
    middle = min(max((first + last) // 2 - start, _CORE // 2), len(kept) - _CORE // 2)
    core = kept[middle - _CORE // 2 : middle + _CORE // 2]
    hz = _estimate(core, r, nominal[0]), _estimate(core, 4 + c, nominal[1])
    if any(abs(f / f0 - 1) > 1.8 * OFF for f, f0 in zip(hz, nominal, strict=True)):
        return None
    left, right = max(0, first - _MARGIN - start), min(len(kept), last + _MARGIN - start)
    x = kept[left:right].astype(np.float64)
    centre = middle - left
    begin, end = centre - _CORE // 2, centre + _CORE // 2
    hz = _refine(hz, x[begin:end], begin - centre)
    if _is_hopeless(nominal, hz, x[begin:end], begin - centre):
        return None
    for _ in range(2):
        basis = _sines(hz, -centre, len(x))
        tones = basis @ _fit(basis[begin:end], x[begin:end])
        begin, end = _edges(x, tones, (begin + end) // 2)
        if end - begin < 160:
            return None
        inner = x[begin + 8 : min(end - 8, begin + 8 + _LONGEST)]
        hz = _refine(hz, inner, (1 - len(inner)) / 2)
    return _verdict(pair, hz, inner, start + left + begin, start + left + end)


def _is_hopeless(
    nominal: tuple[float, float], hz: tuple[float, float], core: Doubles, first: float
) -> bool:
    """Whether the middle alone is so far from a key's tones that the whole need not be looked at: as nearly
    all is that speech and music have of them. Every limit is wider than the one that it stands for."""
    if any(abs(f / f0 - 1) > OFF + _DOUBT_OFF for f, f0 in zip(hz, nominal, strict=True)):
        return True
    basis = _sines(hz, first, len(core))
    low, high, noise, rest = _levels(basis, core)
    if not -REVERSE_TWIST - _DOUBT_DB < _db(low / high) < NORMAL_TWIST + _DOUBT_DB:
        return True
    parts = _parts(rest, hz)
    apart = _db((low + high) / 2 / (noise * parts.elsewhere))
    if parts.flat > _DOUBT_FLAT or apart > APART - _DOUBT_DB:
        return False
    whole = _without_worst(rest)
    low, high, noise, _ = _levels(basis[whole], core[whole])
    return _db((low + high) / 2 / noise) < CLEAN - _DOUBT_DB


def _edges(x: Doubles, tones: Doubles, centre: int) -> tuple[int, int]:
    """Where the tones begin and end: the likeliest, each sample being the tones or nothing."""
    gain = np.cumsum(tones * (x - tones / 2))
    begin = int(gain[:centre].argmin()) + 1 if gain[:centre].min() < 0 else 0
    end = centre + int(gain[centre:].argmax()) + 1
    return begin, end


def _verdict(
    pair: int, hz: tuple[float, float], x: Doubles, begin: int, end: int
) -> KeyTone | None:
    nominal = LOW[pair // 4], HIGH[pair % 4]
    off = max(abs(f / f0 - 1) for f, f0 in zip(hz, nominal, strict=True))
    if abs(hz[1] / hz[0] - 2) < OCTAVE:
        return None
    basis = _sines(hz, (1 - len(x)) / 2, len(x))
    low, high, noise, rest = _levels(basis, x)
    if not _is_key(off, low, high, noise, _parts(rest, hz)):
        whole = _without_worst(rest)
        if int(whole.sum()) < SHORTEST - 16:
            return None
        low, high, noise, _ = _levels(basis[whole], x[whole])
        if not _is_key(off, low, high, noise, _UNKNOWN):
            return None
    why = (
        f"{hz[0]:.0f}+{hz[1]:.0f} Hz for {(end - begin) / 8:.0f} ms, low group {_db(low / high):+.1f} dB, "
        f"{_db((low + high) / 2 / noise):.0f} dB above the rest"
    )
    return KeyTone(pair, begin, end, low + high, noise, why)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left without the tones: its flatness, how far its peak is above its mean, and the shares of it
    that lie below the tones, beside them and elsewhere."""

    flat: float
    peak: float
    below: float
    beside: float
    elsewhere: float


_UNKNOWN = _Rest(0.0, 0.0, 1.0, 1.0, 1.0)
_BINS = np.arange(220) * SAMPLE_RATE / 512


def _parts(rest: Doubles, hz: tuple[float, float]) -> _Rest:
    spectrum = np.abs(np.fft.rfft(rest * np.hanning(len(rest)), 512))[:220] ** 2 + 1e-3
    inner = spectrum[12:]
    mean = float(inner.mean())
    below = _BINS < LOWEST
    beside = (np.minimum(abs(_BINS - hz[0]), abs(_BINS - hz[1])) < BESIDE) & ~below
    total = float(spectrum.sum())
    shares = float(spectrum[below].sum()) / total, float(spectrum[beside].sum()) / total
    flat = float(np.exp(np.log(inner).mean())) / mean
    return _Rest(flat, float(inner.max()) / mean, *shares, max(1e-6, 1 - sum(shares)))


def _levels(basis: Doubles, x: Doubles) -> tuple[float, float, float, Doubles]:
    """Both amplitudes squared, the mean square of the rest, and the rest."""
    c = _fit(basis, x)
    rest = x - basis @ c
    low, high = float(c[0] ** 2 + c[1] ** 2), float(c[2] ** 2 + c[3] ** 2)
    return low + 1e-3, high + 1e-3, float(rest @ rest) / len(rest) + 1e-3, rest


def _without_worst(rest: Doubles) -> npt.NDArray[np.bool_]:
    """Which samples are left without the 12 ms that fit worst: a lost packet's, or a click's."""
    sums = np.concatenate(([0.0], np.cumsum(rest * rest)))
    worst = int((sums[_SPOILT:] - sums[:-_SPOILT]).argmax())
    left = np.ones(len(rest), np.bool_)
    left[worst : worst + _SPOILT] = False
    return left


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio)


def _is_key(off: float, low: float, high: float, noise: float, rest: _Rest) -> bool:
    twist, clean = _db(low / high), _db((low + high) / 2 / noise)
    if off < EXACT and -REVERSE_TWIST < twist < NORMAL_TWIST:
        elsewhere, beside = clean - _db(rest.elsewhere), clean - _db(max(rest.beside, 1e-6))
        below = clean - _db(max(rest.below, 1e-6))
        if clean > CODED and min(elsewhere, below) > APART:
            return True
        if min(elsewhere, beside) > UNDERNEATH:
            return True
    if clean < NOISY:
        return (
            clean > NOISE and off < NOISY_OFF and abs(twist) < NOISY_TWIST
            and rest.flat > NOISY_FLAT and rest.peak < NOISY_PEAK
        )
    return off < OFF and -REVERSE_TWIST < twist < NORMAL_TWIST and (clean > CLEAN or rest.flat > FLAT)
