"""Push-to-talk: a terminal tells no key's release, but a key that is held down repeats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from engine.control import messages as wire
from tui.commands import NO_PUSH_TO_TALK, pushes_to_talk

if TYPE_CHECKING:
    from tui.screens.main import MainScreen

RELEASED = 0.75
"""Seconds without a repeat after which the key was let go. The first repeat comes 0.25 to 0.66 s after the
press, as desktops are set."""
AGAIN = 0.5
"""Seconds between two commands while the key is held."""
LEASE = 2.0
"""Seconds after which the engine closes the microphone by itself, were this console to die."""


class Talker:
    """Keeps the microphone open while the key repeats."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._release: Timer | None = None
        self._sent = 0.0

    def key(self) -> None:
        """The key was pressed, or repeats."""
        flow = self._screen.state.flow
        if flow is None or not pushes_to_talk(flow):
            self._screen.say(NO_PUSH_TO_TALK.text, "warn")
            return
        if self._release is None and flow.talking:
            self._screen.say("The microphone is open already.", "dim")
            return
        now = time.monotonic()
        if self._release is None or now - self._sent >= AGAIN:
            self._sent = now
            self._screen.send(wire.Talk(on=True, seconds=LEASE))
        if self._release is not None:
            self._release.stop()
        self._release = self._screen.set_timer(RELEASED, self._released)

    def _released(self) -> None:
        self._release = None
        self._screen.send(wire.Talk(on=False))
