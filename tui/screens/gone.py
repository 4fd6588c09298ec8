"""The engine is gone: say so, keep the last state in view, offer to try again."""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content
from textual.widgets import Static

from tui.screens.choice import Choice, ChoiceScreen
from tui.text import clean

RETRY, QUIT = "retry", "quit"
AGAIN = 2.0
"""Seconds between tries while the question stands."""


class GoneScreen(ChoiceScreen):
    """Stays until the engine is back or the user leaves; tells the app which through `answered`."""

    def __init__(self, reason: str, answered: Callable[[str], None]) -> None:
        super().__init__(
            "The engine is gone",
            reason,
            (
                Choice(RETRY, "r", f"Try again now (it is tried every {AGAIN:g} seconds too)"),
                Choice(QUIT, "q", "Close the console"),
            ),
        )
        self.answered = answered

    def explain(self, reason: str) -> None:
        """Say anew why."""
        self.words = reason
        for words in self.query(".words").results(Static):
            words.update(Content(clean(reason)))

    def chosen(self, answer: str) -> None:
        self.answered(answer)

    def action_cancel(self) -> None:
        """Escape does not make the engine come back."""
