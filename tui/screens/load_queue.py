"""Which CSV file to add to the queue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.screens.dialog import Dialog, plain


class LoadQueueScreen(Dialog[str]):
    """Returns an absolute path: the engine may run in another directory."""

    heading = "Load a queue"

    def __init__(self) -> None:
        super().__init__()

    def body(self) -> Iterable[Widget]:
        yield plain("CSV file, with a column `number` and, where wanted, `name` and `note`", "label")
        yield Input(placeholder="path", compact=True, id="path")
        yield plain("", "problem")
        yield plain("Enter adds its rows   Esc leaves", "hint")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text:
            self.query_one(".problem", Static).update(Content("Type a file's path."))
            return
        self.dismiss(str(Path(text).expanduser().absolute()))
