"""Makes a corpus of what lines say.

    python tests/bench/hearing_corpus.py FOLDER [--seed N] [--count N] [--held-out]

In FOLDER: the recordings, `tasks.jsonl` (a line each: file, country or null, answer_at_s or null, and the
truth: label, known_at_s, category, sample, digits, beep_at_s, condition, kind) and `library/`, the
announcements that can be known. With --held-out the conditions, languages, talkers and sounds are those that
nobody tunes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import hearing_music as music
import hearing_people as people
import hearing_sounds as sounds
import hearing_talkers as talkers
import hearing_texts as texts
from hearing_channel import RATE, Channel, Floats, at_level, hum
from hearing_draw import Draw, Item

from engine.detect.plans import plans

LABELS = (
    "busy",
    "congestion",
    "sit",
    "announcement",
    "fax",
    "dtmf",
    "human",
    "machine",
    "ringback",
    "music",
    "speech",
    "silence",
    "dialtone",
)
SHARED_OPENINGS = 4
"""How many announcements of a library begin with the words of another."""


@dataclass(frozen=True)
class Known:
    """An announcement of the library. `told_s`: from when it differs from every other of the library."""

    uniqueid: str
    language: str
    category: int
    text: str
    voice: str
    sound: Floats
    told_s: float = 0.0


class Maker(Draw):
    """Draws items. Everything comes from one seed."""

    def __init__(self, seed: int, held_out: bool) -> None:
        super().__init__(seed, held_out)
        self.known = self._library()

    # --- the library ---------------------------------------------------------------------------

    def _library(self) -> list[Known]:
        known = []
        for language, all_of_it in texts.ANNOUNCEMENTS.items():
            for number, (category, text) in enumerate(all_of_it):
                for turn in range(2):
                    voice = texts.VOICES[language][(number + 3 * turn) % len(texts.VOICES[language])]
                    sound = self.say_as(voice, text)
                    name = f"{language}-{category:02}-{number:02}-{turn}"
                    known.append(Known(name, language, category, text, voice, sound))
        for turn in range(SHARED_OPENINGS):
            voice = texts.VOICES["zh"][turn]
            opening = self.say_as(voice, "您好,欢迎使用本公司的电话服务")
            for part, (category, text) in enumerate(((2, "用户已关机"), (4, "用户已停机"))):
                sound = np.concatenate((opening, self.say_as(voice, text)))
                name = f"zh-{category:02}-shared-{turn}-{part}"
                known.append(Known(name, "zh", category, text, voice, sound, len(opening) / RATE))
        return known

    # --- the labels ----------------------------------------------------------------------------

    def plan_tone(self, tone: str) -> Item:
        usable = [p for p in plans().values() if p.cadence(tone).tone.label == tone]
        plan = usable[int(self.rng.integers(len(usable)))]
        cadence = plan.cadence(tone)
        seconds = max(8.0, 2.6 * cadence.period_ms / 1000)
        join = bool(self.rng.random() < 0.5)
        level = self.rng.uniform(-26, -8)
        x = sounds.cadence(cadence, seconds, self.rng, join=join, dbm0=level)
        lead = self.pause(0.0, 1.0)
        return Item(tone, plan.country, known_at_s=len(lead) / RATE, sound=np.concatenate((lead, x)))

    def ringback(self) -> Item:
        return self.plan_tone("ringback")

    def busy(self) -> Item:
        """Half of them after ringback, as when a callee declines."""
        item = self.plan_tone("busy")
        if self.rng.random() < 0.4:
            ring = plans()[str(item.country)].cadence("ringback")
            before = sounds.cadence(ring, 1.5 * ring.period_ms / 1000, self.rng, join=False, dbm0=-16)
            item.known_at_s += len(before) / RATE
            item.sound = np.concatenate((before, item.sound))
        return item

    def congestion(self) -> Item:
        return self.plan_tone("congestion")

    def sit(self) -> Item:
        x = sounds.sit(str(self.pick(tuple(sounds.SIT))), self.rng.uniform(-28, -14))
        lead = self.pause(0.1, 1.0)
        parts = [lead, x, self.pause(0.1, 0.4), self.phrase(texts.STRANGE)]
        return Item("sit", known_at_s=(len(lead) + len(x)) / RATE, sound=np.concatenate(parts))

    def announcement(self) -> Item:
        known = self.known[int(self.rng.integers(len(self.known)))]
        x = known.sound
        told = known.told_s
        way = self.rng.random()
        if way < 0.35 and not told:  # joined in the middle, then from the start
            cut = int(self.rng.uniform(0.1, 0.6) * len(x))
            x = np.concatenate((x[cut:], self.pause(0.3, 1.2), x))
        elif way < 0.6:
            x = np.concatenate((x, self.pause(0.3, 1.5), x))
        lead = self.pause(0.0, 0.8)
        return Item(
            "announcement",
            known_at_s=len(lead) / RATE + told,
            category=known.category,
            sample=known.uniqueid,
            sound=np.concatenate((lead, x)),
        )

    def speech(self) -> Item:
        known = self.known[int(self.rng.integers(len(self.known)))] if self.chance(0.3) else None
        of_it = (known.text, known.language, known.voice) if known is not None else None
        return people.speech(self, of_it, music.played(self.rng.uniform(3, 5), self.rng))

    def music(self) -> Item:
        return music.music(self)

    def human(self) -> Item:
        return people.human(self)

    def machine(self) -> Item:
        return people.machine(self)

    def silence(self) -> Item:
        """Nothing, or a line's noise or hum: all that is too faint to be called a sound."""
        count = round(self.rng.uniform(6, 12) * RATE)
        kind = str(self.pick(("digital", "noise", "comfort noise", "room", "hum")))
        if kind == "digital":
            x = np.zeros(count)
        elif kind == "noise":
            x = self.rng.normal(0, 10 ** (-self.rng.uniform(62, 80) / 20), count)
        elif kind == "hum":
            x = at_level(hum(count, 0.01, self.rng), self.rng.uniform(-60, -47))
        else:
            x = people.pink(count, self.rng.uniform(-60, -48 if kind == "comfort noise" else -36), self.rng)
        return Item("silence", known_at_s=0.0, kind=kind, sound=x)

    def dialtone(self) -> Item:
        hz = [(350, 440), (425,), (450,), (400,), (440,)][int(self.rng.integers(5))]
        level = self.rng.uniform(-24, -10) - 10 * np.log10(len(hz))
        x = sum(sounds.sine(f, 8.0, level, self.rng.uniform(0, 6.28)) for f in hz)
        return Item("dialtone", known_at_s=0.0, sound=np.asarray(x))

    def fax(self) -> Item:
        level = self.rng.uniform(-30, -12)
        x = sounds.cng(level) if self.rng.random() < 0.4 else sounds.ced(level, self.rng)
        lead = self.pause(0.2, 1.5)
        return Item("fax", known_at_s=len(lead) / RATE, sound=np.concatenate((lead, x, self.pause(2, 3))))

    def dtmf(self) -> Item:
        digits = "".join(self.rng.choice(list(sounds.KEYS), int(self.rng.integers(1, 9))))
        on, off = int(self.rng.integers(45, 160)), int(self.rng.integers(45, 160))
        x = sounds.dtmf(digits, on, off, self.rng.uniform(-24, -6), self.rng.uniform(-3.5, 7))
        lead = self.pause(0.3, 1.5)
        return Item(
            "dtmf",
            known_at_s=len(lead) / RATE + 0.04,
            digits=digits,
            sound=np.concatenate((lead, x, self.pause(1.5, 2.5))),
        )

    def items(self, count: int) -> Iterator[tuple[Item, npt.NDArray[np.int16]]]:
        """`count` of each label, through channels drawn at random; half of them with the country told."""
        for label in LABELS:
            make: Callable[[], Item] = getattr(self, label)
            for _ in range(count):
                item = make()
                channel: Channel = self.channels[int(self.rng.integers(len(self.channels)))]
                if label == "silence":
                    channel = Channel("clean")
                item.condition = channel.name
                if item.country is not None and self.rng.random() < 0.5:
                    item.country = None
                for name in ("answer_at_s", "known_at_s", "beep_at_s"):
                    value = getattr(item, name)
                    if value is not None:
                        setattr(item, name, round(value / channel.speed, 3))
                yield item, channel.carry(item.sound, self.rng)


def write(folder: Path, seed: int, count: int, held_out: bool) -> int:
    """Make the corpus; how many items it has."""
    maker = Maker(seed, held_out)
    library = folder / "library"
    library.mkdir(parents=True, exist_ok=True)
    for known in maker.known:
        soundfile.write(library / f"{known.uniqueid}.wav", known.sound, RATE, subtype="PCM_16")
        meta = {
            "uniqueid": known.uniqueid,
            "brief": known.text,
            "language": known.language,
            "category": known.category,
            "accuracy": "ACCURACY",
        }
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in meta.items()]
        (library / f"{known.uniqueid}.toml").write_text("\n".join(lines) + "\n", "utf-8")
    made = 0
    with (folder / "tasks.jsonl").open("w", encoding="utf-8") as tasks:
        for item, pcm in maker.items(count):
            item.file = f"{item.label}-{made:05}.wav"
            soundfile.write(folder / item.file, pcm, RATE, subtype="PCM_16")
            line = asdict(item)
            del line["sound"]
            tasks.write(json.dumps(line, ensure_ascii=False) + "\n")
            made += 1
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40, help="items of each label")
    parser.add_argument(
        "--held-out", action="store_true", help="conditions, languages and music of no tuning"
    )
    options = parser.parse_args()
    for sentence in talkers.missing() + music.missing():
        print(sentence, file=sys.stderr)
    made = write(options.folder, options.seed, options.count, options.held_out)
    print(f"{made} recordings in {options.folder}")


if __name__ == "__main__":
    main()
