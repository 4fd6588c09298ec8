"""The SIP messages of a call, by key."""

from __future__ import annotations

import pytest
from console_harness import Clock, open_console
from fake_engine import FakeEngine, Script

from engine.control import messages as wire

SMALL = (80, 24)
LADDER = [
    "          198.51.100.7:5070             192.0.2.10:5060",
    *(f"   {n}.000  |---------- INVITE{n} --------->|" for n in range(1, 40)),
    "  41.000  |<--- 486 [b]Busy[/b] Here ----|" + " " * 40 + "the end",
]


def traced(**fields: object) -> wire.Traced:
    known = {"title": "leg leg-4, 555 [b]x[/b]", "lost": 0, "messages": [], "ladder": LADDER} | fields
    return wire.Traced(**known)  # type: ignore[arg-type]


async def test_the_call_on_show_is_drawn(engine: FakeEngine, clock: Clock) -> None:
    script = Script(engine)
    script.play_until(12.0)
    clock.now += 12.0
    engine.traced = traced(lost=3)
    async with open_console(engine, clock, SMALL) as console:
        await console.pilot.press("v")
        await console.shows("SIP messages: leg leg-4, 555 [b]x[/b]", "3 older messages", "INVITE1 -")
        await console.shows("--pcap")
        assert engine.commands == [wire.Trace(call="leg-4")]
        await console.pilot.press("end")
        await console.shows("486 [b]Busy[/b] Here")
        await console.pilot.press("v")
        await console.until(lambda: "SIP messages" not in console.text)


@pytest.mark.parametrize("size", [(60, 16), (120, 36)])
async def test_without_a_call_the_last_is_asked_for(
    engine: FakeEngine, clock: Clock, size: tuple[int, int]
) -> None:
    engine.traced = traced(ladder=[])
    async with open_console(engine, clock, size) as console:
        await console.pilot.press("v")
        await console.shows("None yet.")
        assert engine.commands == [wire.Trace(call="last")]
        await console.pilot.press("escape")
        await console.until(lambda: "None yet." not in console.text)


async def test_a_refusal_is_said(engine: FakeEngine, clock: Clock) -> None:
    engine.refusals[wire.Trace] = "No call is remembered."
    async with open_console(engine, clock, SMALL) as console:
        await console.pilot.press("v")
        await console.shows("No call is remembered.")
