from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from charts import Chart
from peers import Sipp


@pytest.fixture
def chart() -> Chart:
    return Chart()


@pytest.fixture
def sipp(tmp_path: Path) -> Iterator[Sipp]:
    made = Sipp(tmp_path)
    yield made
    made.close()
