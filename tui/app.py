"""The app: theme, the worker that reads the engine's events, the way out. The rest is the screen's."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.events import Event, Key, Paste
from textual.screen import ModalScreen

from engine.control.messages import Hello, LogLine, Shutdown, StopAll
from tui import theme as themes
from tui.connection import Connection
from tui.keymap import bindings, default_keymap
from tui.screens.gone import AGAIN, QUIT, RETRY, GoneScreen
from tui.screens.main import MainScreen
from tui.state import ConsoleState

LEAVE_TIMEOUT = 5.0
"""Seconds that a closing console waits for the engine to take its last commands."""


class OffhookApp(App[None]):
    """The console of a running engine at `socket`.

    `attached` says that the engine was there before: closing the console then never ends it.
    `clock` gives UNIX seconds. `notice` is said once the screen is up.
    """

    TITLE = "Offhook"
    CSS_PATH = Path(__file__).with_name("roles.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(always=True)]

    def __init__(
        self,
        socket: str,
        *,
        keys: Mapping[str, str] | None = None,
        theme: str = themes.DEFAULT,
        attached: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.attached = attached
        self._clock = clock
        self._leaving = False
        self._gone: GoneScreen | None = None
        self._retry = asyncio.Event()
        self.keys = dict(keys or default_keymap())
        self.animation_level = "none"
        self.state = ConsoleState()
        self.connection = Connection(socket)
        self.console_screen = MainScreen(self.state, self.connection, clock, self.keys)
        self._themes = themes.shipped()
        chosen, self._notice = themes.choose(theme, self._themes)
        self._themes[chosen.name] = chosen
        for each in self._themes.values():
            self.register_theme(each)
        self.theme = chosen.name
        self.set_keymap(self.keys)

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """As Textual's, but a picture that fetches nothing: the reader's own monospace font, no web fonts."""
        svg = super().export_screenshot(title=title, simplify=simplify)
        return re.sub(r"@font-face\s*\{.*?\}\s*|<!-- Generated .*?-->\s*", "", svg, flags=re.DOTALL)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the stylesheets need of every theme, ours or not."""
        return dict(self._themes[themes.DEFAULT].variables) if hasattr(self, "_themes") else {}

    def on_mount(self) -> None:
        self.push_screen(self.console_screen)
        self.engine_events()

    @work(group="engine", exclusive=True)
    async def engine_events(self) -> None:
        """The one reader of events, for as long as the console lives."""
        while True:
            reason = await self.connection.run(self._hello, self.console_screen.take)
            if self._leaving:
                return
            self._engine_gone(f"It said: {self.state.bye}." if self.state.bye else reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._retry.wait()
            self._retry.clear()

    def _engine_gone(self, reason: str) -> None:
        """Say so over the last state, which stays in view."""
        if self._gone is None:
            self._gone = GoneScreen(reason, self._gone_answered)
            self.push_screen(self._gone)
        else:
            self._gone.explain(reason)

    def _gone_answered(self, answer: str) -> None:
        if answer == RETRY:
            self._retry.set()
        elif answer == QUIT:
            self.leave()

    def _hello(self, hello: Hello) -> None:
        if self._gone is not None:
            self._gone.dismiss(None)
            self._gone = None
        self.console_screen.looking = ""
        self.state.apply(hello)
        self.console_screen.say(f"Connected to engine {hello.version}, process {hello.pid}.", "dim")
        if self._notice:
            self.console_screen.say(self._notice, "warn")
            self.console_screen.take(LogLine(at=self._clock(), level="warning", text=self._notice))
            self._notice = ""

    def next_theme(self) -> str:
        """Use the theme after the present one; returns its name."""
        names = list(self._themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        return self.theme

    async def on_event(self, event: Event) -> None:
        """As Textual's; keys that start a number bring the dial box before they are routed."""
        typed = isinstance(event, Key | Paste) and not event.is_forwarded
        if not (typed and self.screen is self.console_screen and self.console_screen.before_key(event)):
            await super().on_event(event)

    # --- keys that work everywhere ------------------------------------------------------------

    def action_act(self, key_id: str) -> None:
        self.console_screen.action_act(key_id)

    async def action_quit(self) -> None:
        """Ctrl+Q, from anywhere: an open dialog is dropped and the question asked."""
        if self._gone is not None:
            self.leave()
            return
        while isinstance(self.screen, ModalScreen):
            await self.pop_screen()
        self.console_screen.ask_quit()

    # --- the way out --------------------------------------------------------------------------

    @work(group="leaving", exclusive=True)
    async def leave(self, *, hang_up: bool = False, end_engine: bool = False, message: str = "") -> None:
        """Close the console, first hanging up or ending the engine where asked."""
        self._leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                if hang_up:
                    await self.connection.send(StopAll())
                if end_engine:
                    await self.connection.send(Shutdown())
        self.exit(message=Text(message) if message else None)
