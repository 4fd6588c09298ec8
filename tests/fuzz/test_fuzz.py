"""A run of the fuzz target: short among the fast tests, a minute among all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")
TARGET = Path(__file__).parent / "fuzz_message.py"


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_nothing_that_comes_breaks_a_parser(seconds: int) -> None:
    ran = subprocess.run(
        [sys.executable, str(TARGET), str(seconds)], capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    units = re.search(r"number_of_executed_units:\s*(\d+)", ran.stderr)
    assert units is not None, ran.stderr[-4000:]
    assert int(units[1]) > 500
