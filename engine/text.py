"""Text from the network, made fit to be shown: no control or direction character reaches a terminal."""

from __future__ import annotations

import logging
import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MAX_TEXT = 200


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def safe(text: str, limit: int = MAX_TEXT) -> str:
    """Text from outside with control and direction characters made visible, cut to `limit`."""
    text = _UNSAFE.sub(_escape, text[: limit * 2])
    return text if len(text) <= limit else text[: limit - 1] + "…"


class SafeFormatter(logging.Formatter):
    """A log's lines, with whatever a message or a traceback quotes from the network made visible."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(_UNSAFE.sub(_escape, line) for line in super().format(record).split("\n"))
