"""docs/wire.md is what the message types say."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from engine.control import docs
from engine.control.messages import Command, Event, Struct

PAGE = Path(docs.__file__).parents[2] / "docs" / "wire.md"
TEXT = docs.page()


def test_the_page_is_up_to_date():
    hint = "run: python -m engine.control.docs > docs/wire.md"
    assert PAGE.read_text("utf-8") == TEXT, hint


@pytest.mark.parametrize("kind", [*get_args(Command), *get_args(Event)], ids=lambda k: k.__name__)
def test_every_message_is_described(kind):
    assert kind.__doc__, f"{kind.__name__} has no docstring"
    section = TEXT.split(f"### `{kind.__struct_config__.tag}`\n")[1].split("### ")[0]
    for field in msgspec.structs.fields(kind):
        assert f"`{field.encode_name}`" in section


def test_commands_refuse_fields_that_they_do_not_know_and_events_do_not():
    assert all(issubclass(kind, Struct) for kind in get_args(Command))
    assert not any(kind.__struct_config__.forbid_unknown_fields for kind in get_args(Event))
