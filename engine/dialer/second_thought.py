"""A stored attempt put right: what it said unknown has become known since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from engine.detect.categories import corrected
from engine.detect.outcome import FinishCause, Outcome
from engine.detect.types import Tone
from engine.dialer.dispositions import of_category
from engine.dialer.ports import AttemptRecord
from engine.dialer.ports import Heard as Detection

ACCURATE = "ACCURACY"


@dataclass(frozen=True, slots=True)
class Heard:
    """A known announcement, found `at` a later time. `score` is its correlation over `seconds`."""

    sample: Mapping[str, str | int]
    score: float
    seconds: float
    harmonics: float
    """How alike the voices' harmonics are: 1 for all the same."""
    at: datetime

    @property
    def alias(self) -> str:
        return str(self.sample.get("alias") or self.sample["uniqueid"])

    @property
    def note(self) -> str:
        """What became known, and when."""
        when = self.at.strftime("%Y-%m-%d %H:%M")
        return f"listened to again at {when} UTC: {self.alias} (sample {self.sample['uniqueid']})"


def heard_again(record: AttemptRecord, heard: Heard) -> AttemptRecord | None:
    """The record with the announcement in the place of the last unknown speech; None where that is not
    accurate enough to act on, or something was known before.

    What the call came to is changed as if the announcement had been known: its result, and where it was not
    answered its disposition. `hearing.corrected` and `reason` say what was told before.
    """
    unknown = [found for found in record.detections if found.tone == Tone.UNMATCH.label]
    category = int(heard.sample.get("category") or 0)
    if not unknown or record.hearing.get("category") or heard.sample.get("accuracy") != ACCURATE:
        return None
    stretch = unknown[-1]
    why = (
        f"{heard.seconds:.1f} s of sample {heard.sample['uniqueid']}, correlation {heard.score:.2f}, "
        f"harmonics {heard.harmonics:.2f}, {heard.note}"
    )
    confidence = min(1.0, heard.score)
    told = Detection(
        Tone.SAMPLE.label, stretch.begin_ms, stretch.end_ms, confidence, why, dict(heard.sample)
    )
    place = record.detections.index(stretch) + 1
    tones = int(record.hearing.get("all_tone") or 0)
    rang = bool(tones & (Tone.RINGBACK | Tone.COLORRINGBACK))
    call_s = (record.states.get("listening", 0) + stretch.end_ms) / 1000
    correction = corrected(category, rang, call_s)
    outcome = Outcome(FinishCause.STOPTONE, category=category, correction=correction)
    answered = "answered" in record.states
    before = str(record.hearing.get("result") or record.disposition)
    hearing = record.hearing | {
        "all_tone": tones | Tone.SAMPLE, "category": category, "correction": correction,
        "result": heard.alias, "sample": str(heard.sample["uniqueid"]),
        "corrected": f"{heard.note}; it was {before}",
    }  # fmt: skip
    disposition = record.disposition
    if not answered:
        hearing["status"] = heard.alias
        disposition = of_category(outcome) or disposition
    reason = record.reason
    if disposition != record.disposition:
        reason = f"{heard.note}; it was {record.disposition}" + (f", {reason}" if reason else "")
    return replace(
        record, detections=[*record.detections[:place], told, *record.detections[place:]], hearing=hearing,
        disposition=disposition, reason=reason,
    )
