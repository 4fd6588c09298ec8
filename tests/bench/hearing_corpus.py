"""Makes a corpus of what lines say.

    python tests/bench/hearing_corpus.py FOLDER [--seed N] [--count N] [--held-out]

In FOLDER: the recordings, `tasks.jsonl` (a line each: file, country or null, answer_at_s or null, and the
truth: label, known_at_s, category, sample, digits, beep_at_s, condition) and `library/`, the announcements
that can be known. With --held-out the conditions, languages and sounds are those that nobody tunes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import hearing_sounds as sounds
import hearing_texts as texts
from hearing_channel import HELD_OUT, RATE, TUNING, Channel, Floats

from engine.detect.plans import plans

MUSIC_ON_HOLD = Path("/usr/share/asterisk/moh")
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


@dataclass
class Item:
    """One recording and what is true of it. `known_at_s` is when it can be told at the earliest."""

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
    sound: Floats = field(default_factory=lambda: np.zeros(0), repr=False)


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


class Maker:
    """Draws items. Everything comes from one seed."""

    def __init__(self, seed: int, held_out: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.held_out = held_out
        self.channels = HELD_OUT if held_out else TUNING
        self.languages = [x for x in texts.VOICES if held_out or x not in texts.HELD_OUT_LANGUAGES]
        self.known = self._library()

    def pick(self, options: tuple | list) -> object:  # type: ignore[type-arg]
        return options[int(self.rng.integers(len(options)))]

    def say(self, language: str, text: str, but: str = "") -> Floats:
        """In any voice of the language but one."""
        voice = self.pick([v for v in texts.VOICES[language] if v != but])
        return self.say_as(str(voice), text)

    def say_as(self, voice: str, text: str) -> Floats:
        return sounds.say(text, voice, int(self.rng.integers(140, 190)), int(self.rng.integers(35, 65)))

    def pause(self, low: float, high: float) -> Floats:
        return sounds.silence(self.rng.uniform(low, high))

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
        language = str(self.pick(self.languages))
        parts = [lead, x, self.pause(0.1, 0.4), self.say(language, str(self.pick(texts.STRANGE[language])))]
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
        language = str(self.pick(self.languages))
        said = [self.say(language, str(self.pick(texts.STRANGE[language]))), self.pause(0.3, 0.8)]
        if self.rng.random() < 0.3:
            known = self.known[int(self.rng.integers(len(self.known)))]
            said = [self.say(known.language, known.text, but=known.voice), *said]
        lead = self.pause(0.0, 1.0)
        return Item("speech", known_at_s=len(lead) / RATE, sound=np.concatenate((lead, *said)))

    def music(self) -> Item:
        files = sorted(MUSIC_ON_HOLD.glob("*.wav")) if self.held_out else []
        seconds = self.rng.uniform(8, 14)
        if files and self.rng.random() < 0.6:
            with soundfile.SoundFile(str(self.pick(files))) as file:
                start = int(self.rng.integers(max(1, file.frames - round(seconds * file.samplerate))))
                file.seek(start)
                x = file.read(round(seconds * file.samplerate), dtype="float64", always_2d=True).mean(axis=1)
                x = soxr.resample(x, file.samplerate, RATE)
        else:
            x = sounds.music(seconds, self.rng)
        lead = self.pause(0.0, 0.5)
        return Item("music", known_at_s=len(lead) / RATE, sound=np.concatenate((lead, x)))

    def silence(self) -> Item:
        x = self.rng.normal(0, 10 ** (-self.rng.uniform(62, 80) / 20), round(self.rng.uniform(6, 12) * RATE))
        return Item("silence", known_at_s=0.0, sound=x)

    def dialtone(self) -> Item:
        hz = [(350, 440), (425,), (450,), (400,), (440,), (425, 25)][int(self.rng.integers(5))]
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

    def _answered(self) -> Floats:
        """What is heard before the answer: nothing, or ringback."""
        if self.rng.random() < 0.5:
            return self.pause(0.5, 1.5)
        cadence = plans()[str(self.pick(list(plans())))].ringback
        return sounds.cadence(cadence, self.rng.uniform(3, 8), self.rng, join=False, dbm0=-16)

    def human(self) -> Item:
        before = self._answered()
        language = str(self.pick(self.languages))
        hello = self.say(language, str(self.pick(texts.HELLOS[language])))
        hello = hello[: round(1.4 * RATE)]
        lead = self.pause(0.2, 1.6)
        parts = [before, lead, hello, self.pause(1.6, 3.0)]
        if self.rng.random() < 0.5:
            parts += [
                self.say(language, str(self.pick(texts.HELLOS[language])))[: round(1.4 * RATE)],
                self.pause(1.5, 2.0),
            ]
        end = (len(before) + len(lead) + len(hello)) / RATE
        return Item("human", answer_at_s=len(before) / RATE, known_at_s=end, sound=np.concatenate(parts))

    def machine(self) -> Item:
        before = self._answered()
        language = str(self.pick(self.languages))
        lead = self.pause(0.2, 1.2)
        greeting = self.say(language, str(self.pick(texts.GREETINGS[language])))
        parts = [before, lead, greeting, self.pause(0.1, 1.0)]
        beep = sounds.beep(self.rng, self.rng.uniform(-24, -8))
        at = sum(map(len, parts)) / RATE
        parts += [beep, self.pause(2.5, 4.0)]
        return Item(
            "machine",
            answer_at_s=len(before) / RATE,
            known_at_s=(len(before) + len(lead)) / RATE + 1.6,
            beep_at_s=round(at + len(beep) / RATE, 3),
            sound=np.concatenate(parts),
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
    made = write(options.folder, options.seed, options.count, options.held_out)
    print(f"{made} recordings in {options.folder}")


if __name__ == "__main__":
    main()
