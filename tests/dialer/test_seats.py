"""The operator's end: the headset, an agent's standing leg, an agent dialled cold."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from dialer_fakes import ANSWERS, SILENT, TALKS, World, fate
from virtual_time import virtual_time

CALLEE = "5551234"
STANDING = {"mode": "standing", "agents": ["8001"]}
COLD = {"mode": "cold", "agents": ["8001", "8002"]}


# headset

@virtual_time
async def test_without_sound_nobody_is_dialled_until_it_comes():
    world = World([CALLEE])
    world.sound = False
    async with world:
        await world.dialer.resume()
        await asyncio.sleep(100)
        assert world.line.numbers() == []
        assert "sound device" in world.dialer.flow().notice
        world.sound = True
        world.dialer.wake()
        await world.dialer.worked()
        assert [record.disposition for record in world.records] == ["bridged"]


@virtual_time
async def test_the_operators_key_takes_the_callee_who_waits():
    async with World([CALLEE], operator={"accept_after": -1}) as world:
        assert await world.dialer.accept() == "No callee is waiting to be taken."
        await world.dialer.resume()
        changed = await world.until_state("wait_tone")
        assert changed.waiting_for_operator
        await asyncio.sleep(7)
        assert await world.dialer.accept() == ""
        bridged = await world.until_state("bridged")
        assert not bridged.waiting_for_operator
        assert await world.dialer.accept() != ""


# standing

@virtual_time
async def test_a_standing_leg_is_called_once_and_bridged_to_every_callee_at_once():
    async with World(["5551", "5552", "5553"], operator=STANDING, fates={"8001": ANSWERS}) as world:
        records = await world.work()
        assert [record.disposition for record in records] == ["bridged"] * 3
        assert world.line.numbers("agent") == ["8001"]
        assert all(record.states["bridged"] == record.states["answered"] for record in records)
        assert all(record.agent == "8001" for record in records)
        agent = world.line.to("8001")
        assert agent.withs("hangup") == []
        assert len(agent.times("unbridge")) >= 3
        assert world.dialer.seats.state == "ready"


@virtual_time
async def test_nobody_is_called_before_the_agent_is_there():
    fates = {"8001": fate(0.1, "rings", 30, "answers")}
    async with World([CALLEE], operator=STANDING, fates=fates) as world:
        await world.dialer.resume()
        await asyncio.sleep(20)
        assert world.dialer.flow().agent_state == "dialing"
        assert world.line.numbers() == []
        await world.dialer.worked()
        assert world.records[0].started_at.second == 30


@virtual_time
async def test_the_first_agent_of_the_list_who_answers_is_the_one():
    fates = {"8001": fate(0.1, ("refuses", 486)), "8002": fate(0.1, ("refuses", 480)), "8003": ANSWERS}
    operator = {"mode": "standing", "agents": ["8001", "8002", "8003"]}
    async with World([CALLEE], operator=operator, fates=fates) as world:
        assert (await world.work())[0].agent == "8003"
        assert world.line.numbers("agent") == ["8001", "8002", "8003"]


@virtual_time
async def test_agents_who_do_not_answer_are_called_again_with_growing_pauses():
    async with World([CALLEE], operator=STANDING, fates={"8001": fate(0.1, ("refuses", 486))}) as world:
        await world.dialer.resume()
        await asyncio.sleep(600)
        began = [leg.began for leg in world.line.legs]
        gaps = [round(b - a, 6) for a, b in pairwise(began)]
        assert gaps == sorted(gaps)
        assert gaps[0] == pytest.approx(1.1)
        assert gaps[-1] == pytest.approx(60.1)
        assert world.dialer.flow().agent_state == "failed"
        assert "8001 (486)" in world.dialer.flow().notice
        assert sum("no agent could be reached" in line for line in world.log) == 1


@virtual_time
async def test_a_standing_agent_who_rings_for_ever_is_given_up():
    operator = {"mode": "standing", "agents": ["8001", "8002"], "ring_timeout": 15}
    fates = {"8001": SILENT, "8002": ANSWERS}
    async with World([CALLEE], operator=operator, fates=fates) as world:
        assert (await world.work())[0].agent == "8002"
        assert world.line.to("8001").times("hangup") == [pytest.approx(15)]


@virtual_time
async def test_when_the_agent_hangs_up_the_callee_is_hung_up_and_the_agent_called_again():
    fates = {"8001": fate(0.1, "answers", 10, "far_bye"), CALLEE: ANSWERS}
    async with World([CALLEE], operator=STANDING, fates=fates) as world:
        (record,) = await world.work()
        assert record.disposition == "bridged"
        assert "agent" in record.reason
        assert world.line.to(CALLEE).withs("hangup") == ["normal"]
        await asyncio.sleep(3)
        assert world.line.numbers("agent") == ["8001", "8001"]


@virtual_time
async def test_an_agent_lost_before_the_answer_is_fetched_again_while_the_callee_hears_the_wait_tone():
    fates = {
        "8001": [fate(0.1, "answers", 1, "far_bye"), fate(3, "answers")],
        CALLEE: fate(2, "answers", 20, "far_bye"),
    }
    async with World([CALLEE], operator=STANDING, fates=fates) as world:
        (record,) = await world.work()
        assert record.disposition == "bridged"
        assert record.states["bridged"] - record.states["answered"] > 2000
        assert world.line.to(CALLEE).withs("bridge") == [world.line.to("8001").id]


@virtual_time
async def test_an_agent_lost_for_good_leaves_the_callee_abandoned_never_bridged_to_nobody():
    fates = {
        "8001": [fate(0.1, "answers", 1, "far_bye"), fate(0.1, ("refuses", 480))],
        CALLEE: fate(2, "answers"),
    }
    async with World([CALLEE], operator=STANDING, fates=fates) as world:
        (record,) = await world.work()
        assert record.disposition == "abandoned"
        assert world.line.to(CALLEE).withs("bridge") == []


@virtual_time
async def test_stop_all_hangs_up_the_standing_leg_and_resuming_brings_it_back():
    async with World([CALLEE, "5552"], operator=STANDING, fates={"8001": ANSWERS}) as world:
        await world.dialer.resume()
        await world.until_state("bridged")
        await world.dialer.stop_all()
        assert (await world.until_done()).disposition == "bridged"
        await asyncio.sleep(300)
        assert world.line.numbers("agent") == ["8001"]
        assert world.line.to("8001").withs("hangup") == ["normal"]
        await world.work()
        assert world.line.numbers("agent") == ["8001", "8001"]
        assert world.records[-1].disposition == "bridged"


@virtual_time
async def test_early_media_is_passed_to_the_standing_agent():
    fates = {"8001": ANSWERS, CALLEE: fate(1, "early", 5, ("refuses", 486))}
    dialer = {"early_media": "operator"}
    async with World([CALLEE], operator=STANDING, dialer=dialer, fates=fates) as world:
        await world.work()
        assert world.line.to(CALLEE).withs("bridge") == [world.line.to("8001").id]


@virtual_time
async def test_two_channels_with_two_agents_make_two_calls_at_a_time_and_never_three():
    operator = {"mode": "standing", "agents": ["8001", "8002"]}
    fates = {"8001": ANSWERS, "8002": ANSWERS}
    numbers = [f"555{i}" for i in range(8)]
    async with World(numbers, operator=operator, dialer={"max_channels": 3}, fates=fates) as world:
        await world.work()
        events = []
        for record in world.records:
            start = record.started_at.timestamp()
            events += [(start, 1), (start + record.duration_s, -1)]
        up = most = 0
        for _, change in sorted(events):
            up += change
            most = max(most, up)
        assert most == 2
        assert {record.agent for record in world.records} == {"8001", "8002"}


@virtual_time
async def test_one_headset_takes_one_call_whatever_the_channels():
    async with World(["5551", "5552"], dialer={"max_channels": 5}) as world:
        first, second = await world.work()
        assert (second.started_at - first.started_at).total_seconds() >= first.duration_s


# cold

@virtual_time
async def test_a_cold_agent_is_dialled_once_the_callee_has_answered():
    fates = {"8001": fate(0.1, "rings", 3, "answers"), CALLEE: TALKS}
    async with World([CALLEE], operator=COLD, fates=fates) as world:
        (record,) = await world.work()
        agent = world.line.to("8001")
        assert record.disposition == "bridged"
        assert agent.began == pytest.approx(2.1)
        assert record.states["bridged"] == 5200
        assert agent.withs("hangup") == ["normal"]


@virtual_time
async def test_the_next_cold_agent_is_tried_when_one_fails():
    fates = {"8001": fate(0.1, ("refuses", 486)), "8002": ANSWERS}
    async with World([CALLEE], operator=COLD, fates=fates) as world:
        assert (await world.work())[0].agent == "8002"


@virtual_time
async def test_when_no_cold_agent_answers_the_callee_is_abandoned_at_once():
    fates = {"8001": fate(0.1, ("refuses", 486)), "8002": fate(0.1, ("refuses", 603))}
    async with World([CALLEE], operator=COLD, fates=fates) as world:
        (record,) = await world.work()
        assert record.disposition == "abandoned"
        assert "8001 (486), 8002 (603)" in record.reason
        assert record.duration_s < 3


@virtual_time
async def test_a_callee_who_hangs_up_while_the_agent_rings_ends_the_agents_leg():
    fates = {"8001": fate(0.1, "rings"), CALLEE: fate(1, "answers", 4, "far_bye")}
    async with World([CALLEE], operator=COLD, fates=fates) as world:
        (record,) = await world.work()
        assert record.disposition == "caller_hung_up"
        assert world.line.to("8001").withs("hangup") == ["cancelled"]


@virtual_time
async def test_a_cold_agent_too_slow_for_the_connect_timeout_is_hung_up_too():
    operator = COLD | {"connect_timeout": 8}
    async with World([CALLEE], operator=operator, fates={"8001": fate(0.1, "rings")}) as world:
        (record,) = await world.work()
        assert record.disposition == "abandoned"
        await asyncio.sleep(1)
        assert world.line.to("8001").withs("hangup") == ["cancelled"]


@virtual_time
async def test_an_agent_whose_number_must_not_be_dialled_never_is():
    operator = {"mode": "standing", "agents": ["112", "8001"]}
    async with World([CALLEE], operator=operator, fates={"8001": ANSWERS}) as world:
        assert (await world.work())[0].agent == "8001"
        assert world.line.numbers("agent") == ["8001"]
        assert any("emergency" in line for line in world.log)
    async with World([CALLEE], operator=operator | {"agents": ["112"]}) as world:
        await world.dialer.resume()
        await asyncio.sleep(100)
        assert world.line.legs == []
        assert "no agent's number" in world.dialer.flow().notice


# changing it

@virtual_time
async def test_the_operators_end_changes_between_calls_never_within_one():
    async with World([CALLEE, "5552"], fates={"8001": ANSWERS}) as world:
        work = world.loop.create_task(world.work())
        await world.until_state("bridged")
        assert await world.dialer.set_operator("standing", ["8001"]) == ""
        first, second = await work
        assert (first.agent, second.agent) == ("", "8001")
        assert world.dialer.flow().operator == "standing"


@virtual_time
async def test_an_agent_mode_without_an_agent_is_refused():
    async with World() as world:
        assert "agent's number" in await world.dialer.set_operator("cold")
        assert "emergency" in await world.dialer.set_operator("cold", ["112"])
        assert "not a number" in await world.dialer.set_operator("cold", ["bob@example.com"])
        assert world.dialer.flow().operator == "headset"
