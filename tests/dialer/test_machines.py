"""Answering machines: bridged like anybody, hung up on, or left a message after the beep."""

from __future__ import annotations

import pytest
from dialer_fakes import World, fate
from virtual_time import virtual_time

from engine.config_file import ConfigError, load
from engine.dialer.answered_by import AFTER_BEEP

CALLEE = "5551234"
TRUNK = ["trunk.server=127.0.0.1", "trunk.register=false"]
GREETED = (0.1, "rings", 1, "answers", 2, ("hears", "machine"))


@virtual_time
async def test_a_machine_is_bridged_like_anybody_unless_it_is_asked_for_otherwise():
    async with World([CALLEE]) as world:
        world.line.fates[CALLEE] = fate(*GREETED, 9, "far_bye")
        (record,) = await world.work()
        assert record.disposition == "bridged"


@virtual_time
async def test_a_machine_is_hung_up_on_before_the_operator_is_brought_in():
    async with World([CALLEE], dialer={"machine": "hangup"}) as world:
        world.line.fates[CALLEE] = fate(*GREETED)
        (record,) = await world.work()
        assert (record.disposition, record.reason) == ("machine", "an answering machine answered")
        assert world.line.to(CALLEE).withs("bridge") == []
        assert world.dialer.counts.abandoned == 0


@virtual_time
async def test_a_message_begins_after_the_beep_and_the_call_ends_with_it():
    async with World([CALLEE], dialer={"machine": "message", "machine_message": "m.wav"}) as world:
        world.line.fates[CALLEE] = fate(*GREETED, 25, ("hears", "beep"), 7, "message_ends")
        (record,) = await world.work()
        leg = world.line.to(CALLEE)
        assert record.disposition == "machine"
        assert "was left" in record.reason
        assert leg.withs("play") == ["m.wav"]
        assert leg.times("play") == [pytest.approx(28.1 + AFTER_BEEP)]
        assert leg.times("hangup") == [pytest.approx(35.1)]
        assert leg.withs("bridge") == []


@virtual_time
async def test_a_beep_of_two_tones_is_waited_out_and_one_amid_the_message_does_not_begin_it_again():
    beeps = (25, ("hears", "beep"), 0.4, ("hears", "beep"), 3, ("hears", "beep"), 4, "message_ends")
    async with World([CALLEE], dialer={"machine": "message", "machine_message": "m.wav"}) as world:
        world.line.fates[CALLEE] = fate(*GREETED, *beeps)
        (record,) = await world.work()
        assert "was left" in record.reason
        assert world.line.to(CALLEE).times("play") == [pytest.approx(28.1 + 0.4 + AFTER_BEEP)]


@virtual_time
async def test_without_a_beep_nothing_is_said():
    async with World([CALLEE], dialer={"machine": "message", "machine_message": "m.wav"}) as world:
        world.line.fates[CALLEE] = fate(*GREETED)
        (record,) = await world.work()
        assert record.disposition == "machine"
        assert "no beep" in record.reason
        assert world.line.to(CALLEE).withs("play") == []


@pytest.mark.parametrize("tells", [("hears", "human"), 0])
@virtual_time
async def test_a_person_is_bridged_and_so_is_who_can_not_be_told(tells):
    async with World([CALLEE], dialer={"machine": "hangup"}) as world:
        world.line.fates[CALLEE] = fate(0.1, "rings", 1, "answers", 2, tells, 20, "far_bye")
        (record,) = await world.work()
        assert record.disposition == "bridged"
        assert world.line.to(CALLEE).times("bridge")[0] >= 3.1


def test_a_message_needs_its_file():
    for more in ([], ["dialer.machine_message=/nowhere.wav"]):
        with pytest.raises(ConfigError, match=r"dialer\.machine_message"):
            load(None, [*TRUNK, "dialer.machine=message", *more], {})
