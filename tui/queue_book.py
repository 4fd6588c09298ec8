"""The pages of the queue that were fetched, and which ones a view still needs. No Textual here."""

from __future__ import annotations

from collections import OrderedDict

from engine.control.messages import Entry, QueueRows

PAGE = 100
"""Rows asked for at a time."""
MAX_PAGES = 40
"""Pages kept; the ones looked at longest ago go first."""


class QueueBook:
    """A sparse copy of a queue of any length. Rows are counted from 0."""

    def __init__(self) -> None:
        self.total = 0
        self._pages: OrderedDict[int, list[Entry]] = OrderedDict()
        self._fresh: set[int] = set()
        self.fetched = 0
        """Pages ever taken in."""

    def row(self, index: int) -> Entry | None:
        """The entry at `index`, or None while its page is not here."""
        rows = self._pages.get(index // PAGE)
        place = index % PAGE
        return rows[place] if rows is not None and place < len(rows) else None

    def missing(self, first: int, last: int) -> list[int]:
        """Pages that rows `first` to `last` (inclusive) are on and that are absent or out of date."""
        last = min(last, self.total - 1)
        if last < 0:
            return [] if 0 in self._fresh else [0]
        pages = range(max(0, first) // PAGE, last // PAGE + 1)
        for page in pages:
            if page in self._pages:
                self._pages.move_to_end(page)
        return [page for page in pages if page not in self._fresh]

    def put(self, page: int, rows: QueueRows) -> None:
        """Take in what came for `page`."""
        if rows.total != self.total:
            self.total = max(0, rows.total)
            for beyond in [p for p in self._pages if p * PAGE >= self.total]:
                self._drop(beyond)
        self._pages[page] = rows.rows[:PAGE]
        self._pages.move_to_end(page)
        self._fresh.add(page)
        self.fetched += 1
        while len(self._pages) > MAX_PAGES:
            self._drop(next(iter(self._pages)))

    def update(self, entry: Entry) -> bool:
        """One entry changed; returns whether it is on a page that is here."""
        rows = self._pages.get(entry.position // PAGE)
        place = entry.position % PAGE
        if rows is None:
            return False
        if place < len(rows) and rows[place].id == entry.id:
            rows[place] = entry
            return True
        self._fresh.discard(entry.position // PAGE)
        return True

    def outdate(self) -> None:
        """The rows moved: keep showing what is here until newer pages come."""
        self._fresh.clear()

    def _drop(self, page: int) -> None:
        self._pages.pop(page, None)
        self._fresh.discard(page)
