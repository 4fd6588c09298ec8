"""The queue, drawn a line at a time from the pages that are on show: any length, nothing is copied."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.control.messages import Entry, QueueRows
from tui.draw import Row, row_width
from tui.queue_book import QueueBook
from tui.text import fit, width
from tui.widgets.pane import Painter

STATES = {
    "queued": ("·", "dim"),
    "active": ("▶", "warn"),
    "done": ("✓", "good"),
    "interrupted": ("!", "bad"),
    "blocked": ("⊘", "bad"),
    "skipped": ("–", "dim"),
}
MISSED = {
    "no_answer",
    "busy",
    "rejected",
    "invalid_number",
    "congestion",
    "abandoned",
    "caller_hung_up",
    "no_rtp",
    "failed",
    "cancelled",
}
MAX_STRIPS = 512
WIDE = 42
"""Cells from which place, name and result each have a column."""
NUMBER, RESULT = 14, 13


def mark_of(entry: Entry) -> tuple[str, str]:
    """The entry's state as a sign and its role; a call that reached nobody is not a ✓."""
    if entry.state == "done" and entry.disposition in MISSED:
        return "✕", "bad" if entry.disposition == "abandoned" else "dim"
    return STATES[entry.state]


def result_of(entry: Entry) -> str:
    """What is known of an entry in a few words: its disposition, what was heard, or its state."""
    if entry.state in ("done", "interrupted") and entry.disposition:
        return entry.disposition.replace("_", " ")
    if entry.state == "queued":
        return f"try {entry.attempts + 1}" if entry.attempts else ""
    return (
        entry.disposition.replace("_", " ") if entry.state == "blocked" and entry.disposition else entry.state
    )


def draw_entry(entry: Entry, index: int, digits: int, cells: int, cursor: str = "") -> Row:
    """One entry in `cells`; `cursor` is the role of the selected row, empty for the others."""
    mark, mark_role = mark_of(entry)
    quiet = "dim" if entry.state in ("done", "skipped", "blocked") else "text"
    loud = mark_role if entry.state in ("active", "interrupted", "blocked") else "dim"
    result = result_of(entry)
    row: Row = [("▌" if cursor else " ", cursor and "accent"), (f"{mark} ", mark_role)]
    if cells >= WIDE:
        row.append((f"{index + 1:>{digits}} ", "dim"))
    row.append((fit(entry.number, NUMBER) + " ", "strong" if entry.state == "active" else quiet))
    rest = cells - row_width(row)
    if cells >= WIDE:
        row.append((fit(entry.name, rest - RESULT - 1) + " ", quiet))
        row.append((fit(result, RESULT), loud))
    elif result:
        row.append((fit(result, rest), loud))
    else:
        row.append((fit(entry.name, rest), quiet))
    return [(text, f"{cursor}-{_on_cursor(piece)}" if cursor else piece or "text") for text, piece in row]


def _on_cursor(role: str) -> str:
    return role if role in ("good", "warn", "bad", "dim", "accent") else "text"


class QueueView(Painter, ScrollView, can_focus=True):
    """The queue. Asks for rows with `NeedPages`; give them back with `put`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("escape", "follow", show=False),
    ]

    class NeedPages(Message):
        """Rows on show are not here: fetch them."""

    class Moved(Message):
        """Another row is selected."""

    def __init__(self, **kwargs: object) -> None:
        self._cache: OrderedDict[tuple[object, ...], Strip] = OrderedDict()
        super().__init__(**kwargs)
        self.book = QueueBook()
        self.cursor = 0
        self.following = True
        """The cursor goes along with the entry being called, until the user moves it."""

    @property
    def selected(self) -> Entry | None:
        return self.book.row(self.cursor)

    # --- rows in ------------------------------------------------------------------------------

    def put(self, page: int, rows: QueueRows) -> None:
        """Take in what came for `page`; rows are drawn as they come."""
        had = self.book.total
        before = self.selected
        self.book.put(page, rows)
        if self.book.total != had:
            self.virtual_size = Size(self.cells, self.book.total)
            self.cursor = min(self.cursor, max(0, self.book.total - 1))
        active = next((entry for entry in rows.rows if entry.state == "active"), None)
        if self.following and active is not None:
            self._go(active.position)
        if self.selected != before:
            self.post_message(self.Moved())
        self.refresh()

    def update(self, entry: Entry) -> None:
        """One entry changed."""
        known = self.book.update(entry)
        if self.following and entry.state == "active" and entry.position < self.book.total:
            self._go(entry.position)
        if known:
            self.refresh_line(entry.position)
            if entry.position == self.cursor:
                self.post_message(self.Moved())

    def outdate(self) -> None:
        """The rows moved: ask for those on show again."""
        self.book.outdate()
        self.post_message(self.NeedPages())

    def wanted(self) -> list[int]:
        """The pages that the rows on show need, the selected row's too."""
        first = self.scroll_offset.y
        pages = self.book.missing(first, first + max(1, self.size.height) - 1)
        return pages + [page for page in self.book.missing(self.cursor, self.cursor) if page not in pages]

    # --- moving -------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self._move(self.cursor + by)

    def action_page(self, by: int) -> None:
        self._move(self.cursor + by * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        self._move(self.book.total - 1 if end else 0)

    def action_follow(self) -> None:
        """Go along with the calls again."""
        self.following = True

    def on_click(self, event: Click) -> None:
        self._move(self.scroll_offset.y + event.y)

    def _move(self, to: int) -> None:
        self.following = False
        self._go(to)

    def _go(self, to: int) -> None:
        to = min(max(0, to), max(0, self.book.total - 1))
        if to == self.cursor:
            return
        old, self.cursor = self.cursor, to
        self.refresh_line(old)
        self.refresh_line(to)
        self._show_cursor()
        self.post_message(self.Moved())

    def _show_cursor(self) -> None:
        to, top, height = self.cursor, self.scroll_offset.y, max(1, self.size.height)
        if to < top:
            self.scroll_to(y=to, animate=False)
        elif to >= top + height:
            self.scroll_to(y=to - height + 1, animate=False)

    # --- drawing ------------------------------------------------------------------------------

    def forget(self) -> None:
        super().forget()
        self._cache.clear()

    def on_resize(self) -> None:
        self._cache.clear()
        self.virtual_size = Size(self.cells, self.book.total)
        self._show_cursor()

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.wanted():
            self.post_message(self.NeedPages())

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        cells = self.cells
        if index >= self.book.total:
            return self.paint(self._empty() if y == 1 and not self.book.total else [], cells)
        entry = self.book.row(index)
        cursor = ("cursor" if self.has_focus else "cursor-off") if index == self.cursor else ""
        if entry is None:
            place = f" {index + 1:,} " if width(f"{index + 1:,}") + 2 < cells else ""
            return self.paint([("▌" if cursor else " ", "accent"), (place + "…", "dim")], cells)
        digits = max(2, len(str(self.book.total)))
        key = (entry, index, digits, cells, cursor)
        strip = self._cache.get(key)
        if strip is None:
            row = draw_entry(entry, index, digits, cells, cursor)
            strip = self.paint(row, cells, f"{cursor}-text" if cursor else "text")
            self._cache[key] = strip
            if len(self._cache) > MAX_STRIPS:
                self._cache.popitem(last=False)
        return strip

    def _empty(self) -> Row:
        return (
            [(" The queue is empty.", "dim")] if self.book.fetched else [(" Waiting for the queue…", "dim")]
        )
