"""Whom to call beside the present call, or to hand it to."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.control import messages as wire
from tui import commands
from tui.commands import Refusal
from tui.screens.dialog import Dialog, plain
from tui.text import clean


class ConsultScreen(Dialog[str]):
    """Returns the number, or None."""

    heading = "Consult"

    def body(self) -> Iterable[Widget]:
        yield plain("Number to call beside this call, which is held meanwhile", "label")
        yield Input(placeholder="number", compact=True, id="number")
        yield plain("", "problem")
        yield plain("Enter dials · Esc leaves", "hint")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        number = commands.number(event.value)
        if isinstance(number, Refusal):
            self.query_one(".problem", Static).update(Content(number.text))
        else:
            self.dismiss(number)


class TransferScreen(Dialog[wire.Transfer | wire.TransferToLeg]):
    """Returns the command that hands `leg` to a number or joins it with one of `others`, or None."""

    heading = "Transfer"

    def __init__(self, leg: wire.Leg, others: list[wire.Leg]) -> None:
        super().__init__()
        self.leg = leg
        self.others = others

    def body(self) -> Iterable[Widget]:
        if self.others:
            yield plain(f"Join {self.leg.number} with the other call, and leave both", "label")
            yield OptionList(*[Option(_words(other), id=other.id) for other in self.others])
        hand = "Or hand it" if self.others else f"Hand {self.leg.number}"
        yield plain(f"{hand} to a number, without asking there first", "label")
        yield Input(placeholder="number", compact=True, id="number")
        yield plain("", "problem")
        tab = " · Tab: number" if self.others else ""
        yield plain(f"Enter transfers{tab} · Esc leaves", "hint")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        if self.others:
            self.query_one(OptionList).highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(wire.TransferToLeg(leg=self.leg.id, other=self.others[event.option_index].id))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        number = commands.number(event.value)
        if isinstance(number, Refusal):
            self.query_one(".problem", Static).update(Content(number.text))
        else:
            self.dismiss(wire.Transfer(leg=self.leg.id, to=number))


def _words(leg: wire.Leg) -> Content:
    held = " held" if leg.held else ""
    name = f" {clean(leg.remote)}" if leg.remote and leg.remote != leg.number else ""
    return Content.assemble((clean(leg.number), "bold"), name, (f"  {leg.role}{held}", "$muted"))
