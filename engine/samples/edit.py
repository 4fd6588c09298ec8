"""A sample folder changed: samples added, removed, taught, copied out. Every file is written whole."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.detect.prints import MAX_SECONDS, Sample, fingerprint, has_course
from engine.samples.audio import RATE, AudioError, read, wav
from engine.samples.entry import FolderError, category_of, dump, write_whole
from engine.samples.folder import Entry, examine

Pcm = npt.NDArray[np.int16]
LEAST_S = 1.0
"""A sample shorter than this can't be recognised."""
_TRIMMED_DB = 40.0
_AROUND_S = 0.1


def slug(text: str) -> str:
    """Text as the name of a file: no separators, no dot in front, nothing a terminal would act on."""
    name = re.sub(r"[^\w.-]+", "-", text, flags=re.UNICODE).strip("-.")
    while len(name.encode()) > 100:
        name = name[:-1]
    return name or "sample"


def sound_of(pcm: Pcm) -> Pcm:
    """The part between the silence before and after, with a tenth of a second of it on each side."""
    if not len(pcm):
        return pcm
    count = len(pcm) // 160
    level = np.abs(pcm[: count * 160].reshape(-1, 160).astype(np.float32)).mean(axis=1)
    loud = np.flatnonzero(level > max(level.max(initial=0) * 10 ** (-_TRIMMED_DB / 20), 4.0))
    if not len(loud):
        return pcm[:0]
    around = round(_AROUND_S * RATE)
    return pcm[max(0, int(loud[0]) * 160 - around) : (int(loud[-1]) + 1) * 160 + around]


class TooLittle(FolderError):
    """A recording in which there is nothing to recognise."""


def check_sound(pcm: Pcm, what: str) -> Pcm:
    """The part of a recording that can be a sample, 60 s at most. Raises TooLittle."""
    sound = sound_of(pcm)[: MAX_SECONDS * RATE]
    if len(sound) < LEAST_S * RATE:
        raise TooLittle(f"{what} holds {len(sound) / RATE:.2f} s of sound; a sample needs {LEAST_S:.1f} s")
    if not has_course(fingerprint(sound)):
        raise TooLittle(f"{what} holds nothing to recognise: noise without a course, or a steady tone")
    return sound


def add(folder: Path, pcm: Pcm, sample: Sample) -> Sample:
    """Write a sample into a folder, which is made where there is none. An empty `uniqueid`, and one that is
    taken already, gets a number. Raises FolderError."""
    return add_all(folder, [(pcm, sample)])[0]


def add_all(folder: Path, taken: Iterable[tuple[Pcm, Sample]]) -> list[Sample]:
    """As `add`, for many."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        here, _ = examine(folder)
        ids = {e.sample.uniqueid for e in here}
        stems = {p.stem.lower() for p in folder.iterdir()}
        added = []
        for pcm, sample in taken:
            stem = wanted = slug(sample.uniqueid or sample.name or "sample")
            number = 1
            while stem.lower() in stems or stem in ids:
                number += 1
                stem = f"{wanted}-{number}"
            sample = replace(sample, uniqueid=stem)
            write_whole(folder / f"{stem}.toml", dump(sample).encode())
            write_whole(folder / f"{stem}.wav", wav(pcm))  # last: a sample is there once its sound is
            stems.add(stem.lower())
            ids.add(stem)
            added.append(sample)
    except OSError as error:
        raise FolderError(f"{folder} can't be written: {error.strerror}") from None
    return added


def find(folder: Path, uniqueid: str) -> Entry:
    """A sample of a folder. Raises FolderError."""
    entries, _ = examine(folder)
    found = next((e for e in entries if e.sample.uniqueid == uniqueid), None)
    if found is None:
        raise FolderError(f"{folder} holds no sample {uniqueid!r}; `offhook samples list` shows them")
    return found


def remove(folder: Path, uniqueid: str) -> Entry:
    """Delete a sample's two files. Raises FolderError."""
    found = find(folder, uniqueid)
    try:
        found.audio.unlink()
        found.audio.with_suffix(".toml").unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{found.audio} can't be removed: {error.strerror}") from None
    return found


def teach(
    folder: Path, recording: Path | Pcm, category: str | int, name: str = "", *,
    begin_ms: int = 0, end_ms: int | None = None, number: str = "", source: str = "",
) -> Sample:  # fmt: skip
    """Make a sample of what a call said: the stretch of its recording between two times, without the silence
    around it. Raises FolderError."""
    try:
        pcm = read(recording) if isinstance(recording, Path) else recording
    except AudioError as error:
        raise FolderError(str(error)) from None
    what = str(recording) if isinstance(recording, Path) else "the call"
    stretch = pcm[max(0, begin_ms) * 8 : None if end_ms is None else end_ms * 8]
    meaning = category_of(category)
    sound = check_sound(stretch, what)
    uniqueid = slug("-".join(w for w in (name or (meaning.alias if meaning else ""), number) if w))
    sample = Sample(
        uniqueid, name or (meaning.name if meaning else ""), meaning.alias if meaning else "",
        source=source, number=number, category=meaning.id if meaning else 0,
    )  # fmt: skip
    return add(folder, sound, sample)


def export(folder: Path, target: Path) -> int:
    """Copy a folder's samples into another folder, or into a new ZIP archive; how many there were.
    Raises FolderError."""
    entries, wrong = examine(folder)
    if wrong:
        raise FolderError(wrong[0])
    if target.suffix.lower() != ".zip":
        if target.resolve() == folder.resolve():
            raise FolderError(f"{target} is the sample folder itself")
        taken = ((read_sound(e), e.sample) for e in entries)
        return len(add_all(target, taken))
    if target.exists():
        raise FolderError(f"{target} is there already; give another name or remove it")
    temporary = target.with_name(f".{target.name}.writing")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for e in entries:
                archive.write(e.audio, e.audio.name)
                archive.writestr(f"{e.audio.stem}.toml", dump(e.sample))
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FolderError(f"{target} can't be written: {error.strerror}") from None
    return len(entries)


def read_sound(entry: Entry) -> Pcm:
    """A sample's audio. Raises FolderError."""
    try:
        return read(entry.audio)
    except AudioError as error:
        raise FolderError(str(error)) from None


