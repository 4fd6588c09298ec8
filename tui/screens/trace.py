"""A call's SIP messages, drawn as a ladder by the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.control import messages as wire
from tui.screens.dialog import Dialog, plain
from tui.text import clean


class TraceScreen(Dialog[None]):
    """Escape, Enter, q and the key that brought it leave."""

    heading = "SIP messages"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,v", "cancel", show=False)]

    def __init__(self, traced: wire.Traced) -> None:
        super().__init__()
        self.heading = f"SIP messages: {traced.title}"
        self.traced = traced

    def body(self) -> Iterable[Widget]:
        lines = [clean(line) for line in self.traced.ladder]
        if self.traced.lost:
            lines.insert(0, f"{self.traced.lost} older messages are not kept.")
        yield ScrollableContainer(Static(Content("\n".join(lines or ["None yet."])), markup=False))
        yield plain("`offhook trace --full` prints them whole; `--pcap FILE` is for Wireshark.", "hint")
