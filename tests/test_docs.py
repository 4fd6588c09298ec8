"""The pages in docs/ tell what is there: tests that exist, links that lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from engine.config import Detection

ROOT = Path(__file__).parents[1]
SIGNALLING = (ROOT / "docs" / "signalling.md").read_text("utf-8")
DETECTION = (ROOT / "docs" / "detection.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def names(file: Path) -> set[str]:
    """Every test and class of tests in a file, as pytest names them."""
    found = {""}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                found.add(f"{prefix}::{node.name}")
                walk(node.body, f"{prefix}::{node.name}")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(f"{prefix}::{node.name}")

    walk(ast.parse(file.read_text("utf-8")).body, "")
    return found


def test_every_behaviour_names_tests_that_exist() -> None:
    rows = [line.split(" | ") for line in SIGNALLING.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] != "| Behaviour"]
    assert len(rows) > 60
    for behaviour, rfc, tests in rows:
        assert re.fullmatch(r"–|\d{4}[\d., ;]*", rfc), f"{behaviour}: {rfc}"
        shown = re.findall(r"`(\S+)`", tests)
        assert shown, behaviour
        for test in shown:
            path, colons, name = test.partition("::")
            file = ROOT / (path if "/" in path else f"tests/sip/{path}")
            assert file.is_file(), f"{behaviour}: {test}"
            assert f"{colons}{name}" in names(file), f"{behaviour}: {test}"


def test_every_row_about_hearing_names_tests_that_exist() -> None:
    rows = [line for line in DETECTION.splitlines() if line.startswith("| ") and "Shown by" not in line]
    assert len(rows) > 70
    for row in rows:
        shown = re.findall(r"`([\w/]+\.py::\w+(?:::\w+)?)`", row.rsplit(" | ", 1)[1])
        assert shown, row
        for test in shown:
            path, colons, name = test.partition("::")
            file = ROOT / "tests" / path
            assert file.is_file(), test
            assert f"{colons}{name}" in names(file), test


def test_every_key_of_detection_is_on_its_page() -> None:
    for field in msgspec.structs.fields(Detection):
        assert f"`{field.name}`" in DETECTION or f"detection.{field.name}`" in DETECTION, field.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8")):
        assert ":" in target or (page.parent / target).exists(), target
