"""The dial box, and beside it the answer to what was last asked."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tui.draw import Row
from tui.widgets.pane import Pane


class DialBox(Input):
    """A field for a number. Enter dials it, Escape leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    class Left(Message):
        """The user is done with the field."""

    def __init__(self) -> None:
        super().__init__(placeholder="number to dial", compact=True, max_length=64, select_on_focus=False)
        self.cursor_blink = False

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def begin(self) -> None:
        """Start a new number: every key from now on comes here."""
        self.value = ""
        self.take_over()

    def take_over(self) -> None:
        """Have the focus at once, not when the queue of messages gets to it: no key is lost or overtaken."""
        self.screen.set_focus(self)


class SayLine(Pane):
    """One line that says what came of the last key: plain text, a role for its tone."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.text = ""
        self.role = "dim"

    def say(self, text: str, role: str = "text") -> None:
        self.text, self.role = text, role
        self.redraw()

    def draw(self, cells: int, rows: int) -> list[Row]:
        return [[(" " + self.text, self.role)]] if self.text else []
