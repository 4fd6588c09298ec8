"""The client's end of the wire, against the real server and against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control.client import ControlClient, ControlError
from engine.control.framing import encode
from engine.control.messages import Bye, Hello, LogLine, Pause, QueuePage, QueueRows, Snapshot
from engine.control.server import Outcome


async def test_commands_get_their_replies_and_events_arrive_in_order(server, engine):
    client = await ControlClient.connect(server.path)
    assert client.hello.version == "0.1.0"
    assert (await client.send(Pause())).ok
    reply = await client.send(QueuePage(offset=0, limit=10))
    assert reply.rows == QueueRows(offset=0, total=3, rows=[])
    for i in range(5):
        server.publish(LogLine(at=float(i), level="info", text=str(i)))
    events = client.events()
    assert isinstance(await anext(events), Snapshot)
    assert [(await anext(events)).text for _ in range(5)] == list("01234")
    await client.close()


async def test_a_refusal_is_a_reply_and_no_exception(server, engine):
    async def answer(command) -> Outcome:
        return Outcome(error="There is no entry 5.")

    engine.answer = answer
    client = await ControlClient.connect(server.path)
    reply = await client.send(Pause())
    assert (reply.ok, reply.error) == (False, "There is no entry 5.")
    await client.close()


async def test_events_end_after_the_engines_bye(server):
    client = await ControlClient.connect(server.path)
    await server.close("shutdown")
    events = [event async for event in client.events()]
    assert events[-1] == Bye(reason="shutdown")
    with pytest.raises(ControlError, match="shutdown"):
        await client.send(Pause())
    await client.close()


async def test_closing_ends_the_events_and_refuses_later_commands(server):
    client = await ControlClient.connect(server.path)
    await client.close()
    assert [type(event) async for event in client.events()] in ([], [Snapshot])
    with pytest.raises(ControlError, match="closed"):
        await client.send(Pause())


async def test_no_engine_is_one_plain_sentence(tmp_path):
    with pytest.raises(ControlError, match="No engine is running"):
        await ControlClient.connect(tmp_path / "control.sock")


async def serve(path: Path, talk: Callable[[asyncio.StreamWriter], None]) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk(writer)
        await writer.drain()
        await reader.read(1)
        writer.close()

    return await asyncio.start_unix_server(connected, str(path))


async def test_another_version_of_the_wire_is_one_plain_sentence(tmp_path):
    hello = Hello(wire=99, version="9.0", pid=1234)
    async with await serve(tmp_path / "s", lambda w: w.write(encode(hello))):
        with pytest.raises(ControlError, match=r"process id 1234.*version 99.*version 1"):
            await ControlClient.connect(tmp_path / "s")


@pytest.mark.parametrize("data", [b"SSH-2.0\n", encode(LogLine(at=0, level="info", text="?"))])
async def test_something_that_is_no_engine_is_named_so(tmp_path, data):
    async with await serve(tmp_path / "s", lambda w: w.write(data)):
        with pytest.raises(ControlError):
            await ControlClient.connect(tmp_path / "s")


async def test_events_and_fields_of_a_newer_engine_are_passed_over(tmp_path):
    def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(encode(Hello(wire=1, version="1", pid=1)))
        writer.write(b'{"type":"hologram","at":1}\n')
        writer.write(b'{"type":"log","at":1,"level":"info","text":"new","colour":"red"}\n')

    async with await serve(tmp_path / "s", talk):
        client = await ControlClient.connect(tmp_path / "s")
        assert await anext(client.events()) == LogLine(at=1, level="info", text="new")
        await client.close()


async def test_an_engine_that_vanishes_fails_what_waits(tmp_path):
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(Hello(wire=1, version="1", pid=1)))
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(connected, str(tmp_path / "s")):
        client = await ControlClient.connect(tmp_path / "s")
        with pytest.raises(ControlError, match="went away"):
            await client.send(Pause())
        with pytest.raises(ControlError, match="went away"):
            await anext(client.events())
        await client.close()
