"""What a library of 10,000 samples costs: `python tests/bench/many_samples_cost.py`.

Each size in a process of its own, the fingerprints mapped from a file as they are at work: the time until
announcements on a noisy line are told, CPU for a frame while they and speech that is unknown are heard, and
the memory that the library takes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from many_samples import many_samples
from speech_like import speech_like

from engine.detect.announcements import Announcements
from engine.detect.prints import Library, Print, Sample, fingerprint
from engine.samples import cache

KNOWN = 20
STAMP = cache.Stamp(0, 0)


def make(path: Path, count: int) -> None:
    """A file of `count` fingerprints, `KNOWN` of them of sounds that are played."""
    prints: dict[str, tuple[cache.Stamp, Print]] = {}
    for n in range(KNOWN):
        prints[f"known{n}"] = (STAMP, fingerprint(speech_like(n)))
    for sample, print_ in many_samples(count - KNOWN):
        prints[sample.uniqueid] = (STAMP, print_)
    if not cache.save(path, prints):
        sys.exit(f"{path} can't be written")


def memory_kib() -> int:
    """Resident now, of files mapped too."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def measure(path: Path) -> str:
    before = memory_kib()
    began = time.process_time()
    library = Library((Sample(name), print_) for name, (_, print_) in cache.load(path).items())
    ready = time.process_time() - began
    rng = np.random.default_rng(1)
    told, frames, cpu, wrong = [], 0, 0.0, 0
    for n in range(2 * KNOWN):
        sound = speech_like(n) + rng.normal(0, 500, 4 * 8000)
        x = np.clip(np.rint(sound), -32768, 32767).astype(np.float32)
        heard, found = Announcements(library), []
        began = time.process_time()
        for at in range(0, len(x) - 159, 160):
            if (match := heard.feed(x[at : at + 160])) is not None:
                found.append((library.samples[match.number].uniqueid, (at + 160) / 8000))
        cpu += time.process_time() - began
        frames += len(x) // 160
        names = [name for name, _ in found]
        wrong += names != ([f"known{n}"] if n < KNOWN else [])
        told += [at for _, at in found]
    memory = memory_kib() - before
    return (
        f"{len(library):6} samples: told after {np.mean(told):.2f} s ({KNOWN} known), {wrong} of "
        f"{2 * KNOWN} wrong, {1e6 * cpu / frames:.0f} us a frame, {memory / 1024:.0f} MB, ready in "
        f"{ready:.1f} s of CPU"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 1000, 10_000])
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of:
        print(measure(options.of))
        return
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prints"
            make(path, size)
            subprocess.run([sys.executable, __file__, "--of", str(path)], check=True)


if __name__ == "__main__":
    main()
