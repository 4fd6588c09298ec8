"""The queue in its database: order, states, figures, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from engine.dialer.ports import AttemptRecord, Heard, Hold, NewRow, StoreError
from engine.store.store import SqlStore

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


def rows(*numbers: str) -> list[NewRow]:
    return [NewRow(number, f"name of {number}", "", number) for number in numbers]


def url(path: Path) -> str:
    return f"sqlite:///{path / 'queue.db'}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(url(tmp_path))
    await store.open()
    yield store
    await store.close()


async def queue(store: SqlStore, *numbers: str) -> int:
    campaign = await store.open_campaign("/q.csv")
    await store.add_rows(campaign.id, rows(*numbers))
    return campaign.id


async def next_numbers(store: SqlStore, campaign: int, now: float = 0.0) -> list[str]:
    return [entry.number for entry in await store.candidates(campaign, now, 100)]


async def call(store: SqlStore, entry: int, disposition: str = "bridged", **fields: object) -> AttemptRecord:
    attempt = await store.begin(entry, NOW)
    assert attempt is not None
    record = AttemptRecord(attempt, entry, "1", NOW, disposition=disposition, **fields)  # type: ignore[arg-type]
    await store.finish(record, "done")
    return record


async def test_a_campaign_is_known_by_its_file_and_a_fresh_one_begins_anew(store):
    first = await store.open_campaign("/q.csv")
    again = await store.open_campaign("/q.csv")
    fresh = await store.open_campaign("/q.csv", fresh=True)
    later = await store.open_campaign("/q.csv")
    assert (first.resumed, again.resumed, fresh.resumed) == (False, True, False)
    assert first.id == again.id != fresh.id == later.id
    assert (await store.open_campaign("/other.csv")).id not in (first.id, fresh.id)


async def test_rows_keep_their_order_and_those_already_there_are_not_added_again(store):
    campaign = await queue(store, "1", "2", "3")
    assert await store.add_rows(campaign, rows("2", "4", "1")) == 1
    page = await store.page(campaign, 0, 10)
    assert [(row.position, row.number, row.state) for row in page] == [
        (0, "1", "queued"), (1, "2", "queued"), (2, "3", "queued"), (3, "4", "queued"),
    ]
    assert page[0].name == "name of 1"


async def test_a_number_wanted_twice_is_there_twice_also_after_resuming(store):
    campaign = await queue(store, "1", "1", "2")
    assert await store.add_rows(campaign, rows("1", "1", "2")) == 0
    assert await store.add_rows(campaign, rows("1", "1", "1")) == 1


async def test_pages_begin_anywhere_and_are_bounded(store):
    campaign = await queue(store, *map(str, range(1500)))
    assert [row.number for row in await store.page(campaign, 1498, 10)] == ["1498", "1499"]
    assert len(await store.page(campaign, 0, 10**9)) == 1000
    assert await store.page(campaign, 5000, 10) == []
    assert await store.page(campaign, 0, -1) == []
    with pytest.raises(StoreError, match="too large"):
        await store.page(campaign, 2**70, 10)


async def test_an_entry_is_begun_once(store):
    campaign = await queue(store, "1")
    entry = (await store.page(campaign, 0, 1))[0].id
    begun = await asyncio.gather(*(store.begin(entry, NOW) for _ in range(5)))
    assert sum(attempt is not None for attempt in begun) == 1
    assert (await store.entry(entry)).state == "active"
    assert (await store.entry(entry)).attempts == 1
    assert await next_numbers(store, campaign) == []


async def test_a_record_comes_back_as_it_was_written(store):
    campaign = await queue(store, "1")
    entry = (await store.page(campaign, 0, 1))[0].id
    written = await call(
        store, entry, states={"queued": 0, "answered": 2000}, sip_code=200, reason="weil’s so ist",
        detections=[Heard("ringback", 0, 1800, 0.93, "450 Hz 1000/4000"), Heard("silence", 1, 2, 0.5, "")],
        digits="12#", duration_s=12.5, agent="8001", recording="/r.wav", leg="L1",
    )
    (read,) = await store.records(campaign)
    assert read == replace(written, name="name of 1", number="1")
    row = await store.entry(entry)
    assert (row.state, row.disposition, row.heard) == ("done", "bridged", "ringback")
    assert row.reason == "weil’s so ist"


async def test_writing_an_end_again_does_not_undo_what_the_operator_did_meanwhile(store):
    campaign = await queue(store, "1")
    entry = (await store.page(campaign, 0, 1))[0].id
    record = await call(store, entry)
    assert (await store.label(entry, "sale", "calls back")).disposition == "sale"
    record.states["done"] = 5000
    assert (await store.finish(record, "done")).disposition == "sale"
    assert (await store.records(campaign))[0].states == {"done": 5000}
    await store.requeue(entry)
    assert (await store.finish(record, "done")).state == "queued"


async def test_figures_count_entries_by_state_and_attempts_by_end(store):
    campaign = await queue(store, "1", "2", "3", "4", "5", "6")
    ids = [row.id for row in await store.page(campaign, 0, 10)]
    await call(store, ids[0], "bridged", states={"answered": 1})
    await call(store, ids[1], "abandoned", states={"answered": 1})
    await call(store, ids[2], "busy")
    await store.begin(ids[3], NOW)
    await store.settle(ids[4], "blocked", "blocked", "on the list")
    counts = await store.counts(campaign)
    assert (counts.total, counts.queued, counts.active, counts.done, counts.blocked) == (6, 1, 1, 3, 1)
    assert (counts.answered, counts.abandoned) == (2, 1)


async def test_a_redial_goes_in_front_and_the_latest_first(store):
    campaign = await queue(store, "1", "2", "3", "4")
    ids = [row.id for row in await store.page(campaign, 0, 10)]
    await call(store, ids[0])
    await call(store, ids[1])
    assert await store.requeue(ids[2]) is None
    assert (await store.requeue(ids[0])).state == "queued"
    assert (await store.requeue(ids[1])).disposition == ""
    assert await next_numbers(store, campaign) == ["2", "1", "3", "4"]
    assert [row.number for row in await store.page(campaign, 0, 10)] == ["1", "2", "3", "4"]


async def test_attempts_are_counted_by_number_within_a_campaign(store):
    campaign = await store.open_campaign("/q")
    await store.add_rows(campaign.id, [NewRow("139", key="+86139"), NewRow("+86139", key="+86139")])
    for row in await store.page(campaign.id, 0, 10):
        await call(store, row.id)
    assert await store.attempts_of(campaign.id, "+86139") == 2
    assert await store.attempts_of(campaign.id + 1, "+86139") == 0


async def test_held_entries_are_passed_over_until_their_time(store):
    campaign = await queue(store, "1", "2", "3")
    ids = [row.id for row in await store.page(campaign, 0, 10)]
    await store.hold([Hold(ids[0], 500.0, "night"), Hold(ids[1], float("inf"), "no zone")])
    assert await next_numbers(store, campaign, 100) == ["3"]
    assert await next_numbers(store, campaign, 500) == ["1", "3"]
    assert await store.next_release(campaign) == 500
    await store.settle(ids[0], "skipped", "skipped")
    assert await store.next_release(campaign) == float("inf")
    await store.release_holds(campaign)
    assert await store.next_release(campaign) is None
    assert (await store.entry(ids[1])).reason == ""


async def test_only_queued_entries_can_be_settled_and_only_finished_ones_labelled(store):
    campaign = await queue(store, "1")
    entry = (await store.page(campaign, 0, 1))[0].id
    assert await store.label(entry, "sale", "") is None
    await call(store, entry)
    assert await store.settle(entry, "skipped", "skipped") is None
    assert await store.entry(12345) is None
    assert await store.requeue(12345) is None


async def test_what_was_active_when_the_engine_died_is_interrupted_and_not_dialled(tmp_path):
    store = SqlStore(url(tmp_path))
    await store.open()
    campaign = await queue(store, "1", "2")
    entry = (await store.page(campaign, 0, 1))[0].id
    attempt = await store.begin(entry, NOW)
    manual = await store.add_manual(campaign, NewRow("9"))
    store.dialogs.save("L1", b"\x00dialog")
    await store.close()

    store = SqlStore(url(tmp_path))
    await store.open()
    (record,) = await store.recovered(campaign)
    assert (record.attempt_id, record.disposition, record.number) == (attempt, "interrupted", "1")
    assert await store.recovered(campaign + 1) == []
    assert (await store.entry(entry)).state == "interrupted"
    assert (await store.entry(manual.id)).state == "interrupted"
    assert await next_numbers(store, campaign) == ["2"]
    assert store.dialogs.left() == {"L1": b"\x00dialog"}
    await store.close()

    store = SqlStore(url(tmp_path))
    await store.open()
    assert await store.recovered(campaign) == []
    assert (await store.requeue(entry)).state == "queued"
    await store.close()


async def test_dialogs_are_kept_until_dropped(store):
    store.dialogs.save("a", b"1")
    store.dialogs.save("b", b"2")
    store.dialogs.save("a", b"3")
    store.dialogs.drop("b")
    store.dialogs.drop("never")
    store.dialogs.save("../../escape", b"4")
    assert store.dialogs.left() == {"a": b"3"}


async def test_a_dialog_is_for_its_owners_eyes_and_a_full_disk_is_one_sentence(store, tmp_path):
    store.dialogs.save("a", b"1")
    (kept,) = tmp_path.rglob("a.dialog")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    folder = kept.parent
    kept.unlink()
    folder.rmdir()
    folder.write_text("a file is in the way")
    with pytest.raises(StoreError, match="can't be kept"):
        store.dialogs.save("a", b"1")


async def test_a_second_process_is_told_who_has_the_database(store, tmp_path):
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        await SqlStore(url(tmp_path)).open()


async def test_numbers_of_people_are_their_operators_alone(store, tmp_path):
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600


async def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "queue.db").write_bytes(b"this is no database at all " * 100)
    with pytest.raises(StoreError, match="not a queue database"):
        await SqlStore(url(tmp_path)).open()


async def test_another_programs_database_is_left_alone(tmp_path):
    engine = create_engine(url(tmp_path))
    with engine.begin() as db:
        db.execute(text("create table songs (title text)"))
    with pytest.raises(StoreError, match="other program"):
        await SqlStore(url(tmp_path)).open()


async def test_a_newer_schema_is_refused(tmp_path):
    store = SqlStore(url(tmp_path))
    await store.open()
    await store.close()
    with create_engine(url(tmp_path)).begin() as db:
        db.execute(text("update meta set value = '99' where key = 'version'"))
    with pytest.raises(StoreError, match="version 99"):
        await SqlStore(url(tmp_path)).open()


async def test_a_database_of_an_earlier_offhook_gets_what_it_lacks_and_loses_nothing(tmp_path):
    store = SqlStore(url(tmp_path))
    await store.open()
    campaign = await queue(store, "1", "2")
    (entry, _) = await store.candidates(campaign, 0.0, 2)
    await store.begin(entry.id, datetime.now(UTC))
    await store.close()
    with create_engine(url(tmp_path)).begin() as db:
        db.execute(text("alter table attempts drop column quality"))
    store = SqlStore(url(tmp_path))
    await store.open()
    (record,) = await store.recovered(campaign)
    assert (record.entry_id, record.number, record.quality) == (entry.id, "1", {})
    assert (await store.counts(campaign)).total == 2
    await store.close()


@pytest.mark.parametrize(
    ("bad", "says"),
    [("mysql://x/y", "SQLite"), ("nonsense", r"store\.url"), ("sqlite:////proc/x/y.db", "opened")],
)
async def test_a_database_that_cannot_be_had_is_one_sentence(bad, says):
    store = SqlStore(bad)
    with pytest.raises(StoreError, match=says) as caught:
        await store.open()
    assert str(caught.value).endswith(".")
    await store.close()


async def test_a_store_that_is_closed_or_never_opened_says_so(tmp_path):
    store = SqlStore(url(tmp_path))
    with pytest.raises(StoreError, match="not open"):
        await store.counts(1)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.open()


async def test_a_store_on_a_full_disk_is_a_store_error_and_stays_usable(tmp_path):
    store = SqlStore(url(tmp_path))
    await store.open()
    campaign = await queue(store, "1")
    await store._db.run(lambda db: db.execute(text("pragma max_page_count = 1")))
    with pytest.raises(StoreError, match="full"):
        await store.add_rows(campaign, rows(*map(str, range(100_000, 103_000))))
    assert (await store.counts(campaign)).total < 3001
    await store.close()


async def test_a_hundred_thousand_rows_load_while_the_loop_goes_on_and_are_paged_without_scanning(store):
    campaign = await store.open_campaign("/big.csv")
    turns = 0

    async def ticks() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(ticks())
    assert await store.add_rows(campaign.id, rows(*map(str, range(100_000)))) == 100_000
    ticking.cancel()
    assert turns > 10
    assert (await store.counts(campaign.id)).queued == 100_000
    assert (await store.page(campaign.id, 99_990, 100))[-1].number == "99999"
    query = (
        "explain query plan select * from entries where campaign = 1 and position >= 99000 "
        "order by position limit 100"
    )
    plan = await store._db.run(lambda db: [row[3] for row in db.execute(text(query))])
    assert any("entries_in_order" in line for line in plan)
    assert not any("SCAN" in line or "TEMP B-TREE" in line for line in plan)


def test_kill_9_at_any_moment_loses_no_entry_and_dials_none_twice(tmp_path):
    numbers = [f"555{i:04d}" for i in range(60)]
    dialled: list[str] = []
    worker = Path(__file__).with_name("crash_worker.py")
    paths = [str(worker.parents[1] / "dialer"), *sys.path]  # the fakes of the dialer's tests
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    kills = 0
    for run in range(40):
        command = [sys.executable, str(worker), url(tmp_path), json.dumps(numbers)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
            assert process.stdout is not None
            # Killed in the loading, then after ever more calls, at whatever it is doing then.
            patience = 1 if run < 2 else 4 + run
            for line in process.stdout:
                word, _, number = line.strip().partition(" ")
                if word == "dial":
                    dialled.append(number)
                patience -= 1
                if word == "worked":
                    report = json.loads(number)
                    break
                if patience <= 0:
                    process.kill()
                    kills += 1
                    break
            for line in process.stdout:
                if line.startswith("dial "):
                    dialled.append(line.split()[1])
        if word == "worked":
            break
    assert word == "worked"
    assert kills >= 4
    assert len(dialled) == len(set(dialled)), "a number was dialled twice"
    assert sorted(report) == numbers, "an entry was lost"
    assert set(report.values()) <= {"done", "interrupted"}
    assert list(report.values()).count("interrupted") <= kills
    assert {number for number, state in report.items() if state == "done"} <= set(dialled)
