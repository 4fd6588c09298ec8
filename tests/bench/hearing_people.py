"""People and machines that answer, and speech before the answer, in the ways that lines carry them."""

from __future__ import annotations

import hearing_sounds as sounds
import hearing_texts as texts
import numpy as np
from hearing_channel import RATE, Floats, at_level, hum
from hearing_draw import Draw, Item

HELLO_S = 1.4
"""A person's first words last no longer; Asterisk draws the line at 1.5 s."""
HUMANS = ("hello", "twice", "recorded", "child", "in a room", "hum", "comfort noise", "someone behind")
MACHINES = ("spoken", "recorded", "in a room", "comfort noise", "no beep", "short beep", "decaying beep",
            "two-tone beep", "pauses")  # fmt: skip
SPEECHES = ("spoken", "recorded", "child", "in a room", "after ringback", "after music", "two talkers")


def before_answer(draw: Draw) -> Floats:
    """Nothing, or ringback."""
    return draw.pause(0.5, 1.5) if draw.chance(0.5) else draw.ringing(3, 8)


def _child(draw: Draw, among: dict[str, list[str]]) -> Floats:
    language = str(draw.pick(draw.languages))
    voices = [v for v in draw.voices[language] if ":" not in v and "+m" not in v]
    pitch = int(draw.rng.integers(85, 99))
    return draw.say_as(str(draw.pick(voices)), str(draw.pick(among[language])), pitch)


def _first_words(draw: Draw, kind: str) -> Floats:
    x = None
    if kind == "child":
        x = _child(draw, texts.HELLOS)
    elif kind == "recorded":
        x = draw.recorded(0.5, HELLO_S)
    return (draw.phrase(texts.HELLOS) if x is None else x)[: round(HELLO_S * RATE)]


def human(draw: Draw) -> Item:
    kind = str(draw.pick(HUMANS))
    before, lead = before_answer(draw), draw.pause(0.2, 1.6)
    hello = _first_words(draw, kind)
    parts = [lead, hello, draw.pause(1.6, 3.0)]
    if kind == "twice" or draw.chance(0.3):
        parts += [_first_words(draw, ""), draw.pause(1.5, 2.0)]
    x = _surroundings(draw, kind, np.concatenate(parts))
    end = (len(before) + len(lead) + len(hello)) / RATE
    answer = len(before) / RATE
    return Item("human", answer_at_s=answer, known_at_s=end, kind=kind, sound=np.concatenate((before, x)))


def machine(draw: Draw) -> Item:
    kind = str(draw.pick(MACHINES))
    before, lead = before_answer(draw), draw.pause(0.2, 1.2)
    x = draw.recorded(3.0, 12.0) if kind == "recorded" else None
    greeting = draw.phrase(texts.GREETINGS) if x is None else x
    if kind == "pauses":
        more = [draw.pause(0.3, 0.7), draw.phrase(texts.GREETINGS)]
        greeting = np.concatenate((greeting[: round(draw.rng.uniform(1.8, 2.6) * RATE)], *more))
    parts = [lead, greeting, draw.pause(0.1, 1.0)]
    beep = None if kind == "no beep" else sounds.beep(draw.rng, draw.rng.uniform(-24, -8), kind)
    end = sum(map(len, [before, *parts])) / RATE
    if beep is not None:
        parts.append(beep)
        end += len(beep) / RATE
    x = _surroundings(draw, kind, np.concatenate([*parts, draw.pause(2.5, 4.0)]))
    return Item(
        "machine",
        answer_at_s=len(before) / RATE,
        known_at_s=(len(before) + len(lead)) / RATE + 1.6,
        beep_at_s=None if beep is None else round(end, 3),
        kind=kind,
        sound=np.concatenate((before, x)),
    )


def speech(draw: Draw, known: tuple[str, str, str] | None, music: Floats) -> Item:
    """Early media; `known` is a text of the library, its language and its voice, said by another now and
    then; `music` is there for what begins with it."""
    kind = str(draw.pick(SPEECHES))
    x = draw.recorded(3.0, 12.0) if kind == "recorded" else None
    if kind == "child":
        x = _child(draw, texts.STRANGE)
    said = draw.phrase(texts.STRANGE) if x is None else x
    if known is not None:
        text, language, voice = known
        said = np.concatenate((draw.say(language, text, but=voice), draw.pause(0.3, 0.8), said))
    if kind == "two talkers":
        said = np.concatenate((said, draw.pause(0.2, 0.6), draw.phrase(texts.STRANGE)))
    lead = draw.pause(0.0, 1.0)
    if kind == "after ringback":
        lead = np.concatenate((draw.ringing(3, 6), lead[: round(0.5 * RATE)]))
    elif kind == "after music":
        lead = np.concatenate((music, lead[: round(0.6 * RATE)]))
    x = _surroundings(draw, kind, np.concatenate((lead, said, draw.pause(0.3, 0.8))))
    return Item("speech", known_at_s=len(lead) / RATE, kind=kind, sound=x)


def _surroundings(draw: Draw, kind: str, x: Floats) -> Floats:
    """What else the microphone, or the line, brings."""
    if kind == "in a room":
        return echoes(x, draw.rng) + pink(len(x), draw.rng.uniform(-50, -38), draw.rng)
    if kind == "hum":
        return x + at_level(hum(len(x), 0.01, draw.rng), draw.rng.uniform(-50, -38))
    if kind == "comfort noise":
        return x + pink(len(x), draw.rng.uniform(-62, -48), draw.rng)
    if kind == "someone behind":
        other = np.concatenate((draw.phrase(texts.STRANGE), draw.pause(0.2, 1.0), draw.phrase(texts.STRANGE)))
        return x + at_level(np.resize(other, len(x)), draw.rng.uniform(-44, -38))
    return x


def pink(count: int, dbm0: float, rng: np.random.Generator) -> Floats:
    """Noise as rooms have it: 3 dB an octave, in a telephone's band, its level wandering a little."""
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    hz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 60)
    x = np.fft.irfft(spectrum / np.sqrt(hz) * (hz > 150) * (hz < 3500), count)
    slow = np.interp(np.arange(count), np.linspace(0, count, 12), rng.uniform(0.7, 1.3, 12))
    return at_level(np.asarray(x * slow), dbm0)


def echoes(x: Floats, rng: np.random.Generator) -> Floats:
    """A room's reverberation of 0.15 to 0.5 s."""
    seconds = rng.uniform(0.15, 0.5)
    t = np.arange(round(seconds * RATE)) / RATE
    tail = rng.normal(0, 1, len(t)) * 10 ** (-3 * t / seconds)
    tail *= rng.uniform(0.2, 0.5) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    return np.asarray(np.convolve(x, tail)[: len(x)])
