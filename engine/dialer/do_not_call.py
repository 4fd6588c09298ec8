"""The do-not-call file: one number a line, `#` begins a comment; read again when it changes."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from engine.dialer.numbers import Number, NumberError, clean

MAX_BYTES = 256 * 1024 * 1024


class DoNotCall:
    """Numbers that are never dialled. `path` empty: there is no such list.

    A list that can't be read blocks every number: `problem` then says why.
    """

    def __init__(self, path: str, country: str = "") -> None:
        self.path = Path(path).expanduser() if path else None
        self.problem = ""
        self.bad_lines: list[tuple[int, str]] = []
        """Lines that hold no number, with what is wrong; the first thousand."""
        self._country = country.upper()
        self._numbers: frozenset[str] = frozenset()
        self._seen: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def lists(self, number: Number) -> bool:
        """Whether the list has the number, in its E.164 form or as it is dialled in its country.

        Asks the list as it was last read; the first question reads it.
        """
        if self._seen is None:
            self.refresh()
        return any(form in self._numbers for form in self._forms(number))

    def changed(self) -> bool:
        """Whether the file is another than the one that was read."""
        if self.path is None:
            return False
        try:
            return _stamp(self.path.stat()) != self._seen
        except OSError:
            return True

    def refresh(self) -> None:
        """Read the file if it has changed. A long list takes seconds: call it in a thread."""
        if self.path is None:
            return
        try:
            stat = self.path.stat()
            seen = _stamp(stat)
            if seen == self._seen:
                return
            if stat.st_size > MAX_BYTES:
                raise OSError(0, f"it is larger than {MAX_BYTES >> 20} MiB")
            data = self.path.read_bytes()
        except OSError as error:
            self._seen = None
            self.problem = f"the do-not-call file {self.path} can't be read ({error.strerror or error})"
            return
        self._numbers = frozenset(self._read(data))
        self._seen = seen
        self.problem = ""

    def _read(self, data: bytes) -> set[str]:
        found = set()
        self.bad_lines = []
        for count, raw in enumerate(data.split(b"\n"), 1):
            if count % 200 == 0:
                time.sleep(0.0001)  # calls may be up: give way to their thread
            text = raw.decode("utf-8-sig", "replace").partition("#")[0].strip()
            if not text:
                continue
            try:
                found.add(clean(text))
            except NumberError as error:
                if len(self.bad_lines) < 1000:
                    self.bad_lines.append((count, str(error)))
        return found

    def _forms(self, number: Number) -> set[str]:
        """Every way in which a list may write this number."""
        forms = {number.dialable, re.sub(r"^\+", "", number.dialable)}
        if number.e164:
            digits = number.e164[1:]
            forms |= {number.e164, digits, "00" + digits, "011" + digits}
            if number.region == self._country or not self._country:
                # With the trunk prefixes that there are: 0 in most countries, 1 in North America, 8.
                forms |= {prefix + number.national for prefix in ("", "0", "1", "8")}
        return forms


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
