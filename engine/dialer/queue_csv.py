"""Reading a queue from CSV: whatever the bytes are, good rows are kept and bad ones explained.

Columns are `number` and, optionally, `name` and `note`, named in a header in any order and case; without
a header the first column is the number, the second the name, the third the note. Further columns with a name
of [detection], mod_da2's for the same, or `recording.` and a key of that section hold the row's own settings;
an empty cell leaves the configuration's.
"""

from __future__ import annotations

import csv
import difflib
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from engine.config import Detection, Recording
from engine.dialer.numbers import NumberError, clean, key_of
from engine.dialer.ports import NewRow
from engine.hearing import KNOWN, SETTINGS, OptionError, option_name, recorded_with, with_options

MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_ROW_CHARS = 20_000
MAX_FIELD = 1000
"""Longest name or note that is kept, in characters."""
MAX_REPORTS = 1000
"""Problems and duplicates listed one by one; the rest are counted."""

_NAMES = {
    "number": ("number", "phone", "phone number", "phonenumber", "telephone", "tel", "mobile", "msisdn",
               "号码", "电话", "手机", "手机号", "电话号码"),
    "name": ("name", "姓名", "名字"),
    "note": ("note", "notes", "comment", "remark", "备注"),
}


class QueueError(Exception):
    """A file that can't be read as a queue at all: one plain sentence."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was left out; `line` counts from 1 as an editor does, 0 is the file as a whole."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


@dataclass(frozen=True, slots=True)
class QueueRow:
    line: int
    number: str
    name: str
    note: str
    key: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A number that stood in the list before, at line `first`."""

    row: QueueRow
    first: int

    def __str__(self) -> str:
        return f"line {self.row.line}: {self.row.number} is the number of line {self.first} again"


@dataclass(slots=True)
class QueueFile:
    """What a file held. `rows` are first occurrences, in order; `remarks` are about the whole file."""

    rows: list[QueueRow] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unlisted_problems: int = 0
    """Problems beyond the first MAX_REPORTS."""

    def new_rows(self, *, skip_duplicates: bool = True, campaign: str = "") -> list[NewRow]:
        """The rows for the store, with or without those that repeat a number; of another campaign than the
        queue's where one is given."""
        own = {"campaign": campaign} if campaign else {}
        rows: Sequence[QueueRow] = self.rows
        if not skip_duplicates:
            rows = sorted([*rows, *(d.row for d in self.duplicates)], key=lambda row: row.line)
        return [NewRow(row.number, row.name, row.note, row.key, {**row.options, **own}) for row in rows]

    def _problem(self, line: int, reason: str) -> None:
        if len(self.problems) < MAX_REPORTS:
            self.problems.append(RowProblem(line, reason))
        else:
            self.unlisted_problems += 1


def read_queue_file(path: str, country: str = "") -> QueueFile:
    """`read_queue` for a path that a user typed: `~` is their home."""
    return read_queue(Path(path).expanduser(), country)


def read_queue(source: Path | str | bytes, country: str = "") -> QueueFile:
    """Read a CSV queue from a file, or from bytes. `country` (two letters) is where numbers are at home.

    Raises QueueError where there is nothing to read; every other trouble is in the result. Gives way
    to other threads as it goes, since it may run beside calls: 100,000 rows take some 10 s of one core.
    """
    file = QueueFile()
    text = _decode(source if isinstance(source, bytes) else _load(Path(source)), file)
    if "\0" in text:
        text = text.replace("\0", "")
        file.remarks.append("it held NUL bytes, which were left out")
    columns: dict[str, int] | None = None
    seen: dict[str, int] = {}
    for line, row in _rows(text, file):
        if columns is None:
            columns, is_header = _columns(row)
            if is_header:
                _check_header(file, line, row, columns)
                continue
        _take(file, line, row, columns, seen, country)
        if line % 20 == 0:
            time.sleep(0.0001)
        if len(file.rows) >= MAX_ROWS:
            file._problem(line, f"the queue is full: {MAX_ROWS:,} rows are read and no more")
            break
    if not file.rows and not file.problems:
        raise QueueError(f"{_name(source)} holds no rows: a queue is CSV with a column number.")
    return file


def _check_header(file: QueueFile, line: int, row: list[str], columns: dict[str, int]) -> None:
    """Tell of columns that mean to be settings and are left out."""
    for at, cell in enumerate(row):
        name = " ".join(cell.split())[:60]
        option = option_name(cell)
        if option and columns[option] != at:
            file._problem(line, f"the column {name} sets {option} again, and is left out")
        elif not option and name.lower().startswith(SETTINGS):
            close = difflib.get_close_matches(name.lower().removeprefix("detection."), KNOWN, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            file._problem(line, f"the column {name} is no setting, and is left out{hint}")


def _take(
    file: QueueFile, line: int, row: list[str], columns: dict[str, int], seen: dict[str, int], country: str
) -> None:
    def cell(name: str) -> str:
        at = columns.get(name, -1)
        text = row[at] if 0 <= at < len(row) else ""
        return " ".join(text.split())[:MAX_FIELD]

    try:
        number = clean(cell("number"))
        key = key_of(number, country)
        options = {name: cell(name) for name in columns if name not in _NAMES and cell(name)}
        with_options(Detection(), options)
        recorded_with(Recording(), options)
    except (NumberError, OptionError) as error:
        file._problem(line, str(error))
        return
    found = QueueRow(line, number, cell("name"), cell("note"), key, options)
    if key in seen:
        if len(file.duplicates) < MAX_ROWS:
            file.duplicates.append(Duplicate(found, seen[key]))
        return
    seen[key] = line
    file.rows.append(found)


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise QueueError(f"The queue file {path} can't be read: {error.strerror or error}.") from None
    except ValueError:
        raise QueueError("The queue file's name holds a NUL character.") from None
    if len(data) > MAX_BYTES:
        raise QueueError(f"The queue file {path} is larger than {MAX_BYTES >> 20} MiB: split it.")
    return data


def _decode(data: bytes, file: QueueFile) -> str:
    if data.startswith(b"PK\x03\x04") or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise QueueError("This is a spreadsheet, not CSV: save it as CSV UTF-8 in the spreadsheet program.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        file.remarks.append("it is UTF-16 and was read so; UTF-8 is the form to save it in")
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _decode_legacy(data, data.count(b"\n", 0, error.start) + 1, file)


def _decode_legacy(data: bytes, line: int, file: QueueFile) -> str:
    """GB18030 if every byte says so; else UTF-8 with what is broken marked, so that good rows are kept."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    other = sum(ord(c) > 0x7F for c in text) - han
    if han > other:
        file.remarks.append(
            "it is not UTF-8 but Chinese text in GB18030 (GBK), and was read so; "
            "if names look wrong, convert it: iconv -f GB18030 -t UTF-8"
        )
        return text
    file._problem(
        0, f"the file is not UTF-8 (first at line {line}): save it as CSV UTF-8, or convert it with iconv; "
        "names there may be spoilt"
    )
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def _rows(text: str, file: QueueFile) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the number of its first line."""
    delimiter = _delimiter(text)
    lines = io.StringIO(text, newline=None).read().split("\n")
    at = 0
    while at < len(lines):
        # One record at a time, from one line on: a broken one costs its own line alone.
        take = _record(lines, at)
        record = lines[at : at + take]
        first = at + 1
        at += take
        if sum(map(len, record)) > MAX_ROW_CHARS:
            file._problem(first, f"the row is longer than {MAX_ROW_CHARS:,} characters")
            continue
        try:
            row = next(csv.reader(iter(["\n".join(record)]), delimiter=delimiter), [])
        except csv.Error as error:
            file._problem(first, f"it can't be read as CSV: {str(error).partition(' - ')[0]}")
            continue
        if any(cell.strip() for cell in row):
            yield first, row


def _record(lines: list[str], at: int) -> int:
    """How many lines the record that begins at `at` has: more than one where a quoted cell goes on."""
    quotes = lines[at].count('"')
    if quotes % 2 == 0:
        return 1
    size = len(lines[at])
    for more, line in enumerate(islice(lines, at + 1, at + 101), 2):
        quotes += line.count('"')
        size += len(line)
        if quotes % 2 == 0:
            return more
        if size > MAX_ROW_CHARS:
            break
    return 1  # a quote that nothing closes


def _delimiter(text: str) -> str:
    """The separator that the first line with any of them has most of."""
    for line in islice(text.splitlines(), 20):
        counts = {mark: line.count(mark) for mark in ",;\t"}
        best = max(counts, key=lambda mark: counts[mark])
        if counts[best]:
            return best
    return ","


def _columns(row: list[str]) -> tuple[dict[str, int], bool]:
    """Where each column is, and whether this row was the header that says so."""
    named: dict[str, int] = {}
    for at, cell in enumerate(row):
        word = " ".join(cell.strip().lower().replace("_", " ").split())
        for name, words in _NAMES.items():
            if word in words:
                named.setdefault(name, at)
        if option := option_name(cell):
            named.setdefault(option, at)
    if "number" in named:
        return named, True
    if row and any(c.isdigit() for c in row[0]):
        return {"number": 0, "name": 1, "note": 2}, False
    if len(row) == 1:
        return {"number": 0}, False
    raise QueueError(
        "The first row has no column named number: a header such as number,name,note is needed, "
        "or rows that begin with the number."
    )


def _name(source: Path | str | bytes) -> str:
    return "The queue" if isinstance(source, bytes) else f"The queue file {source}"
