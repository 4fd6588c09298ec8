"""A campaign that is begun again: by its file, after a pause, after the engine died."""

from __future__ import annotations

from dialer_fakes import World
from virtual_time import virtual_time

from engine.dialer.ports import NewRow
from engine.store.store import SqlStore


@virtual_time
async def test_a_queue_file_resumes_its_campaign_with_the_rows_that_are_new(tmp_path):
    queue = tmp_path / "q.csv"
    queue.write_text("number\n5551\n5552\n")
    store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}")
    await store.open()
    called = []
    for _ in range(2):
        async with World(store=store) as world:
            await world.dialer.close()
            world.dialer = type(world.dialer)(
                world.config, world.line, world.prompt, store, world.wall, world._notice
            )
            file = await world.dialer.start(queue)
            assert len(file.rows) == len(queue.read_text().split()) - 1
            await world.work()
            called.append(world.line.numbers())
        queue.write_text("number\n5550\n5551\n5552\n5553\n")
    assert called == [["5551", "5552"], ["5550", "5553"]]
    await store.close()


@virtual_time
async def test_fresh_calls_everybody_again(tmp_path):
    queue = tmp_path / "q.csv"
    queue.write_text("5551\n5551\n5552\n")
    async with World() as world:
        for fresh in (False, True):
            await world.dialer.close()
            world.dialer = type(world.dialer)(
                world.config, world.line, world.prompt, world.store, world.wall, world._notice
            )
            file = await world.dialer.start(queue, fresh=fresh)
            assert [duplicate.row.line for duplicate in file.duplicates] == [2]
            await world.work()
        assert world.line.numbers() == ["5551", "5552"] * 2
        assert world.dialer.flow().campaign == str(queue)


@virtual_time
async def test_a_call_cut_off_by_the_engines_death_is_told_as_interrupted_and_not_dialled_unasked(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    store = SqlStore(url)
    await store.open()
    campaign = await store.open_campaign("")
    await store.add_rows(campaign.id, [NewRow("5551"), NewRow("5552")])
    first = (await store.page(campaign.id, 0, 1))[0].id
    async with World(store=store) as world:
        await store.begin(first, world.wall())
    await store.close()

    store = SqlStore(url)
    await store.open()
    async with World(store=store) as world:
        (record,) = world.records
        assert (record.number, record.disposition) == ("5551", "interrupted")
        await world.work()
        assert world.line.numbers() == ["5552"]
        assert await world.states() == ["interrupted", "done"]
        assert world.dialer.counts.interrupted == 1
        assert await world.dialer.redial(first) == ""
        await world.dialer.worked()
        assert world.line.numbers() == ["5552", "5551"]
    await store.close()
