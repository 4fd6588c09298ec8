from __future__ import annotations

import pytest
from charts import Chart


@pytest.fixture
def chart() -> Chart:
    return Chart()
