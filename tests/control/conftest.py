from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from engine.control.messages import Command, Counts, Flow, QueuePage, QueueRows, Snapshot, Sound, Trunk
from engine.control.server import ControlServer, Outcome

COUNTS = Counts(total=3, queued=3, active=0, done=0, interrupted=0, blocked=0)


class Engine:
    """A handler that writes down what it is told."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answer: Callable[[Command], Awaitable[Outcome]] | None = None

    async def handle(self, command: Command) -> Outcome:
        self.commands.append(command)
        if self.answer is not None:
            return await self.answer(command)
        if isinstance(command, QueuePage):
            return Outcome(rows=QueueRows(offset=command.offset, total=3, rows=[]))
        return Outcome()

    def snapshot(self) -> Snapshot:
        return Snapshot(
            at=1.0,
            trunk=Trunk(server="127.0.0.1", user="1001", state="registered"),
            sound=Sound(input="none", output="none"),
            flow=Flow(running=False, operator="headset", agents=[]),
            counts=COUNTS, legs=[], attempts=[], log=[],
        )


class Raw:
    """A bare connection: bytes down, JSON objects up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self) -> dict[str, object]:
        line = await asyncio.wait_for(self.reader.readline(), 10)
        return dict(json.loads(line))


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def server(engine: Engine, tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(tmp_path / "run" / "control.sock", engine, version="0.1.0")
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def raw(server: ControlServer) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_unix_connection(str(server.path), limit=1 << 22)
    connection = Raw(reader, writer)
    assert (await connection.read())["type"] == "hello"
    assert (await connection.read())["type"] == "snapshot"
    yield connection
    writer.close()
