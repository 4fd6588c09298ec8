"""How the operator is reached: this headset, an agent's standing leg, or a cold dial."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.control.messages import Flow, OperatorMode, SetOperator
from tui.screens.dialog import Dialog, plain
from tui.text import clean

MODES = (
    ("headset", "Headset", "this machine's sound device"),
    ("standing", "Agent, standing", "an agent's phone, held between calls"),
    ("cold", "Agent, cold", "an agent's phone, rung once the callee answers"),
)


class OperatorScreen(Dialog[SetOperator]):
    """Returns the command, or None."""

    heading = "Operator"

    def __init__(self, flow: Flow | None) -> None:
        super().__init__()
        self.flow = flow

    def body(self) -> Iterable[Widget]:
        yield OptionList(
            *[
                Option(Content.assemble((f"{name:<16}", "bold"), (words, "$muted")), id=mode)
                for mode, name, words in MODES
            ]
        )
        yield plain("Agents' numbers, in the order they are tried", "label")
        agents = ", ".join(self.flow.agents) if self.flow is not None else ""
        yield Input(clean(agents), placeholder="none", compact=True, id="agents")
        yield plain("", "problem")
        yield plain("Enter takes the mode · Tab: numbers · Esc leaves", "hint")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        options = self.query_one(OptionList)
        modes = [mode for mode, _, _ in MODES]
        options.highlighted = modes.index(self.flow.operator) if self.flow is not None else 0

    def on_input_submitted(self) -> None:
        self._take(self.query_one(OptionList).highlighted or 0)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._take(event.option_index)

    def _take(self, index: int) -> None:
        mode = cast(OperatorMode, MODES[index][0])
        agents = [part.strip() for part in self.query_one(Input).value.split(",") if part.strip()]
        if mode != "headset" and not agents:
            self.query_one(".problem", Static).update(Content("An agent's number is needed for this."))
            self.query_one(Input).focus()
            return
        self.dismiss(SetOperator(mode=mode, agents=agents))
