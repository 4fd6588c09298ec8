"""Nothing from the network reaches a terminal as it came."""

from __future__ import annotations

import logging

from engine.text import SafeFormatter, safe


def test_control_and_direction_characters_are_made_visible() -> None:
    assert safe("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert safe("张伟 [red]é") == "张伟 [red]é"


def test_long_text_is_cut() -> None:
    assert safe("x" * 1000, 10) == "x" * 9 + "…"


def test_a_log_line_holds_no_escape_of_its_message_nor_of_a_traceback() -> None:
    try:
        raise ValueError("\x1b]0;title\x07")
    except ValueError as error:
        record = logging.LogRecord(
            "sip", logging.ERROR, "f", 1, "from %s", ("\x1b[31m",), (type(error), error, None)
        )
    text = SafeFormatter().format(record)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "from \\x1b[31m" in text
    assert "\n" in text, "the lines of a traceback stay lines"
