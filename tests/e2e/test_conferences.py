"""Three-way calls, joining calls in the engine, and supervisors: who hears whom, at real far ends."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from raw_trunk import RawTrunk
from rig import Bench, Driver
from voices import NOTES, Choir, all_hear_each_other

from engine.control import messages

Drive = Callable[[], Awaitable[Driver]]
AGENT = ("operator.mode=standing", "operator.agents=8001")


@pytest.fixture
async def choir() -> AsyncIterator[Choir]:
    trunk = await RawTrunk.open()
    made = Choir(trunk)
    yield made
    made.close()
    trunk.close()


@pytest.fixture
async def start(bench: Bench, drive: Drive, choir: Choir) -> Callable[..., Awaitable[Driver]]:
    async def started(*more: str) -> Driver:
        bench.start_engine(f"trunk.server={choir.trunk.address}", "trunk.register=false", *more)
        return await drive()

    return started


def note(path: Path, hertz: int, seconds: float) -> None:
    """A file with one note."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        tone = 3000 * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)
        file.writeframes(tone.astype("<i2").tobytes())


async def leg(driver: Driver, number: str, **wanted: object) -> messages.Leg:
    return await driver.until(
        messages.Leg,
        lambda e: e.number == number and all(getattr(e, k) == v for k, v in wanted.items()),
    )


async def logged(driver: Driver, text: str) -> messages.LogLine:
    return await driver.until(messages.LogLine, lambda e: text in e.text)


async def test_an_agent_adds_a_third_party_and_drops_one_again(
    start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    driver = await start(*AGENT)
    await driver.send(messages.Dial(number="2125550101"))
    agent = await choir.answers("8001")
    callee = await choir.answers("2125550101")
    first = await leg(driver, "2125550101", state="answered")
    await all_hear_each_other([agent, callee])
    # consulted: the first is held and hears nobody
    refused = await driver.client.send(messages.Conference())
    assert "Nobody waits on hold" in refused.error
    await driver.send(messages.Consult(number="2125550102"))
    third = await choir.answers("2125550102")
    await all_hear_each_other([agent, third])
    await callee.hears()
    # all three, with the operator muted meanwhile
    driver.forget()
    await driver.send(messages.Conference())
    await leg(driver, "2125550102", conference=(await leg(driver, "2125550101", held=False)).conference)
    await all_hear_each_other([agent, callee, third])
    await driver.send(messages.Mute(on=True))
    await callee.hears(third.note)
    await agent.hears(callee.note, third.note)
    await driver.send(messages.Mute(on=False))
    # one on hold, and back
    await driver.send(messages.Hold(on=True, leg=first.id))
    await callee.hears()
    await all_hear_each_other([agent, third])
    driver.forget()
    await driver.send(messages.Hold(on=False, leg=first.id))
    await all_hear_each_other([agent, callee, third])
    # one hangs up: two remain, in a plain bridge
    driver.forget()
    choir.trunk.request("BYE", choir.invites["2125550101"], 9)
    await driver.until(messages.AttemptDone)
    await leg(driver, "2125550102", conference="", state="answered")
    await all_hear_each_other([agent, third])
    # the agent's phone is not free for another call until the third has gone too
    await driver.send(messages.Dial(number="2125550103"))
    choir.trunk.request("BYE", choir.invites["2125550102"], 9)
    await leg(driver, "2125550102", state="ended")
    last = await choir.answers("2125550103")
    await all_hear_each_other([agent, last])
    await driver.send(messages.StopAll())


async def test_at_the_headset_a_conference_goes_on_in_the_engine_where_refer_is_refused(
    start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    driver = await start()
    await driver.send(messages.Dial(number="2125550101"))
    callee = await choir.answers("2125550101")
    first = (await leg(driver, "2125550101", bridged_to="sound")).id
    await driver.send(messages.Consult(number="2125550102"))
    third = await choir.answers("2125550102")
    second = (await leg(driver, "2125550102", bridged_to="sound")).id
    await driver.send(messages.Conference(leg=first))
    await all_hear_each_other([callee, third])
    choir.refer_code = 603
    driver.forget()
    await driver.send(messages.TransferToLeg(leg=first, other=second))
    await logged(driver, "failed: the far end refused: 603")
    await logged(driver, "2125550101 and 2125550102 are joined here")
    done = await driver.until(messages.AttemptDone)
    assert (done.disposition, done.reason) == ("bridged", "joined with 2125550102")
    await leg(driver, "2125550101", bridged_to=second, held=False, conference="")
    await all_hear_each_other([callee, third])
    # the headset is free meanwhile
    await driver.send(messages.Dial(number="2125550103"))
    other = await choir.answers("2125550103")
    await leg(driver, "2125550103", bridged_to="sound")
    await other.hears()
    await all_hear_each_other([callee, third])
    # one hangs up, and so the other is hung up on
    driver.forget()
    choir.trunk.request("BYE", choir.invites["2125550101"], 9)
    await leg(driver, "2125550101", state="ended")
    await leg(driver, "2125550102", state="ended")
    legs = [event for event in driver.seen if isinstance(event, messages.Leg)]
    assert not [event for event in legs if event.number == "2125550103" and event.cause]
    await driver.send(messages.StopAll())


async def test_held_calls_hear_music_and_are_joined_here_at_once_where_that_is_asked_for(
    bench: Bench, start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    music = bench.folder / "music.wav"
    note(music, NOTES[-1], 1.0)
    driver = await start(*AGENT, f"call.hold_music={music}")
    await driver.send(messages.Dial(number="2125550101"))
    agent = await choir.answers("8001")
    callee = await choir.answers("2125550101")
    await all_hear_each_other([agent, callee])
    first = (await leg(driver, "2125550101", state="answered")).id
    await driver.send(messages.Consult(number="2125550102"))
    third = await choir.answers("2125550102")
    second = (await leg(driver, "2125550102", state="answered")).id
    await leg(driver, "2125550101", held=True, music=True)
    await all_hear_each_other([agent, third])
    await callee.hears(NOTES[-1])
    standing = (await leg(driver, "8001", state="answered")).id
    refused = await driver.client.send(messages.TransferToLeg(leg=first, other=standing, here=True))
    assert refused.error == "8001 is no call that the operator could leave."
    await driver.send(messages.TransferToLeg(leg=first, other=second, here=True))
    await all_hear_each_other([callee, third])
    await agent.hears()
    await driver.send(messages.Dial(number="2125550103"))
    other = await choir.answers("2125550103")
    await all_hear_each_other([agent, other])
    await all_hear_each_other([callee, third])
    await driver.send(messages.StopAll())


async def test_a_supervisor_listens_whispers_and_barges_in(
    start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    driver = await start(*AGENT)
    await driver.send(messages.Dial(number="2125550101"))
    agent = await choir.answers("8001")
    callee = await choir.answers("2125550101")
    call = (await leg(driver, "2125550101", state="answered")).id
    await all_hear_each_other([agent, callee])
    supervisor = choir.calls("5550900")
    rings = (await leg(driver, "5550900", state="ringing")).id
    driver.forget()
    await driver.send(messages.Supervise(leg=rings, of=call, mode="listen"))
    await choir.taken("5550900", supervisor)
    shown = await leg(driver, "5550900", supervision="listen", supervises=call)
    assert shown.role == "supervisor"
    assert (await logged(driver, "supervisor 5550900 listens to 2125550101")).level == "warning"
    await supervisor.hears(agent.note, callee.note)
    await all_hear_each_other([agent, callee])
    await driver.send(messages.Supervise(leg=rings, of=call, mode="whisper"))
    await agent.hears(callee.note, supervisor.note)
    await callee.hears(agent.note)
    await driver.send(messages.Supervise(leg=rings, of=call, mode="barge"))
    await all_hear_each_other([agent, callee, supervisor])
    await driver.send(messages.Supervise(leg=rings, mode="off"))
    await leg(driver, "5550900", state="ended")
    await all_hear_each_other([agent, callee])
    # called for it; its end comes with the call's
    for of, number, why in (
        (call, "911", "emergency"),
        ("nobody", "2125550104", "There is no leg nobody"),
        (call, "", "which number"),
    ):
        refused = await driver.client.send(messages.Supervise(of=of, number=number))
        assert why in refused.error
    await driver.send(messages.Supervise(number="2125550104", of=call, mode="whisper"))
    coach = await choir.answers("2125550104")
    await agent.hears(callee.note, coach.note)
    await callee.hears(agent.note)
    choir.trunk.request("BYE", choir.invites["2125550101"], 9)
    await leg(driver, "2125550104", state="ended")
    await agent.hears()
    await driver.send(messages.StopAll())


async def test_an_agent_is_told_of_a_call_before_the_bridge_and_the_callee_hears_none_of_it(
    bench: Bench, start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    whisper = bench.folder / "whisper.wav"
    note(whisper, NOTES[-1], 1.0)
    driver = await start(*AGENT, f"operator.whisper={whisper}")
    queue = bench.folder / "queue.csv"
    queue.write_text("number\n2125550101\n")
    await driver.send(messages.LoadQueue(path=str(queue)))
    await driver.send(messages.Resume())
    agent = await choir.answers("8001")
    callee = await choir.answers("2125550101")
    await agent.hears(NOTES[-1])
    assert callee.amplitude(NOTES[-1]) < 60
    attempt = await driver.until(messages.Attempt, lambda a: a.state == "connecting")
    await all_hear_each_other([agent, callee])
    bridged = await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    assert 0.9 < bridged.at - attempt.at < 5
    await driver.send(messages.StopAll())


async def test_levels_are_changed_by_command_within_bounds(
    start: Callable[..., Awaitable[Driver]], choir: Choir
) -> None:
    driver = await start(*AGENT)
    await driver.send(messages.Dial(number="2125550101"))
    agent = await choir.answers("8001")
    callee = await choir.answers("2125550101")
    call = (await leg(driver, "2125550101", state="answered")).id
    await all_hear_each_other([agent, callee])
    before = agent.amplitude(callee.note)
    await driver.send(messages.Gain(received=-12, leg=call))
    changed = await leg(driver, "2125550101", received_gain=-12.0)
    assert changed.sent_gain == 0
    async with asyncio.timeout(5):
        while not 0.2 < agent.amplitude(callee.note) / before < 0.3:
            await asyncio.sleep(0.02)
    assert "-30 to +20" in (await driver.client.send(messages.Gain(sent=21))).error
    assert "how many dB" in (await driver.client.send(messages.Gain())).error
    await driver.send(messages.Gain(received=3, sent=-4.5))
    flow = await driver.until(messages.Flow, lambda f: f.sent_gain == -4.5)
    assert flow.received_gain == 3
    await driver.send(messages.StopAll())
