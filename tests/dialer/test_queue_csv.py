"""Queues as people's programs write them, and as nobody should."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dialer import queue_csv
from engine.dialer.queue_csv import QueueError, QueueFile, read_queue


def numbers(file: QueueFile) -> list[str]:
    return [row.number for row in file.rows]


def read(text: str, country: str = "", encoding: str = "utf-8") -> QueueFile:
    return read_queue(text.encode(encoding), country)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_separator_line_end_and_byte_order_mark(mark, encoding, end):
    rows = [["number", "name", "note"], ["13900000001", "王伟", "a b"], ["13900000002", "李娜", ""]]
    file = read(end.join(mark.join(row) for row in rows), encoding=encoding)
    assert [(row.line, row.number, row.name, row.note) for row in file.rows] == [
        (2, "13900000001", "王伟", "a b"), (3, "13900000002", "李娜", ""),
    ]
    assert file.problems == file.duplicates == file.remarks == []


@pytest.mark.parametrize(
    "header",
    ["Note,NUMBER,Name", " note , Phone Number , name ", '"note","手机","姓名"', "note,number,name,age"],
)
def test_the_header_may_have_any_order_case_and_more_columns(header):
    (row,) = read(f"{header}\nhello,5551234,Ann,7\n").rows
    assert (row.number, row.name, row.note) == ("5551234", "Ann", "hello")


def test_without_a_header_the_first_column_is_the_number():
    file = read("5551234,Ann,hello\n5551235\n")
    rows = [(row.line, row.number, row.name) for row in file.rows]
    assert rows == [(1, "5551234", "Ann"), (2, "5551235", "")]


def test_a_single_column_needs_nothing_else():
    assert numbers(read("5551234\n\n   \n5551235")) == ["5551234", "5551235"]


def test_a_header_without_a_number_column_is_one_sentence():
    with pytest.raises(QueueError, match="column named number"):
        read("name,city\nAnn,Berlin\n")


def test_bad_rows_are_reported_by_line_and_reason_and_good_ones_kept():
    file = read("number,name\n5551234,A\n,B\ncall me,C\n5551235,D\n12345678901234567890123456789012345,E\n")
    assert numbers(file) == ["5551234", "5551235"]
    assert [p.line for p in file.problems] == [3, 4, 6]
    empty, words, too_long = map(str, file.problems)
    assert empty == "line 3: the number is empty"
    assert "'callme' is not a number" in words or "'call me' is not a number" in words
    assert "longer than 32" in too_long


@pytest.mark.parametrize("text", ["1.39E+10", "1,39e+10", "8.61E12"])
def test_a_spreadsheets_exponent_is_recognised_and_explained(text):
    file = read(f'number;name\n"{text}";A\n5551234;B\n')
    assert numbers(file) == ["5551234"]
    assert "spreadsheet" in file.problems[0].reason
    assert "as text" in file.problems[0].reason


def test_gb18030_is_recognised_read_and_explained():
    file = read("号码,姓名,备注\n13900000001,王伟,下午打\n13900000002,李娜,\n", encoding="gb18030")
    assert [row.name for row in file.rows] == ["王伟", "李娜"]
    assert file.rows[0].note == "下午打"
    assert "GB18030" in file.remarks[0]
    assert "iconv" in file.remarks[0]


def test_bytes_of_no_known_encoding_cost_names_and_no_numbers():
    file = read_queue(b"number,name\n5551234,Ren\xe9e\n5551235,Bj\xf6rn\xff\n")
    assert numbers(file) == ["5551234", "5551235"]
    assert "not UTF-8" in str(file.problems[0])
    assert "line 2" in str(file.problems[0])


def test_utf_16_from_a_spreadsheet_is_read():
    file = read("number\tname\n5551234\t王伟\n", encoding="utf-16")
    assert file.rows[0].name == "王伟"
    assert "UTF-16" in file.remarks[0]


@pytest.mark.parametrize("magic", [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0rest"])
def test_a_spreadsheet_itself_is_named_as_such(magic):
    with pytest.raises(QueueError, match="save it as CSV UTF-8"):
        read_queue(magic)


def test_duplicates_are_reported_with_the_line_of_the_first_however_they_are_written():
    file = read("139 0000 0001\n+8613900000002\n+86 139-0000-0001\n13900000001\n", "cn")
    assert [row.key for row in file.rows] == ["+8613900000001", "+8613900000002"]
    assert [(d.row.line, d.first) for d in file.duplicates] == [(3, 1), (4, 1)]
    assert "line 1" in str(file.duplicates[0])
    kept = [row.number for row in file.new_rows(skip_duplicates=False)]
    assert kept == ["13900000001", "+8613900000002", "+8613900000001", "13900000001"]
    assert len(file.new_rows()) == 2


def test_full_width_digits_and_separators_are_numbers_too():
    file = read("+86 (0)139.0000.0001\n13900000002\n'13900000003\ntel:+8613900000004\n(020)-555/1234\n")
    assert numbers(file) == ["+8613900000001", "13900000002", "13900000003", "+8613900000004", "0205551234"]


def test_nul_bytes_are_left_out_and_said():
    file = read("number,name\n555\x001234,A\x00nn\n")
    assert (file.rows[0].number, file.rows[0].name) == ("5551234", "Ann")
    assert "NUL" in file.remarks[0]


def test_quoted_cells_may_hold_separators_and_newlines_which_become_spaces():
    file = read('number,name,note\n5551234,"Wu, Li","first\nsecond"\n5551235,B,\n')
    assert (file.rows[0].name, file.rows[0].note) == ("Wu, Li", "first second")
    assert [row.line for row in file.rows] == [2, 4]


def test_a_quote_that_nothing_closes_costs_its_own_row_alone():
    file = read('number,name\n5551234,"Ann\n5551235,Bob\n5551236,Cat\n')
    assert numbers(file) == ["5551234", "5551235", "5551236"]


def test_a_huge_row_is_left_out_and_the_rest_read():
    file = read("number,name\n5551234," + "x" * 100_000 + "\n5551235,B\n")
    assert numbers(file) == ["5551235"]
    assert "longer than" in file.problems[0].reason


def test_long_names_are_cut_and_problems_counted_beyond_those_listed():
    file = read("number,name\n5551234," + "x" * 5000 + "\n" + "bad,row\n" * 1500)
    assert len(file.rows[0].name) == queue_csv.MAX_FIELD
    assert (len(file.problems), file.unlisted_problems) == (1000, 500)


def test_a_huge_file_is_refused_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(queue_csv, "MAX_BYTES", 1000)
    (tmp_path / "q.csv").write_bytes(b"5551234\n" * 1000)
    with pytest.raises(QueueError, match="larger than"):
        read_queue(tmp_path / "q.csv")


def test_more_rows_than_the_queue_takes_are_said(monkeypatch):
    monkeypatch.setattr(queue_csv, "MAX_ROWS", 10)
    file = read("".join(f"55512{i:02d}\n" for i in range(50)))
    assert len(file.rows) == 10
    assert "full" in file.problems[-1].reason


@pytest.mark.parametrize("data", [b"", b"\n\n", b"number,name\n", b"\xef\xbb\xbf", b"\0\0"])
def test_an_empty_file_is_one_sentence(data):
    with pytest.raises(QueueError, match="holds no rows"):
        read_queue(data)


def test_a_file_that_is_not_there_or_is_a_directory_is_one_sentence(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path, "bad\0name"):
        with pytest.raises(QueueError) as caught:
            read_queue(path)
        assert str(caught.value).endswith(".")


def good_or_explained(data: bytes, country: str) -> None:
    with contextlib.suppress(QueueError):
        file = read_queue(data, country)
        lines = data.replace(b"\r", b"\n").count(b"\n") + 1
        for row in file.rows:
            assert set(row.number) <= set("+*#0123456789")
            assert 1 <= row.line <= 2 * lines
            assert "\n" not in row.name
            assert len(row.name) <= queue_csv.MAX_FIELD


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", "cn", "us", "zz"]))
def test_no_bytes_whatever_raise_anything_but_a_queue_error(data, country):
    good_or_explained(data, country)


cells = st.sampled_from(
    ["number", "name", "13900000001", "+86 139", "1.39E+10", '"', '""', "\x00", "\n", "\r\n", ",", ";", "\t",
     "王", "'", "+", "*70", "tel:", "\ufeff", "１３９", "a" * 200, "=cmd()", "\x1b[2J", "\u202e"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(cells, max_size=40), st.sampled_from(["utf-8", "gb18030", "utf-16", "latin-1"]))
def test_no_mixture_of_csv_pieces_raises_anything_but_a_queue_error(pieces, encoding):
    good_or_explained("".join(pieces).encode(encoding, "replace"), "cn")


def test_a_row_may_be_listened_to_in_a_way_of_its_own():
    file = read_queue(
        b"number,da2_param_stoptone,max_time,da2_param_unknown\n"
        b"5551234,ringback busy,30,x\n5551235,,,\n5551236,beeps,,\n"
    )
    own, none = file.new_rows()
    assert (own.options, none.options) == ({"stop_on": "ringback busy", "max_time": "30"}, {})
    unknown, problem = file.problems
    assert (unknown.line, "da2_param_unknown" in unknown.reason) == (1, True)
    assert problem.line == 4
    assert "stop_on = 'beeps'" in problem.reason


def test_a_column_that_means_to_be_a_setting_and_is_none_is_told_with_its_line():
    file = read_queue(
        b"\nnumber,da2_param_stopton,stop_on,da2_param_stoptone,recording.nam,mood\n"
        b"5551234,busy,ringback,busy,x,y\n"
    )
    assert [(problem.line, problem.reason) for problem in file.problems] == [
        (2, "the column da2_param_stopton is no setting, and is left out; did you mean da2_param_stoptone?"),
        (2, "the column da2_param_stoptone sets stop_on again, and is left out"),
        (2, "the column recording.nam is no setting, and is left out; did you mean recording.name?"),
    ]
    assert file.rows[0].options == {"stop_on": "ringback"}
