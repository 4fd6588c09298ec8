"""What networks and answering machines say and play beside the plans' tones: announcements, music, special
information tones, fax, keys, beeps. Speech is espeak-ng's, spoken when it is first asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.demo.g711 import Samples
from engine.demo.sounds import FRAME, RATE, Source, amplitude
from engine.detect.plans import plan
from engine.samples.entry import FolderError
from engine.samples.starter import say, spoken

log = logging.getLogger(__name__)

SIT = ((985.2, 380), (1370.6, 274), (1776.7, 380))
"""Hz and ms of the tones of `vacant code`, before an announcement of a number that is none."""
KEYS = {"1": (697, 1209), "5": (770, 1336), "#": (941, 1477)}
GREETING = (
    "Hello. You have reached the office. We can not take your call at this time. Please leave your name, "
    "your number and a short message after the tone, and we will call you back as soon as we can."
)
UNKNOWN = "The weather will be fine on Sunday, with some wind along the coast and a little rain in the hills."

Floats = NDArray[np.float64]


def _sine(hz: float, ms: float, dbm0: float = -14.0) -> Floats:
    time = np.arange(round(ms * RATE / 1000)) / RATE
    return np.asarray(amplitude(dbm0) * np.sin(2 * np.pi * hz * time))


def _still(ms: float) -> Floats:
    return np.zeros(round(ms * RATE / 1000))


def _int16(*pieces: Floats | Samples) -> Samples:
    sound: Samples = np.clip(np.rint(np.concatenate(pieces)), -32768, 32767).astype(np.int16)
    return sound


@cache
def sit() -> Samples:
    return _int16(*(_sine(hz, ms) for hz, ms in SIT), _still(3000))


@cache
def single(country: str) -> Samples:
    """One burst of a country's busy tone, too long for any cadence."""
    notes = [_sine(hz, 1900, -17.0) for hz in plan(country).busy.frequencies]
    return _int16(_still(600), np.asarray(sum(notes)), _still(30000))


@cache
def fax() -> Samples:
    """A fax machine that answers (CED, ITU-T T.30)."""
    return _int16(_still(300), _sine(2100, 3000), _still(2000))


@cache
def keys() -> Samples:
    """1, 5 and # as tones."""
    pressed = [(_sine(low, 120, -9) + _sine(high, 120, -8), _still(120)) for low, high in KEYS.values()]
    return _int16(_still(500), *(piece for press in pressed for piece in press), _still(4000))


@cache
def music() -> Samples:
    """Twelve seconds of a tune over its chords, a voice in each register."""
    random = np.random.default_rng(5)
    sound = np.zeros(12 * RATE)
    for bar, root in enumerate((220.0, 174.6, 261.6, 196.0, 220.0, 146.8)):
        begin = bar * 2 * RATE
        for third in (1.0, 1.26, 1.5, 2.0):
            _note(sound, begin, root * third, 2.0, 0.25)
        for beat in range(8):
            pitch = root * 2 * 2 ** (random.choice((0, 2, 4, 5, 7, 9, 12)) / 12)
            _note(sound, begin + beat * RATE // 4, pitch, 0.45, 0.5)
            hit = begin + beat * RATE // 4
            noise = random.standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / 60)
            sound[hit : hit + len(noise)] += 0.25 * noise
    return _int16(sound * (amplitude(-18.0) / np.sqrt(2) / np.sqrt(np.mean(sound**2))))


def _note(sound: Floats, begin: int, hz: float, seconds: float, level: float) -> None:
    length = min(round(seconds * RATE), len(sound) - begin)
    time = np.arange(length) / RATE
    rise = np.minimum(1.0, time / 0.01)
    for harmonic in range(1, 6):
        part = np.sin(2 * np.pi * hz * harmonic * time) * np.exp(-time * (1.5 + harmonic))
        sound[begin : begin + length] += level / harmonic * rise * part


@cache
def announcement(category: int, language: str) -> Samples:
    """What the starter library has for a category. Raises FolderError where espeak-ng is not there."""
    each = next(s for s in spoken() if (s.sample.category, s.sample.language) == (category, language))
    return _int16(say(each.sample.brief, each.voice), _still(1200))


@cache
def unknown() -> Samples:
    """Speech that is in no library."""
    return _int16(say(UNKNOWN, "en-us"), _still(2500))


@cache
def machine() -> Samples:
    """An answering machine: its greeting and its beep."""
    return _int16(_still(300), say(GREETING, "en-us+f2"), _still(400), _sine(1000, 400, -12), _still(20000))


@cache
def person() -> Samples:
    """Somebody who says hello, and waits."""
    return _int16(_still(500), say("Hello?", "en-gb"), _still(20000))


class Spoken(Source):
    """Silence until `make` has made the sound, in a thread of its own; then that, over and over."""

    def __init__(self, make: Callable[[], Samples]) -> None:
        self._make = make
        self.made = threading.Event()
        """Set once the sound is there, or can't be."""
        self._sound: Samples | None = None
        self._at = 0
        threading.Thread(target=self._prepare, name="demo-speech", daemon=True).start()

    def _prepare(self) -> None:
        try:
            self._sound = self._make()
        except FolderError as error:
            log.error("the demo carrier stays silent: %s", error)
        finally:
            self.made.set()

    def frame(self) -> Samples:
        if self._sound is None:
            return super().frame()
        wanted = np.arange(self._at, self._at + FRAME) % len(self._sound)
        self._at = (self._at + FRAME) % len(self._sound)
        found: Samples = self._sound[wanted]
        return found
