"""A busy Textual screen: redraws a table of changing cells thirty times a second. Run it on a terminal."""

from __future__ import annotations

import itertools
import random

from rich.table import Table
from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, Static


class BusyConsole(App[None]):
    """What a console under load costs the machine: layout, rendering and terminal output without pause."""

    def compose(self) -> ComposeResult:
        yield Header(show_clock=True)
        yield Static(id="calls")
        yield Footer()

    def on_mount(self) -> None:
        self.numbers = itertools.count()
        self.set_interval(1 / 30, self.redraw)

    def redraw(self) -> None:
        table = Table(*(f"column {n}" for n in range(8)))
        for _ in range(30):
            colours = random.choices(("red", "green", "blue"), k=8)
            table.add_row(*(f"[{colour}]{next(self.numbers)}" for colour in colours))
        self.query_one("#calls", Static).update(table)


BusyConsole().run()
