"""The console's one working screen: panes over the state, keys to commands, one timer that draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key as KeyPressed
from textual.events import Paste
from textual.screen import Screen
from textual.widgets import Input

from engine.control import messages as wire
from tui import commands
from tui.commands import COMMANDS, Context, Refusal
from tui.connection import Connection
from tui.draw import Row
from tui.keymap import bindings, shown
from tui.queue_book import PAGE
from tui.screens.dialogs import MainDialogs
from tui.state import Change, ConsoleState, Offer
from tui.talker import Talker
from tui.text import count, width
from tui.widgets.call_panel import CallPanel
from tui.widgets.dial_box import DialBox, SayLine
from tui.widgets.entry_line import EntryLine
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.log_view import LogView
from tui.widgets.pane import Heading, Label, Painter, Palette, Pane
from tui.widgets.queue_view import QueueView
from tui.widgets.status_line import StatusLine
from tui.widgets.timeline import Timeline

TICK = 0.1
"""Seconds between drawings: however many events came, each pane is drawn at most ten times a second."""

OFFERED_S = 30.0
"""Seconds for which the operator is told that what a call said can be taught."""

WIDTHS = [(0, "-narrow"), (76, "-normal"), (104, "-wide")]
HEIGHTS = [(0, "-short"), (22, "-medium"), (33, "-tall")]


class MainScreen(MainDialogs, Screen[None]):
    """Status, queue, call, timeline, lines, log, dial box, keys."""

    CSS_PATH = "main.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(always=False)]
    AUTO_FOCUS = "QueueView"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(
        self, state: ConsoleState, connection: Connection, clock: Callable[[], float], keys: dict[str, str]
    ) -> None:
        super().__init__()
        self.state = state
        self.connection = connection
        self.clock = clock
        self.keys = keys
        self.pending = Change.ALL
        self.looking = ""
        """The leg whose spectrum was asked for."""
        self._second = 0
        self._offered: Offer | None = None
        """The unknown announcement that the operator was told of."""
        self._fetching = False
        self.talker = Talker(self)
        self._actions: dict[str, Callable[[], None]] = {
            "dial": self.go_dial,
            "next_call": self.next_call,
            "load": self.ask_load,
            "operator": self.ask_operator,
            "refuse_as": self.ask_refuse,
            "transfer": self.ask_transfer,
            "consult": self.ask_consult,
            "supervise": self.ask_supervise,
            "talk": self.talker.key,
            "wrap_up": self.ask_wrap_up,
            "teach": self.ask_teach,
            "trace": self.show_trace,
            "help": self.show_help,
            "theme": self.next_theme,
            "quit": self.ask_quit,
            "zoom_in": lambda: self.timeline.zoom_by(1),
            "zoom_out": lambda: self.timeline.zoom_by(-1),
        }

    def compose(self) -> ComposeResult:
        yield Palette()
        yield StatusLine(self.state, self.clock, self.keys)
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Heading("QUEUE", self._queue_info, id="queue-heading")
                yield QueueView()
                yield EntryLine(id="entry")
                yield Lines(self.state)
            with Vertical(id="right"):
                yield CallPanel(self.state, self.clock, self.keys)
                yield Timeline(self.state, self.clock)
                yield Heading("LOG", list, id="log-heading")
                yield LogView(self.state)
        with Horizontal(id="command"):
            yield Label(" Dial ", "title", id="dial-label")
            yield DialBox()
            yield SayLine(id="say")
        yield KeyBar(self.state, self.keys)

    def on_mount(self) -> None:
        self.queue = self.query_one(QueueView)
        self.timeline = self.query_one(Timeline)
        self.set_interval(TICK, self.tick)
        self.app.theme_changed_signal.subscribe(self, self._theme_changed)

    def _theme_changed(self, _: object) -> None:
        for painter in self.query(Painter):
            painter.forget()
            painter.refresh()

    # --- drawing ------------------------------------------------------------------------------

    def take(self, event: wire.Event) -> None:
        """Apply an event now; what it changed is drawn at the next tick."""
        self.pending |= self.state.apply(event)

    def tick(self) -> None:
        """Draw what changed since the last tick."""
        change, self.pending = self.pending, Change.NONE
        second = int(self.clock())
        if second != self._second:
            self._second = second
            change |= Change.STATUS
            if self.state.calls_up:
                change |= Change.CALLS | Change.TIMELINE
        self._offer_to_teach()
        if not change:
            return
        if change & (Change.ROWS | Change.QUEUE):
            self._take_rows(change)
        if change & Change.CALLS:
            self._look()
        self._redraw(change & Change.STATUS, StatusLine)
        self._redraw(change & (Change.CALLS | Change.METERS), CallPanel)
        self._redraw(change & (Change.CALLS | Change.METERS | Change.TIMELINE), Timeline)
        self._redraw(change & Change.CALLS, Lines)
        self._redraw(change & (Change.CALLS | Change.STATUS), KeyBar)
        self._redraw(change & Change.STATUS, Heading)
        if change & Change.LOG:
            self.query_one(LogView).redraw()

    def _offer_to_teach(self) -> None:
        """Say that an unknown announcement can be taught, and no longer once it is old."""
        offer = self.state.offer
        if offer is not None and self.clock() - offer.at > OFFERED_S:
            offer = self.state.offer = None
        if offer == self._offered:
            return
        line = self.query_one("#say", SayLine)
        if offer is not None:
            key = shown(self.keys["teach"])
            self.say(f"{offer.number} said something unknown: {key} teaches what it means.", "warn")
        elif line.text.endswith("teaches what it means."):
            self.say("")
        self._offered = offer
        self._redraw(Change.CALLS, KeyBar)

    def _look(self) -> None:
        """Have the engine send the spectrum of the call on show."""
        call = self.state.call
        leg = call.leg if call is not None and call.up and self.connection.up else ""
        if leg != self.looking:
            self.looking = leg
            self.look(leg)

    @work(group="looking", exclusive=True)
    async def look(self, leg: str) -> None:
        reply = await self.connection.send(wire.Look(leg=leg))
        if not reply.ok:
            self.looking = ""

    def _redraw(self, wanted: Change, kind: type[Pane]) -> None:
        if wanted:
            for pane in self.query(kind):
                pane.redraw()

    def _queue_info(self) -> Row:
        counts = self.state.counts
        if counts is None:
            return []
        info: Row = [(f"{counts.queued:,} to call", "text"), (f" · {counts.done:,} done", "dim")]
        if counts.interrupted:
            info.append((f" · {counts.interrupted:,} interrupted", "bad"))
        elif not self.queue.following:
            info.append((f" · row {self.queue.cursor + 1:,}", "dim"))
        return info

    # --- the queue's pages --------------------------------------------------------------------

    def _take_rows(self, change: Change) -> None:
        rows, self.state.changed_rows = self.state.changed_rows, []
        for entry in rows:
            self.queue.update(entry)
        if change & Change.QUEUE:
            self.queue.outdate()

    @on(QueueView.NeedPages)
    def _need_pages(self) -> None:
        if not self._fetching:
            self._fetching = True
            self._fetch_pages()

    @work(group="pages")
    async def _fetch_pages(self) -> None:
        """Fetch what is on show by the time it is asked for, a page at a time."""
        try:
            while self.connection.up and (pages := self.queue.wanted()):
                reply = await self.connection.send(wire.QueuePage(offset=pages[0] * PAGE, limit=PAGE))
                if reply.rows is None:
                    self.say(reply.error or "The engine sent no queue rows.", "bad")
                    return
                self.queue.put(pages[0], reply.rows)
        finally:
            self._fetching = False

    @on(QueueView.Moved)
    def _moved(self) -> None:
        self.query_one(EntryLine).show(self.queue.selected)
        self.query_one("#queue-heading", Heading).redraw()

    # --- keys ---------------------------------------------------------------------------------

    def action_act(self, key_id: str) -> None:
        """Do what the key `key_id` stands for."""
        if (action := self._actions.get(key_id)) is not None:
            action()
            return
        result = COMMANDS[key_id](Context(self.state, self.queue.selected))
        if isinstance(result, Refusal):
            self.say(result.text, "warn")
        else:
            self.send(result, commands.done(result))

    @on(KeyBar.Pressed)
    def _key_clicked(self, event: KeyBar.Pressed) -> None:
        self.action_act(event.key_id)

    def on_key(self, event: KeyPressed) -> None:
        """A digit outside any field goes to the call, or starts a number when there is no call."""
        character = event.character or ""
        if character not in commands.TYPED or not character:
            return
        event.stop()
        command = commands.digit(self.state, character)
        if command is not None:
            self.send(command, f"Sent {character}")
        elif self.state.calls_up:
            self.say("Digits go to the call once it is answered.", "warn")

    def before_key(self, event: KeyPressed | Paste) -> bool:
        """A number typed or pasted outside any field, or the dial key, brings the dial box.

        The app calls this before it routes the event; true where that was all there is to it. Were the box
        brought by the event's handler, the keys that a quick hand types next would reach the wrong widget
        meanwhile, and a part of the number would be dialled.
        """
        if isinstance(self.focused, Input):
            return False
        if isinstance(event, KeyPressed) and event.key in self.keys["dial"].split(","):
            self.go_dial()
            return True
        text = event.text if isinstance(event, Paste) else event.character or ""
        if text.strip(" (\t")[:1] in commands.STARTS_NUMBER and not self.state.calls_up:
            self.query_one(DialBox).begin()
        return False

    def go_dial(self) -> None:
        self.query_one(DialBox).take_over()

    def next_call(self) -> None:
        if len(self.state.calls_up) < 2:
            self.say("No other call is up.", "warn")
        self.state.choose_next_call()
        self.pending |= Change.CALLS | Change.TIMELINE

    @on(Input.Submitted, "DialBox")
    def _dial(self, event: Input.Submitted) -> None:
        result = commands.dial(event.value)
        if isinstance(result, Refusal):
            self.say(result.text, "warn")
            return
        event.input.value = ""
        self.queue.focus()
        self.send(result)

    @on(DialBox.Left)
    def _leave_dial(self) -> None:
        self.queue.focus()

    # --- words to and from the engine ---------------------------------------------------------

    def say(self, text: str, role: str = "text") -> None:
        """One line of answer to the last key; a refusal too long for its place is in the log, whole."""
        line = self.query_one("#say", SayLine)
        line.say(text, role)
        if role in ("warn", "bad") and width(text) >= line.size.width:
            self.take(wire.LogLine(at=self.clock(), level="warning", text=text))

    @work(group="commands")
    async def send(self, command: wire.Command, done: str = "") -> None:
        """Send a command; a refusal is shown as the engine worded it."""
        reply = await self.connection.send(command)
        self.say(done if reply.ok else reply.error, "dim" if reply.ok else "bad")

    def calls_in_words(self) -> str:
        """What is up, for the question before closing; empty where nothing is."""
        calls = len(self.state.calls_up)
        legs = len(self.state.legs_up)
        if calls:
            return count(calls, "call") + (" is up" if calls == 1 else " are up")
        return count(legs, "line") + (" is up" if legs == 1 else " are up") if legs else ""
