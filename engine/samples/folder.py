"""A sample folder: audio files, each with a TOML file of the same name that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli
from msgspec import Meta

from engine.detect.categories import CATEGORIES, by_word
from engine.detect.library import Library, Print, Sample, fingerprint
from engine.samples.audio import AudioError, read

AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".au", ".alaw", ".ulaw")
Text = Annotated[str, Meta(max_length=4000)]


class FolderError(Exception):
    """A folder, or a file in it, that can't be used; the text is one plain sentence."""


class Entry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The TOML beside a sample, in mod_da2's words. `category` is an id of 2 to 20, or its alias or name."""

    uniqueid: Text = ""
    name: Text = ""
    alias: Text = ""
    brief: Text = ""
    detail: Text = ""
    language: Text = ""
    source: Text = ""
    number: Text = ""
    category: int | Text = 0
    accuracy: Literal["LOOSE", "INACCURACY", "ACCURACY"] = "ACCURACY"


def audio_files(folder: Path) -> list[Path]:
    """Every audio file in a folder, in order. Raises FolderError."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is no folder of samples; `offhook samples add` makes one")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in AUDIO and p.is_file())


def entry(audio: Path) -> Sample:
    """What a sample is, by the TOML beside its audio. Raises FolderError."""
    beside = audio.with_suffix(".toml")
    try:
        text = beside.read_text("utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{beside} can't be read: {error}") from None
    try:
        found = msgspec.convert(tomli.loads(text), Entry)
    except (tomli.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FolderError(f"{beside}: {error}") from None
    category = by_word(str(found.category)) if found.category else None
    if found.category and category is None:
        known = ", ".join(f"{c.id} ({c.alias})" for c in CATEGORIES.values())
        raise FolderError(f"{beside}: category {found.category!r} is none of {known}")
    return Sample(
        uniqueid=found.uniqueid or audio.stem,
        name=found.name or (category.name if category else ""),
        alias=found.alias or (category.alias if category else ""),
        brief=found.brief, detail=found.detail, language=found.language, source=found.source,
        number=found.number, category=category.id if category else 0, accuracy=found.accuracy,
    )  # fmt: skip


def load(folder: Path) -> Library:
    """The library of a folder. Raises FolderError."""
    samples: list[tuple[Sample, Print]] = []
    seen: dict[str, Path] = {}
    for audio in audio_files(folder):
        sample = entry(audio)
        if sample.uniqueid in seen:
            raise FolderError(
                f"{audio} and {seen[sample.uniqueid]} have the same uniqueid {sample.uniqueid!r}"
            )
        seen[sample.uniqueid] = audio
        try:
            samples.append((sample, fingerprint(read(audio))))
        except AudioError as error:
            raise FolderError(str(error)) from None
    return Library(samples)
