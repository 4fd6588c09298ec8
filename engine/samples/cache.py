"""Fingerprints kept on disk, so that a folder of thousands of samples is ready in a second.

One file for a folder, in the user's cache directory: the folder itself may be read-only. A fingerprint is
taken from it while its audio file has the size and the time of change that it had. The file is mapped into
memory, not read: several processes share it, and only what is laid over a call is ever loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from engine.detect import landmarks, prints
from engine.detect.landmarks import BANDS, FINE, SIGNS
from engine.detect.prints import Print

_HEAD = 8
"""Bytes in front, that tell how long the index is."""
MAX_INDEX = 1 << 28
_ALIGNED = 64
_WORDS = SIGNS // 32


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file's change is seen."""

    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns)


def cache_file(folder: Path) -> Path:
    """Where a folder's fingerprints are kept."""
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("offhook")) / "fingerprints" / f"{name}.prints"


def _makers() -> str:
    """Of the code that makes fingerprints: what another version of it made is of no use."""
    digest = hashlib.sha256()
    for module in (landmarks, prints):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def load(path: Path) -> dict[str, tuple[Stamp, Print]]:
    """Fingerprints by their audio file's name; none where there is no cache or it can't be used."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_HEAD), "little")
            if not 0 < length <= MAX_INDEX:
                return {}
            index = json.loads(file.read(length))
        if index["makers"] != _makers():
            return {}
        mapped = np.asarray(np.memmap(path, np.uint8, "r"))
        return _split(index["files"], mapped, _aligned(_HEAD + length))
    except Exception:  # whatever a damaged file brings about: it is made anew
        return {}


def _aligned(at: int) -> int:
    return -(-at // _ALIGNED) * _ALIGNED


def _split(
    files: list[list[int | str]], mapped: npt.NDArray[np.uint8], at: int
) -> dict[str, tuple[Stamp, Print]]:
    """The fingerprints that were kept: all landmarks, which are needed at once, then each one's rows. None
    where something does not fit."""
    counts = [(int(count) * 4 * _WORDS, int(rows)) for *_, count, rows in files]
    words = sum(count for count, _ in counts)
    total = at + words + sum(rows for _, rows in counts) * (BANDS + FINE // 2)
    if any(min(each) < 0 for each in counts) or total != len(mapped):
        return {}
    found: dict[str, tuple[Stamp, Print]] = {}
    row = at + words
    for (name, size, changed, _, _), (count, rows) in zip(files, counts, strict=True):
        fine = row + rows * BANDS
        print_ = Print(
            mapped[at : at + count].view("<u4").reshape(-1, _WORDS),
            mapped[row:fine].reshape(-1, BANDS),
            mapped[fine : fine + rows * FINE // 2].reshape(-1, FINE // 2),
        )
        found[str(name)] = (Stamp(int(size), int(changed)), print_)
        at, row = at + count, fine + rows * FINE // 2
    return found


def save(path: Path, prints: dict[str, tuple[Stamp, Print]]) -> bool:
    """Keep them; where that can't be done they are made again next time. Whether they are kept."""
    if not prints:
        return False
    files = [
        [name, stamp.size, stamp.changed_ns, len(print_.landmarks), len(print_.bands)]
        for name, (stamp, print_) in prints.items()
    ]
    index = json.dumps({"makers": _makers(), "files": files}).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(len(index).to_bytes(_HEAD, "little"))
            file.write(index)
            file.write(bytes(_aligned(_HEAD + len(index)) - _HEAD - len(index)))
            for _, print_ in prints.values():
                file.write(np.ascontiguousarray(print_.landmarks, "<u4").data)
            for _, print_ in prints.values():
                file.write(np.ascontiguousarray(print_.bands).data)
                file.write(np.ascontiguousarray(print_.fine).data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        return False
    return True
