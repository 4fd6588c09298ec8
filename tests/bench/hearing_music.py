"""Music: bands made here, songs with a voice, single instruments, and recorded pieces that are installed.

All are float64 at 8 kHz, 1.0 being full scale; what is random comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hearing_talkers as talkers
import numpy as np
import soundfile
import soxr
from hearing_channel import RATE, Floats, at_level
from hearing_draw import Draw, Item
from hearing_people import pink
from hearing_talkers import band

TUNING_PIECES = (Path("/usr/share/games/frozen-bubble/snd"),)
HELD_OUT_PIECES = (Path("/usr/share/asterisk/moh"), Path("/usr/share/games/neverball/bgm"))
LONG_S = 20.0
KINDS = ("band", "band", "recorded", "recorded", "song", "words in song", "solo", "in noise",
         "after ringback")  # fmt: skip
LYRICS = ("love", "you", "never", "tonight", "moon", "river", "away", "oh", "baby", "home", "always")
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants in Hz (Peterson and Barney's a, i, u, e, o)."""


def missing() -> list[str]:
    """A sentence for the packages that are not there."""
    absent = [str(p) for p in TUNING_PIECES + HELD_OUT_PIECES if not p.is_dir()]
    packages = "asterisk-moh-opsound-wav, neverball-data, frozen-bubble-data"
    return [f"no recorded music in {', '.join(absent)} (Debian: {packages})."] if absent else []


def music(draw: Draw) -> Item:
    kind = str(draw.pick(KINDS))
    seconds = draw.rng.uniform(8, 14)
    lead = draw.ringing(3, 6) if kind == "after ringback" else draw.pause(0.0, 0.5)
    x = _piece(draw, kind, seconds)
    return Item("music", known_at_s=len(lead) / RATE, kind=kind, sound=np.concatenate((lead, x)))


def _piece(draw: Draw, kind: str, seconds: float) -> Floats:
    if kind == "recorded":
        found = recorded(draw, seconds)
        if found is not None:
            return found
    if kind in ("song", "words in song"):
        voice = str(draw.pick(draw.voices["en"])) if kind == "words in song" else ""
        return song(seconds, voice, draw.rng)
    if kind == "solo":
        return played(seconds, draw.rng, solo=True)
    x = played(seconds, draw.rng)
    return x + pink(len(x), draw.rng.uniform(-36, -28), draw.rng) if kind == "in noise" else x


def recorded(draw: Draw, seconds: float) -> Floats | None:
    """A stretch of an installed piece."""
    folders = HELD_OUT_PIECES if draw.held_out else TUNING_PIECES
    pieces = [f for folder in folders for f in sorted([*folder.glob("*.wav"), *folder.glob("*.ogg")])]
    pieces = [f for f in pieces if soundfile.info(str(f)).duration > LONG_S]
    if not pieces:
        return None
    with soundfile.SoundFile(str(draw.pick(pieces))) as file:
        whole = round(seconds * file.samplerate)
        file.seek(int(draw.rng.integers(round(4 * file.samplerate), file.frames - whole)))
        x = file.read(whole, dtype="float64", always_2d=True).mean(axis=1)
        return at_level(band(np.asarray(soxr.resample(x, file.samplerate, RATE))), -18.0)


def sung(seconds: float, beat: float, notes: Sequence[float], rng: np.random.Generator) -> Floats:
    """A voice on a melody: harmonics with vibrato through a vowel's formants, and consonants between."""
    out = np.zeros(round((seconds + 2) * RATE))
    at = 0.0
    while at < seconds:
        if rng.random() < 0.15:
            at += beat
            continue
        length = beat / 2 * float(rng.choice([1, 1, 2, 3]))
        hz = float(rng.choice(notes))
        t = np.arange(round(length * RATE)) / RATE
        vibrato = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t) * np.minimum(t / 0.2, 1)
        phase = 2 * np.pi * np.cumsum(hz * (1 + rng.uniform(0.004, 0.02) * vibrato)) / RATE
        formants = VOWELS[int(rng.integers(len(VOWELS)))]
        x = np.zeros(len(t))
        for k in range(1, int(3600 / hz) + 1):
            gain = sum(1 / (1 + ((k * hz - f) / 90) ** 2) * 2.0**-n for n, f in enumerate(formants))
            x += (0.05 + gain) / k**0.5 * np.sin(k * phase)
        x *= np.minimum(t / 0.04, 1) * np.minimum((length - t) / 0.06, 1)
        start = round(at * RATE)
        out[start : start + len(x)] += x
        if rng.random() < 0.6:
            noise = rng.normal(0, 0.3, round(0.05 * RATE))
            out[start : start + len(noise)] += noise * np.hanning(len(noise))
        at += length
    return at_level(out[: round(seconds * RATE)], -18.0)


def said(seconds: float, beat: float, voice: str, rng: np.random.Generator) -> Floats:
    """A talker's words on the beat, each at a pitch of its own."""
    out = np.zeros(round((seconds + 3) * RATE))
    at = 0.0
    while at < seconds:
        word = str(rng.choice(LYRICS))
        x = talkers.say(word, voice, int(rng.integers(80, 120)), int(rng.integers(10, 90)))
        start = round(at * RATE)
        x = x[: len(out) - start]
        out[start : start + len(x)] += x
        at += beat * max(1, round(len(x) / RATE / beat)) + (beat if rng.random() < 0.15 else 0)
    return at_level(out[: round(seconds * RATE)], -18.0)


def song(seconds: float, voice: str, rng: np.random.Generator) -> Floats:
    """A voice over a band that is as loud or louder: sung, or a talker's words where `voice` names one."""
    beat = 60 / rng.uniform(70, 130)
    root = 110 * 2 ** (rng.integers(12) / 12) * float(rng.choice([1.5, 2.0, 3.0]))
    notes = [root * 2 ** (s / 12) for s in (0, 2, 4, 7, 9, 12)]
    lead = said(seconds, beat, voice, rng) if voice else sung(seconds, beat, notes, rng)
    return at_level(band(lead + at_level(played(seconds, rng), -18.0 + rng.uniform(-3, 5))), -18.0)


def _note(
    hz: float, seconds: float, timbre: Sequence[float], attack: float, rng: np.random.Generator
) -> Floats:
    t = np.arange(round(seconds * RATE)) / RATE
    vibrato = 1 + 0.004 * np.sin(2 * np.pi * rng.uniform(4, 7) * t)
    phase = 2 * np.pi * np.cumsum(hz * vibrato) / RATE
    x = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(timbre) if hz * (k + 1) < 3800)
    shape = np.minimum(t / attack, 1) * np.exp(-t * rng.uniform(0.3, 3.0))
    return np.asarray(x * shape)


def played(seconds: float, rng: np.random.Generator, *, solo: bool = False) -> Floats:
    """Chords, a melody, a bass and drums in a key and tempo of their own; or one instrument alone."""
    out = np.zeros(round((seconds + 3) * RATE))
    beat = 60 / rng.uniform(70, 150)
    root = 110 * 2 ** (rng.integers(12) / 12)
    scale = (0, 2, 4, 5, 7, 9, 11) if rng.random() < 0.6 else (0, 2, 3, 5, 7, 8, 10)
    timbres = [
        [1 / (k + 1) ** rng.uniform(0.7, 2.0) * rng.uniform(0.3, 1) for k in range(8)] for _ in range(3)
    ]
    drums, bass, lead = rng.random() < 0.6, rng.random() < 0.7, rng.random() < 0.85 or solo
    at, bar = 0.0, 0

    def put(x: Floats, when: float, gain: float) -> None:
        start = round(when * RATE)
        end = min(len(out), start + len(x))
        out[start:end] += gain * x[: end - start]

    def hz(degree: int, octave: int) -> float:
        return float(root * 2 ** (octave + degree // 7 + scale[degree % 7] / 12))

    while at < seconds:
        chord = int(rng.choice([0, 3, 4, 5])) if bar else 0
        for third in () if solo else (0, 2, 4):
            put(_note(hz(chord + third, 1), beat * 4, timbres[0], 0.03, rng), at, 0.25)
        for step in range(8):
            when = at + step * beat / 2
            if bass and not solo and step % 2 == 0:
                put(_note(hz(chord, 0), beat / 2, timbres[1], 0.01, rng), when, 0.5)
            if lead and rng.random() < 0.7:
                length = beat / 2 * float(rng.choice([1, 2]))
                put(_note(hz(chord + int(rng.integers(-2, 7)), 2), length, timbres[2], 0.02, rng), when, 0.45)
            if drums and not solo:
                hit = rng.normal(0, 1, round(0.08 * RATE)) * np.exp(-np.arange(round(0.08 * RATE)) / 90)
                put(hit, when, 0.25 if step % 2 else 0.1)
        at, bar = at + beat * 4, bar + 1
    return at_level(band(out[: round(seconds * RATE)]), -18.0)
