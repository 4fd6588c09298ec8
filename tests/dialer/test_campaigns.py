"""A campaign is the queue's file: its calls get what the configuration has for it."""

from __future__ import annotations

from dialer_fakes import World, fate
from virtual_time import virtual_time

from engine.detect.outcome import FinishCause, Outcome

CALLEE = "5550001"
SPRING = {"spring": {"recording": {"what": "callee", "folder": "/spring"}}}


@virtual_time
async def test_rows_of_a_loaded_file_keep_what_is_set_for_it(tmp_path):
    queue = tmp_path / "spring.csv"
    queue.write_text(f"number,recording.name\n{CALLEE},own\n5550002,\n")
    async with World(["5550003"], campaigns=SPRING) as world:
        _, error = await world.dialer.load(str(queue))
        assert error == ""
        await world.work()
        first, second, before = (world.line.to(number) for number in (CALLEE, "5550002", "5550003"))
        assert [leg.campaign for leg in (first, second, before)] == ["spring", "spring", ""]
        (facts,) = first.withs("record")
        assert (facts.campaign, facts.recording.name, facts.recording.folder) == ("spring", "own", "/spring")
        assert second.withs("record")[0].recording.name == world.config.recording.name
        assert before.withs("record") == []


@virtual_time
async def test_what_is_analysed_is_recorded_until_its_result_and_named_by_it():
    busy = fate(0.1, "early", 3, ("listened_quietly", Outcome(FinishCause.STOPTONE, 1, "busy", "busy")), 9,
                ("refuses", 480))  # fmt: skip
    async with World([CALLEE], fates={CALLEE: busy}, recording={"what": "analysed"}) as world:
        (record,) = await world.work()
        leg = world.line.to(CALLEE)
        assert [round(at, 1) for at in (*leg.times("record"), leg.times("end_recording")[0])] == [0.0, 3.1]
        assert leg.withs("end_recording")[0] == "busy"
        assert record.recording == "/recordings/L1-busy.wav"


@virtual_time
async def test_what_is_analysed_after_the_answer_is_not_recorded_of_whom_nobody_told(tmp_path):
    answered = fate(0.1, "early", 2, "answers", 20, "far_bye")
    recording = {"what": "analysed", "announcement": "told.wav"}
    async with World([CALLEE], fates={CALLEE: answered}, recording=recording) as world:
        await world.work()
        leg = world.line.to(CALLEE)
        assert [round(at, 1) for at in leg.times("pause_recording")] == [2.1]
        assert leg.withs("play") == []
    late = {"early_media": "ignore"}
    async with World([CALLEE], fates={CALLEE: answered}, recording=recording, dialer=late) as world:
        await world.work()
        assert world.line.to(CALLEE).withs("record") == []
    recording = {"what": "analysed"}
    async with World([CALLEE], fates={CALLEE: answered}, recording=recording, dialer=late) as world:
        await world.work()
        leg = world.line.to(CALLEE)
        assert [round(at - leg.began, 1) for at in leg.times("record")] == [2.1]
