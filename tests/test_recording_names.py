"""Names of recordings: what a pattern may say, and that nobody's number or name leads anywhere else."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recording_names import FIELDS, PatternError, check, fill, finish

AT = datetime(2026, 3, 2, 9, 5, 7)
DEFAULT = "{date}/{time}-{number}-{leg}-{result}"


def named(pattern: str, result: str = "bridged", **facts: str) -> str:
    check(pattern)
    return finish(fill(pattern, facts, AT), result)


def test_date_number_id_and_result_are_filled_in() -> None:
    found = named(DEFAULT, number="+861012345678", leg="callee")
    assert found == "2026-03-02/090507-+861012345678-callee-bridged"
    assert named("{id}_{attempt} {trunk}", id="a1b2", attempt="17", trunk="trunk") == "a1b2_17 trunk"


def test_date_and_time_take_a_format_of_strftime() -> None:
    assert named("{date:%Y/%m/%d}/{time:%H.%M}-{id}", id="7") == "2026/03/02/09.05-7"


def test_a_name_that_is_not_known_yet_keeps_its_place() -> None:
    name = fill(DEFAULT, {"number": "{result}", "leg": "callee"}, AT)
    assert name == "2026-03-02/090507-result-callee-{result}"
    assert finish(name, "no_answer").endswith("-no_answer")


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("..", "none"),
        (".", "none"),
        ("", "none"),
        ("/etc/passwd", "etc_passwd"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a\0b\nc\x1b[2J", "a_b_c__2J"),
        ("Zoë 李雷", "Zoë_李雷"),
        ("Zoe\u0308", "Zoë"),
        ("a\u202etxt.exe", "a_txt.exe"),
        ("a\u2215b\uff0fc", "a_b_c"),
        ("{result}", "result"),
        ("%s*?\"<>|;$(reboot)`", "s_________reboot"),
        ("\ud800", "none"),
        ("5550001;isub=9@host", "5550001_isub_9@host"),
    ],
)
def test_what_came_from_outside_is_one_harmless_word(value: str, becomes: str) -> None:
    assert named("{name}", name=value) == becomes
    assert named("x/{name}/y", name=value) == f"x/{becomes}/y"


def test_very_long_values_are_cut_within_a_character() -> None:
    assert named("{name}", name="李" * 5000) == "李" * 26
    long = named("{name}{number}{agent}{campaign}-{result}", **dict.fromkeys(FIELDS[2:-1], "9" * 999))
    assert len(long.encode()) <= 200


@given(st.text(), st.text(), st.text())
def test_whatever_the_texts_are_the_file_stays_in_its_folder(number: str, name: str, result: str) -> None:
    made = finish(fill("{number}/{name}-{result}", {"number": number, "name": name}, AT), result)
    parts = made.split("/")
    assert len(parts) == 2
    folder = Path("/var/calls")
    assert os.path.normpath(folder / made) == str(folder / made)
    for part in parts:
        assert part
        assert part[0] not in ".-"
        assert part.isprintable()
        assert len(os.fsencode(part)) <= 200


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "1 to 200 characters"),
        ("x" * 201, "1 to 200 characters"),
        ("/var/{number}", "recording.folder"),
        ("~/{number}", "recording.folder"),
        ("../{number}", "begin with a dot"),
        ("a/../{number}", "begin with a dot"),
        ("a//{number}", "empty"),
        ("{number}/", "empty"),
        ("-{number}", "dash"),
        (".{number}", "dot"),
        ("{nummer}", "{nummer} is unknown; allowed: {date}, {time}, {number}"),
        ("{}", "is unknown"),
        ("{number", "every { needs its }"),
        ("number}", "every { needs its }"),
        ("{{number}}", "further braces"),
        ("{number!r}", "take a format"),
        ("{number:>9}", "take a format"),
        ("{number.__class__}", "is unknown"),
        ("{date:%Q}", "strftime"),
        ("a\0b", "printable"),
        ("a\\b", "backslash"),
        ("{date:%Y/../%m}", "begin with a dot"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_told_why(pattern: str, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        check(pattern)
    assert said in str(caught.value)
