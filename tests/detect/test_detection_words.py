"""The words of docs/detection.md: tones, categories, finish causes are those of the detector."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from engine.detect.analyzer import Analyzer
from engine.detect.categories import CATEGORIES
from engine.detect.control import STOP_TONES, Listening, Settings
from engine.detect.outcome import SEED_TONES, FinishCause
from engine.detect.types import Tone

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n##", 1)[0]
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return found[1:]


def test_every_tone_of_the_page_is_one_of_the_detectors() -> None:
    told = {row[0].strip("`"): row[1].strip() for row in rows("Tones")}
    assert told.keys() == {tone.label for tone in Tone}
    for tone in Tone:
        assert told[tone.label] == (f"0x{tone:02x}" if tone & SEED_TONES else "–"), tone
    assert set(STOP_TONES) <= told.keys()


def test_every_category_of_the_page_is_one_of_the_detectors() -> None:
    found = rows("Categories of announcements")
    told = [(int(row[0].split()[0]), row[1].strip("`"), int(row[2])) for row in found]
    assert told == [(c.id, c.alias, c.code) for c in CATEGORIES.values()]


def test_every_finish_cause_is_on_the_page() -> None:
    assert [row[0].strip("`") for row in rows("Finish causes")] == [cause.value for cause in FinishCause]


def test_while_listening_goes_on_the_cause_is_unknown() -> None:
    listening = Listening(Analyzer("cn"), Settings())
    listening.feed(np.zeros(160, np.int16))
    assert listening.outcome.finish_cause is FinishCause.UNKNOWN


def test_nothing_ends_with_func_exit() -> None:
    engine = Path(__file__).parents[2] / "engine"
    using = [path for path in engine.rglob("*.py") if re.search(r"\bFUNC_EXIT\b", path.read_text("utf-8"))]
    assert [path.name for path in using] == ["outcome.py"]
