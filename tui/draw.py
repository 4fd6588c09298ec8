"""What a pane is drawn from: rows of (text, role) pieces, and a canvas of single cells.

A role is a word such as `dim` or `good`; `widgets/pane.py` turns it into the theme's style, so all
drawing is plain functions of the state and is tested without a screen.
"""

from __future__ import annotations

from tui.text import clean, clip, width

ON = " on "
"""Between two roles: the first one's ink on the second one's colour."""

Piece = tuple[str, str]
Row = list[Piece]

ROLES = (
    "text",
    "dim",
    "faint",
    "faint-text",
    "strong",
    "title",
    "accent",
    "good",
    "warn",
    "bad",
    "key",
    "active",
    "big",
    "cursor-text",
    "cursor-dim",
    "cursor-accent",
    "cursor-good",
    "cursor-warn",
    "cursor-bad",
    "cursor-off-text",
    "cursor-off-dim",
    "cursor-off-accent",
    "cursor-off-good",
    "cursor-off-warn",
    "cursor-off-bad",
    "rail",
    "rail-now",
    "rail-off",
    "level",
    "level-low",
    "level-hot",
    "level-clip",
    "level-off",
    "span-ring",
    "span-voice",
    "span-bad",
    "span-tone",
    "span-quiet",
    "span-flow",
    "heat-1",
    "heat-2",
    "heat-3",
    "heat-4",
    "heat-5",
    "heat-6",
    "digit",
    "sip-sent",
    "sip-received",
    "badge",
    "badge-warn",
    "brand",
    "notice",
    "notice-warn",
    "notice-bad",
)


def row_width(row: Row) -> int:
    return sum(width(text) for text, _ in row)


def justify(left: Row, right: Row, cells: int) -> Row:
    """`left` and `right` at the two ends of `cells`; `left` gives way."""
    room = cells - row_width(right)
    if room <= 0:
        return crop(right, cells)
    cut = crop(left, room - 1 if right else room)
    return [*cut, (" " * (room - row_width(cut)), "text"), *right]


def crop(row: Row, cells: int) -> Row:
    """The part of `row` that fits, the last piece truncated with …"""
    out: Row = []
    left = cells
    for text, role in row:
        if left <= 0:
            break
        piece = clip(text, left)
        out.append((piece, role))
        left -= width(piece)
    return out


class Canvas:
    """One row of cells that pieces are put on by column; what falls outside is cut."""

    def __init__(self, cells: int, fill: str = " ", role: str = "text") -> None:
        self.cells = max(0, cells)
        self._text = [fill] * self.cells
        self._role = [role] * self.cells

    def free(self, start: int, end: int) -> bool:
        """Whether nothing was put on the columns from `start` up to `end`."""
        return all(text == " " for text in self._text[max(0, start) : max(0, end)])

    def put(self, column: int, text: str, role: str) -> int:
        """Write `text` at `column`; returns the column after it."""
        for character in clean(text):
            size = width(character)
            if size == 0:  # a combining mark goes with what it stands on
                if 0 < column <= self.cells and self._text[column - 1]:
                    self._text[column - 1] += character
                continue
            if column >= 0 and column + size <= self.cells:
                self._clear(column, size)
                self._text[column], self._role[column] = character, role
                if size == 2:
                    self._text[column + 1], self._role[column + 1] = "", role
            column += size
        return column

    def _clear(self, column: int, size: int) -> None:
        """Leave no half of a wide character at either edge."""
        if self._text[column] == "" and column:
            self._text[column - 1] = " "
        after = column + size
        if after < self.cells and self._text[after] == "":
            self._text[after] = " "

    def row(self) -> Row:
        out: Row = []
        for text, role in zip(self._text, self._role, strict=True):
            if out and out[-1][1] == role:
                out[-1] = (out[-1][0] + text, role)
            else:
                out.append((text, role))
        return out
