"""Nobody is left without an operator unnoticed: the gauge, and the message that says who is calling."""

from __future__ import annotations

import pytest
from dialer_fakes import ANSWERS, TALKS, World, fate
from virtual_time import virtual_time

from engine.config import Config
from engine.dialer.compliance import exemptions
from engine.dialer.gauge import too_many_abandoned
from engine.dialer.ports import PlaybackEnded, QueueCounts

STRICT = {"loopback_exempt": False, "calling_hours": "off"}
NOBODY = {"mode": "headset", "accept_after": -1.0, "connect_timeout": 5.0}


@pytest.mark.parametrize(
    ("answered", "abandoned", "allowed"),
    [(0, 0, True), (500, 0, True), (1, 1, False), (65, 1, False), (66, 1, True), (98, 2, False),
     (99, 2, True)],
)
def test_a_call_is_made_only_if_the_cap_holds_even_when_it_is_abandoned(answered, abandoned, allowed):
    verdict = too_many_abandoned(QueueCounts(answered=answered, abandoned=abandoned), 3.0)
    assert (verdict == "") is allowed
    if verdict:
        assert f"{abandoned} of {answered}" in verdict


@virtual_time
async def test_the_queue_pauses_after_an_abandoned_call_and_goes_on_when_it_is_resumed():
    numbers = ["5550001", "5550002", "5550003"]
    async with World(numbers, operator=NOBODY, compliance=STRICT) as world:
        records = await world.work()
        assert [r.disposition for r in records] == ["abandoned"]
        assert not world.dialer.running
        assert "1 of 1" in world.dialer.flow().notice
        assert await world.states() == ["done", "queued", "queued"]
        await world.dialer.resume()
        assert (await world.until_done()).number == "5550002"
        assert any("overridden" in line for line in world.log)
        await world.dialer.worked()
        assert await world.states() == ["done", "done", "queued"]


@virtual_time
async def test_by_hand_a_number_is_dialled_all_the_same():
    async with World(["5550001"], operator=NOBODY, compliance=STRICT) as world:
        await world.work()
        assert await world.dialer.dial("5550009") == ""
        assert (await world.until_done()).number == "5550009"


@virtual_time
async def test_the_gauge_can_be_switched_off_and_then_says_so():
    off = {**STRICT, "max_abandoned": 100.0}
    async with World(["5550001", "5550002"], operator=NOBODY, compliance=off) as world:
        assert len(await world.work()) == 2
        assert any("gauge is off" in line for line in exemptions(world.config))
    assert not any("gauge" in line for line in exemptions(Config()))


@virtual_time
async def test_a_callee_who_waits_too_long_is_told_who_is_calling_and_let_go():
    fates = {"5550001": fate(0.1, "rings", 2, "answers")}
    with_message = {"message": "/somewhere/we-are.wav"}
    async with World(["5550001"], fates=fates, operator=NOBODY, compliance=with_message) as world:
        await world.dialer.resume()
        await world.until_state("wait_tone")
        leg = world.line.to("5550001")
        answered = leg.times("wait_tone")[0]
        world.loop.call_later(4.0, leg.events.put_nowait, PlaybackEnded("identify"))
        record = await world.until_done()
        assert leg.withs("play") == ["/somewhere/we-are.wav"]
        assert leg.times("play")[0] - answered == pytest.approx(2.0, abs=0.001)
        assert record.disposition == "abandoned"
        assert "message was played" in record.reason


@virtual_time
async def test_an_operator_who_comes_during_the_message_is_bridged():
    at_once = {"mode": "headset", "accept_after": 3.0}
    with_message = {"message": "/somewhere/we-are.wav"}
    async with World(["5550001"], operator=at_once, compliance=with_message) as world:
        records = await world.work()
        assert [r.disposition for r in records] == ["bridged"]
        leg = world.line.to("5550001")
        assert leg.withs("play")
        assert leg.times("bridge")[0] > leg.times("play")[0]


@virtual_time
async def test_no_message_is_played_to_someone_who_was_bridged_in_time():
    with_message = {"message": "/somewhere/we-are.wav"}
    async with World(
        ["5550001"], fates={"5550001": TALKS}, operator={"accept_after": 1.0}, compliance=with_message
    ) as world:
        await world.work()
        assert not world.line.to("5550001").withs("play")


@virtual_time
async def test_without_a_message_the_screen_says_so():
    assert any("message" in line for line in exemptions(Config()))
    async with World(["5550001"], fates={"5550001": ANSWERS}, operator=NOBODY) as world:
        assert (await world.work())[0].disposition == "abandoned"
        assert not world.line.to("5550001").withs("play")
