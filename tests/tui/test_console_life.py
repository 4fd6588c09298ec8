"""Closing with calls up, the engine going away and coming back, themes at the door."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_harness import Clock, Console, open_console
from fake_engine import FakeEngine, Script

from engine.control import messages as wire
from tui.__main__ import main


async def closed(console: Console) -> None:
    await console.until(lambda: console.app._exit, "the console to close")


class TestClosing:
    async def test_with_nothing_up_it_ends_the_engine_it_was_started_with(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("q")
            await closed(console)
        assert engine.commands == [wire.Shutdown()]

    async def test_attached_with_nothing_up_it_leaves_the_engine_alone(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock, attached=True) as console:
            await console.pilot.press("q")
            await closed(console)
            assert "`offhook ctl shutdown` ends it" in str(console.app._exit_renderables[0])
        assert engine.commands == []

    async def test_with_a_call_up_it_asks_and_can_hang_up(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            await console.pilot.press("q")
            await console.shows("Close the console?", "1 call is up.")
            await console.pilot.press("h")
            await closed(console)
        assert engine.commands == [wire.StopAll(), wire.Shutdown()]

    async def test_attached_it_hangs_up_and_leaves_the_engine(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock, attached=True) as console:
            await console.pilot.press("q", "h")
            await closed(console)
        assert engine.commands == [wire.StopAll()]

    async def test_calls_can_be_left_running(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            await console.pilot.press("q", "l")
            await closed(console)
        assert engine.commands == []

    @pytest.mark.parametrize("opened", ["o", "f1"])
    async def test_ctrl_q_asks_from_within_any_dialog(
        self, engine: FakeEngine, clock: Clock, opened: str
    ) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            await console.pilot.press(opened, "ctrl+q")
            await console.shows("Close the console?")
            await console.pilot.press("l")
            await closed(console)

    @pytest.mark.parametrize("key", ["c", "escape"])
    async def test_it_can_be_thought_better_of(self, engine: FakeEngine, clock: Clock, key: str) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            await console.pilot.press("d", "ctrl+q")
            await console.shows("Close the console?")
            await console.pilot.press(key)
            await console.until(lambda: console.app.screen is console.app.console_screen)
        assert engine.commands == []

    async def test_between_the_calls_of_a_running_queue_it_asks_too(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        engine.flow = wire.Flow(running=True, operator="headset", agents=[])
        async with open_console(engine, clock) as console:
            await console.pilot.press("q")
            await console.shows("The queue is running.")


class TestTheEngineGoes:
    async def test_a_crash_is_said_plainly_and_the_call_stays_in_view(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            await console.shows("BRIDGED")
            engine.crash()
            await console.shows("The engine is gone", "without a word", "Try again", "BRIDGED")
            await console.pilot.press("escape", "n")
            await console.shows("The engine is gone")
            assert engine.commands == []

    async def test_its_own_word_is_shown_as_plain_text(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await engine.close("[red]maintenance[/] \x1b[2J")
            await console.shows("The engine is gone", "[red]maintenance[/] ␛[2J")

    async def test_retry_connects_to_its_successor_with_a_new_snapshot(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            engine.crash()
            await console.shows("The engine is gone")
            successor = FakeEngine(engine.path, engine.rows[:3])
            await successor.start()
            try:
                await console.pilot.press("r")
                await console.until(
                    lambda: console.app.screen is console.app.console_screen, "the dialog to go"
                )
                await console.shows("No call")
                await console.until(lambda: console.app.console_screen.queue.book.total == 3, "the new queue")
                await console.pilot.press("n")
                await console.until(lambda: successor.commands == [wire.Next()])
            finally:
                await successor.close()

    async def test_it_comes_back_by_itself_too(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            engine.crash()
            await console.shows("The engine is gone")
            successor = FakeEngine(engine.path)
            await successor.start()
            try:
                await console.until(
                    lambda: console.app.screen is console.app.console_screen, "the dialog to go"
                )
            finally:
                await successor.close()

    async def test_quit_closes(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            engine.crash()
            await console.shows("The engine is gone")
            await console.pilot.press("ctrl+q")
            await closed(console)


class TestAtTheDoor:
    async def test_a_bad_theme_is_one_sentence_and_the_default(
        self, engine: FakeEngine, clock: Clock, tmp_path: Path
    ) -> None:
        bad = tmp_path / "mine.toml"
        bad.write_text('name = "mine"\ndark = true\n[colors]\nbackground = "blue"\n')
        async with open_console(engine, clock, theme=str(bad)) as console:
            assert console.app.theme == "offhook"
            await console.until(lambda: console.app.state.log, "the warning")
            assert "colors.background: a colour is written #rrggbb" in console.app.state.log[0].text
            await console.shows("The theme")

    async def test_themes_can_be_walked_through_during_a_call(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            for theme in ("high-contrast", "offhook-light", "offhook"):
                await console.pilot.press("t")
                await console.shows(f"Theme: {theme}", "BRIDGED")

    def test_bad_keys_are_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--socket", "/nowhere", "--keys", '{"dail": "f2"}']) == 2
        assert capsys.readouterr().err.startswith("There is no key id 'dail'; the ids are: hangup,")

    def test_without_a_terminal_it_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--socket", "/nowhere"]) == 2
        assert "needs a terminal" in capsys.readouterr().err
