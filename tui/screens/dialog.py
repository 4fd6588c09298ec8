"""What the dialogs share: a titled box over the screen, Escape to leave, text that is never markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.commands import STARTS_NUMBER
from tui.text import clean

Answer = TypeVar("Answer")


def plain(text: str, classes: str = "") -> Static:
    """Text as it is, whatever it holds."""
    return Static(Content(clean(text)), classes=classes, markup=False)


class Dialog(ModalScreen[Answer]):
    """A box in the middle of the screen. Subclasses give `heading` and `body`."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]
    heading = ""

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield plain(self.heading, "heading")
            yield from self.body()

    def on_key(self, event: Key) -> None:
        """A number typed while a list has the focus goes into the dialog's field for one."""
        field = next(iter(self.query("#number").results(Input)), None)
        character = event.character or ""
        if field is None or field.has_focus or not character or character not in STARTS_NUMBER:
            return
        event.stop()
        field.select_on_focus = False  # or the next character would take the place of this one
        self.set_focus(field)
        field.insert_text_at_cursor(character)

    def action_cancel(self) -> None:
        self.dismiss(None)
