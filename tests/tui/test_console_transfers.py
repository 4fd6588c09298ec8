"""Transfers, a second line, refusing as and do-not-disturb, by key."""

from __future__ import annotations

import pytest
from console_harness import Clock, open_console
from fake_engine import FakeEngine, Script

from engine.control import messages as wire

SMALL = (80, 24)


@pytest.fixture
def call(engine: FakeEngine, clock: Clock) -> Script:
    script = Script(engine)
    script.play_until(12.0)
    clock.now += 12.0
    return script


def second(engine: FakeEngine, clock: Clock, **fields: object) -> None:
    engine.publish(
        wire.Leg(
            id="in-1", number="02012345", at=clock.now, remote="Bob [b]x[/b]",
            **{"role": "inbound", "state": "answered", "bridged_to": "sound"} | fields,
        )  # type: ignore[arg-type]
    )  # fmt: skip


class TestTransfer:
    async def test_a_blind_transfer_asks_for_the_number(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            await console.pilot.press("f")
            await console.shows("Transfer", "without asking there first")
            await console.pilot.press("enter")
            await console.shows("Type a number to dial.")
            await console.pilot.press(*"(212) 555-0102", "enter")
            await console.sent(wire.Transfer(leg="leg-4", to="2125550102"))

    async def test_with_two_calls_up_the_other_is_offered_first(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            second(engine, clock, held=True, bridged_to="")
            await console.shows("2 calls up")
            await console.pilot.press("f")
            await console.shows("with the other call", "02012345 Bob [b]x[/b]", "inbound held")
            await console.pilot.press("enter")
            await console.sent(wire.TransferToLeg(leg="leg-4", other="in-1"))
            await console.pilot.press("f", "tab", *"555", "enter")
            await console.sent(wire.Transfer(leg="leg-4", to="555"))

    async def test_how_it_goes_is_shown_with_the_call(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            call.to_leg(12.5, held=True, transfer="the transfer to 555: 180 Ringing")
            await console.shows("The transfer to 555: 180 Ringing")

    async def test_without_a_call_it_says_so(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock, SMALL) as console:
            await console.pilot.press("f")
            await console.shows("No answered call to transfer.")
            await console.pilot.press("k")
            await console.shows("No answered call to consult somebody about.")
            assert engine.commands == []

    async def test_the_keys_are_offered_while_a_call_is_up(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock) as console:
            await console.shows("f Transfer", "k Consult")


class TestASecondLine:
    async def test_consulting_asks_for_the_number(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            await console.pilot.press("k", *"2125550102", "enter")
            await console.sent(wire.Consult(number="2125550102"))
            second(engine, clock, held=True, bridged_to="")  # with two up the one on show is meant
            await console.shows("2 calls up")
            await console.pilot.press("k", *"2125550103", "enter")
            await console.sent(wire.Consult(number="2125550103", leg="leg-4"))

    async def test_the_call_just_placed_is_on_show_and_is_what_f8_ends(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            call.to_leg(12.5, held=True, bridged_to="")
            second(engine, clock, role="manual", state="ringing", bridged_to="")
            await console.shows("2 calls up", "RINGING")
            await console.pilot.press("f8")
            await console.sent(wire.Hangup(leg="in-1"))
            second(engine, clock, role="manual", state="ended", bridged_to="")
            await console.shows("Take back")

    async def test_a_call_with_nobody_waiting_offers_no_bridge(
        self, engine: FakeEngine, clock: Clock
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            second(engine, clock, held=True, bridged_to="")
            await console.shows("Take back")
            assert "a Bridge" not in console.text

    async def test_with_an_agents_phone_too(self, engine: FakeEngine, clock: Clock, call: Script) -> None:
        async with open_console(engine, clock, SMALL) as console:
            engine.publish(wire.Flow(running=True, operator="cold", agents=["8001"]))
            await console.shows("cold")
            await console.pilot.press("k", *"2125550102", "enter")
            await console.sent(wire.Consult(number="2125550102"))

    async def test_a_swap_is_the_other_call_taken_back(
        self, engine: FakeEngine, clock: Clock, call: Script
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            call.to_leg(12.5, held=True, bridged_to="")
            second(engine, clock)
            await console.shows("2 calls up")
            while console.app.state.call.leg != "leg-4":  # type: ignore[union-attr]
                await console.pilot.press("c")
            await console.shows("Take back")
            await console.pilot.press("h")
            await console.sent(wire.Hold(on=False, leg="leg-4"))


class TestRefusing:
    @pytest.mark.parametrize(("key", "code"), [("b", 486), ("u", 480), ("d", 603), ("n", 404)])
    async def test_with_an_answer_of_ones_choice(
        self, engine: FakeEngine, clock: Clock, key: str, code: int
    ) -> None:
        async with open_console(engine, clock, SMALL) as console:
            second(engine, clock, state="ringing", bridged_to="")
            await console.shows("INCOMING")
            await console.pilot.press("z")
            await console.shows("02012345 is calling", f"({code})")
            await console.pilot.press(key)
            await console.sent(wire.Refuse(leg="in-1", code=code))

    async def test_it_may_ring_on(self, engine: FakeEngine, clock: Clock) -> None:
        async with open_console(engine, clock, SMALL) as console:
            await console.pilot.press("z")
            await console.shows("No incoming call is ringing.")
            second(engine, clock, state="ringing", bridged_to="")
            await console.shows("INCOMING")
            for leave in ("c", "escape"):
                await console.pilot.press("z", leave)
            await console.pilot.press("n")
            await console.sent(wire.Next())
            assert len(engine.commands) == 1


class TestDoNotDisturb:
    @pytest.mark.parametrize(("size", "sign"), [((160, 40), "⊘ do not disturb"), (SMALL, "⊘ DND")])
    async def test_it_is_switched_by_key_and_seen(
        self, engine: FakeEngine, clock: Clock, size: tuple[int, int], sign: str
    ) -> None:
        async with open_console(engine, clock, size) as console:
            await console.pilot.press("u")
            await console.sent(wire.DoNotDisturb(on=True))
            assert "⊘" not in console.text
            flow = wire.Flow(running=True, operator="headset", agents=[], do_not_disturb=True)
            engine.publish(flow)
            await console.shows(sign)
            await console.pilot.press("u")
            await console.sent(wire.DoNotDisturb(on=False))
