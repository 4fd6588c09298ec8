"""What the operator can do at any moment, and what each command refuses."""

from __future__ import annotations

import asyncio

import pytest
from dialer_fakes import ANSWERS, SILENT, World, fate
from virtual_time import virtual_time

from engine.dialer.ports import FlowChanged, StoreError

CALLEE = "5551234"
STATES = ["dialing", "listening", "wait_tone", "bridged"]


@virtual_time
async def test_nothing_is_dialled_before_resume_unless_autostart():
    async with World([CALLEE]) as world:
        await asyncio.sleep(1000)
        assert world.line.legs == []
    async with World([CALLEE], dialer={"autostart": True}) as world:
        await world.dialer.worked()
        assert world.line.numbers() == [CALLEE]


@pytest.mark.parametrize(
    ("state", "disposition"),
    zip(STATES, ["cancelled", "cancelled", "abandoned", "bridged"], strict=True),
)
@virtual_time
async def test_hanging_up_ends_a_call_in_any_state(state, disposition):
    fates = {CALLEE: fate(1, "rings", 2, "answers")}
    async with World([CALLEE], operator={"accept_after": 3}, fates=fates) as world:
        await world.dialer.resume()
        await world.until_state(state)
        assert await world.dialer.hangup() == ""
        record = await world.until_done()
        assert record.disposition == disposition
        assert world.line.to(CALLEE).times("hangup")
        assert world.dialer.active == {}
        assert world.dialer.seats.free


@pytest.mark.parametrize("state", STATES)
@virtual_time
async def test_skipping_the_entry_that_is_called_hangs_up(state):
    fates = {CALLEE: fate(1, "rings", 2, "answers")}
    async with World([CALLEE], operator={"accept_after": 3}, fates=fates) as world:
        await world.dialer.resume()
        changed = await world.until_state(state)
        assert await world.dialer.skip(changed.entry) == ""
        record = await world.until_done()
        answered = state in ("wait_tone", "bridged")
        assert (record.disposition == "skipped") is not answered
        assert await world.states() == ["done" if answered else "skipped"]


@pytest.mark.parametrize("state", STATES)
@virtual_time
async def test_stop_all_pauses_and_leaves_no_leg_up(state):
    fates = {CALLEE: fate(1, "rings", 2, "answers")}
    async with World([CALLEE, "5552"], operator={"accept_after": 3}, fates=fates) as world:
        await world.dialer.resume()
        await world.until_state(state)
        assert await world.dialer.stop_all() == ""
        await world.until_done()
        await asyncio.sleep(1000)
        assert world.line.numbers() == [CALLEE]
        assert all(leg.state == "ended" for leg in world.line.legs)
        assert await world.states() == ["done", "queued"]


@virtual_time
async def test_a_call_stopped_in_the_very_moment_it_begins_sends_no_invite():
    async with World([CALLEE]) as world:
        await world.dialer.resume()
        while not world.dialer.active:
            await asyncio.sleep(0)
        await world.dialer.hangup()
        record = await world.until_done()
        assert record.disposition == "cancelled"
        assert world.line.legs == []


@virtual_time
async def test_pausing_lets_the_call_that_is_up_go_on():
    async with World([CALLEE, "5552"]) as world:
        await world.dialer.resume()
        await world.until_state("dialing")
        await world.dialer.pause()
        assert (await world.until_done()).disposition == "bridged"
        await asyncio.sleep(100)
        assert await world.states() == ["done", "queued"]


@virtual_time
async def test_next_dials_one_entry_while_paused():
    async with World([CALLEE, "5552"]) as world:
        await world.dialer.next()
        await world.until_done()
        await asyncio.sleep(100)
        assert await world.states() == ["done", "queued"]
        assert not world.dialer.running


@virtual_time
async def test_next_on_an_empty_queue_is_not_kept_for_later():
    async with World() as world:
        await world.dialer.next()
        await asyncio.sleep(1)
        assert not world.dialer.next_wanted


@virtual_time
async def test_a_queued_entry_that_is_skipped_is_passed_over():
    async with World([CALLEE, "5552", "5553"]) as world:
        rows = await world.rows()
        assert await world.dialer.skip(rows[1].id) == ""
        await world.work()
        assert world.line.numbers() == [CALLEE, "5553"]
        assert "is skipped" in await world.dialer.skip(rows[1].id)


@virtual_time
async def test_redial_puts_an_entry_in_front_and_counts_its_attempts():
    async with World([CALLEE, "5552", "5553"], fates={CALLEE: fate(1, ("refuses", 486))}) as world:
        await world.dialer.resume()
        await world.until_done()
        await world.dialer.pause()
        rows = await world.rows()
        assert await world.dialer.redial(rows[0].id) == ""
        await world.work()
        assert world.line.numbers()[0] == CALLEE
        assert world.line.numbers().count(CALLEE) == 2
        assert (await world.rows())[0].attempts == 2
        assert [row.state for row in await world.rows()] == ["done"] * 3


@virtual_time
async def test_a_number_is_not_called_more_often_than_max_attempts():
    fates = {CALLEE: fate(1, ("refuses", 486))}
    async with World([CALLEE], dialer={"max_attempts": 2}, fates=fates) as world:
        await world.work()
        entry = (await world.rows())[0].id
        for _ in range(2):
            await world.dialer.redial(entry)
            await world.dialer.worked()
        assert world.line.numbers() == [CALLEE, CALLEE]
        assert world.records[-1].disposition == "blocked"
        assert "2 times" in world.records[-1].reason
        assert await world.states() == ["blocked"]


@virtual_time
async def test_bad_ids_are_refused_with_a_sentence():
    async with World([CALLEE]) as world:
        dialer = world.dialer
        for error in (
            await dialer.skip(99), await dialer.redial(-1), await dialer.redial(2**70),
            await dialer.set_disposition(99, "sale"), await dialer.hangup("L99"), await dialer.hangup(),
        ):
            assert error.endswith(".")
        entry = (await world.rows())[0].id
        assert "is queued" in await dialer.redial(entry)
        assert "is queued" in await dialer.set_disposition(entry, "sale")
        assert await dialer.set_disposition(entry, "") != ""
        assert await dialer.set_disposition(entry, "x" * 65) != ""
        assert await dialer.set_disposition(entry, "a\x1b[2J") != ""


@virtual_time
async def test_an_entry_being_called_is_neither_redialled_nor_labelled():
    async with World([CALLEE]) as world:
        await world.dialer.resume()
        changed = await world.until_state("bridged")
        assert "being called" in await world.dialer.redial(changed.entry)
        assert "still up" in await world.dialer.set_disposition(changed.entry, "sale")


@virtual_time
async def test_a_number_dialled_by_hand_goes_first_is_bridged_at_once_and_hears_no_wait_tone():
    async with World([CALLEE]) as world:
        assert await world.dialer.dial("555 99-99") == ""
        record = await world.until_done()
        assert (record.number, record.disposition) == ("5559999", "bridged")
        leg = world.line.to("5559999")
        assert leg.role == "manual"
        assert leg.withs("wait_tone") == []
        assert record.states["bridged"] == record.states["answered"]
        assert world.line.numbers() == []


@virtual_time
async def test_a_number_dialled_by_hand_lets_the_operator_hear_the_early_media():
    async with World(fates={CALLEE: fate(1, "early", 5, "answers", 5, "far_bye")}) as world:
        await world.dialer.dial(CALLEE)
        await world.until_done()
        assert world.line.to(CALLEE).times("bridge") == [pytest.approx(1), pytest.approx(6)]


@virtual_time
async def test_a_number_dialled_by_hand_during_a_call_waits_for_the_seat_and_stop_all_drops_it():
    async with World([CALLEE]) as world:
        await world.dialer.next()
        await world.until_state("bridged")
        await world.dialer.dial("5559999")
        await asyncio.sleep(1)
        assert world.line.numbers("manual") == []
        await world.dialer.stop_all()
        await asyncio.sleep(100)
        assert world.line.numbers("manual") == []
        assert await world.states() == ["done", "skipped"]


@pytest.mark.parametrize("number", ["", "bob", "sip:1@2", "1;2", "1" * 40, "1.39E+10", "112"])
@virtual_time
async def test_what_is_no_number_or_must_not_be_called_is_refused_with_a_sentence(number):
    async with World() as world:
        assert (await world.dialer.dial(number)).endswith(".")
        await asyncio.sleep(10)
        assert world.line.legs == []


@virtual_time
async def test_the_queue_waits_for_the_trunks_registration():
    world = World([CALLEE])
    world.line.register(False)
    async with world:
        await world.dialer.resume()
        await asyncio.sleep(50)
        assert world.line.legs == []
        assert "registration" in world.dialer.flow().notice
        world.line.register(True)
        await world.dialer.worked()
        assert world.line.legs[0].began == pytest.approx(50)


@virtual_time
async def test_there_is_a_pause_between_calls_if_wanted():
    async with World([CALLEE, "5552"], dialer={"pause_between": 40}) as world:
        first, second = await world.work()
        gap = second.started_at.timestamp() - first.started_at.timestamp() - first.duration_s
        assert gap == pytest.approx(40, abs=0.1)


@virtual_time
async def test_one_leg_of_a_call_can_be_hung_up():
    operator = {"mode": "standing", "agents": ["8001"]}
    async with World([CALLEE], operator=operator, fates={"8001": ANSWERS}) as world:
        await world.dialer.resume()
        changed = await world.until_state("bridged")
        assert await world.dialer.hangup(changed.agent_leg) == ""
        assert (await world.until_done()).disposition == "bridged"
        assert world.line.to(CALLEE).state == "ended"


@virtual_time
async def test_the_deadline_of_each_state_is_told():
    async with World([CALLEE], dialer={"ring_timeout": 33}) as world:
        await world.dialer.resume()
        changed = await world.until_state("listening")
        assert changed.deadline == pytest.approx(changed.at + 32.9)


@virtual_time
async def test_a_store_that_fails_pauses_the_queue_and_calls_nobody(monkeypatch):
    async with World([CALLEE]) as world:
        async def fails(*_args: object) -> int:
            raise StoreError("the disk is full")

        monkeypatch.setattr(world.store, "begin", fails)
        await world.dialer.resume()
        flow = await world.until(lambda n: isinstance(n, FlowChanged) and not n.running)
        assert "disk is full" in flow.notice
        await asyncio.sleep(100)
        assert world.line.legs == []
        assert await world.states() == ["queued"]
        assert "disk is full" in world.dialer.flow().notice
        monkeypatch.undo()
        await world.work()
        assert world.dialer.flow().notice == "the queue is worked"


@virtual_time
async def test_closing_with_a_call_up_hangs_up_and_writes_the_record():
    world = World([CALLEE], fates={CALLEE: fate(1, "answers")})
    await world.store.open()
    world._own_store = False
    async with world:
        await world.dialer.resume()
        await world.until_state("bridged")
    assert [record.disposition for record in world.records] == ["bridged"]
    assert world.line.to(CALLEE).state == "ended"
    assert await world.states() == ["done"]
    await world.store.close()


@virtual_time
async def test_closing_with_a_leg_that_never_confirms_does_not_hang():
    async with World([CALLEE], fates={CALLEE: SILENT}) as world:
        world.line.deaf = True
        await world.dialer.resume()
        await world.until_state("dialing")
        began = world.loop.time()
        await world.dialer.close()
        assert world.loop.time() - began < 5
        assert world.records[0].disposition == "cancelled"


@virtual_time
async def test_a_queue_file_is_added_to_the_queue_and_its_troubles_are_told(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text("number,name\n5551,A\nnonsense,B\n5551,C\n5552,D\n")
    async with World([CALLEE]) as world:
        file, error = await world.dialer.load(str(path))
        assert error == ""
        assert len(file.rows) == 2
        assert sum("line 3" in line or "line 4" in line for line in world.log) == 2
        await world.work()
        assert world.line.numbers() == [CALLEE, "5551", "5552"]
        assert (await world.dialer.load(str(tmp_path / "none.csv")))[1].endswith(".")


@virtual_time
async def test_a_day_of_a_campaign_passes_without_losing_or_repeating_an_entry():
    answers = [fate(1, ("refuses", 486)), fate(1, "rings"), ANSWERS, fate(1, "early", 3, ("hears", "busy"))]
    numbers = [f"55{i:05d}" for i in range(300)]
    fates = {number: answers[i % 4] for i, number in enumerate(numbers)}
    async with World(numbers, fates=fates, call={"max_duration": 240}, dialer={"pause_between": 5}) as world:
        records = await world.work()
        assert sorted(world.line.numbers()) == numbers
        assert [record.disposition for record in records] == ["busy", "no_answer", "bridged", "busy"] * 75
        assert world.loop.time() > 6 * 3600
        assert world.dialer.counts.done == 300


@virtual_time
async def test_a_console_that_comes_later_learns_when_the_call_came_to_its_state():
    async with World([CALLEE], call={"max_duration": 3600}) as world:
        world.line.fates[CALLEE] = fate(1, "answers")
        await world.dialer.resume()
        await asyncio.sleep(60)
        (first,) = world.dialer.attempts()
        await asyncio.sleep(60)
        (second,) = world.dialer.attempts()
        assert (first.state, second.state) == ("bridged", "bridged")
        assert first.at == second.at
        assert second.deadline == pytest.approx(first.deadline)
        assert second.deadline - second.at == pytest.approx(3600, abs=0.01)
