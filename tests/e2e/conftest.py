from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from rig import Bench, Driver

from engine.control.client import ControlClient


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("b"))
    yield made
    made.close()


@pytest.fixture
async def drive(bench: Bench) -> AsyncIterator[Callable[[], Any]]:
    drivers: list[Driver] = []

    async def connect() -> Driver:
        drivers.append(Driver(await ControlClient.connect(bench.socket)))
        return drivers[-1]

    yield connect
    for driver in drivers:
        await driver.close()
