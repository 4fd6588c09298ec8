"""What the parts of a corpus maker share: an item, and the draws that all come from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import hearing_sounds as sounds
import hearing_talkers as talkers
import hearing_texts as texts
import numpy as np
from hearing_channel import HELD_OUT, TUNING, Floats

from engine.detect.plans import plans


@dataclass
class Item:
    """One recording and what is true of it. `known_at_s` is when it can be told at the earliest, `kind` the
    sort of it within its label."""

    label: str
    country: str | None = None
    answer_at_s: float | None = None
    known_at_s: float = 0.0
    category: int | None = None
    sample: str | None = None
    digits: str = ""
    beep_at_s: float | None = None
    condition: str = ""
    file: str = ""
    kind: str = ""
    sound: Floats = field(default_factory=lambda: np.zeros(0), repr=False)


class Draw:
    """Draws from one seed. Held out are languages, talkers, music and conditions."""

    def __init__(self, seed: int, held_out: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.held_out = held_out
        self.channels = HELD_OUT if held_out else TUNING
        self.people = talkers.HELD_OUT_PEOPLE if held_out else talkers.TUNING_PEOPLE
        self.voices = {
            language: usable
            for language in {**texts.VOICES, **texts.MORE_VOICES}
            if held_out or language not in texts.HELD_OUT_LANGUAGES
            if (usable := self._usable(texts.VOICES.get(language, ()) + texts.MORE_VOICES.get(language, ())))
        }
        self.languages = list(self.voices)

    def _usable(self, voices: tuple[str, ...]) -> list[str]:
        allowed = [v for v in voices if self.held_out or not v.startswith(texts.HELD_OUT_ENGINES)]
        return [v for v in allowed if talkers.has(v)]

    def pick(self, options: tuple | list) -> object:  # type: ignore[type-arg]
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pause(self, low: float, high: float) -> Floats:
        return sounds.silence(self.rng.uniform(low, high))

    def say(self, language: str, text: str, but: str = "") -> Floats:
        """In any voice of the language but one."""
        return self.say_as(str(self.pick([v for v in self.voices[language] if v != but])), text)

    def say_as(self, voice: str, text: str, pitch: int | None = None) -> Floats:
        speed = int(self.rng.integers(140, 190))
        high = int(self.rng.integers(35, 65)) if pitch is None else pitch
        return talkers.say(text, voice, speed, high)

    def phrase(self, among: dict[str, list[str]]) -> Floats:
        """One of a language's, in one of its voices."""
        language = str(self.pick(self.languages))
        return self.say(language, str(self.pick(among[language])))

    def recorded(self, shortest: float, longest: float) -> Floats | None:
        """A person's, from the sound packages; None where none is installed."""
        files = talkers.prompts(self.people, shortest, longest)
        return talkers.recorded(files[int(self.rng.integers(len(files)))]) if files else None

    def ringing(self, low: float, high: float) -> Floats:
        """So many seconds of some country's ringback."""
        tone = plans()[str(self.pick(list(plans())))].ringback
        return sounds.cadence(tone, self.rng.uniform(low, high), self.rng, join=False, dbm0=-16)
