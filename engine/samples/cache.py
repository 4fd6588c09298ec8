"""Fingerprints kept on disk, so that a folder of thousands of samples is ready in a second.

One file for a folder, in the user's cache directory: the folder itself may be read-only. A fingerprint is
taken from it while its audio file has the size and the time of change that it had.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import platformdirs

from engine.detect import landmarks, prints
from engine.detect.landmarks import BANDS, FINE, HASHES
from engine.detect.prints import Print
from engine.samples.entry import write_whole


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
    return Path(platformdirs.user_cache_dir("offhook")) / "fingerprints" / f"{name}.npz"


def _makers() -> str:
    """Of the code that makes fingerprints: what another version of it made is of no use."""
    digest = hashlib.sha256()
    for module in (landmarks, prints):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def load(path: Path) -> dict[str, tuple[Stamp, Print]]:
    """Fingerprints by their audio file's name; none where there is no cache or it can't be used."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            index = json.loads(kept["index"].tobytes())
            if index["makers"] != _makers():
                return {}
            whole = Print(kept["hashes"], kept["frames"], kept["bands"], kept["fine"])
        return _split(index["files"], whole)
    except Exception:  # whatever a damaged file brings about: it is made anew
        return {}


def _split(files: list[list[int | str]], whole: Print) -> dict[str, tuple[Stamp, Print]]:
    """The fingerprints that were kept as one after the other; none where something does not fit."""
    hashes, frames, bands, fine = whole.hashes, whole.frames, whole.bands, whole.fine
    total = sum(int(f[3]) for f in files), sum(int(f[4]) for f in files)
    if hashes.shape != (total[0],) or frames.shape != (total[0],) or bands.shape != (total[1], BANDS):
        return {}
    if fine.shape != (total[1], FINE // 8):
        return {}
    if len(hashes) and int(hashes.max()) >= HASHES:
        return {}
    found: dict[str, tuple[Stamp, Print]] = {}
    at = row = 0
    for name, size, changed, count, rows in files:
        to, row_to = at + int(count), row + int(rows)
        print_ = Print(hashes[at:to], frames[at:to], bands[row:row_to], fine[row:row_to])
        found[str(name)] = (Stamp(int(size), int(changed)), print_)
        at, row = to, row_to
    return found


def save(path: Path, prints: dict[str, tuple[Stamp, Print]]) -> None:
    """Keep them; where that can't be done they are made again next time."""
    if not prints:
        return
    files = [
        [name, stamp.size, stamp.changed_ns, len(print_.hashes), len(print_.bands)]
        for name, (stamp, print_) in prints.items()
    ]
    index = json.dumps({"makers": _makers(), "files": files}).encode()
    all_of_them = [print_ for _, print_ in prints.values()]
    file = BytesIO()
    np.savez(
        file,
        index=np.frombuffer(index, np.uint8),
        hashes=np.concatenate([p.hashes for p in all_of_them]),
        frames=np.concatenate([p.frames for p in all_of_them]),
        bands=np.concatenate([p.bands for p in all_of_them]),
        fine=np.concatenate([p.fine for p in all_of_them]),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, file.getvalue())
    except OSError:
        pass
