"""`offhook detect`: what recordings say, fed frame by frame as a call would be."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.cli.common import EXIT_OK, EXIT_USAGE, Usage, say
from engine.cli.detect_report import page
from engine.detect import plans
from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening, Settings
from engine.detect.plans import PlanError, has_plan, plan
from engine.detect.prints import Library
from engine.detect.types import FRAME_SAMPLES, Detection
from engine.detect.verdict import Summary
from engine.detect.voice import voice_model
from engine.samples import audio, folder
from engine.samples.health import clashes
from engine.text import safe

PARALLEL = 8
"""More files than this are worked on by every core."""
LOOKED_AT = 50
"""Frames whose spectra and levels are worked out at once; what they mean is decided one by one."""


class Task(msgspec.Struct, frozen=True):
    """One recording. `answer_at_s` is when the call in it was answered; null for never. A `country` without a
    tone plan is as good as none."""

    file: str
    country: Annotated[str, Meta(max_length=8)] | None = None
    answer_at_s: Annotated[float, Meta(ge=0)] | None = None
    folder: str = ""
    """Where a relative `file` is, other than in the working directory."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.file


class Worker:
    """Listens to recordings; one in each process."""

    def __init__(self, library: Library | None, settings: Settings, *, signal_only: bool = False) -> None:
        self._library = library
        self._settings = settings
        self._signal_only = signal_only

    def listen(self, task: Task) -> list[dict[str, Any]]:
        """The lines that `--json` prints for a recording; the last is its result, or its error."""
        began = time.process_time()
        try:
            pcm = audio.read(task.path)
            return self._listen(task, pcm, began)
        except audio.AudioError as error:
            return [{"type": "error", "file": task.file, "error": str(error)}]
        except Exception as error:  # the other files are listened to all the same
            told = f"{task.path} could not be listened to, by a fault of ours: {error!r}"
            return [{"type": "error", "file": task.file, "error": told}]

    def _listen(self, task: Task, pcm: Any, began: float) -> list[dict[str, Any]]:
        s = self._settings
        model = voice_model(signal_only=self._signal_only)
        country = task.country if task.country is not None and has_plan(task.country) else None
        analyzer = Analyzer(country, model, self._library, s.amd, s.max_prompt, s.rules)
        listening = Listening(analyzer, self._settings)
        summary = Summary()
        lines: list[dict[str, Any]] = []

        def take(found: Iterable[Detection]) -> None:
            at = listening.now_ms / 1000
            for each in found:
                summary.add(each, at)
                lines.append({"type": "detection", "file": task.file, "at_s": at, **_told(each)})

        answer = None if task.answer_at_s is None else task.answer_at_s * 1000
        frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        for at in range(0, len(frames), LOOKED_AT):
            for look in listening.look(frames[at : at + LOOKED_AT]):
                if answer is not None and listening.now_ms >= answer:
                    listening.answered()
                    answer = None
                take(listening.hear(look))
        take(listening.end())
        summary.end(listening.now_ms / 1000)
        outcome, sample = listening.outcome, summary.first_sample
        known = sample.sample if sample is not None else None
        lines.append({
            "type": "result", "file": task.file, "label": summary.label or "silence",
            "verdict_at_s": summary.verdict_at_s,
            "category": (known.category or None) if known is not None else None,
            "sample": known.uniqueid if known is not None else None,
            "digits": summary.digits, "beep_at_s": summary.beep_at_s, "result": outcome.result,
            "finish_cause": outcome.finish_cause.value, "all_tone": outcome.all_tone,
            "last_tone": outcome.last_tone, "cpu_s": round(time.process_time() - began, 4),
        })  # fmt: skip
        return lines


def _told(found: Detection) -> dict[str, Any]:
    told: dict[str, Any] = {
        "tone": found.tone.label, "begin_ms": found.begin_ms, "end_ms": found.end_ms,
        "confidence": round(found.confidence, 3), "why": found.why, "plan": found.plan or None,
    }  # fmt: skip
    if found.sample is not None:
        told["sample"] = asdict(found.sample)
    if found.digit:
        told["digit"] = found.digit
    return told


_worker: Worker | None = None


def _start_worker(library: Library | None, settings: Settings) -> None:
    global _worker
    _worker = Worker(library, settings)


def _work(task: Task) -> list[dict[str, Any]]:
    assert _worker is not None
    return _worker.listen(task)


def listen_to(
    tasks: list[Task], library: Library | None, settings: Settings
) -> Iterator[list[dict[str, Any]]]:
    """Each task's lines, in order; many tasks on all cores."""
    cores = os.cpu_count() or 1
    if len(tasks) <= PARALLEL or cores == 1:
        worker = Worker(library, settings)
        yield from map(worker.listen, tasks)
        return
    context = multiprocessing.get_context("fork")
    with context.Pool(cores, _start_worker, (library, settings)) as pool:
        yield from pool.imap(_work, tasks, chunksize=2)


def use_plans(file: Path | None) -> None:
    """Tone plans of the user's own, for all that is listened to from now on. Raises Usage."""
    try:
        plans.use(file)
    except PlanError as error:
        raise Usage(f"--tone-plans: {error}") from None


def tasks_of(
    files: list[Path], country: str | None, answer_at: float | None, listed: Path | None
) -> list[Task]:
    """Files, folders' files and those of a JSON-lines list. Raises Usage."""
    if country is not None:
        try:
            plan(country)
        except PlanError as error:
            raise Usage(f"--country: {error}") from None
    if answer_at is not None and not 0 <= answer_at < math.inf:
        raise Usage("--answer-at: seconds from the recording's beginning, 0 or more")
    found: list[Task] = []
    for path in files:
        inside = (
            sorted(p for p in path.rglob("*") if p.suffix.lower() in folder.AUDIO)
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise Usage(f"{path} holds no audio files; WAV and FLAC are read")
        found += [Task(str(p), country, answer_at) for p in inside]
    if listed is not None:
        found += _listed(listed, country, answer_at)
    if not found:
        raise Usage("give recordings: offhook detect FILE... or --tasks LIST")
    if unknown := sorted({t.country for t in found if t.country and not has_plan(t.country)}):
        say(f"no tone plan for {safe(', '.join(unknown[:8]))}: listened to as if no country was given")
    return found


def _listed(path: Path, country: str | None, answer_at: float | None) -> list[Task]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise Usage(f"--tasks: {path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Usage(f"--tasks: {path} is not a list: not text in UTF-8") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            task = msgspec.json.decode(line, type=Task)
        except msgspec.DecodeError as error:
            raise Usage(f'--tasks: {path}, line {number}: {error}; a line is {{"file": "a.wav"}}') from None
        found.append(
            msgspec.structs.replace(
                task,
                country=task.country or country,
                answer_at_s=answer_at if task.answer_at_s is None else task.answer_at_s,
                folder="" if Path(task.file).exists() else str(path.parent),
            )
        )
    return found


def run_detect(
    tasks: list[Task], samples: Path | None, settings: Settings, as_json: bool, report: Path | None = None
) -> int:
    """Listen to everything and print it; of one recording write a page too. Raises Usage where the samples
    can't be used, or the page can't be written."""
    if report is not None and len(tasks) != 1:
        raise Usage("--report: a page shows one recording; give one alone")
    library: Library | None = None
    if samples is not None:
        try:
            library, wrong = folder.read_folder(samples)
        except folder.FolderError as error:
            raise Usage(f"--samples: {error}") from None
        for sentence in [*wrong, *clashes(library)]:
            say(f"offhook: --samples: {safe(sentence, 1000)}")
    failed = 0
    show = _as_json if as_json else _as_text
    for lines in _with_progress(listen_to(tasks, library, settings), len(tasks)):
        failed += lines[-1]["type"] == "error"
        show(lines)
        if report is not None and lines[-1]["type"] == "result":
            _write(report, page(audio.read(tasks[0].path), lines))
    return EXIT_USAGE if failed else EXIT_OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Usage(f"--report: {path} can't be written: {error.strerror or error}") from None
    say(f"the report is at {path}")


def _with_progress(work: Iterator[list[dict[str, Any]]], count: int) -> Iterator[list[dict[str, Any]]]:
    if count <= PARALLEL or not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("listening", total=count)
        for lines in work:
            yield lines
            progress.advance(bar)


def _as_json(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        print(json.dumps(line, ensure_ascii=False))
    sys.stdout.flush()


def _as_text(lines: list[dict[str, Any]]) -> None:
    last = lines[-1]
    if last["type"] == "error":
        say(f"offhook: {last['error']}")
        return
    print(f"{last['file']}: {last['label']}")
    for line in lines[:-1]:
        name = line.get("sample", {}).get("uniqueid", "") or line.get("digit", "")
        print(f"  {line['at_s']:7.2f} s  {line['tone']:14} {name:12} {line['why']}")
