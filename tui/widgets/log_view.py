"""The log: the engine's lines, wrapped, following the newest until scrolled up."""

from __future__ import annotations

import time
from collections import deque

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.control.messages import LogLine
from tui.draw import Row
from tui.state import MAX_LOG, ConsoleState
from tui.text import wrap
from tui.widgets.pane import Painter

MARKS = {"debug": ("·", "dim"), "info": (" ", "text"), "warning": ("!", "warn"), "error": ("✕", "bad")}
MAX_ROWS = 3 * MAX_LOG


def draw_line(line: LogLine, cells: int) -> list[Row]:
    """One log line as rows of `cells`: time, level mark, text; continued under the text."""
    mark, role = MARKS[line.level]
    stamp = time.strftime("%H:%M:%S", time.localtime(line.at))
    head = 12
    text_role = "dim" if line.level == "debug" else role
    rows = [[(" " * head, "text"), (part, text_role)] for part in wrap(line.text, max(8, cells - head))]
    rows[0][0:1] = [(f" {stamp} ", "dim"), (f"{mark} ", role)]
    return rows


class LogView(Painter, ScrollView, can_focus=True):
    """Log lines, newest at the bottom."""

    def __init__(self, state: ConsoleState, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.state = state
        self._rows: deque[Row] = deque(maxlen=MAX_ROWS)
        self._seen = 0
        self.following = True
        """Whether the newest line stays in view; scrolling up ends it, scrolling to the end resumes it."""

    def redraw(self) -> None:
        """Take in the lines that came since the last time."""
        new = min(self.state.log_seen - self._seen, len(self.state.log))
        if new <= 0 or not self.cells:
            return
        for line in list(self.state.log)[-new:]:
            self._rows.extend(draw_line(line, self.cells))
        self._seen = self.state.log_seen
        self._show()

    def on_resize(self) -> None:
        self._rows.clear()
        for line in self.state.log:
            self._rows.extend(draw_line(line, max(1, self.cells)))
        self._seen = self.state.log_seen
        self._show()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.following = round(new_value) >= self.max_scroll_y

    def _show(self) -> None:
        self.virtual_size = Size(self.cells, len(self._rows))
        if self.following:
            self.scroll_to(y=len(self._rows), animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        return self.paint(self._rows[index] if index < len(self._rows) else [], self.cells)
