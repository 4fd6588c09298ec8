"""What the line said decides how a call ends, and is kept with the attempt."""

from __future__ import annotations

import pytest
from dialer_fakes import World, fate
from virtual_time import virtual_time

from engine.detect.categories import CATEGORIES
from engine.detect.outcome import FinishCause, Outcome
from engine.dialer.dispositions import DISPOSITIONS, of_category, of_outcome

CALLEE = "5551234"
SPOKEN = Outcome(FinishCause.STOPTONE, 8, "prompt", "prompt")


def heard(category: int, correction: int = 0) -> Outcome:
    alias = CATEGORIES[category].alias
    return Outcome(
        FinishCause.STOPTONE, 0x10, "sample", "sample", category, correction or category, alias
    )  # fmt: skip


@virtual_time
async def test_a_known_announcement_ends_the_call_with_its_meaning_told_and_kept():
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(0.1, "early", 2, ("announces", 3), 60)
        (record,) = await world.work()
        leg = world.line.to(CALLEE)
        assert (record.disposition, record.reason) == (
            "invalid_number", "announcement heard: does not exist"
        )
        assert (leg.withs("hangup"), leg.withs("told")) == (["cancelled"], [3])
        assert record.hearing == {
            "finish_cause": "stoptone", "all_tone": 0x12, "last_tone": "sample", "category": 3,
            "correction": 3, "result": "does not exist", "status": "does not exist",
            "sample": "",
        }
        assert (await world.store.records(world.campaign))[0].hearing == record.hearing


@virtual_time
async def test_what_is_not_to_be_hung_up_for_is_kept_all_the_same():
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(
            0.1, "early", 1, ("listened_quietly", heard(2)), 5, ("refuses", 480)
        )
        (record,) = await world.work()
        assert (record.disposition, record.sip_code) == ("power_off", 480)
        assert record.hearing["result"] == "power off"
        assert world.line.to(CALLEE).withs("hangup") == []


@virtual_time
async def test_an_answered_call_is_answered_whatever_was_heard_before():
    async with World([CALLEE]) as world:
        leg_hears = ("listened_quietly", Outcome(FinishCause.ANSWER, 2, "ringback"))
        world.line.fates[CALLEE] = fate(0.1, "early", 1, leg_hears, "answers", 9, "far_bye")
        (record,) = await world.work()
        assert record.disposition == "bridged"
        assert (record.hearing["result"], record.hearing["status"]) == ("answer", "answered")


@virtual_time
async def test_what_is_heard_after_the_answer_ends_the_call_too_where_listening_goes_on():
    """Networks answer, and then say that nobody is there; the operator talks to an announcement by then."""
    async with World([CALLEE, "5550002"]) as world:
        timeout = Outcome(FinishCause.TIMEOUT, 8, "prompt")
        world.line.fates[CALLEE] = fate(0.1, "early", 1, "answers", 4, ("announces", 2), 60)
        world.line.fates["5550002"] = fate(0.1, "early", 1, "answers", 4, ("listened_out", timeout), 60)
        announced, timed_out = await world.work()
        assert (announced.disposition, announced.sip_code) == ("power_off", 200)
        assert (timed_out.disposition, timed_out.hearing["status"]) == ("bridged", "answered")
        for leg in world.line.legs:
            assert leg.withs("hangup") == ["normal"]
            assert [round(at - leg.began, 1) for at in leg.times("hangup")] == [5.1]
        assert world.line.to(CALLEE).withs("told") == [2]


@virtual_time
async def test_who_has_answered_and_is_hung_up_on_before_the_operator_was_abandoned():
    async with World([CALLEE, "5550002"], operator={"accept_after": -1}) as world:
        world.line.fates[CALLEE] = fate(0.1, "early", 1, "answers", 1, ("listened_out", SPOKEN), 60)
        world.line.fates["5550002"] = fate(0.1, "early", 1, "answers", 1, ("announces", 3), 60)
        person, announcement = await world.work()
        assert (person.disposition, announcement.disposition) == ("abandoned", "invalid_number")


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_a_disposition(category: int) -> None:
    disposition, reason = of_outcome(heard(category))
    assert disposition in DISPOSITIONS
    assert CATEGORIES[category].alias in reason


def test_a_corrected_category_counts() -> None:
    assert of_category(heard(5)) == "busy"
    assert of_category(heard(5, 6)) == "rejected"
    assert of_category(heard(9, 15)) == "no_answer"


@pytest.mark.parametrize(
    ("outcome", "disposition"),
    [
        (Outcome(FinishCause.STOPTONE, 1, "congestion", "congestion"), "congestion"),
        (Outcome(FinishCause.STOPTONE, 2, "ringback", "ringback"), "no_answer"),
        (Outcome(FinishCause.STOPTONE, 0, "sit", "sit"), "invalid_number"),
        (Outcome(FinishCause.ANSWER, 2, "ringback"), "abandoned"),
        (Outcome(FinishCause.TIMEOUT, 2, "ringback"), "no_answer"),
    ],
)
def test_what_else_ends_a_call_has_one_too(outcome: Outcome, disposition: str) -> None:
    assert of_outcome(outcome)[0] == disposition
