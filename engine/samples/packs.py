"""Sound packages taken in: a folder or ZIP of audio, as Asterisk and FreeSWITCH ship them.

What a prompt says is told by Asterisk's `core-sounds-en.txt` (`name: text`) and FreeSWITCH's phrase XML
(`<prompt phrase="..." filename="..."/>`), by a TOML file beside it, or by its file name. The category is
taken from the words where they leave no doubt, and is 0 otherwise.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from engine.detect.categories import CATEGORIES
from engine.detect.prints import Sample
from engine.samples.audio import AUDIO, AudioError, read
from engine.samples.edit import Pcm, TooLittle, add_all, check_sound, slug
from engine.samples.entry import FolderError, read_entry
from engine.samples.meanings import meaning_of

MAX_FILES = 20_000
MAX_UNPACKED = 2_000_000_000
_LANGUAGE = re.compile(r"^([a-z]{2})(?:[_-][A-Za-z]{2})?(?:[_-].*)?$")
_PROMPT = re.compile(r"<prompt\b[^>]*>")
_ATTRIBUTE = re.compile(r'\b(phrase|filename)\s*=\s*"([^"]*)"')
_TEXT_LINE = re.compile(r"^\s*([\w./-]+)\s*:\s*(\S.*?)\s*$")
_RATES = {"8000", "16000", "32000", "48000", "44100"}


@dataclass(slots=True)
class Imported:
    """What an import did."""

    added: list[Sample] = field(default_factory=list)
    known: int = 0
    """Samples that the folder had already."""
    too_short: int = 0
    """Files with too little sound for a sample: digits and letters."""
    left_out: list[str] = field(default_factory=list)
    """A sentence for each file that is wrong."""


def import_pack(folder: Path, pack: Path, saw: Callable[[], None] = lambda: None) -> Imported:
    """Add what a folder or a ZIP archive holds to a sample folder. `saw` is called after each file.
    Raises FolderError."""
    if pack.suffix.lower() == ".zip" and pack.is_file():
        with tempfile.TemporaryDirectory(prefix="offhook-import-") as place:
            _unpack(pack, Path(place))
            return _import(folder, Path(place), pack.name, saw)
    if not pack.is_dir():
        raise FolderError(f"{pack} is neither a folder nor a ZIP archive")
    if pack.resolve() == folder.resolve():
        raise FolderError(f"{pack} is the sample folder itself")
    return _import(folder, pack, pack.name, saw)


def _import(folder: Path, pack: Path, source: str, saw: Callable[[], None]) -> Imported:
    files = [p for p in sorted(pack.rglob("*")) if p.suffix.lower() in AUDIO and p.is_file()]
    if not files:
        raise FolderError(f"{source} holds no audio files")
    if len(files) > MAX_FILES:
        raise FolderError(f"{source} holds {len(files)} audio files; at most {MAX_FILES} are taken at a time")
    texts = _texts(pack)
    done = Imported()
    have = {p.stem for p in folder.iterdir()} if folder.is_dir() else set()
    taken: list[tuple[Pcm, Sample]] = []
    for path in _best(pack, files):
        saw()
        try:
            sample = _sample(pack, path, texts, source)
            if sample.uniqueid in have:
                done.known += 1
                continue
            taken.append((check_sound(read(path), str(path)), sample))
        except TooLittle:
            done.too_short += 1
        except (AudioError, FolderError) as error:
            done.left_out.append(str(error))
        if len(taken) >= 200:
            done.added += add_all(folder, taken)
            taken = []
    done.added += add_all(folder, taken)
    return done


def _best(pack: Path, files: list[Path]) -> list[Path]:
    """One file of those that hold the same prompt: FreeSWITCH has a folder for each rate, Asterisk a suffix
    for each codec. The best sound comes first, G.711's and then 8 kHz suffice."""
    order = {".flac": 0, ".wav": 0, ".sln16": 1, ".sln": 1, ".alaw": 2, ".ulaw": 2, ".gsm": 3}
    chosen: dict[str, tuple[int, int, Path]] = {}
    for path in files:
        rate = next((int(part) for part in path.relative_to(pack).parts if part in _RATES), 8000)
        rank = (order.get(path.suffix.lower(), 1), rate, path)
        name = _name(pack, path)
        if name not in chosen or rank[:2] < chosen[name][:2]:
            chosen[name] = rank
    return [path for _, _, path in chosen.values()]


def _name(pack: Path, path: Path) -> str:
    """A prompt's name in its package, such as `digits/1`."""
    parts = path.relative_to(pack).with_suffix("").parts
    return "/".join(p for p in parts if p not in _RATES)


def _sample(pack: Path, path: Path, texts: dict[str, str], source: str) -> Sample:
    """What a file of a package is. Raises FolderError."""
    name = _name(pack, path)
    if path.with_suffix(".toml").is_file():
        told = read_entry(path)
        return replace(told, uniqueid=slug(told.uniqueid), source=told.source or source)
    folders = path.relative_to(pack).parent.parts
    language = next((m[1] for part in (*folders[::-1], source) if (m := _LANGUAGE.match(part))), "")
    text = texts.get(name) or texts.get(path.stem) or ""
    words = text or re.sub(r"[-_/.]+", " ", name)
    category = meaning_of(words)
    known = CATEGORIES.get(category)
    return Sample(
        slug(name.replace("/", "-")), known.name if known else path.stem, known.alias if known else "",
        brief=words, language=language, source=source, category=category,
    )  # fmt: skip


def _texts(pack: Path) -> dict[str, str]:
    """What prompts say, by their names."""
    found: dict[str, str] = {}
    for path in sorted(pack.rglob("*")):
        if path.suffix.lower() not in (".txt", ".xml") or not path.is_file():
            continue
        try:
            if path.stat().st_size > 4_000_000:
                continue
            text = path.read_text("utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix.lower() == ".txt":
            for line in text.splitlines():
                if (told := _TEXT_LINE.match(line)) is not None:
                    found.setdefault(told[1], told[2][:4000])
            continue
        for prompt in _PROMPT.findall(text):
            said = dict(_ATTRIBUTE.findall(prompt))
            if said.get("phrase") and said.get("filename"):
                stem = PurePosixPath(said["filename"]).with_suffix("")
                found.setdefault(stem.name, said["phrase"][:4000])
    return found


def _unpack(archive: Path, place: Path) -> None:
    """An archive's audio and text files, by names that stay inside `place`. Raises FolderError."""
    wanted = (*AUDIO, ".toml", ".txt", ".xml")
    total = 0
    try:
        with zipfile.ZipFile(archive) as file:
            if len(file.infolist()) > 4 * MAX_FILES:
                raise FolderError(f"{archive} holds too many files")
            for info in file.infolist():
                parts = PurePosixPath(info.filename.replace("\\", "/")).parts
                if info.is_dir() or not info.filename.lower().endswith(wanted):
                    continue
                if ".." in parts or parts[0] == "/" or ":" in parts[0]:
                    raise FolderError(f"{archive} holds a file outside of itself and is not to be trusted")
                total += info.file_size
                if total > MAX_UNPACKED:
                    raise FolderError(f"{archive} would unpack to more than {MAX_UNPACKED // 10**9} GB")
                target = place.joinpath(*(slug(p) for p in parts))
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(info) as inside, target.open("wb") as out:
                    left = info.file_size
                    while left > 0 and (piece := inside.read(min(left, 1 << 20))):
                        out.write(piece)
                        left -= len(piece)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise FolderError(f"{archive} can't be unpacked: {error}") from None
