"""What values of [detection] and [recording] must be beyond their types, in a configuration or a queue."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from engine.config import Detection, Recording
from engine.recording_names import PatternError
from engine.recording_names import check as check_name

Add = Callable[[str, str | None, str], None]
"""Called with a key, what was found there (None: nothing) and what is allowed."""


def shown(value: Any) -> str:
    """A value as a report of mistakes shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_hearing(detection: Detection, recording: Recording, add: Add) -> None:
    """Tell `add` of each value that can't be."""
    from engine.detect.answering import AmdSettings  # numpy: only where it is needed
    from engine.detect.categories import CATEGORIES
    from engine.detect.rules import RuleError, parse

    for key, code in detection.codes.items():
        if not key.isdecimal() or int(key) not in CATEGORIES:
            add(f"detection.codes.{key}", "no category", "a category from 2 to 20 is allowed")
        elif code and not 300 <= code <= 699:
            add(f"detection.codes.{key}", shown(code), "from 300 to 699 is allowed, or 0: none is sent")
    for name in ("busy", "congestion", "ringback", "450hz"):
        rule = getattr(detection, f"tone_{name}_rule")
        try:
            parse(rule)
        except RuleError as error:
            add(f"detection.tone_{name}_rule", shown(rule), str(error))
    known = [f.name for f in dataclasses.fields(AmdSettings)]
    for key, value in detection.amd.items():
        if key not in known:
            add(f"detection.amd.{key}", "an unknown key", f"allowed: {', '.join(known)}")
        elif not 0 <= value <= 60_000:
            add(f"detection.amd.{key}", shown(value), "from 0 to 60000 is allowed, in ms but for counts")
    try:
        check_name(recording.name)
    except PatternError as error:
        add("recording.name", shown(recording.name), str(error))
