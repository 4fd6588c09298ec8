"""When a call of the queue is recorded: from where, to where, and what the callee is told before."""

from __future__ import annotations

import wave
from typing import Any

import pytest
from dialer_fakes import ANSWERS, START, World, fate
from virtual_time import virtual_time

CALLEE, AGENT = "5550001", "8001"
TALK = fate(0.1, "rings", 2, "answers", 30, "far_bye")
EARLY = fate(0.1, "early", 2, "answers", 30, "far_bye")


def done(world: World, number: str = CALLEE) -> list[tuple[float, str]]:
    return [(round(at, 1), what) for at, what, _ in world.line.to(number).did if what != "listen"]


@pytest.fixture
def announcement(tmp_path: Any) -> str:
    path = tmp_path / "this-call-is-recorded.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return str(path)


@virtual_time
async def test_nothing_is_recorded_unless_it_is_asked_for():
    async with World([CALLEE], fates={CALLEE: TALK}) as world:
        (record,) = await world.work()
        assert record.recording == ""
        assert world.line.to(CALLEE).withs("record") == []


@virtual_time
async def test_a_recording_begins_at_the_answer_and_gets_its_name_from_the_result():
    async with World([CALLEE], fates={CALLEE: TALK}, recording={"what": "callee"}) as world:
        (record,) = await world.work()
        assert (2.1, "record") in done(world)
        assert record.recording == "/recordings/L1-bridged.wav"
        assert (await world.store.records(world.campaign))[0].recording == record.recording
        facts = world.line.to(CALLEE).withs("record")[0]
        assert (facts.attempt, facts.agent, facts.began) == (record.attempt_id, "", START)


@virtual_time
async def test_early_media_is_recorded_where_that_is_asked_for():
    busy = fate(0.1, "early", 3, ("refuses", 486))
    recording = {"what": "callee", "begin": "early"}
    async with World([CALLEE], fates={CALLEE: busy}, recording=recording) as world:
        (record,) = await world.work()
        assert done(world)[0] == (0.1, "record")
        assert (record.disposition, record.recording) == ("busy", "/recordings/L1-busy.wav")
    async with World([CALLEE], fates={CALLEE: TALK}, recording=recording) as world:
        await world.work()
        callee = world.line.to(CALLEE)
        assert callee.times("record") == callee.times("wait_tone")  # no early media came


@virtual_time
@pytest.mark.parametrize(("what", "recorded"), [("callee", [1, 0]), ("agent", [0, 1]), ("both", [1, 1])])
async def test_each_side_is_recorded_by_itself(what: str, recorded: list[int]):
    operator = {"mode": "standing", "agents": [AGENT]}
    fates = {CALLEE: TALK, AGENT: ANSWERS}
    async with World([CALLEE], fates=fates, operator=operator, recording={"what": what}) as world:
        (record,) = await world.work()
        legs = [world.line.to(number) for number in (CALLEE, AGENT)]
        assert [len(leg.withs("record")) for leg in legs] == recorded
        # The agent's leg stands; its recording ends with the call.
        assert [len(leg.withs("end_recording")) for leg in legs] == recorded
        assert record.recording.endswith("L2-bridged.wav" if recorded[0] else "L1-bridged.wav")
        if recorded[1]:
            assert legs[1].withs("record")[0].agent == AGENT


@virtual_time
async def test_the_announcement_comes_before_the_recording_the_wait_tone_and_the_bridge(announcement: str):
    told = fate(0.1, "rings", 2, "answers", 5, "announcement_ends", 30, "far_bye")
    recording = {"what": "callee", "announcement": announcement}
    operator = {"accept_after": 9.0}
    async with World([CALLEE], fates={CALLEE: told}, operator=operator, recording=recording) as world:
        (record,) = await world.work()
        assert done(world)[:4] == [(2.1, "play"), (7.1, "record"), (7.1, "wait_tone"), (11.1, "bridge")]
        assert world.line.to(CALLEE).withs("play") == [announcement]
        assert record.states["announced"] == 7100
        assert record.disposition == "bridged"
        assert (await world.store.records(world.campaign))[0].states["announced"] == 7100


@virtual_time
@pytest.mark.parametrize("connect_timeout", [20.0, 2.0])
async def test_an_operator_who_is_there_waits_for_the_announcements_end(
    announcement: str, connect_timeout: float
):
    told = fate(0.1, "rings", 2, "answers", 5, "announcement_ends", 30, "far_bye")
    recording = {"what": "both", "announcement": announcement}
    operator = {"accept_after": 1.0, "connect_timeout": connect_timeout}
    async with World([CALLEE], fates={CALLEE: told}, operator=operator, recording=recording) as world:
        (record,) = await world.work()
        assert done(world)[:3] == [(2.1, "play"), (7.1, "record"), (7.1, "bridge")]
        assert record.states["bridged"] == 7100


@virtual_time
async def test_an_announcement_that_never_ends_keeps_nobody_for_ever(announcement: str):
    silent = fate(0.1, "rings", 2, "answers", 90, "far_bye")
    recording = {"what": "callee", "announcement": announcement}
    async with World([CALLEE], fates={CALLEE: silent}, recording=recording) as world:
        (record,) = await world.work()
        assert "announced" not in record.states
        assert done(world)[-1] == (43.1, "bridge")
        assert world.line.to(CALLEE).withs("record") == []


@virtual_time
async def test_who_could_not_be_told_is_not_recorded(announcement: str):
    fails = ("announcement_ends", "x.wav cannot be read.")
    broken = fate(0.1, "early", 2, "answers", 0.1, fails, 30, "far_bye")
    recording = {"what": "both", "announcement": announcement, "begin": "answer"}
    operator = {"mode": "standing", "agents": [AGENT]}
    fates = {CALLEE: broken, AGENT: ANSWERS}
    async with World([CALLEE], fates=fates, operator=operator, recording=recording) as world:
        (record,) = await world.work()
        assert record.disposition == "bridged"
        assert "announced" not in record.states
        assert [world.line.to(n).withs("record") for n in (CALLEE, AGENT)] == [[], []]
        assert "not recorded, recording.announcement failed: x.wav cannot be read." in world.log


@virtual_time
async def test_early_media_that_is_recorded_already_is_paused_where_the_announcement_fails(announcement: str):
    broken = fate(0.1, "early", 2, "answers", 0.1, ("announcement_ends", "broken"), 30, "far_bye")
    recording = {"what": "callee", "announcement": announcement, "begin": "early"}
    async with World([CALLEE], fates={CALLEE: broken}, recording=recording) as world:
        (record,) = await world.work()
        assert [d for d in done(world) if "record" in d[1]] == [
            (0.1, "record"), (2.2, "pause_recording"), (32.2, "end_recording"),
        ]
        assert record.recording.endswith("-bridged.wav")


@virtual_time
async def test_the_message_that_says_who_calls_waits_for_the_announcements_end(announcement: str):
    """An announcement says that a call is recorded; it does not stand for the message that says by whom."""
    told = fate(0.1, "rings", 2, "answers", 5, "announcement_ends", 60, "far_bye")
    async with World(
        [CALLEE], fates={CALLEE: told}, operator={"accept_after": -1.0}, recording={
            "what": "callee", "announcement": announcement},
        compliance={"message": announcement, "message_after": 2.0},
    ) as world:
        (record,) = await world.work()
        assert [d for d in done(world) if d[1] in ("play", "wait_tone")] == [
            (2.1, "play"), (7.1, "wait_tone"), (7.1, "play"),
        ]
        assert record.disposition == "abandoned"


@virtual_time
async def test_a_callee_who_hangs_up_in_the_announcement_is_not_recorded(announcement: str):
    gone = fate(0.1, "rings", 2, "answers", 1.5, "far_bye")
    recording = {"what": "callee", "announcement": announcement}
    async with World([CALLEE], fates={CALLEE: gone}, recording=recording) as world:
        (record,) = await world.work()
        assert (record.disposition, record.recording) == ("caller_hung_up", "")


@virtual_time
async def test_a_number_dialled_by_hand_hears_the_announcement_and_then_the_operator(announcement: str):
    told = fate(0.1, "rings", 2, "answers", 5, "announcement_ends", 30, "far_bye")
    recording = {"what": "callee", "announcement": announcement}
    async with World(fates={CALLEE: told}, recording=recording) as world:
        await world.dialer.dial(CALLEE)
        await world.until_done()
        assert done(world)[:3] == [(2.1, "play"), (7.1, "record"), (7.1, "bridge")]


@virtual_time
async def test_a_call_that_the_engine_cuts_off_is_named_all_the_same():
    async with World([CALLEE], fates={CALLEE: TALK}, recording={"what": "callee"}) as world:
        await world.dialer.resume()
        await world.until_state("bridged")
    assert world.records[0].recording == "/recordings/L1-bridged.wav"
