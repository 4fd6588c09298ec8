"""What becomes of recordings: their files, names and rows in the store, until they are deleted."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text

from engine.config import Config
from engine.dialer.ports import CallFacts, HangupCause, NewRow
from engine.media import orders
from engine.media.recording_file import create
from engine.recordings import Recordings
from engine.retention import DAY, delete_expired, keep, recover
from engine.store.store import SqlStore

BEGAN = datetime(2026, 3, 2, 9, 5, 7, tzinfo=UTC)


class Media:
    """Opens and closes files as the media thread's writer does, and says so in the next step of the loop."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.recordings: Recordings
        self.open: dict[str, tuple[orders.Record, str]] = {}
        self.stuck = False

    def order(self, order: Any) -> None:
        self.orders.append(order)
        asyncio.get_running_loop().call_soon(self._carry_out, order)

    def _carry_out(self, order: Any) -> None:
        if not isinstance(order, orders.Record) or self.stuck:
            return
        if order.stream in self.open:
            self.close(order.stream)
        if order.path is None:
            return
        try:
            descriptor, path = create(order.path)
        except OSError as error:
            said = f"{order.path}: it cannot be written ({error.strerror}), so the recording ended."
            self.recordings.on_fact(orders.RecordingEnded(order.stream, 0.0, order.path, said, order.tag))
            return
        os.write(descriptor, order.tag.encode())
        os.close(descriptor)
        self.open[order.stream] = order, path
        self.recordings.on_fact(orders.RecordingStarted(order.stream, 0.0, path, order.tag))

    def close(self, stream: str, error: str = "") -> None:
        order, path = self.open.pop(stream)
        self.recordings.on_fact(orders.RecordingEnded(stream, 0.0, path, error, order.tag, 12.5))


class Desk:
    def __init__(self, folder: Path, store: SqlStore, **keys: Any) -> None:
        self.folder = folder
        recording = {"folder": str(folder), "name": "{number}-{leg}-{result}", **keys}
        self.media = Media()
        self.recordings = self.media.recordings = Recordings(
            msgspec.convert({"recording": recording}, Config), self.media.order
        )
        self.recordings.shelf = store.recordings
        self.said: list[tuple[str, str]] = []
        self.recordings.tell = lambda level, text, leg: self.said.append((level, text))
        self.changes: list[tuple[str, bool]] = []
        self.recordings.changed = lambda leg: self.changes.append(
            (os.path.basename(self.recordings.path(leg)), self.recordings.paused(leg))
        )

    def leg(self, name: str = "a1", role: str = "callee", attempt: int = 0, number: str = "5550001") -> Any:
        facts = CallFacts(attempt, "Zoë", "8001", "/lists/march.csv", BEGAN)
        return SimpleNamespace(
            id=name, stream=f"{name}-audio", number=number, role=role, trunk="trunk", facts=facts,
            cause=HangupCause("normal", "far"),
        )

    @property
    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file())


@pytest.fixture
async def store(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path / 'o.db'}")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def desk(tmp_path, store):
    return Desk(tmp_path / "calls", store)


def rows(tmp_path: Path) -> list[Any]:
    with create_engine(f"sqlite:///{tmp_path / 'o.db'}").connect() as db:
        return list(db.execute(text("select * from recordings order by id")).mappings())


async def begun(store: SqlStore) -> int:
    """An attempt that is up; its id."""
    campaign = await store.open_campaign("")
    await store.add_rows(campaign.id, [NewRow("5550001")])
    (entry,) = await store.candidates(campaign.id, time.time(), 9)
    attempt = await store.begin(entry.id, BEGAN)
    assert attempt is not None
    return attempt


async def test_a_recording_is_unfinished_until_its_result_is_known(desk, tmp_path, store):
    leg = desk.leg()
    desk.recordings.begin(leg)
    await asyncio.sleep(0.01)
    assert desk.files == ["5550001-callee-unfinished.wav"]
    assert desk.recordings.path("a1") == str(tmp_path / "calls" / "5550001-callee-unfinished.wav")
    assert await desk.recordings.end("a1", "bridged") == str(desk.folder / "5550001-callee-bridged.wav")
    assert desk.files == ["5550001-callee-bridged.wav"]
    assert desk.recordings.path("a1") == ""
    await desk.recordings.close()
    (row,) = rows(tmp_path)
    assert (row["path"], row["result"], row["seconds"], row["error"]) == (
        str(tmp_path / "calls" / "5550001-callee-bridged.wav"), "bridged", 12.5, "",
    )
    assert row["began_at"] == BEGAN.timestamp()
    assert time.time() - row["ended_at"] < 60
    assert row["deleted_at"] is None


async def test_calls_of_one_name_have_a_file_each(desk):
    for leg in ("a1", "a2", "a3"):
        desk.recordings.begin(desk.leg(leg))
    await asyncio.sleep(0.01)
    paths = [await desk.recordings.end(leg, "bridged") for leg in ("a1", "a2", "a3")]
    assert [os.path.basename(path) for path in paths] == [
        "5550001-callee-bridged.wav", "5550001-callee-bridged-2.wav", "5550001-callee-bridged-3.wav",
    ]
    assert [Path(path).read_text() for path in paths] == ["a1-1", "a2-2", "a3-3"]


async def test_a_name_without_the_result_stays_as_it_is(tmp_path, store):
    desk = Desk(tmp_path / "calls", store, name="{number}")
    for leg in ("a1", "a2"):
        desk.recordings.begin(desk.leg(leg))
    await asyncio.sleep(0.01)
    assert [os.path.basename(await desk.recordings.end(leg, "bridged")) for leg in ("a1", "a2")] == [
        "5550001.wav", "5550001-2.wav",
    ]
    await desk.recordings.close()
    assert [(row["result"], row["seconds"]) for row in rows(tmp_path)] == [("bridged", 12.5)] * 2


async def test_a_pause_is_an_order_and_switching_on_again_goes_on(desk):
    leg = desk.leg()
    desk.recordings.begin(leg)
    await asyncio.sleep(0.01)
    desk.recordings.pause("a1", True)
    desk.recordings.pause("a1", True)
    desk.recordings.begin(leg)  # as the answer does, where early media is recorded
    desk.recordings.begin(leg, by_hand=True)
    assert desk.media.orders[1:] == [
        orders.PauseRecording("a1-audio", True), orders.PauseRecording("a1-audio", False),
    ]
    assert desk.changes == [("5550001-callee-unfinished.wav", paused) for paused in (False, True, False)]


async def test_what_the_configuration_asks_for_is_ordered(tmp_path, store):
    name = "{campaign}/{name}-{agent}"
    desk = Desk(tmp_path / "c", store, format="flac", layout="mixed", min_free_mb=5, name=name)
    desk.recordings.begin(desk.leg())
    (order,) = desk.media.orders
    assert order == orders.Record(
        "a1-audio", str(tmp_path / "c" / "march" / "Zoë-8001.flac"), "flac", True, 5_000_000, "a1-1"
    )


@pytest.mark.parametrize(
    ("path", "configured", "kind"),
    [("a.flac", "wav", "flac"), ("a.wav", "flac", "wav"), ("a.wav", "wav_alaw", "wav_alaw")],
)
async def test_a_path_of_the_users_own_is_kept_and_says_its_format(tmp_path, store, path, configured, kind):
    desk = Desk(tmp_path, store, format=configured)
    desk.recordings.begin(desk.leg(), str(tmp_path / path))
    await asyncio.sleep(0.01)
    assert desk.media.orders[0].format == kind
    assert await desk.recordings.end("a1", "normal") == str(tmp_path / path)


async def test_a_leg_without_an_attempt_is_named_by_its_hangup_cause(desk):
    leg = desk.leg(role="inbound")
    desk.recordings.begin(leg)
    await asyncio.sleep(0.01)
    desk.media.close("a1-audio")
    desk.recordings.leg_over(leg)
    await desk.recordings.close()
    assert desk.files == ["5550001-inbound-normal.wav"]


async def test_the_legs_end_leaves_the_name_to_the_attempt(desk, store):
    leg = desk.leg(attempt=await begun(store))
    desk.recordings.begin(leg)
    await asyncio.sleep(0.01)
    desk.media.close("a1-audio")
    desk.recordings.leg_over(leg)
    await asyncio.sleep(0.05)
    assert desk.files == ["5550001-callee-unfinished.wav"]
    await desk.recordings.end("a1", "caller_hung_up")
    assert desk.files == ["5550001-callee-caller_hung_up.wav"]


async def test_a_call_that_takes_over_a_leg_is_recorded_in_another_file(desk):
    leg = desk.leg()
    desk.recordings.begin(leg)
    await asyncio.sleep(0.01)
    desk.recordings.pause("a1", True)
    leg.stream, leg.number = "b2-audio", "5550002"
    desk.recordings.carried_over(leg)
    await asyncio.sleep(0.01)
    assert desk.media.orders[-2].path.endswith("5550002-callee-unfinished.wav")
    assert desk.media.orders[-1] == orders.PauseRecording("b2-audio", True)
    first = await desk.recordings.end("a1", "bridged")
    assert first.endswith("5550001-callee-bridged.wav")
    assert desk.files == ["5550001-callee-bridged.wav", "5550002-callee-bridged.wav"]


async def test_a_disk_in_trouble_is_told_once_however_many_calls_are_up(desk):
    for n in range(30):
        desk.recordings.begin(desk.leg(f"a{n}"))
    await asyncio.sleep(0.01)
    for n in range(30):
        desk.media.close(f"a{n}-audio", f"/calls/{n}.wav: the disk is full, so the recording ended.")
    assert desk.said == [("error", "/calls/0.wav: the disk is full, so the recording ended.")]
    assert all(desk.recordings.path(f"a{n}") == "" for n in range(30))
    desk.recordings.begin(desk.leg("b1"))  # it began: the next trouble is another one
    await asyncio.sleep(0.01)
    desk.media.close("b1-audio", "/calls/b.wav: the disk is full, so the recording ended.")
    assert len(desk.said) == 2


async def test_a_folder_that_can_not_be_written_is_one_sentence_and_no_row(tmp_path, store):
    (tmp_path / "calls").write_text("a file")
    desk = Desk(tmp_path / "calls", store)
    desk.recordings.begin(desk.leg())
    await asyncio.sleep(0.01)
    assert await desk.recordings.end("a1", "bridged") == ""
    await desk.recordings.close()
    assert len(desk.said) == 1
    assert "Not a directory" in desk.said[0][1]
    assert rows(tmp_path) == []


async def test_a_disk_that_hangs_does_not_hold_up_the_end_of_a_call(desk, monkeypatch):
    monkeypatch.setattr("engine.recordings.DISK_PATIENCE", 0.05)
    desk.media.stuck = True
    desk.recordings.begin(desk.leg())
    await asyncio.sleep(0.01)
    assert await desk.recordings.end("a1", "bridged") == ""
    desk.media.stuck = False  # and now it goes on
    for order in desk.media.orders[:2]:
        desk.media.order(order)
    await asyncio.sleep(0.02)
    await desk.recordings.close()
    assert desk.files == ["5550001-callee-bridged.wav"]


async def test_closing_names_what_nobody_has_named(desk, tmp_path):
    desk.recordings.begin(desk.leg())
    await asyncio.sleep(0.01)
    await desk.recordings.close()
    assert desk.files == ["5550001-callee-ended.wav"]
    assert rows(tmp_path)[0]["result"] == "ended"


async def test_an_attempt_knows_its_file_from_the_first_moment_on(desk, store):
    attempt = await begun(store)
    desk.recordings.begin(desk.leg(attempt=attempt))
    await asyncio.sleep(0.1)
    campaign = (await store.open_campaign("")).id
    await store.close()
    # The engine died here; another one opens the store.
    again = SqlStore(str(desk.folder.parent / "o.db").join(("sqlite:///", "")))
    await again.open()
    said: list[tuple[str, str]] = []
    await recover(again.recordings, lambda level, text: said.append((level, text)))
    (record,) = await again.recovered(campaign)
    assert record.recording == str(desk.folder / "5550001-callee-interrupted.wav")
    assert (record.disposition, record.reason) == ("interrupted", "the engine died during the call")
    assert desk.files == ["5550001-callee-interrupted.wav"]
    assert len(said) == 1
    await recover(again.recordings, lambda level, text: said.append((level, text)))
    assert len(said) == 1
    await again.close()


# --- how long they are kept ------------------------------------------------------------------------


async def recorded(desk: Desk, tmp_path: Path, leg: str, days_ago: float) -> Path:
    """A recording whose call ended so long ago."""
    desk.recordings.begin(desk.leg(leg, number=leg))
    await asyncio.sleep(0.01)
    path = Path(await desk.recordings.end(leg, "bridged"))
    while not all(row["ended_at"] and row["result"] for row in rows(tmp_path)):
        await asyncio.sleep(0.01)
    ended = time.time() - days_ago * DAY
    os.utime(path, (ended, ended))
    with create_engine(f"sqlite:///{tmp_path / 'o.db'}").begin() as db:
        change = text("update recordings set ended_at = :at where path = :path")
        db.execute(change, {"at": ended, "path": str(path)})
    return path


async def test_old_recordings_are_deleted_and_their_rows_say_so(tmp_path, store):
    desk = Desk(tmp_path / "calls", store, name="{number}/{leg}")
    old = [await recorded(desk, tmp_path, f"old{n}", 31) for n in range(2)]
    new = await recorded(desk, tmp_path, "new", 29)
    stranger = desk.folder / "old0" / "notes.txt"
    stranger.write_text("mine")
    os.utime(stranger, (0, 0))
    said: list[tuple[str, str]] = []
    for _ in range(2):
        await delete_expired(store.recordings, 30, lambda level, text: said.append((level, text)))
    assert said == [("info", "2 recordings deleted: older than recording.keep_days, 30 days")]
    assert not any(path.exists() for path in old)
    assert new.exists()
    assert stranger.exists()
    assert not (desk.folder / "old1").exists()  # its name had made it, and it is empty
    assert [row["deleted_at"] is not None for row in rows(tmp_path)] == [True, True, False]
    assert rows(tmp_path)[0]["path"] == str(old[0])


async def test_old_recordings_go_at_the_start_and_trouble_with_the_store_ends_nothing(desk, tmp_path, store):
    path = await recorded(desk, tmp_path, "1", 40)
    told = asyncio.Event()
    keeping = asyncio.create_task(keep(store.recordings, 30, lambda level, text: told.set()))
    await asyncio.wait_for(told.wait(), 30)
    assert not path.exists()
    keeping.cancel()
    closed = SqlStore("sqlite://")
    said: list[tuple[str, str]] = []
    keeping = asyncio.create_task(keep(closed.recordings, 30, lambda level, text: said.append((level, text))))
    await asyncio.sleep(0.05)
    assert said == [("error", "old recordings are not deleted: The queue database is not open.")]
    assert not keeping.done()
    keeping.cancel()


async def test_only_the_stores_own_recordings_are_ever_deleted(desk, tmp_path, store):
    replaced = await recorded(desk, tmp_path, "1", 40)
    linked = await recorded(desk, tmp_path, "2", 40)
    gone = await recorded(desk, tmp_path, "3", 40)
    other = desk.folder / "somebody-elses.wav"
    other.write_bytes(b"x")
    os.utime(other, (0, 0))
    replaced.write_bytes(b"another file of the same name, written today")
    linked.unlink()
    linked.symlink_to(other)
    gone.unlink()
    await delete_expired(store.recordings, 30, lambda level, text: None)
    assert desk.files == ["1-callee-bridged.wav", "2-callee-bridged.wav", "somebody-elses.wav"]
    assert other.exists()


async def test_what_can_not_be_deleted_is_told_and_tried_again(desk, tmp_path, store, monkeypatch):
    path = await recorded(desk, tmp_path, "1", 40)
    said: list[str] = []

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        await delete_expired(store.recordings, 30, lambda level, text: said.append(text))
    assert said == [f"the recording {path} can't be deleted: Permission denied"]
    await delete_expired(store.recordings, 30, lambda level, text: None)
    assert not path.exists()


async def test_a_database_of_an_earlier_version_gets_the_new_table_and_loses_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    store = SqlStore(url)
    await store.open()
    campaign = (await store.open_campaign("")).id
    await store.add_rows(campaign, [NewRow("5550001"), NewRow("5550002")])
    await store.close()
    with create_engine(url).begin() as db:
        db.execute(text("drop table recordings"))
    store = SqlStore(url)
    await store.open()
    assert (await store.counts(campaign)).queued == 2
    assert await store.recordings.unfinished() == []
    await store.close()
