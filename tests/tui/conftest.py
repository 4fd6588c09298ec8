"""Fixtures: an engine on a socket of its own, and a clock that stands still."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from console_harness import Clock
from fake_engine import FakeEngine


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="offhook") as directory:
        yield Path(directory) / "s"


@pytest.fixture
async def engine(socket_path: Path) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(socket_path)
    await engine.start()
    yield engine
    with contextlib.suppress(Exception):
        await asyncio.wait_for(engine.close(), 5)


@pytest.fixture
def clock() -> Clock:
    return Clock()
