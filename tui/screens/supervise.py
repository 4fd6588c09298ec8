"""Who is to supervise the call on show, and how."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.control import messages as wire
from tui import commands
from tui.commands import Refusal
from tui.screens.dialog import Dialog, plain
from tui.text import clean

Mode = Literal["listen", "whisper", "barge", "off"]
MODES: tuple[tuple[Mode, str, str], ...] = (
    ("listen", "Listen", "nobody hears them"),
    ("whisper", "Whisper", "the operator alone hears them"),
    ("barge", "Barge in", "all hear them"),
    ("off", "End", "their supervision ends, and their call with it"),
)


class SuperviseScreen(Dialog[wire.Supervise]):
    """Returns the command that has one of `others`, or a number, supervise `leg`; or None."""

    heading = "Supervise"

    def __init__(self, leg: wire.Leg, others: list[wire.Leg]) -> None:
        super().__init__()
        self.leg = leg
        self.others = others

    def body(self) -> Iterable[Widget]:
        yield plain(f"How the call with {self.leg.number} is supervised", "label")
        yield OptionList(
            *[
                Option(Content.assemble((f"{name:<10}", "bold"), (words, "$muted")), id=mode)
                for mode, name, words in MODES
            ],
            id="mode",
        )
        if self.others:
            yield plain("By", "label")
            yield OptionList(*[Option(_words(other), id=other.id) for other in self.others], id="who")
        yield plain("By a number that is called for it" if not self.others else "Or by a number", "label")
        yield Input(placeholder="number", compact=True, id="number")
        yield plain("", "problem")
        yield plain("Enter begins · Tab: next field · Esc leaves", "hint")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        for options in self.query(OptionList):
            options.highlighted = 0
        self.query_one("#mode", OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._take()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._take()

    def _take(self) -> None:
        mode = MODES[self.query_one("#mode", OptionList).highlighted or 0][0]
        typed = self.query_one(Input).value
        if not typed and self.others:
            who = self.others[self.query_one("#who", OptionList).highlighted or 0]
            self.dismiss(wire.Supervise(leg=who.id, of=self.leg.id, mode=mode))
            return
        number = commands.number(typed)
        if isinstance(number, Refusal):
            self.query_one(".problem", Static).update(Content(number.text))
            self.query_one(Input).focus()
        else:
            self.dismiss(wire.Supervise(of=self.leg.id, mode=mode, number=number))


def _words(leg: wire.Leg) -> Content:
    name = f" {clean(leg.remote)}" if leg.remote and leg.remote != leg.number else ""
    doing = leg.supervision or leg.state
    return Content.assemble((clean(leg.number), "bold"), name, (f"  {leg.role}, {doing}", "$muted"))
