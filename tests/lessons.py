"""What teaching and re-examination need around them: a sample folder, a store, a log, no telephony."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile
from speech_like import speech_like

from engine.config import Config, Detection
from engine.detect.prints import Library
from engine.dialer.ports import AttemptRecord, EntryRow, Heard, NewRow
from engine.earlier import Earlier
from engine.known import Known
from engine.media.orders import Unmatched
from engine.recordings import Take
from engine.store.store import SqlStore
from engine.teaching import Teaching

BEGAN = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


def said(seed: int, *, lead: int = 800) -> np.ndarray:
    """Another announcement for each seed, as a call has it: from a little before."""
    quiet = np.random.default_rng(seed).normal(0, 3, lead).astype(np.int16)
    return np.concatenate((quiet, speech_like(seed), quiet))


class Media:
    known: Library | None = None

    def know(self, library: Library) -> None:
        self.known = library


class Lesson:
    """`async with Lesson(folder)`."""

    def __init__(self, folder: Path, *, watched_s: float = 0.05, starter: bool = False) -> None:
        self.folder = folder / "samples"
        self.recordings = folder / "recordings"
        self.media = Media()
        self.told: list[str] = []
        self.rows: list[EntryRow] = []
        config = Config(detection=Detection(samples="" if starter else str(self.folder)))
        self.known = Known(config, self.media, watched_s=watched_s)  # type: ignore[arg-type]
        self.known.tell = lambda level, text: self.told.append(text)
        self.store = SqlStore(f"sqlite:///{folder / 'queue.db'}")
        tell = lambda level, text, leg: self.told.append(text)  # noqa: E731
        self.earlier = Earlier(self.folder, self.store.past, tell, self.rows.append)
        self.known.added = self.earlier.begin
        self.teaching = Teaching(self.known, self.earlier, tell)

    async def __aenter__(self) -> Lesson:
        await self.store.open()
        self.folder.mkdir(exist_ok=True)
        self.known.begin()
        await self.known.ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.earlier.close()
        await self.known.close()
        await self.store.close()

    def says(self, leg: str, number: str, pcm: np.ndarray) -> None:
        """A call has just said something unknown."""
        self.teaching.note(Unmatched(leg, 0.0, pcm.tobytes()), leg, number)

    async def teach(self, category: str, leg: str | None = None) -> str:
        answer = await self.teaching.teach(category, leg, "")
        await self.earlier.done()
        return answer

    async def attempt(
        self, number: str, leg: str, *, disposition: str = "no_answer", answered: bool = False,
        up: bool = False, rang: bool = False, unknown_ms: tuple[int, int] = (500, 9000),
    ) -> AttemptRecord:  # fmt: skip
        """An attempt that said something unknown."""
        campaign = await self.store.open_campaign("/q.csv")
        await self.store.add_rows(campaign.id, [NewRow(number, key=number)])
        (entry,) = [e for e in await self.store.candidates(campaign.id, 0.0, 100) if e.number == number]
        attempt = await self.store.begin(entry.id, BEGAN)
        assert attempt is not None
        states = {"queued": 0, "listening": 1000} | ({"answered": 9000} if answered else {})
        record = AttemptRecord(
            attempt, entry.id, number, BEGAN, states, [
                *([Heard("ringback", 0, 1000, 1.0, "")] if rang else []),
                Heard("unmatch", *unknown_ms, 0.8, "speech"), Heard("silence", 9500, 11500, 1.0, ""),
            ], disposition=disposition, leg=leg, reason="timed out",
            hearing={
                "finish_cause": "bus_close", "all_tone": 0x80 | (2 if rang else 0), "last_tone": "unmatch",
                "category": 0, "correction": 0, "result": "bus_close", "status": "call failed",
            },
        )  # fmt: skip
        if not up:
            await self.store.finish(record, "done")
        return record

    async def recorded(self, record: AttemptRecord, pcm: np.ndarray, *, stereo: bool = True) -> Path:
        """The file of an attempt's recording: received left, sent right."""
        self.recordings.mkdir(exist_ok=True)
        path = self.recordings / f"{record.leg}.wav"
        noise = np.random.default_rng(5).normal(0, 6000, len(pcm)).astype(np.int16)
        soundfile.write(path, np.stack((pcm, noise), 1) if stereo else pcm, 8000, subtype="PCM_16")
        leg, where = record.leg, str(path)
        take = Take(leg, leg, "s", path.name, where, record.attempt_id, BEGAN, False, where)
        row = await self.store.recordings.began(take)
        await self.store.recordings.ended(row, len(pcm) / 8000, "")
        return path

    async def stored(self, record: AttemptRecord) -> AttemptRecord:
        campaign = await self.store.open_campaign("/q.csv")
        return next(r for r in await self.store.records(campaign.id) if r.attempt_id == record.attempt_id)
