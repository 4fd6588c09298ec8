"""What the commands of `offhook samples` do."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np

from engine.cli.common import EXIT_OK, EXIT_USAGE, Usage, load_config, say
from engine.config import samples_folder
from engine.detect.announcements import Announcements
from engine.detect.categories import CATEGORIES
from engine.detect.prints import Library, Sample
from engine.detect.types import FRAME_SAMPLES
from engine.samples import edit, health
from engine.samples.audio import AudioError, read
from engine.samples.entry import ACCURACIES, FolderError, category_of
from engine.samples.folder import examine, read_folder
from engine.samples.packs import import_pack
from engine.samples.starter import make_starter
from engine.text import safe

NO_MATCH = 1
SHOWN = 20
"""So many of a package's mistakes are told."""
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Where:
    """Which sample folder a command is about: one that was named, else the configuration's."""

    samples: Path | None
    config: Path | None
    override: list[str] | None

    def folder(self) -> Path:
        """Raises Usage."""
        if self.samples is not None:
            return self.samples.expanduser()
        return samples_folder(load_config(self.config, self.override or [], need_trunk=False))


def one_sentence(work: Callable[P, int]) -> Callable[P, int]:
    """What a user can mend is one sentence and status 2."""

    @functools.wraps(work)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return work(*args, **kwargs)
        except (FolderError, AudioError, Usage) as error:
            say(f"offhook: {safe(str(error), 1000)}")
            return EXIT_USAGE

    return guarded


@one_sentence
def run_list(where: Where, as_json: bool) -> int:
    folder = where.folder()
    entries, wrong = examine(folder)
    if as_json:
        for e in entries:
            print(json.dumps({**asdict(e.sample), "file": str(e.audio)}, ensure_ascii=False))
    else:
        _table([e.sample for e in entries])
        say(f"{len(entries)} samples in {folder}")
    for sentence in wrong:
        say(f"offhook: {safe(sentence, 1000)}")
    return EXIT_USAGE if wrong else EXIT_OK


def _table(samples: list[Sample]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="")
    for title in ("uniqueid", "category", "accuracy", "language"):
        table.add_column(title, no_wrap=True)
    table.add_column("says", overflow="fold")
    for each in samples:
        category = CATEGORIES.get(each.category)
        meaning = f"{category.id} {category.name} {category.alias}" if category else "0"
        row = (each.uniqueid, meaning, each.accuracy, each.language, each.brief or each.detail or each.name)
        table.add_row(*(Text(safe(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@one_sentence
def run_add(where: Where, file: Path, category: str, said: Sample, begin: float, end: float | None) -> int:
    """`said` is what the command line says of the sample, without its category."""
    if said.accuracy not in ACCURACIES:
        raise Usage(f"--accuracy: found {said.accuracy!r}; {', '.join(ACCURACIES)} are allowed")
    try:
        meaning = category_of(category)
    except FolderError as error:
        raise Usage(f"--category: {error}") from None
    folder = where.folder()
    wanted = edit.slug(said.uniqueid or file.stem)
    taken = folder.is_dir() and any(e.sample.uniqueid == wanted for e in examine(folder)[0])
    if said.uniqueid and taken:
        raise Usage(f"--id: {folder} holds a sample {wanted!r} already")
    pcm = read(file)[round(begin * 8000) : None if end is None else round(end * 8000)]
    sample = replace(
        said, uniqueid=wanted, category=meaning.id if meaning else 0,
        name=said.name or (meaning.name if meaning else ""),
        alias=said.alias or (meaning.alias if meaning else ""),
    )  # fmt: skip
    added = edit.add(folder, edit.check_sound(pcm, str(file)), sample).uniqueid
    print(added)
    library, _ = read_folder(folder)
    number = next((n for n, s in enumerate(library.samples) if s.uniqueid == added), None)
    for pair in [] if number is None else health.twins_of(library, number):
        say(f"offhook: {safe(_of_twins(library, pair), 1000)}")
    return EXIT_OK


def _of_twins(library: Library, pair: health.Twins) -> str:
    better, worse = (library.samples[number] for number in pair)
    if better.category != worse.category:
        return health.clash(better, worse)
    return (
        f"the samples {better.uniqueid!r} and {worse.uniqueid!r} are the same recording and mean the same "
        f"({health.meaning(better)}); {better.uniqueid!r}, the better one, is enough"
    )


@one_sentence
def run_import(where: Where, pack: Path) -> int:
    folder = where.folder()
    done = import_pack(folder, pack)
    for sentence in done.left_out[:SHOWN]:
        say(f"offhook: left out: {safe(sentence, 1000)}")
    meant = sum(1 for s in done.added if s.category)
    said = [f"{len(done.added)} samples added to {folder}, {meant} of them with a category"]
    if done.known:
        said.append(f"{done.known} were there already")
    if done.too_short:
        said.append(f"{done.too_short} are too short to be recognised")
    say("; ".join(said))
    return EXIT_OK


@one_sentence
def run_remove(where: Where, uniqueids: list[str]) -> int:
    folder = where.folder()
    for each in uniqueids:
        edit.find(folder, each)
    for each in dict.fromkeys(uniqueids):
        say(f"{edit.remove(folder, each).audio} removed")
    return EXIT_OK


@one_sentence
def run_test(where: Where, files: list[Path], as_json: bool) -> int:
    library, wrong = read_folder(where.folder())
    for sentence in wrong:
        say(f"offhook: left out: {safe(sentence, 1000)}")
    if not files:
        return _test_library(library, wrong, as_json)
    status = EXIT_OK
    for file in files:
        found = list(matches(library, file))
        for each in found:
            print(json.dumps(each, ensure_ascii=False) if as_json else _in_words(each))
        if not found:
            status = NO_MATCH
            if not as_json:
                print(f"{safe(str(file))}: no sample matches")
    return status


def _test_library(library: Library, wrong: list[str], as_json: bool) -> int:
    """What in it can't be told apart. Samples that mean the same may be alike."""
    pairs = health.twins(library)
    clashing = 0
    for pair in pairs:
        better, worse = (library.samples[number] for number in pair)
        clashing += better.category != worse.category
        if as_json:
            told = {"better": better.uniqueid, "worse": worse.uniqueid}
            print(json.dumps({**told, "clash": better.category != worse.category}, ensure_ascii=False))
        else:
            print(safe(_of_twins(library, pair), 1000))
    say(f"{len(library)} samples, {len(pairs)} pairs that are alike, {clashing} of them mean something else")
    return NO_MATCH if wrong or clashing else EXIT_OK


def _in_words(match: dict[str, Any]) -> str:
    return (
        f"{safe(match['file'])}: {safe(match['uniqueid'])} ({match['category']} {safe(match['alias'])}) "
        f"at {match['at_s']:.2f} s, score {match['score']:.2f} over {match['seconds']:.1f} s, "
        f"harmonics {match['harmonics']:.2f}"
    )


def matches(library: Library, file: Path) -> Iterator[dict[str, Any]]:
    """Each announcement of a recording, in order. `at_s` is when it was known. Raises AudioError."""
    pcm = read(file).astype(np.float32)
    heard = Announcements(library)
    for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        match = heard.feed(pcm[at : at + FRAME_SAMPLES])
        if match is not None:
            sample = library.samples[match.number]
            yield {
                "file": str(file), **asdict(sample), "at_s": round((at + FRAME_SAMPLES) / 8000, 2),
                "begin_s": round(match.begin_frame * 0.02, 2), "score": round(match.score, 3),
                "seconds": match.seconds, "harmonics": round(match.voice, 3),
            }  # fmt: skip


@one_sentence
def run_export(where: Where, target: Path) -> int:
    count = edit.export(where.folder(), target)
    say(f"{count} samples written to {target}")
    return EXIT_OK


@one_sentence
def run_starter(where: Where) -> int:
    folder = where.folder()
    added = make_starter(folder)
    say(f"{len(added)} samples added to {folder}; what your own carrier says must still be taught")
    return EXIT_OK
