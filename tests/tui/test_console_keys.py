"""Every key does what the table says, through a real socket, also where typing is going on."""

from __future__ import annotations

import pytest
from console_harness import Clock, open_console
from fake_engine import FakeEngine, Script
from textual.events import Key, Paste

from engine.control import messages as wire
from tui.keymap import KEYS, merge
from tui.screens.main import OFFERED_S
from tui.widgets.dial_box import DialBox


def say_something_unknown(engine: FakeEngine, clock: Clock, state: wire.LegStateName = "early") -> None:
    engine.publish(wire.Leg(id="L7", role="callee", number="5551234", state=state, at=clock.now))
    engine.publish(wire.Detection(
        at=clock.now, leg="L7", tone="unmatch", begin_ms=0, end_ms=5000, confidence=0.8, why="speech"
    ))  # fmt: skip


class TestWithNoCall:
    async def test_next_and_run_and_pause_reach_the_engine(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("n")
            await console.sent(wire.Next())
            await console.pilot.press("p")
            await console.sent(wire.Resume())
            engine.publish(wire.Flow(running=True, operator="headset", agents=[]))
            await console.shows("▶ running")
            await console.pilot.press("p")
            await console.sent(wire.Pause())

    async def test_the_dial_box_dials_what_was_typed(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("d", *"+86 10 1234", "enter")
            await console.sent(wire.Dial(number="+86101234"))
            assert console.app.focused is console.app.console_screen.queue

    async def test_a_digit_starts_a_number_in_the_dial_box(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("1", "0", "0", "enter")
            await console.sent(wire.Dial(number="100"))

    async def test_no_key_of_a_number_typed_faster_than_the_screen_is_lost(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            for key in [*"0123456789", "enter"]:
                console.app.post_message(Key(key, key if len(key) == 1 else None))
            await console.sent(wire.Dial(number="0123456789"))
            for key in ["d", *"555", "enter"]:
                console.app.post_message(Key(key, key if len(key) == 1 else None))
            await console.sent(wire.Dial(number="555"))

    async def test_a_pasted_number_goes_to_the_dial_box(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            console.app.post_message(Paste("+1 212 555 0101\n"))
            console.app.post_message(Key("enter", None))
            await console.sent(wire.Dial(number="+12125550101"))

    async def test_a_paste_that_is_no_number_goes_nowhere(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            console.app.post_message(Paste("hello"))
            await console.pilot.press("n")
            await console.sent(wire.Next())
            assert console.app.focused is console.app.console_screen.queue

    async def test_skip_acts_on_the_selected_row(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("down", "down", "s")
            await console.sent(wire.Skip(entry=3))

    async def test_redial_refuses_a_row_that_is_queued_and_says_why(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("e")
            await console.shows("That entry is queued already.")
            assert engine.commands == []

    async def test_an_unknown_announcement_is_taught_with_its_meaning(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("g")
            await console.shows("No call has said anything that is not known.")
            say_something_unknown(engine, clock)
            await console.shows("5551234 said something unknown: g teaches what it means.", "g Teach")
            await console.pilot.press("g", "b")
            await console.sent(wire.Teach(category="3", leg="L7"))
            await console.shows("Learnt what 5551234 said.")
            await console.pilot.press("g")
            await console.shows("No call has said anything that is not known.")
            assert "g Teach" not in console.text

    async def test_what_was_said_after_the_answer_is_not_offered_but_can_be_taught(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            say_something_unknown(engine, clock, "answered")
            await console.shows("heard unmatch")
            assert "teaches" not in console.text
            assert "g Teach" not in console.text
            await console.pilot.press("g", "b")
            await console.sent(wire.Teach(category="3", leg="L7"))

    async def test_the_offer_to_teach_goes_after_a_while_and_with_the_next_calls_result(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            say_something_unknown(engine, clock)
            await console.shows("g Teach")
            clock.now += OFFERED_S + 1
            await console.until(lambda: "Teach" not in console.text and "teaches" not in console.text)
            say_something_unknown(engine, clock)
            await console.shows("g Teach")
            engine.publish(wire.AttemptDone(
                number="5559999", name="", entry=3, started_at="", states={}, detections=[], digits="",
                sip_code=486, reason="", disposition="busy", duration=1.0,
            ))  # fmt: skip
            await console.until(lambda: "Teach" not in console.text and "teaches" not in console.text)

    async def test_hold_says_that_there_is_no_call(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("h")
            await console.shows("No answered call to hold.")

    async def test_what_the_engine_refuses_is_said_in_its_words(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        engine.refusals[wire.Next] = "The queue has no entry [bold]left[/] to call."
        async with open_console(engine, clock) as console:
            await console.pilot.press("n")
            await console.shows("The queue has no entry [bold]left[/] to call.")

    async def test_a_refusal_that_is_too_long_for_its_line_is_in_the_log_whole(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        engine.refusals[wire.Next] = "A long sentence that says what is wrong and how it is mended, WHOLE."
        async with open_console(engine, clock, (80, 24)) as console:
            await console.pilot.press("n")
            await console.shows("WHOLE.")

    async def test_the_operator_is_chosen_with_an_agents_number(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("o", "down", "enter")
            await console.shows("An agent's number is needed for this.")
            await console.pilot.press(*"8001,8002", "enter")
            await console.sent(wire.SetOperator(mode="standing", agents=["8001", "8002"]))

    async def test_loading_a_queue_sends_an_absolute_path(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("l", *"/a.csv", "enter")
            await console.sent(wire.LoadQueue(path="/a.csv"))

    async def test_help_shows_every_key_as_it_is_mapped(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock, (120, 60), keys=merge({"dial": "f2"})) as console:
            await console.pilot.press("question_mark")
            await console.shows("F2  ", *(key.help[:30] for key in KEYS))
            await console.pilot.press("escape", "f2")
            assert isinstance(console.app.focused, DialBox)


class TestInACall:
    @pytest.fixture
    def call(self, engine: FakeEngine, clock: Clock) -> Script:
        script = Script(engine)
        script.play_until(12.0)
        clock.now += 12.0
        return script

    async def test_digits_go_to_the_call(self, engine: FakeEngine, clock: Clock, call: Script) -> None:
        async with open_console(engine, clock) as console:
            for key, digit in (("5", "5"), ("asterisk", "*"), ("number_sign", "#"), ("D", "D")):
                await console.pilot.press(key)
                await console.sent(wire.SendDigits(digits=digit))

    async def test_digits_in_a_field_stay_in_the_field(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("d", "5", "6")
            assert console.app.screen.query_one(DialBox).value == "56"
            await console.pilot.press("f8")
            await console.sent(wire.Hangup())
            assert len(engine.commands) == 1

    async def test_hold_mute_and_record_switch_both_ways(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("h")
            await console.sent(wire.Hold(on=True))
            call.to_leg(12.5, held=True, recording="/tmp/a.wav")
            await console.shows("‖ held", "● REC")
            await console.pilot.press("h")
            await console.sent(wire.Hold(on=False))
            await console.pilot.press("r")
            await console.sent(wire.Record(on=False))
            call.to_leg(13, recording="/tmp/a.wav", recording_paused=True)
            await console.shows("‖ REC paused", "a.wav", "Resume rec")
            await console.pilot.press("r")
            await console.sent(wire.Record(on=True))
            await console.pilot.press("m")
            await console.sent(wire.Mute(on=True))

    async def test_hang_up_and_stop_work_over_every_field_and_dialog(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock) as console:
            for opened in ("d", "l", "o", "question_mark", "w", "q"):
                engine.commands.clear()
                await console.pilot.press(opened, "f8", "f9")
                await console.sent(wire.StopAll())
                assert engine.commands == [wire.Hangup(), wire.StopAll()]
                await console.pilot.press("escape")

    async def test_bridge_takes_the_waiting_callee(self, engine: FakeEngine, clock: Clock) -> None:
        Script(engine).play_until(8.0)
        clock.now += 8.0
        async with open_console(engine, clock) as console:
            await console.shows("The callee is waiting", "WAIT TONE")
            await console.pilot.press("a")
            await console.sent(wire.Accept())

    async def test_with_two_calls_up_keys_name_the_call_on_show(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        Script(engine, 6).play_until(2.0)
        async with open_console(engine, clock) as console:
            await console.shows("2 calls up")
            await console.pilot.press("f8")
            await console.sent(wire.Hangup(leg="leg-4"))
            await console.pilot.press("c", "f8")
            await console.sent(wire.Hangup(leg="leg-6"))

    async def test_an_incoming_call_is_answered_or_refused(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock) as console:
            engine.publish(
                wire.Leg(id="in-1", role="inbound", number="02012345", state="ringing", at=clock.now)
            )
            await console.shows("INCOMING", "Answer", "Refuse")
            await console.pilot.press("i")
            await console.sent(wire.Answer(leg="in-1"))
            await console.pilot.press("x")
            await console.sent(wire.Refuse(leg="in-1", code=486))

    async def test_wrap_up_sends_a_disposition(self, engine: FakeEngine, clock: Clock, call: Script) -> None:
        call.to_state(20.0, "wrap_up", 30)
        async with open_console(engine, clock) as console:
            await console.pilot.press("w", *"sale", "tab", *"two boxes", "enter")
            await console.sent(wire.SetDisposition(entry=5, disposition="sale", note="two boxes"))


class TestRemapping:
    async def test_a_remapped_key_works_and_the_old_one_does_not(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock, keys=merge({"next": "f5", "hangup": "ctrl+h"})) as console:
            await console.shows("F5 Next")
            await console.pilot.press("n", "f8", "f5")
            await console.sent(wire.Next())
            await console.pilot.press("d", "ctrl+h")
            await console.sent(wire.Hangup())
            assert len(engine.commands) == 2
