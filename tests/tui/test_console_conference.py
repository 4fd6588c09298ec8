"""Three-way, supervisors, levels and push-to-talk on the console."""

from __future__ import annotations

import msgspec
import pytest
from console_harness import Clock, open_console
from fake_engine import FakeEngine, Script

from engine.control import messages as wire
from tui.state import ConsoleState
from tui.talker import LEASE
from tui.widgets.call_panel import draw_call

SMALL = (80, 24)
HEADSET = wire.Flow(running=True, operator="headset", agents=[])


@pytest.fixture
def call(engine: FakeEngine, clock: Clock) -> Script:
    script = Script(engine)
    script.play_until(12.0)
    clock.now += 12.0
    return script


def other(engine: FakeEngine, clock: Clock, **fields: object) -> wire.Leg:
    usual = {"id": "in-1", "number": "5550900", "role": "inbound", "state": "answered", "held": True}
    leg = wire.Leg(at=clock.now, **usual | fields)  # type: ignore[arg-type]
    engine.publish(leg)
    return leg


async def test_all_are_joined_by_key_and_the_screen_says_so(
    engine: FakeEngine, clock: Clock, call: Script
) -> None:
    async with open_console(engine, clock) as console:
        await console.pilot.press("j")
        await console.shows("Nobody is on hold whom this call could be joined with.")
        assert "Join all" not in console.text
        other(engine, clock)
        await console.shows("j Join all")
        await console.pilot.press("j")
        await console.sent(wire.Conference())
        other(engine, clock, held=False, bridged_to="sound", conference="sound")
        call.to_leg(12.5, conference="sound")
        await console.shows("⇄ conference", "⇄ conf.")
        assert "j Join all" not in console.text


async def test_calls_joined_in_the_engine_are_lines_and_no_calls_of_the_operators(
    engine: FakeEngine, clock: Clock
) -> None:
    async with open_console(engine, clock) as console:
        other(engine, clock, held=False, bridged_to="sound")
        other(engine, clock, id="out-1", number="2125550102", role="manual")
        await console.shows("2 calls up")
        other(engine, clock, id="out-1", number="2125550102", role="manual", held=False, bridged_to="in-1")
        other(engine, clock, held=False, bridged_to="out-1")
        await console.shows("No call", "⇄ 5550900", "⇄ 2125550102")
        await console.pilot.press("5", "5", "5", "enter")  # digits are a number again, and no DTMF
        await console.sent(wire.Dial(number="555"))


async def test_a_supervisor_is_chosen_by_key_and_shown_with_the_call(
    engine: FakeEngine, clock: Clock, call: Script
) -> None:
    async with open_console(engine, clock) as console:
        await console.pilot.press("b", "enter")
        await console.shows("How the call with", "Type a number to dial.")
        await console.pilot.press(*"8009", "enter")
        await console.sent(wire.Supervise(of="leg-4", mode="listen", number="8009"))
        await console.pilot.press("b", "down", *"8010", "enter")
        await console.sent(wire.Supervise(of="leg-4", mode="whisper", number="8010"))
        other(engine, clock, state="ringing", held=False)
        await console.shows("2 calls up")
        await console.pilot.press("b", "tab", "shift+tab", "down", "enter")
        await console.sent(wire.Supervise(leg="in-1", of="leg-4", mode="whisper"))
        other(engine, clock, role="supervisor", held=False, supervises="leg-4", supervision="whisper")
        await console.shows("◉  5550900 whispers to you", "superv.", "Bridge 0:")
        assert "calls up" not in console.text
        await console.pilot.press("b", "end", "enter")
        await console.sent(wire.Supervise(leg="in-1", of="leg-4", mode="off"))


@pytest.mark.parametrize(
    ("key", "now", "then"),
    [
        ("minus", {}, {"received": -3.0}),
        ("equals_sign", {"received_gain": 19.0}, {"received": 20.0}),
        ("comma", {"sent_gain": -29.0}, {"sent": -30.0}),
        ("full_stop", {"sent_gain": 3.0}, {"sent": 6.0}),
    ],
)
async def test_levels_go_in_steps_within_bounds(
    engine: FakeEngine, clock: Clock, call: Script, key: str, now: dict[str, float], then: dict[str, float]
) -> None:
    async with open_console(engine, clock) as console:
        engine.publish(msgspec.structs.replace(HEADSET, **now))
        await console.until(lambda: console.app.state.flow == engine.flow)
        await console.pilot.press(key)
        await console.sent(wire.Gain(**then))
        await console.shows(f"heard at {next(iter(then.values())):+g} dB")
        engine.publish(msgspec.structs.replace(HEADSET, received_gain=-3.0, sent_gain=6.0))
        await console.shows("heard -3 dB, mic +6 dB")


async def test_with_an_agents_phone_the_calls_own_levels_change(
    engine: FakeEngine, clock: Clock, call: Script
) -> None:
    async with open_console(engine, clock) as console:
        engine.publish(wire.Flow(running=True, operator="standing", agents=["8001"]))
        call.to_leg(12.5, received_gain=-6.0)
        await console.shows("heard -6 dB")
        await console.pilot.press("equals_sign")
        await console.sent(wire.Gain(received=-3.0, leg="leg-4"))


async def test_only_what_can_be_done_is_offered_while_a_call_rings(engine: FakeEngine, clock: Clock) -> None:
    script = Script(engine)
    script.play_until(3.0)
    clock.now += 3.0
    async with open_console(engine, clock) as console:
        await console.shows("Hang up", "Mute")
        assert "h Hold" not in console.text
        assert "Record" not in console.text


async def test_music_on_hold_is_told(engine: FakeEngine, clock: Clock, call: Script) -> None:
    async with open_console(engine, clock) as console:
        other(engine, clock)
        call.to_leg(12.5, held=True, music=True, bridged_to="")
        await console.shows("‖ on hold, music", "‖ music", "2 calls up")
        assert "◉  " not in console.text


class TestPushToTalk:
    async def test_holding_the_key_keeps_the_microphone_open_and_letting_go_closes_it(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock) as console:
            engine.publish(msgspec.structs.replace(HEADSET, push_to_talk=True))
            await console.shows("○ mic closed", "Space Talk")
            for _ in range(3):
                await console.pilot.press("space")
            await console.until(lambda: wire.Talk(on=True, seconds=LEASE) in engine.commands)
            engine.publish(msgspec.structs.replace(HEADSET, push_to_talk=True, talking=True))
            await console.shows("● mic open")
            await console.sent(wire.Talk(on=False))
            assert engine.commands[0] == wire.Talk(on=True, seconds=LEASE)

    async def test_it_can_be_opened_for_long(self, engine: FakeEngine, clock: Clock, call: Script) -> None:
        async with open_console(engine, clock) as console:
            engine.publish(msgspec.structs.replace(HEADSET, push_to_talk=True))
            await console.shows("y Mic on")
            await console.pilot.press("y")
            await console.sent(wire.Talk(on=True, seconds=3600))
            engine.publish(msgspec.structs.replace(HEADSET, push_to_talk=True, talking=True))
            await console.shows("y Mic off")
            await console.pilot.press("space")
            await console.shows("The microphone is open already.")
            await console.pilot.press("y")
            await console.sent(wire.Talk(on=False, seconds=3600))
            assert len(engine.commands) == 2

    async def test_without_it_the_key_says_so(self, engine: FakeEngine, clock: Clock, call: Script) -> None:
        async with open_console(engine, clock) as console:
            await console.pilot.press("space")
            await console.shows("headset with audio.push_to_talk set")
            engine.publish(wire.Flow(running=True, operator="cold", agents=["8001"], push_to_talk=True))
            await console.shows("cold")
            assert "mic closed" not in console.text
            assert engine.commands == []


@pytest.mark.parametrize("cells", [46, 72])
def test_levels_and_a_files_name_leave_room_for_what_the_call_is(cells):
    state = ConsoleState()
    leg = wire.Leg(
        id="l1", role="manual", number="8004", state="answered", at=1_700_000_000.0, bridged_to="sound",
        codec="PCMA", sip_code=200, reason="OK", recording="/r/080437-8004-manual-unfinished.wav", held=True,
        received_gain=-6.0, sent_gain=-3.0,
    )  # fmt: skip
    state.apply(leg)
    call = state.call
    assert call is not None
    for rows in (8, 14):
        drawn = draw_call(state, call, leg.at + 5, cells, rows, "a")
        (line,) = [text for row in drawn if "REC" in (text := "".join(piece for piece, _ in row))]
        assert "BRIDGED  ⇄ headset ‖ held ● REC" in line
        assert len(line) <= cells
        assert ("heard -6 dB, mic -3 dB" in line) == (cells == 72)
