"""What listening costs: `python tests/bench/hearing_cost.py [FOLDER]`.

Of a corpus (see hearing_corpus.py; without FOLDER a small one is made): how many times faster than real time
one core listens to recordings as `offhook detect` does, with the corpus's library of announcements; and how
much of a tick of 20 ms fifty calls take that are listened to at once, as the media thread does it. The calls
began one after the other; country unknown, so every tone plan counts. Times are of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as engine says, which is imported after numpy here

import hearing_corpus
import numpy as np
import soundfile

from engine.cli.detect import Task, Worker
from engine.detect.analyzer import Analyzer, answer_each, look_at_each
from engine.detect.control import Settings
from engine.detect.voice import voice_model
from engine.media.work import HEARD_AT_ONCE
from engine.samples import folder as samples

LEGS = 50
TICKS = 400
GOAL_TIMES = 200.0
FRAME = 160


@dataclass(frozen=True)
class Ticks:
    """Milliseconds of a processor that a tick took."""

    mean: float
    median: float
    late: float
    """The 99th percentile."""


def tick_cost(corpus: Path, legs: int) -> Ticks:
    """Of `legs` calls that are listened to at once, each another recording."""
    files = sorted(corpus.glob("*.wav"))
    sounds = [soundfile.read(str(files[n % len(files)]), dtype="int16")[0] for n in _spread(len(files), legs)]
    library = samples.load(corpus / "library")
    analyzers = [Analyzer(None, voice_model(), library) for _ in sounds]
    took = []
    for tick in range(legs + TICKS):
        heard = list(zip(analyzers, sounds, strict=True))[: tick + 1]
        frames = [x[tick * FRAME % (len(x) - FRAME) :][:FRAME] for _, x in heard]
        began = time.thread_time()
        for at in range(0, len(heard), HEARD_AT_ONCE):
            together = [analyzer for analyzer, _ in heard[at : at + HEARD_AT_ONCE]]
            for analyzer, look in zip(
                together, look_at_each(together, frames[at : at + HEARD_AT_ONCE]), strict=True
            ):
                analyzer.begin(look)
            answer_each(together)
            for analyzer in together:
                analyzer.end()
        if tick >= legs:
            took.append(1000 * (time.thread_time() - began))
    return Ticks(float(np.mean(took)), float(np.median(took)), float(np.percentile(took, 99)))


def _spread(count: int, legs: int) -> list[int]:
    return [n * count // legs for n in range(legs)]


def throughput(corpus: Path, seconds: float) -> tuple[float, float]:
    """How many times faster than real time `offhook detect` listens on one core, and microseconds a frame;
    of a part of the corpus that lasts so long at least, evenly drawn."""
    truths = [json.loads(line) for line in (corpus / "tasks.jsonl").read_text("utf-8").splitlines()]
    worker = Worker(samples.load(corpus / "library"), Settings())
    step = max(1, len(truths) // 100)
    sound = cpu = 0.0
    for truth in [t for start in range(step) for t in truths[start::step]]:
        path = corpus / truth["file"]
        cpu += worker.listen(Task(str(path), truth["country"], truth["answer_at_s"]))[-1]["cpu_s"]
        sound += soundfile.info(str(path)).duration
        if sound >= seconds:
            break
    return sound / cpu, 1e6 * cpu / sound / 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a corpus; without it one is made")
    parser.add_argument("--legs", type=int, default=LEGS, help="calls that are listened to at once")
    parser.add_argument("--seconds", type=float, default=900.0, help="of recordings to listen to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        corpus = options.folder
        if corpus is None:
            corpus = Path(made)
            hearing_corpus.write(corpus, 2025, 8, held_out=True)
        times, frame_us = throughput(corpus, options.seconds)
        tick = tick_cost(corpus, options.legs)
    print(f"recordings: {times:.0f} times real time on one core, {frame_us:.0f} us a frame of 20 ms "
          f"(goal: {GOAL_TIMES:.0f} times)")
    print(f"a tick of {options.legs} calls: {tick.mean:.1f} ms of 20 ms in the mean, "
          f"{tick.median:.1f} ms in the median, 99 %: {tick.late:.1f} ms")
    return 0 if times >= GOAL_TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
