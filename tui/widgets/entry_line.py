"""The selected queue entry's own words: why it ended so, what was heard, its note."""

from __future__ import annotations

from engine.control.messages import Entry
from tui.draw import Row
from tui.text import clip, count
from tui.widgets.pane import Pane


def draw_entry_line(entry: Entry | None, cells: int) -> Row:
    """The reason first, then what was heard, attempts and note; empty where nothing is known."""
    if entry is None:
        return []
    parts: list[tuple[str, str]] = []
    if entry.reason:
        parts.append((entry.reason, "warn" if entry.state in ("blocked", "interrupted") else "text"))
    if entry.heard:
        parts.append((f"heard {entry.heard}", "text"))
    if entry.attempts:
        parts.append((count(entry.attempts, "attempt"), "dim"))
    if entry.note:
        parts.append((entry.note, "dim"))
    row: Row = [(" ", "text")]
    for text, role in parts:
        row += [*([(" · ", "faint")] if len(row) > 1 else []), (clip(text, cells), role)]
    return row


class EntryLine(Pane):
    """One line under the queue."""

    entry: Entry | None = None

    def show(self, entry: Entry | None) -> None:
        if entry != self.entry:
            self.entry = entry
            self.redraw()

    def draw(self, cells: int, rows: int) -> list[Row]:
        return [draw_entry_line(self.entry, cells)]
