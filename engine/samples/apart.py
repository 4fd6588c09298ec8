"""What takes long with samples, in a process of its own: `python -m engine.samples.apart TASK FOLDER`.

It runs at a low priority, so that no call notices. Tasks:

    read      take the fingerprints of what is new in the folder, into the cache
    starter   make the starter library there
    listen    lay recordings against the folder's samples: each line of standard input is {"path": FILE} or
              {"pcm": BASE64}, 16 bits at 8 kHz, and has its answer

Each answer is a JSON object on a line of standard output; `error` in it is a sentence for the user. The end
of standard input ends `listen`.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.detect.announcements import Announcements
from engine.detect.prints import Library
from engine.detect.types import FRAME_SAMPLES
from engine.samples.audio import RATE, AudioError, read
from engine.samples.edit import Pcm
from engine.samples.entry import FolderError
from engine.samples.folder import read_folder
from engine.samples.starter import make_starter

LOOKED_AT_S = 90
"""So much of a recording is listened to: announcements come before the answer, or soon after."""

Answer = dict[str, Any]


def read_task(folder: Path) -> Iterator[Answer]:
    library, wrong = read_folder(folder)
    yield {"samples": len(library), "wrong": wrong}


def starter_task(folder: Path) -> Iterator[Answer]:
    added = len(make_starter(folder))
    read_folder(folder)  # the fingerprints are in the cache then
    yield {"added": added}


def listen_task(folder: Path) -> Iterator[Answer]:
    library, _ = read_folder(folder)
    for line in sys.stdin:
        try:
            found = match(library, sound(json.loads(line)))
        except AudioError as error:
            yield {"error": str(error)}
        else:
            yield {"match": found}


def sound(request: Answer) -> Pcm:
    """The audio that is asked about: of a recording of both sides the received one. Raises AudioError."""
    if "pcm" in request:
        return np.frombuffer(base64.b64decode(request["pcm"]), np.int16)
    return read(Path(request["path"]), channel=0)[: LOOKED_AT_S * RATE]


def match(library: Library, pcm: Pcm) -> Answer | None:
    """The first known announcement in it, one that is accurate before any other."""
    heard = Announcements(library)
    doubtful: Answer | None = None
    frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    for frame in frames.astype(np.float32):
        found = heard.feed(frame)
        if found is None:
            continue
        sample = library.samples[found.number]
        answer = {
            "sample": asdict(sample), "score": round(found.score, 3), "seconds": found.seconds,
            "harmonics": round(found.voice, 3),
        }  # fmt: skip
        if sample.accuracy == "ACCURACY":
            return answer
        doubtful = doubtful or answer
    return doubtful


TASKS = {"read": read_task, "starter": starter_task, "listen": listen_task}


def main() -> None:
    os.nice(10)
    task, folder = sys.argv[1:]
    try:
        for answer in TASKS[task](Path(folder)):
            print(json.dumps(answer), flush=True)
    except FolderError as error:
        print(json.dumps({"error": str(error)}), flush=True)
    except BrokenPipeError:
        os._exit(0)  # nobody waits for the answer any more
    except Exception as error:  # whatever it is: who waits for the answer tells the user
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
