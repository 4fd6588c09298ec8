"""What is on the screen: hostile text, sizes, notices, and how often panes are drawn."""

from __future__ import annotations

import time
from time import process_time

import pytest
from console_harness import Clock, Console, open_console, screen_text
from fake_engine import FakeEngine, Script, entry, worked
from rich.cells import cell_len

from engine.control import messages as wire
from tui.widgets.log_view import LogView
from tui.widgets.queue_view import QueueView
from tui.widgets.timeline import Timeline

HOSTILE = "[red]ev\x1b[2Jil[/]\x9b31m\u202eRLO\u200b\r\n"
SHOWN = "[red]ev␛[2Jil[/]⟨9b⟩31m⟨202e⟩RLO␍␊"
SIZES = [(160, 50), (120, 36), (80, 24), (60, 16), (40, 10)]


def assert_tidy(console: Console, size: tuple[int, int]) -> None:
    """Every row is exactly as wide as the screen and holds nothing a terminal would act on."""
    rows = screen_text(console.app)
    assert len(rows) == size[1]
    for row in rows:
        assert cell_len(row) == size[0], row
        assert row.isprintable() or not [c for c in row if ord(c) < 32 or 0x7F <= ord(c) < 0xA0], row
        assert not set(row) & set("\u202e\u200b\ufeff\u2066"), row


class TestHostileText:
    @pytest.mark.parametrize("size", SIZES[1:4])
    async def test_names_numbers_reasons_and_logs_are_shown_and_never_acted_on(
        self, engine: FakeEngine, clock: Clock, size: tuple[int, int]
    ) -> None:
        engine.rows = [
            entry(
                0,
                number=HOSTILE,
                name=HOSTILE,
                note=HOSTILE,
                state="blocked",
                reason=HOSTILE,
                disposition=HOSTILE,
            ),
            entry(1, name="欧阳娜娜王小明李娜" * 9),
            entry(2, name="e\u0301\u0301\u0301\u0301"),
            entry(3, name="שלום עולם"),
        ]
        engine.flow = wire.Flow(
            running=True, operator="headset", agents=[], notice=HOSTILE, exemptions=[HOSTILE]
        )
        engine.trunk = wire.Trunk(server=HOSTILE, user=HOSTILE, state="failed", detail=HOSTILE)
        engine.sound = wire.Sound(input=HOSTILE, output="x", problem=HOSTILE)
        script = Script(engine, 0)
        script.play_until(12.0)
        script.to_leg(12.1, remote=HOSTILE, reason=HOSTILE, cause=HOSTILE, codec=HOSTILE, recording=HOSTILE)
        script.sip(12.2, HOSTILE)
        script.digit(12.3, HOSTILE)
        script.heard(12.4, HOSTILE, 0, 3000, HOSTILE)
        script.meter(12.5, wire.Meter(received=1e300, sent=-1e300, tone=HOSTILE))
        script.log(12.6, HOSTILE)
        clock.now += 13
        async with open_console(engine, clock, size) as console:
            for event in (script.leg, wire.Sip(at=clock.now, leg=script.leg.id, sent=False, text="猫" * 40)):
                engine.publish(event)
            engine.publish(
                wire.Detection(
                    at=clock.now,
                    leg=script.leg.id,
                    tone="猫" * 9,
                    begin_ms=0,
                    end_ms=5000,
                    confidence=1,
                    why="",
                )
            )
            await console.until(lambda: console.app.state.tracks[script.leg.id].heard, "the detection")
            await console.until(lambda: not console.app.console_screen.pending)
            assert_tidy(console, size)
            if size[0] >= 120:
                assert SHOWN in console.text

    async def test_wide_names_keep_the_columns_aligned(self, engine: FakeEngine, clock: Clock) -> None:
        engine.rows = worked([entry(0, name="王小明王小明王小明"), entry(1, name="Ada")])
        async with open_console(engine, clock) as console:
            rows = [row for row in screen_text(console.app) if "+86" in row]
            answered, busy = rows[0].index("answered"), rows[1].index("busy")
            assert cell_len(rows[0][:answered]) == cell_len(rows[1][:busy])
            assert "…" in rows[0][:answered]


class TestSizes:
    @pytest.mark.parametrize("size", SIZES)
    async def test_a_call_is_legible_at_every_size(
        self, engine: FakeEngine, clock: Clock, size: tuple[int, int]
    ) -> None:
        script = Script(engine)
        script.play_until(12.0)
        clock.now += 12
        async with open_console(engine, clock, size) as console:
            script.meter(12.1, wire.Meter(received=-21.5, sent=-40))
            await console.shows("BRIDGED", "-21.5 dBm0", "registered")
            assert_tidy(console, size)
            if size[0] >= 80:
                await console.shows(
                    "Wrap",
                    "Bridge 0:00",
                    "heard",
                    "4 kHz",
                    "SIP",
                    "LINES",
                    "LOG",
                    "QUEUE",
                    "F8 Hang up",
                    "F9 Stop all",
                    "F1 Keys",
                    "q Quit",
                )

    async def test_it_follows_the_terminals_size(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(12.0)
        async with open_console(engine, clock) as console:
            for size in (*SIZES, *reversed(SIZES)):
                await console.pilot.resize_terminal(*size)
                await console.pilot.pause()
                assert_tidy(console, size)


class TestTheLog:
    async def test_follows_the_newest_line_through_resizes_until_scrolled_up(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        def tell(text: str) -> None:
            engine.publish(wire.LogLine(at=clock.now, level="info", text=text))

        async with open_console(engine, clock) as console:
            log = console.app.screen.query_one(LogView)
            for number in range(30):
                tell(f"line {number}")
            await console.shows("line 29")
            for size in ((80, 24), (120, 50), (120, 30)):
                await console.pilot.resize_terminal(*size)
                await console.shows("line 29")
            engine.publish(wire.Flow(running=True, operator="headset", agents=[], notice="one row less"))
            await console.shows("one row less", "line 29")
            log.focus()
            await console.pilot.press("home")
            await console.shows("line 0")
            tell("line 30")
            await console.until(lambda: console.app.state.log[-1].text == "line 30")
            await console.until(lambda: not console.app.console_screen.pending)
            assert "line 30" not in console.text
            await console.pilot.press("end")
            tell("line 31")
            await console.shows("line 31")

    async def test_says_what_was_heard_and_how_a_call_ended(self, engine: FakeEngine, clock: Clock) -> None:
        script = Script(engine)
        script.play_until(2.0)
        async with open_console(engine, clock, (160, 50)) as console:
            script.heard(3.0, "450hz", 0, 400, "450 Hz for 400 ms")
            for end in (3.2, 3.3):
                script.heard(end, "busy", 0, 1400, "450 Hz, 350 ms on, 350 ms off")
            engine.publish(
                wire.AttemptDone(
                    number="100",
                    name="",
                    entry=5,
                    started_at="",
                    states={},
                    detections=[],
                    digits="",
                    sip_code=486,
                    reason="Busy Here",
                    disposition="busy",
                    duration=3.4,
                )
            )
            await console.shows(
                "heard busy (450 Hz, 350 ms on, 350 ms off)", "100: busy, 486 Busy Here, 3.4 s"
            )
            assert console.text.count("heard busy") == 1


class TestNotices:
    async def test_without_sound_it_offers_an_agents_phone(self, engine: FakeEngine, clock: Clock) -> None:
        engine.sound = wire.Sound(input="", output="", problem="no sound device was found")
        async with open_console(engine, clock, (80, 24)) as console:
            await console.shows(
                "♪ no sound", "No sound: no sound device was found", "Press o to bridge to an agent's phone."
            )

    async def test_a_device_that_stands_in_is_told_and_no_agent_is_offered(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        said = "The microphone 'USB' has stopped. 'default' stands in until it is there."
        engine.sound = wire.Sound(input="default", output="USB", problem=said)
        async with open_console(engine, clock, (100, 24)) as console:
            await console.shows("♪ stand-in", f"Sound: {said}")
            assert "to bridge to an agent" not in console.text

    async def test_exemptions_are_always_in_view(self, engine: FakeEngine, clock: Clock) -> None:
        engine.flow = wire.Flow(
            running=False, operator="headset", agents=[], exemptions=["DEMO: calling hours off"]
        )
        async with open_console(engine, clock, (60, 16)) as console:
            await console.shows("DEMO: calling hours off")

    async def test_the_registration_counts_down(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.shows("● registered", "4:12")
            clock.now += 5
            await console.shows("4:07")
            engine.publish(wire.Trunk(server="x", user="1", state="lost", detail="no answer for 32 s"))
            await console.shows("✕ registration lost", "Trunk: no answer for 32 s")

    async def test_when_it_was_lost_is_told(self, engine: FakeEngine, clock: Clock) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(clock.now - 60))
        engine.trunk = wire.Trunk(
            server="x", user="1", state="lost", detail="503 Busy", since=clock.now - 60
        )
        async with open_console(engine, clock, (80, 24)) as console:
            await console.shows("✕ registration lost", f"Trunk: 503 Busy, lost at {at}")
            engine.publish(wire.Trunk(server="x", user="1", state="registered", expires_at=clock.now + 60))
            await console.shows("● registered")
            await console.until(lambda: "503 Busy" not in console.text, "the notice to go")

    async def test_a_trunk_that_answers_no_ping(self, engine: FakeEngine, clock: Clock) -> None:
        engine.trunk = wire.Trunk(server="x", user="1", state="registered", reachable=False)
        async with open_console(engine, clock, (80, 24)) as console:
            await console.shows("✕ no answer", "Trunk: it does not answer")

    async def test_several_trunks_are_counted_and_the_troubled_named(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock, (80, 24)) as console:
            for name in ("b", "c"):
                engine.publish(wire.Trunk(name=name, server=f"{name}.example", user="2", state="registered"))
            await console.shows("● 3 trunks")
            engine.publish(wire.Trunk(name="b", server="b", user="2", state="failed", detail="403 No"))
            await console.shows("◐ 2/3 trunks", "Trunk: b: 403 No")
            for name in ("trunk", "c"):
                engine.publish(
                    wire.Trunk(name=name, server="x", user="2", state="lost", detail="no answer", since=0.0)
                )
            await console.shows("✕ 0/3 trunks", "Trunks: trunk: no answer, lost at")

    async def test_a_call_by_a_further_trunk_says_so(self, engine: FakeEngine, clock: Clock) -> None:
        script = Script(engine)
        script.play_until(1.0)
        async with open_console(engine, clock, (80, 24)) as console:
            script.to_leg(1.1, trunk="backup", sip_code=180, reason="Ringing")
            await console.shows("via backup", "180 Ringing")

    async def test_the_snapshot_brings_every_trunk(self, engine: FakeEngine, clock: Clock) -> None:
        engine.more_trunks = [wire.Trunk(name="b", server="b", user="2", state="registering")]
        async with open_console(engine, clock, (60, 16)) as console:
            await console.shows("◐ 1/2 trunks")


class TestDrawing:
    async def test_a_flood_of_levels_is_drawn_at_the_timers_pace(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        script = Script(engine)
        script.play_until(12.0)
        async with open_console(engine, clock) as console:
            timeline = console.app.screen.query_one(Timeline)
            redraws = 0
            redraw = timeline.redraw

            def counting() -> None:
                nonlocal redraws
                redraws += 1
                redraw()

            timeline.redraw = counting  # type: ignore[method-assign]
            last = wire.Meter(received=-11.5, sent=-40)
            for step in range(2000):
                script.meter(12 + step / 1000, wire.Meter(received=-30, sent=-40))
            script.meter(15, last)
            await console.until(lambda: console.app.state.meters.get(script.leg.id) == last, "the last level")
            await console.shows("-11.5 dBm0")
            assert 1 <= redraws <= 200

    async def test_100_000_rows_scroll_from_the_pages_in_view_alone(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        engine.rows = [entry(i) for i in range(100_000)]
        async with open_console(engine, clock) as console:
            queue = console.app.screen.query_one(QueueView)
            assert [offset for offset, _ in engine.pages] == [0]
            await console.pilot.press("end")
            await console.until(lambda: queue.selected is not None and queue.selected.position == 99_999)
            await console.until(lambda: not queue.wanted())
            assert {offset for offset, _ in engine.pages} <= {0, 99_900}
            await console.pilot.press("home")
            for _ in range(20):
                await console.pilot.press("pagedown")
            await console.until(lambda: queue.selected is not None and not queue.wanted())
            place = queue.cursor
            assert place > 300
            assert len({offset for offset, _ in engine.pages}) <= place // 100 + 4
            await console.shows(f"{place + 1} ")

    async def test_drawing_costs_the_same_in_a_queue_of_100_000_rows(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        def seconds(queue: QueueView, total: int) -> float:
            """Processor time of 30 screens in different places of a queue, none of them drawn before."""
            places = [number * (total // 3000) * 100 % total for number in range(30)]
            for place in places:
                rows = [entry(place + i) for i in range(100)]
                queue.put(place // 100, wire.QueueRows(offset=place, total=total, rows=rows))
            began = process_time()
            for place in places:
                queue.forget()
                queue.scroll_to(y=place, animate=False)
                assert "…" not in "".join(queue.render_line(y).text for y in range(queue.size.height))[:15]
            return process_time() - began

        async with open_console(engine, clock) as console:
            queue = console.app.screen.query_one(QueueView)
            small, large = (min(seconds(queue, total) for _ in range(3)) for total in (3000, 100_000))
            assert large < 3 * small + 0.05
