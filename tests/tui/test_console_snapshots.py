"""The console as it looks: compared with screens that were looked at and found right."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_harness import Clock, until
from fake_engine import START, FakeEngine, Script, entry, worked
from textual.pilot import Pilot

from engine.control import messages as wire
from tui.app import OffhookApp

Compare = Callable[..., bool]
RUNNING = wire.Flow(running=True, operator="headset", agents=[], exemptions=["DEMO: calling hours off"])


class ConsoleWithEngine(OffhookApp):
    """Brings its engine along, on the same loop."""

    def __init__(self, engine: FakeEngine, **options: Any) -> None:
        self.engine_beside = engine
        super().__init__(str(engine.path), **options)

    async def on_load(self) -> None:
        await self.engine_beside.start()

    async def on_unmount(self) -> None:
        await self.engine_beside.close()


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock in the corner and the log are in local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def fake(socket_path: Path) -> FakeEngine:
    engine = FakeEngine(socket_path, worked([entry(i) for i in range(40)]))
    engine.flow = RUNNING
    return engine


def told(engine: FakeEngine, seconds: float, then: Callable[[Script], None] = lambda script: None) -> Any:
    """What to do before the picture: tell a call up to `seconds`, and wait until it is drawn."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ConsoleWithEngine)
        await until(pilot, lambda: app.state.flow is not None and app.console_screen.queue.book.row(0))
        if seconds:
            script = Script(engine)
            script.play_until(seconds)
            then(script)
        engine.publish(wire.LogLine(at=START, level="warning", text="That is all"))
        await until(pilot, lambda: app.state.log and app.state.log[-1].text == "That is all")
        await until(pilot, lambda: not app.console_screen.pending)

    return before


def picture(
    compare: Compare,
    engine: FakeEngine,
    before: Callable[[Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (120, 36),
    seconds: float = 0.0,
    press: tuple[str, ...] = (),
    **options: Any,
) -> bool:
    clock = Clock()
    clock.now += seconds
    app = ConsoleWithEngine(engine, clock=clock, **options)
    return compare(app, terminal_size=size, run_before=before, press=press)


class TestTheConsole:
    @pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)], ids=lambda size: f"{size[0]}x{size[1]}")
    def test_bridged(self, snap_compare: Compare, fake: FakeEngine, size: tuple[int, int]) -> None:
        assert picture(snap_compare, fake, told(fake, 22), size, 22)

    @pytest.mark.parametrize("theme", ["offhook-light", "high-contrast"])
    def test_waiting_for_the_operator(self, snap_compare: Compare, fake: FakeEngine, theme: str) -> None:
        assert picture(snap_compare, fake, told(fake, 9), seconds=9, theme=theme)

    def test_busy(self, snap_compare: Compare, fake: FakeEngine) -> None:
        def refused(script: Script) -> None:
            script.heard(5.5, "busy", 3000, 5500, "450 Hz, 350 ms on, 350 ms off")
            script.sip(6, "486 Busy Here")
            script.to_leg(6, state="ended", sip_code=486, reason="Busy Here", cause="rejected")
            script.to_state(6, "done", disposition="busy")

        assert picture(snap_compare, fake, told(fake, 5, refused), (80, 24), 7)

    def test_nothing_up_and_no_sound(self, snap_compare: Compare, fake: FakeEngine) -> None:
        fake.sound = wire.Sound(input="", output="", problem="no sound device was found")
        fake.flow = wire.Flow(running=False, operator="headset", agents=[])
        assert picture(snap_compare, fake, told(fake, 0))

    def test_keys(self, snap_compare: Compare, fake: FakeEngine) -> None:
        assert picture(snap_compare, fake, told(fake, 0), press=("question_mark",))

    def test_closing(self, snap_compare: Compare, fake: FakeEngine) -> None:
        assert picture(snap_compare, fake, told(fake, 22), seconds=22, press=("q",))
