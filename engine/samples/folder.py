"""A sample folder: audio files, each with a TOML file of the same name that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.detect.prints import Library, Print, Sample, fingerprint
from engine.samples import cache
from engine.samples.audio import AUDIO as AUDIO
from engine.samples.audio import AudioError, read
from engine.samples.entry import FolderError as FolderError
from engine.samples.entry import read_entry

MAX_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample of a folder, and its audio file."""

    audio: Path
    sample: Sample


def audio_files(folder: Path) -> list[Path]:
    """Every audio file in a folder, in order. Raises FolderError."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is no folder of samples; `offhook samples add` makes one")
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in AUDIO and p.is_file())
    except OSError as error:
        raise FolderError(f"{folder} can't be read: {error.strerror}") from None
    found = [p for p in found if not p.name.startswith(".")]
    if len(found) > MAX_SAMPLES:
        raise FolderError(f"{folder} holds {len(found)} samples; at most {MAX_SAMPLES} can be used")
    return found


def examine(folder: Path) -> tuple[list[Entry], list[str]]:
    """The samples of a folder, and a sentence for each file that is wrong. Audio is not looked into.
    Raises FolderError where the folder can't be read."""
    entries: dict[str, Entry] = {}
    wrong: list[str] = []
    for audio in audio_files(folder):
        try:
            sample = read_entry(audio)
        except FolderError as error:
            wrong.append(str(error))
            continue
        if (other := entries.get(sample.uniqueid)) is not None:
            wrong.append(f"{audio} and {other.audio} have the same uniqueid {sample.uniqueid!r}")
            continue
        entries[sample.uniqueid] = Entry(audio, sample)
    return list(entries.values()), wrong


def read_folder(folder: Path, kept: Path | None = None) -> tuple[Library, list[str]]:
    """The library of what is right in a folder, and a sentence for each file that is wrong. Fingerprints are
    kept in the file `kept`, by default one of the user's cache. Raises FolderError where the folder can't be
    read."""
    entries, wrong = examine(folder)
    path = kept or cache.cache_file(folder)
    old = cache.load(path)
    new: dict[str, tuple[cache.Stamp, Print]] = {}
    samples: list[tuple[Sample, Print]] = []
    for each in entries:
        name = each.audio.name
        try:
            stamp = cache.Stamp.of(each.audio)
            known = old.get(name)
            made = known if known is not None and known[0] == stamp else (stamp, print_of(each.audio))
        except AudioError as error:
            wrong.append(str(error))
            continue
        except OSError as error:
            wrong.append(f"{each.audio} can't be read: {error.strerror}")
            continue
        new[name] = made
        samples.append((each.sample, made[1]))
    changed = new.keys() != old.keys() or any(new[n] is not old[n] for n in new)
    if changed and cache.save(path, new) and len(again := cache.load(path)) == len(new):
        samples = [(sample, again[name][1]) for name, (sample, _) in zip(new, samples, strict=True)]
    return Library(samples), wrong


def print_of(audio: Path) -> Print:
    """A file's fingerprint. Raises AudioError."""
    return fingerprint(read(audio))


def load(folder: Path) -> Library:
    """The library of a folder in which nothing is wrong. Raises FolderError."""
    library, wrong = read_folder(folder)
    if wrong:
        more = f" (and {len(wrong) - 1} more; `offhook samples list` names them)" if len(wrong) > 1 else ""
        raise FolderError(wrong[0] + more)
    return library
