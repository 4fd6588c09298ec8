"""How each kind of call ends: its disposition, its record, and what was done to its legs."""

from __future__ import annotations

import pytest
from dialer_fakes import ANSWERS, SILENT, TALKS, World, fate
from virtual_time import virtual_time

from engine.dialer.dispositions import DISPOSITIONS, after_answer, before_answer, of_response
from engine.dialer.ports import HangupCause, LegState

CALLEE = "5551234"


async def one(world: World):
    (record,) = await world.work()
    return record


@virtual_time
async def test_an_answered_call_gets_the_wait_tone_at_once_and_is_bridged_when_the_operator_accepts():
    async with World([CALLEE], operator={"accept_after": 1.5}) as world:
        world.line.fates[CALLEE] = TALKS
        record = await one(world)
        leg = world.line.to(CALLEE)
        assert record.disposition == "bridged"
        assert record.sip_code == 200
        assert list(record.states) == [
            "queued", "dialing", "listening", "answered", "wait_tone", "connecting", "bridged", "wrap_up",
            "done",
        ]
        answered = record.states["answered"]
        assert answered == record.states["wait_tone"] == 2100
        assert leg.times("wait_tone") == [pytest.approx(2.1)]
        assert record.states["bridged"] == 3600
        assert leg.withs("bridge") == [None]
        assert record.duration_s == pytest.approx(32.1)
        assert (await world.store.records(world.campaign))[0].states == record.states
        assert await world.states() == ["done"]


@pytest.mark.parametrize(
    ("code", "disposition"),
    [
        (486, "busy"), (600, "busy"),
        (404, "invalid_number"), (410, "invalid_number"), (484, "invalid_number"), (604, "invalid_number"),
        (480, "no_answer"), (408, "no_answer"),
        (503, "congestion"), (500, "congestion"), (504, "congestion"),
        (603, "rejected"), (403, "rejected"), (488, "rejected"), (302, "rejected"), (487, "rejected"),
        (407, "failed"),
    ],
)
@virtual_time
async def test_a_final_response_names_the_disposition(code, disposition):
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(0.5, "rings", 1, ("refuses", code))
        record = await one(world)
        assert (record.disposition, record.sip_code) == (disposition, code)
        assert "answered" not in record.states
        assert world.line.to(CALLEE).withs("wait_tone") == []


@virtual_time
async def test_the_networks_own_cause_stands_in_the_record():
    async with World([CALLEE]) as world:
        cause = HangupCause("rejected", "far", 503, "Service Unavailable", q850=34)
        world.line.fates[CALLEE] = fate(0.5, ("ends", cause))
        record = await one(world)
        assert record.reason == "Service Unavailable (Q.850 cause 34)"


@pytest.mark.parametrize(
    ("cause", "disposition"),
    [
        (HangupCause("redirected", "far", 302, "Moved to 5559999"), "rejected"),
        (HangupCause("no_response", "network"), "failed"),
        (HangupCause("unauthorized", "far", 403, "Forbidden"), "failed"),
        (HangupCause("failed", "us", None, "no RTP port is free"), "failed"),
        (HangupCause("timeout", "us"), "no_answer"),
        (HangupCause("cancelled", "us", 487), "cancelled"),
        (HangupCause("something new", "far"), "failed"),
    ],
)
@virtual_time
async def test_a_leg_that_ends_unanswered_by_itself_says_why(cause, disposition):
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(0.5, ("ends", cause))
        record = await one(world)
        assert record.disposition == disposition
        assert record.reason


@virtual_time
async def test_a_callee_who_never_answers_is_hung_up_on_after_the_ring_timeout():
    async with World([CALLEE], dialer={"ring_timeout": 25}) as world:
        world.line.fates[CALLEE] = fate(0.1, "rings")
        record = await one(world)
        assert record.disposition == "no_answer"
        assert record.sip_code == 487
        assert world.line.to(CALLEE).times("hangup")[0] == pytest.approx(25)


@virtual_time
async def test_a_leg_that_never_says_anything_stalls_nothing():
    async with World([CALLEE, "5551235"]) as world:
        world.line.deaf = True
        world.line.fates[CALLEE] = SILENT
        first, second = await world.work()
        assert (first.disposition, second.disposition) == ("no_answer", "bridged")
        assert "listening" not in first.states


@pytest.mark.parametrize("tone", ["busy", "congestion"])
@virtual_time
async def test_a_busy_or_congestion_tone_before_the_answer_ends_the_call_at_once(tone):
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(
            0.1, "early", 1, ("hears", "ringback"), 2, ("hears", tone), 20, "answers"
        )
        record = await one(world)
        assert record.disposition == tone
        assert [heard.tone for heard in record.detections] == ["ringback", tone]
        assert world.line.to(CALLEE).times("hangup")[0] == pytest.approx(3.1)
        assert (await world.rows())[0].heard == f"ringback, {tone}"


@virtual_time
async def test_early_media_that_is_ignored_is_not_listened_to_until_the_answer():
    async with World([CALLEE], dialer={"early_media": "ignore"}) as world:
        world.line.fates[CALLEE] = fate(0.1, "early", 1, ("hears", "busy"), 1, "answers", 9, "far_bye")
        record = await one(world)
        assert record.disposition == "bridged"
        assert world.line.to(CALLEE).withs("listen") == [False, True]


@virtual_time
async def test_early_media_can_be_passed_to_the_operator_who_is_cut_off_again_for_the_wait_tone():
    async with World([CALLEE], dialer={"early_media": "operator"}) as world:
        world.line.fates[CALLEE] = fate(0.1, "early", 3, "answers", 9, "far_bye")
        await one(world)
        done = [(round(at, 1), what) for at, what, _ in world.line.to(CALLEE).did if what != "listen"]
        assert done == [(0.1, "bridge"), (3.1, "unbridge"), (3.1, "wait_tone"), (4.1, "bridge")]


@virtual_time
async def test_a_callee_for_whom_no_operator_comes_is_counted_as_abandoned():
    async with World([CALLEE], operator={"accept_after": -1, "connect_timeout": 20}) as world:
        world.line.fates[CALLEE] = ANSWERS
        record = await one(world)
        assert record.disposition == "abandoned"
        assert world.line.to(CALLEE).times("hangup")[0] == pytest.approx(22.1)
        assert world.dialer.counts.answered == world.dialer.counts.abandoned == 1


@virtual_time
async def test_a_callee_who_hangs_up_in_the_wait_tone_is_a_caller_hung_up():
    async with World([CALLEE], operator={"accept_after": -1}) as world:
        world.line.fates[CALLEE] = fate(0.1, "rings", 1, "answers", 4, "far_bye")
        record = await one(world)
        assert record.disposition == "caller_hung_up"
        assert record.duration_s == pytest.approx(5.1)


@pytest.mark.parametrize(("after", "bridged"), [(0.5, False), (10, True)])
@virtual_time
async def test_a_call_without_rtp_ends_as_such(after, bridged):
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(1, "answers", after, ("ends", HangupCause("no_rtp", "us")))
        record = await one(world)
        assert record.disposition == "no_rtp"
        assert ("bridged" in record.states) is bridged


@virtual_time
async def test_a_bridged_call_ends_at_its_longest_duration():
    async with World([CALLEE], call={"max_duration": 3600}) as world:
        world.line.fates[CALLEE] = fate(1, "answers")
        record = await one(world)
        assert record.disposition == "bridged"
        assert "max_duration" in record.reason
        assert world.line.to(CALLEE).withs("hangup") == ["max_duration"]
        assert record.duration_s == pytest.approx(3602.05)


@virtual_time
async def test_digits_are_recorded_in_order_and_bounded():
    async with World([CALLEE]) as world:
        flood = [("digit", "5")] * 1000
        world.line.fates[CALLEE] = fate(1, "answers", 1, ("digit", "1"), ("digit", "#"), *flood, 1, "far_bye")
        record = await one(world)
        assert record.digits.startswith("1#555")
        assert len(record.digits) == 200


@virtual_time
async def test_detections_of_one_call_are_bounded():
    async with World([CALLEE]) as world:
        flood = [("hears", "silence")] * 2000
        world.line.fates[CALLEE] = fate(1, "answers", *flood, 1, "far_bye")
        assert len((await one(world)).detections) == 500


@virtual_time
async def test_a_wait_tone_that_cannot_be_played_gives_way_to_ringback():
    async with World([CALLEE], dialer={"wait_tone": "/music.wav"}) as world:
        world.line.fates[CALLEE] = fate(1, "answers", 0.2, ("playback_fails", "no such file"), 9, "far_bye")
        await one(world)
        assert world.line.to(CALLEE).withs("wait_tone") == ["/music.wav", "ringback"]
        assert any("no such file" in line for line in world.log)


@virtual_time
async def test_a_wrap_up_lasts_its_time_or_until_the_operators_word():
    async with World([CALLEE, "5551235"], operator={"wrap_up": 60}) as world:
        work = world.loop.create_task(world.work())
        await world.until_state("wrap_up", CALLEE)
        first = await world.until_done()
        assert first.states["done"] - first.states["wrap_up"] == 60_000
        changed = await world.until_state("wrap_up")
        assert await world.dialer.set_disposition(changed.entry, "sale", "calls back on Monday") == ""
        second = (await work)[1]
        assert second.states["done"] - second.states["wrap_up"] < 1000
        row = (await world.rows())[1]
        assert (row.disposition, row.note, row.state) == ("sale", "calls back on Monday", "done")


@virtual_time
async def test_an_answer_in_the_moment_of_the_ring_timeout_is_an_answer():
    async with World([CALLEE], dialer={"ring_timeout": 10}) as world:
        world.line.fates[CALLEE] = fate(10, "answers", 5, "far_bye")
        assert (await one(world)).disposition in ("bridged", "no_answer")
        leg = world.line.to(CALLEE)
        assert leg.state is LegState.ENDED
        assert bool(leg.withs("wait_tone")) == ("answered" in world.records[0].states)


def test_every_response_and_cause_has_a_known_disposition():
    assert {of_response(code) for code in range(300, 700)} <= set(DISPOSITIONS)
    for name in ("normal", "cancelled", "rejected", "no_response", "timeout", "no_rtp", "failed", "?"):
        for by in ("us", "far", "network"):
            cause = HangupCause(name, by)
            found = {before_answer(cause), *(after_answer(cause, bridged=b) for b in (True, False))}
            assert found <= set(DISPOSITIONS)
