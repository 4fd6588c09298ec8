"""The operator's whisper before the bridge: in their ear while the callee hears the wait tone."""

from __future__ import annotations

import pytest
from dialer_fakes import ANSWERS, World, fate
from virtual_time import virtual_time

CALLEE = "5551234"
STANDING = {"mode": "standing", "agents": ["8001"], "whisper": "beep"}
COLD = {"mode": "cold", "agents": ["8001"], "whisper": "beep"}


@pytest.mark.parametrize("operator", [STANDING, COLD])
@virtual_time
async def test_an_agent_is_told_before_the_bridge_and_the_time_counts(operator):
    async with World([CALLEE], operator=operator, fates={"8001": ANSWERS}) as world:
        record = (await world.work())[0]
        agent, callee = world.line.to("8001"), world.line.to(CALLEE)
        assert agent.withs("whisper") == ["beep"]
        begun, bridged = agent.times("whisper")[0], callee.times("bridge")[0]
        assert bridged - begun == pytest.approx(1.5)
        assert callee.times("wait_tone")[0] <= begun
        assert record.states["bridged"] - record.states["answered"] >= 1500


@virtual_time
async def test_the_headset_is_told_once_the_operator_has_accepted():
    async with World([CALLEE], operator={"accept_after": 1, "whisper": "who.wav"}) as world:
        await world.work()
        callee = world.line.to(CALLEE)
        answered = callee.times("wait_tone")[0]
        assert [what for _, what in world.whispers] == ["who.wav"]
        assert world.whispers[0][0] - answered == pytest.approx(1, abs=0.01)
        assert callee.times("bridge")[0] - answered == pytest.approx(2.5, abs=0.01)


@virtual_time
async def test_a_number_dialled_by_hand_needs_no_telling():
    async with World(operator={"whisper": "beep"}) as world:
        await world.dialer.dial(CALLEE)
        assert (await world.until_done()).disposition == "bridged"
        assert world.whispers == []


@virtual_time
async def test_a_callee_who_hangs_up_meanwhile_is_not_bridged():
    fates = {CALLEE: fate(0.1, "answers", 1, "far_bye"), "8001": ANSWERS}
    async with World([CALLEE], operator=STANDING, fates=fates) as world:
        record = (await world.work())[0]
        assert "bridged" not in record.states
        assert world.line.to(CALLEE).times("bridge") == []
        assert world.dialer.seats.state == "ready"


@virtual_time
async def test_a_file_that_cannot_be_played_is_told_and_keeps_nobody():
    operator = STANDING | {"whisper": "gone.wav"}
    async with World([CALLEE], operator=operator, fates={"8001": ANSWERS}) as world:
        assert (await world.work())[0].disposition == "bridged"
        assert "operator.whisper: there is no such file" in world.log


@virtual_time
async def test_an_agent_who_hangs_up_meanwhile_is_not_bridged():
    fates = {"8001": fate(0.1, "answers", 0.5, "far_bye")}
    async with World([CALLEE], operator=COLD, fates=fates) as world:
        record = (await world.work())[0]
        assert (record.disposition, record.reason) == ("abandoned", "the agent's phone hung up")


@virtual_time
async def test_the_message_to_who_waits_too_long_comes_in_spite_of_it():
    rules = {"message": "who-calls.wav", "message_after": 1.0}
    async with World([CALLEE], operator=STANDING, compliance=rules, fates={"8001": ANSWERS}) as world:
        await world.work()
        callee = world.line.to(CALLEE)
        assert callee.withs("play") == ["who-calls.wav"]
        assert callee.times("play")[0] - callee.times("wait_tone")[0] == pytest.approx(1)


