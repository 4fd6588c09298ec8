"""Names of recordings: a pattern such as `{date}/{time}-{number}-{result}`, filled in so that nothing that
came from a network or a file can lead out of the folder of recordings.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from datetime import datetime

FIELDS = ("date", "time", "number", "name", "id", "attempt", "leg", "trunk", "agent", "campaign", "result")
"""What a pattern may ask for. `date` and `time` take a strftime format after a colon."""
RESULT = "{result}"
"""Stays in a name until the call is over."""

MAX_PATTERN = 200
MAX_VALUE = 80
"""Octets of UTF-8 that a value may take in a name."""
MAX_PART = 200
"""Octets of one part of a path; what is left of 255 is for a number and the suffix."""
_TIMES = {"date": "%Y-%m-%d", "time": "%H%M%S"}
_STRFTIME = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSuUwWyYGV%])+")
_NOTHING = "none"


class PatternError(ValueError):
    """A pattern that can't be used; the text says which are allowed."""


def check(pattern: str) -> None:
    """Raises PatternError where a pattern can't name files in the folder of recordings."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise PatternError(f"1 to {MAX_PATTERN} characters are allowed")
    if pattern.startswith(("/", "~")):
        raise PatternError("a name within the folder is allowed: recording.folder says where that is")
    literal = ""
    for text, field, form, conversion in _parsed(pattern):
        if not text.isprintable() or "{" in text or "}" in text or "\\" in text:
            raise PatternError("printable text is allowed, without backslash and further braces")
        literal += text
        if field is None:
            continue
        literal += "x"
        if field not in FIELDS:
            raise PatternError(f"{{{field}}} is unknown; allowed: {', '.join(f'{{{f}}}' for f in FIELDS)}")
        if conversion or (form and field not in _TIMES):
            raise PatternError(f"only {{date:...}} and {{time:...}} take a format, not {{{field}}}")
        if form and not _STRFTIME.fullmatch(form):
            raise PatternError(f"the format of {{{field}}} is strftime's, such as {{date:%Y-%m-%d}}")
        if form:
            literal += form
    for part in literal.split("/"):
        if not part or part[0] in ".-":
            raise PatternError("no part of the name may be empty or begin with a dot or a dash")


def fill(pattern: str, facts: Mapping[str, str], at: datetime) -> str:
    """The name for a call that began `at`, with RESULT left in it. The pattern was checked."""
    filled = ""
    for text, field, form, _ in _parsed(pattern):
        filled += text
        if field in _TIMES:
            filled += "/".join(map(_value, at.strftime(form or _TIMES[field]).split("/")))
        elif field == "result":
            filled += RESULT
        elif field is not None:
            filled += _value(facts.get(field, ""))
    return filled


def finish(name: str, result: str) -> str:
    """A name with the result in it, every part of it fit for a file system."""
    return "/".join(_part(part) for part in name.replace(RESULT, _value(result)).split("/"))


def _parsed(pattern: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(pattern))
    except ValueError:
        raise PatternError("every { needs its }, with a word between them, such as {number}") from None


def _value(text: str) -> str:
    """What came from outside, as a piece of a name: letters, digits and + - _ . @, all else made _."""
    text = unicodedata.normalize("NFC", text)
    kept = "".join(c if c in "+-_.@" or unicodedata.category(c)[0] in "LN" else "_" for c in text[:MAX_VALUE])
    return _cut(kept.lstrip(".-_").rstrip("._"), MAX_VALUE) or _NOTHING


def _part(part: str) -> str:
    return _cut(part, MAX_PART).lstrip(".-") or _NOTHING


def _cut(text: str, octets: int) -> str:
    return text.encode("utf-8", "replace")[:octets].decode("utf-8", "ignore")
