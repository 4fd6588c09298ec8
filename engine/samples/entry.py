"""The TOML beside a sample: what it is, in mod_da2's words."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli

from engine.detect.categories import CATEGORIES, Category, by_word
from engine.detect.prints import Sample
from engine.text import safe

ACCURACIES = ("LOOSE", "INACCURACY", "ACCURACY")
KEYS = tuple(field.name for field in fields(Sample))
MAX_TEXT = 4000
MAX_BYTES = 65536


class FolderError(Exception):
    """A folder, or a file in it, that can't be used; the text is one plain sentence."""


def category_of(word: str | int) -> Category | None:
    """A category by id, alias or Chinese name; None for 0, no category. Raises FolderError."""
    text = str(word).strip()
    if text in ("", "0"):
        return None
    found = by_word(text)
    if found is None:
        known = ", ".join(f"{c.id} ({c.alias})" for c in CATEGORIES.values())
        raise FolderError(f"category {safe(text, 40)!r} is none of {known}")
    return found


def make(values: dict[str, Any], stem: str) -> Sample:
    """A sample of what a TOML file says; `stem` is its `uniqueid` where it says none. Raises FolderError."""
    for key, value in values.items():
        if key not in KEYS:
            raise FolderError(f"there is no key {safe(key, 40)!r}; the keys are {', '.join(KEYS)}")
        if key == "category" and isinstance(value, int) and not isinstance(value, bool):
            continue
        if not isinstance(value, str):
            raise FolderError(f"{key} = {safe(str(value), 40)}: text in quotes is needed")
        if len(value) > MAX_TEXT:
            raise FolderError(f"{key} is longer than {MAX_TEXT} characters")
    accuracy = values.get("accuracy", "ACCURACY")
    if accuracy not in ACCURACIES:
        raise FolderError(f"accuracy = {safe(accuracy, 40)!r} is none of {', '.join(ACCURACIES)}")
    category = category_of(values.get("category", 0))
    texts = {key: str(values.get(key, "")) for key in KEYS if key != "category"}
    texts["uniqueid"] = texts["uniqueid"] or stem
    if category is not None:
        texts["name"] = texts["name"] or category.name
        texts["alias"] = texts["alias"] or category.alias
    texts["accuracy"] = accuracy
    return Sample(category=category.id if category is not None else 0, **texts)


def read_entry(audio: Path) -> Sample:
    """What a sample is, by the TOML beside its audio; one without any is known by its name alone.
    Raises FolderError."""
    beside = audio.with_suffix(".toml")
    try:
        with beside.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        text = b""
    except OSError as error:
        raise FolderError(f"{beside} can't be read: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise FolderError(f"{beside} is longer than {MAX_BYTES} bytes")
    try:
        return make(tomli.loads(text.decode("utf-8")), audio.stem)
    except (tomli.TOMLDecodeError, UnicodeDecodeError, FolderError) as error:
        raise FolderError(f"{beside}: {error}") from None


def dump(sample: Sample) -> str:
    """A sample as TOML; what is empty is left out. JSON's strings are TOML's, but for a delete character."""
    lines = []
    for key in KEYS:
        value = getattr(sample, key)
        if value:
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


def write_whole(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all, even when the machine stops meanwhile."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
