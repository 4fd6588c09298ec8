"""Where in a TOML file a key stands, for reports of mistakes."""

from __future__ import annotations

import re

_NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_HEADER = re.compile(r"\s*\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(?:\.|$)""")


def line_of(text: str, key: str) -> int:
    """The line of a key by its path (`detection.stop_on`); of a table that has no line of its own, where it
    begins; else of the nearest table around it; 0 where none of it stands in the text. What is said of an
    item (`trunk.rules, rule 2`) is at its key's line."""
    wanted = key.partition(",")[0]
    best, line, inner = 0, 0, 0
    section = ""
    for number, content in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(content):
            at = section = _joined(header[1])
        elif found := _KEY.match(content):
            at = ".".join(filter(None, (section, _joined(found[1]))))
        else:
            continue
        if (at == wanted or wanted.startswith(f"{at}.")) and len(at) > best:
            best, line = len(at), number
        elif at.startswith(f"{wanted}."):
            inner = inner or number
    return inner if inner and best < len(wanted) else line


def _joined(dotted: str) -> str:
    return ".".join(a or b or c for a, b, c in _PART.findall(dotted))
