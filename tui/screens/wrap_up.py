"""How the call ended, in the operator's own words."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.screens.dialog import Dialog, plain

USUAL = ("sale", "call back", "not interested", "wrong number", "do not call", "voicemail", "answered")


class WrapUpScreen(Dialog[tuple[str, str]]):
    """Returns disposition and note, or None."""

    def __init__(self, number: str, name: str) -> None:
        super().__init__()
        self.heading = f"Wrap up {number} {name}".rstrip()

    def body(self) -> Iterable[Widget]:
        yield plain("Disposition, such as " + ", ".join(USUAL[:4]), "label")
        yield Input(
            compact=True,
            id="disposition",
            max_length=64,
            suggester=SuggestFromList(USUAL, case_sensitive=False),
        )
        yield plain("Note", "label")
        yield Input(compact=True, id="note", max_length=500)
        yield plain("", "problem")
        yield plain("Enter ends the wrap-up   Tab goes on   Esc leaves it open", "hint")

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False

    def on_input_submitted(self) -> None:
        disposition = self.query_one("#disposition", Input).value.strip()
        if not disposition:
            self.query_one(".problem", Static).update(Content("Say in a word or two how the call ended."))
            self.query_one("#disposition", Input).focus()
            return
        self.dismiss((disposition, self.query_one("#note", Input).value.strip()))
