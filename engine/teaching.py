"""Learning from calls: speech that nothing known matched is kept, and the operator says what it was."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.detect.announcements import Announcements
from engine.detect.categories import by_word
from engine.detect.prints import Library
from engine.detect.types import FRAME_SAMPLES
from engine.media.engine import MediaEngine
from engine.media.orders import Unmatched
from engine.samples import edit, folder
from engine.samples.entry import FolderError

KEPT = 32
"""Stretches of unknown speech that are kept, of the latest calls."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a call said that nothing matched."""

    leg: str
    number: str
    pcm: edit.Pcm


class Teaching:
    """`tell(level, text, leg)` gets a line for the log."""

    def __init__(self, where: Path, media: MediaEngine, tell: Callable[[str, str, str], None]) -> None:
        self._where = where
        self._media = media
        self._tell = tell
        self._heard: deque[Unknown] = deque(maxlen=KEPT)
        self._one_at_a_time = asyncio.Lock()

    def note(self, fact: Unmatched, leg: str, number: str) -> None:
        self._heard.append(Unknown(leg, number, np.frombuffer(fact.pcm, np.int16)))

    async def teach(self, category: str, leg: str | None, name: str) -> str:
        """Make a sample of what a call said last, or the latest call; one sentence where that can't be."""
        meaning = by_word(category)
        if meaning is None:
            return f"There is no category {category!r}: an id from 2 to 20 or an alias is needed."
        async with self._one_at_a_time:
            found = next((each for each in reversed(self._heard) if leg in (None, each.leg)), None)
            if found is None:
                return "No call has said anything that is not known."
            try:
                sample = await asyncio.to_thread(
                    edit.teach, self._where, found.pcm, meaning.id, name, number=found.number, source="taught"
                )
                library = await asyncio.to_thread(folder.load, self._where)
            except FolderError as error:
                return str(error)
            self._media.know(library)
            self._heard.remove(found)
            self._tell("info", f"learnt {sample.uniqueid} ({meaning.alias}) from {found.number}", found.leg)
            await self._again(library)
        return ""

    async def _again(self, library: Library) -> None:
        """Listen again to what earlier calls said: some of it may be known now."""
        for each in list(self._heard):
            matched = await asyncio.to_thread(_match, library, each.pcm)
            if matched:
                self._heard.remove(each)
                self._tell("info", f"{each.number} had said it too: {matched}", each.leg)


def _match(library: Library, pcm: edit.Pcm) -> str:
    """The alias of the announcement that a stretch of speech is; empty for none."""
    listener = Announcements(library)
    for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        found = listener.feed(pcm[at : at + FRAME_SAMPLES].astype(np.float32))
        if found is not None:
            sample = library.samples[found.number]
            return sample.alias or sample.uniqueid
    return ""
