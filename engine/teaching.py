"""Learning from calls: speech that nothing known matched is kept, and the operator says what it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from engine.detect.categories import by_word
from engine.earlier import Earlier, Unknown
from engine.known import Known
from engine.media.orders import Unmatched
from engine.samples import edit
from engine.samples.entry import FolderError


class Teaching:
    """`tell(level, text, leg)` gets a line for the log."""

    def __init__(self, known: Known, earlier: Earlier, tell: Callable[[str, str, str], None]) -> None:
        self.earlier = earlier
        self._known = known
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()

    def note(self, fact: Unmatched, leg: str, number: str) -> None:
        self.earlier.unknown.append(Unknown(leg, number, np.frombuffer(fact.pcm, np.int16)))

    async def teach(self, category: str, leg: str | None, name: str) -> str:
        """Make a sample of what a call said last, or the latest call; one sentence where that can't be.
        Earlier calls are listened to again then."""
        meaning = by_word(category)
        if meaning is None:
            return f"There is no category {category!r}: an id from 2 to 20 or an alias is needed."
        async with self._one_at_a_time:
            said = [each for each in self.earlier.unknown if leg in (None, each.leg) and not each.taught]
            if not said:
                return "No call has said anything that is not known."
            found = said[-1]
            try:
                sample = await asyncio.to_thread(
                    edit.teach, self._known.folder, found.pcm, meaning.id, name, number=found.number,
                    source="taught",
                )  # fmt: skip
                found.taught = True
                learnt = f"learnt {sample.uniqueid} ({meaning.alias}) from {found.number}"
                self._tell("info", learnt, found.leg)
                await self._known.refresh(apart=False)
            except FolderError as error:
                return str(error)
        return ""
