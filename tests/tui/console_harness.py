"""A console on a talking engine, over a real Unix socket; waiting is always for a condition."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable

from fake_engine import START, FakeEngine
from textual.pilot import Pilot

from tui.app import OffhookApp

PATIENCE = 20.0
"""Seconds after which a condition that did not come true fails the test."""


class Clock:
    """The console's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the app run until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what or condition}")
        await pilot.pause(0.01)


def screen_text(app: OffhookApp) -> list[str]:
    """What the screen shows, a line a row."""
    return ["".join(segment.text for segment in line) for line in app.screen._compositor.render_strips()]


class Console:
    """An app and its pilot, with the questions tests ask most."""

    def __init__(self, app: OffhookApp, pilot: Pilot[None], engine: FakeEngine) -> None:
        self.app, self.pilot, self.engine = app, pilot, engine

    @property
    def text(self) -> str:
        return "\n".join(screen_text(self.app))

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        await until(self.pilot, condition, what)

    async def shows(self, *texts: str) -> None:
        """Wait until the screen holds every one of `texts`."""
        end = time.monotonic() + PATIENCE
        while missing := [text for text in texts if text not in self.text]:
            if time.monotonic() > end:
                raise AssertionError(f"the screen never showed {missing}:\n{self.text}")
            await self.pilot.pause(0.02)

    async def sent(self, command: object) -> None:
        """Wait until the engine got exactly this command as its last."""
        await self.until(
            lambda: self.engine.commands[-1:] == [command], f"{command}, got {self.engine.commands}"
        )


@contextlib.asynccontextmanager
async def open_console(
    engine: FakeEngine, clock: Clock, size: tuple[int, int] = (120, 36), **options: object
) -> AsyncIterator[Console]:
    """The app connected to `engine`, with its queue on show."""
    app = OffhookApp(str(engine.path), clock=clock, **options)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        console = Console(app, pilot, engine)
        await console.until(lambda: app.state.flow is not None, "the snapshot")
        if engine.rows:
            await console.until(lambda: app.console_screen.queue.book.row(0), "the queue's first page")
        await console.until(lambda: not app.console_screen.pending, "the first drawing")
        yield console
