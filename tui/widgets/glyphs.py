"""Numbers three rows tall, for the call on show."""

from __future__ import annotations

_ROWS = (
    "╭─╮ ╶╮  ╶─╮ ╶─╮ ╷ ╷ ╭─╴ ╭─╴ ╶─╮ ╭─╮ ╭─╮             ╷ ╷",
    "│ │  │  ╭─╯  ─┤ ╰─┤ ╰─╮ ├─╮   │ ├─┤ ╰─┤ ╶┼╴   ∗  ∶ ╶┼─┼╴",
    "╰─╯ ╶┴╴ ╰─╴ ╶─╯   ╵ ╶─╯ ╰─╯   ╵ ╰─╯ ╶─╯             ╵ ╵",
)
_PLACES = {
    "0": (0, 3),
    "1": (4, 7),
    "2": (8, 11),
    "3": (12, 15),
    "4": (16, 19),
    "5": (20, 23),
    "6": (24, 27),
    "7": (28, 31),
    "8": (32, 35),
    "9": (36, 39),
    "+": (40, 43),
    "*": (45, 48),
    ":": (48, 50),
    "#": (51, 56),
    " ": (43, 45),
}
GLYPHS = {
    character: tuple(row.ljust(56)[start:end] for row in _ROWS) for character, (start, end) in _PLACES.items()
}


def big(text: str, cells: int) -> list[str] | None:
    """`text` three rows tall, spaced where `cells` allows; None where it does not fit or has no glyph."""
    if not text or any(character not in GLYPHS for character in text):
        return None
    for gap in (" ", ""):
        rows = [gap.join(GLYPHS[character][row] for character in text) for row in range(3)]
        if len(rows[0]) <= cells:
            return rows
    return None
