"""A question with a few answers, each with a key of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.content import Content
from textual.events import Key
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.screens.dialog import Dialog, plain


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what `dismiss` gets, the key for it, its words."""

    id: str
    key: str
    label: str


class ChoiceScreen(Dialog[str]):
    """Returns the chosen id, or None after Escape. Enter takes the choice at `default` unless moved."""

    def __init__(self, heading: str, words: str, choices: tuple[Choice, ...], default: int = 0) -> None:
        super().__init__()
        self.heading = heading
        self.words = words
        self.choices = choices
        self.default = default

    def body(self) -> Iterable[Widget]:
        yield plain(self.words, "words")
        yield OptionList(
            *[
                Option(
                    Content.assemble((f" {choice.key} ", "bold $primary"), f" {choice.label}"), id=choice.id
                )
                for choice in self.choices
            ]
        )

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = self.default

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.chosen(event.option_id or "")

    def on_key(self, event: Key) -> None:
        for choice in self.choices:
            if event.key == choice.key:
                event.stop()
                self.chosen(choice.id)

    def chosen(self, answer: str) -> None:
        self.dismiss(answer)
