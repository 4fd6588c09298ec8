"""Text from the network made safe and aligned for a terminal: one place, no markup anywhere.

Widths are terminal cells: a Chinese character takes two.
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache

from rich.cells import cell_len

MAX_FIELD = 512
"""Longest field that is looked at, in characters; the rest can never reach the screen."""

MAX_MARKS = 2
"""Combining marks kept on one character, so that stacked marks can't cover their neighbours."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    category = unicodedata.category(character)
    if category == "Cc" or character in _BIDI:
        return f"⟨{code:02x}⟩"
    if category == "Cf" or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return ""
    if category in ("Cs", "Co", "Cn"):
        return "\ufffd"
    if category in ("Zl", "Zp"):
        return "␤"
    return " " if category == "Zs" and character != "\u3000" else character


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """`text` with nothing in it that a terminal could act on.

    Controls become pictures (ESC is ␛, newline ␊), direction overrides their code point in ⟨⟩, zero-width
    characters go, unassigned ones become �. Right-to-left letters stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text[:MAX_FIELD]
    out: list[str] = []
    marks = 0
    for character in text[:MAX_FIELD]:
        shown = _shown(character)
        if shown and width(shown) == 0:
            marks += 1
            if marks > MAX_MARKS or not out or not unicodedata.category(shown).startswith("M"):
                continue
        else:
            marks = 0
        out.append(shown)
    return "".join(out)


def width(text: str) -> int:
    """Cells that already clean `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def clip(text: str, cells: int) -> str:
    """`text` made safe and at most `cells` wide; what was cut shows as …"""
    text = clean(text)
    if width(text) <= cells:
        return text
    if cells <= 1:
        return "…"[: max(cells, 0)]
    if text.isascii():
        return text[: cells - 1] + "…"
    end = min(len(text), cells - 1)
    while end and cell_len(text[:end]) > cells - 1:
        end -= 1
    return text[:end] + "…"


def fit(text: str, cells: int, *, right: bool = False) -> str:
    """`text` made safe and exactly `cells` wide, padded or truncated."""
    text = clip(text, cells)
    padding = " " * (max(cells, 0) - width(text))
    return padding + text if right else text + padding


def wrap(text: str, cells: int, limit: int = 6) -> list[str]:
    """`text` made safe and broken into at most `limit` lines of `cells`, at spaces where there are any."""
    text = clean(text)
    lines: list[str] = []
    while text and len(lines) < limit - 1 and width(text) > cells > 0:
        end = min(len(text), cells)
        while end > 1 and width(text[:end]) > cells:
            end -= 1
        space = text.rfind(" ", 0, end + 1)
        cut = space if space > end // 2 else end
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    if text or not lines:
        lines.append(clip(text, cells))
    return lines


def duration(seconds: float) -> str:
    """A running time: `0:07`, `12:34`, `1:02:03`. Never negative."""
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def span(seconds: float) -> str:
    """A step's time from the start of the call, to a tenth under a minute: `3.1 s`, then `1:02`."""
    return f"{max(0.0, seconds):.1f} s" if seconds < 59.95 else duration(seconds)


def until(seconds: float) -> str:
    """What is left of a time limit, rounded up so that it shows 0:00 only once it is over."""
    return duration(math.ceil(max(0.0, seconds)))


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"
