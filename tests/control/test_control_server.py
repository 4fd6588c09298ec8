"""The engine's end of the wire, over a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.control import server as server_module
from engine.control.endpoint import Endpoint, EndpointError, EngineRunning
from engine.control.framing import TOO_LONG, BadRequest, Lines, decode_request
from engine.control.messages import MAX_LINE, Command, LogLine, Meter, Meters, Pause, Spectrum, StopAll
from engine.control.server import ControlServer, Outcome


def line(request: int, **command: object) -> bytes:
    return json.dumps({"id": request, "command": command}).encode() + b"\n"


async def test_the_engine_speaks_first_with_its_version_and_all_of_its_state(server):
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    hello = json.loads(await reader.readline())
    snapshot = json.loads(await reader.readline())
    writer.close()
    assert hello == {"type": "hello", "wire": 1, "version": "0.1.0", "pid": os.getpid()}
    assert snapshot["type"] == "snapshot"
    assert snapshot["trunk"]["user"] == "1001"


async def test_a_request_is_carried_out_and_answered_with_its_id(raw, engine):
    raw.write(line(7, type="pause"))
    assert await raw.read() == {
        "type": "reply", "id": 7, "ok": True, "error": "", "rows": None, "trace": None,
    }  # fmt: skip
    assert engine.commands == [Pause()]


@pytest.mark.parametrize(
    ("data", "request_id", "says"),
    [
        (b"hello\n", None, "not valid JSON"),
        (b"\xff\xfe\x00\n", None, "not valid JSON"),
        (b"[]\n", None, "no request"),
        (b"[" * 5000 + b"\n", None, ""),
        (b'{"id": 1}\n', 1, "command"),
        (line(2, type="explode"), 2, "explode"),
        (line(3, type="pause", force=True), 3, "force"),
        (line(4, type="skip", entry="first"), 4, "entry"),
        (line(5, type="dial"), 5, "number"),
        (b'{"id": 6, "id": "x", "command": {"type": "pause"}}\n', None, "id"),
    ],
)
async def test_what_is_no_request_gets_an_error_and_changes_nothing(raw, engine, data, request_id, says):
    raw.write(data + line(1000, type="pause"))
    refused, done = await raw.read(), await raw.read()
    assert (refused["type"], refused["id"], refused["ok"]) == ("reply", request_id, False)
    assert says in str(refused["error"])
    assert "\n" not in str(refused["error"])
    assert (done["id"], done["ok"]) == (1000, True)
    assert engine.commands == [Pause()]


async def test_a_line_too_long_is_refused_once_and_the_next_is_read(raw, engine, server):
    raw.write(b"x" * (2 * MAX_LINE + 5) + b"\n" + line(1, type="pause"))
    assert str(MAX_LINE) in str((await raw.read())["error"])
    assert (await raw.read())["id"] == 1
    assert server.malformed == 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 60))
def test_however_the_bytes_are_cut_the_lines_are_the_same(pieces, limit):
    data = b"\n".join(pieces)
    whole = list(Lines(limit).feed(data))
    lines = Lines(limit)
    bytewise = [found for i in range(len(data)) for found in lines.feed(data[i : i + 1])]
    assert whole == bytewise
    assert all(found is TOO_LONG or len(found) <= limit for found in whole)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(data):
    with contextlib.suppress(BadRequest):
        decode_request(data)


async def test_a_slow_command_does_not_hold_up_the_next(raw, engine):
    release = asyncio.Event()

    async def answer(command: Command) -> Outcome:
        if isinstance(command, Pause):
            await release.wait()
        return Outcome()

    engine.answer = answer
    raw.write(line(1, type="pause") + line(2, type="stop_all"))
    assert (await raw.read())["id"] == 2
    assert engine.commands == [Pause(), StopAll()]
    release.set()
    assert (await raw.read())["id"] == 1


async def test_a_command_that_fails_in_the_engine_is_a_reply_without_a_traceback(raw, engine):
    async def answer(command: Command) -> Outcome:
        raise ZeroDivisionError("secret")

    engine.answer = answer
    raw.write(line(1, type="pause"))
    reply = await raw.read()
    assert reply["ok"] is False
    assert "secret" not in str(reply["error"])
    assert "Pause" in str(reply["error"])


async def test_an_engine_that_cannot_tell_its_state_says_so(raw, engine, server, monkeypatch):
    def fails() -> None:
        raise KeyError("secret")

    monkeypatch.setattr(engine, "snapshot", fails)
    raw.write(line(1, type="get_snapshot"))
    assert "its log says how" in str((await raw.read())["error"])
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    assert [json.loads(x)["type"] for x in (await reader.read()).splitlines()] == ["hello", "bye"]
    writer.close()


async def test_meters_can_be_switched_off_for_a_connection(raw, server):
    raw.write(line(1, type="subscribe", meters=False))
    await raw.read()
    server.publish(Meters(at=1.0, legs={"a": Meter(received=-20, sent=-90)}))
    server.publish(LogLine(at=2.0, level="info", text="after"))
    assert (await raw.read())["type"] == "log"


async def test_a_spectrum_goes_only_to_who_looks_at_its_leg(raw, server):
    def spectrum(leg: str) -> Spectrum:
        return Spectrum(at=1.0, leg=leg, step_s=0.1, columns=["0" * 16])

    server.publish(spectrum("a"))
    assert server.looked_at == set()
    raw.write(line(1, type="look", leg="a"))
    assert (await raw.read())["ok"] is True
    assert server.looked_at == {"a"}
    server.publish(spectrum("b"))
    server.publish(spectrum("a"))
    assert (await raw.read())["leg"] == "a"
    raw.write(line(2, type="look"))
    await raw.read()
    assert server.looked_at == set()


async def test_who_is_gone_looks_at_nothing(server):
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    writer.write(line(1, type="look", leg="a"))
    while server.looked_at != {"a"}:
        await reader.readline()
    writer.close()
    while server.clients:
        await asyncio.sleep(0)
    assert server.looked_at == set()


async def test_a_new_snapshot_comes_before_the_reply_that_was_asked_for(raw):
    raw.write(line(1, type="get_snapshot"))
    assert (await raw.read())["type"] == "snapshot"
    assert (await raw.read())["id"] == 1


async def test_an_answer_too_long_for_a_line_says_so(raw, engine):
    async def answer(command: Command) -> Outcome:
        return Outcome(error="x" * MAX_LINE)

    engine.answer = answer
    raw.write(line(1, type="pause"))
    assert "fewer rows" in str((await raw.read())["error"])


async def test_who_does_not_read_loses_meters_then_the_connection_and_nobody_else_suffers(server, raw):
    reader, writer = await asyncio.open_unix_connection(str(server.path), limit=1 << 16)
    while server.clients < 2:
        await asyncio.sleep(0)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    big = LogLine(at=0.0, level="info", text="x" * 200_000)
    meters = Meters(at=0.0, legs={})
    sent = 0
    while not server.disconnected:
        server.publish(big)
        server.publish(meters)
        sent += 1
        assert sent < 100, "the slow client was never dropped"
        while (await raw.read())["type"] != "meters":
            pass
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    got = (await reader.read(-1)).splitlines()
    writer.close()
    assert b'"meters"' not in got[-2]
    assert sum(b'"meters"' in x for x in got) < sent
    server.publish(LogLine(at=3.0, level="info", text="still here"))
    assert (await raw.read())["text"] == "still here"


async def test_a_flood_of_requests_is_answered_in_full_without_piling_up(server, engine, raw):
    most = 0
    running = 0

    async def answer(command: Command) -> Outcome:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Outcome()

    engine.answer = answer
    raw.write(b"".join(line(i, type="pause") for i in range(3000)))
    seen = {(await raw.read())["id"] for _ in range(3000)}
    assert seen == set(range(3000))
    assert most <= server_module.MAX_RUNNING


async def test_too_many_consoles_are_told_so(server, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CLIENTS", 0)
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    assert json.loads(await reader.readline())["type"] == "bye"
    assert await reader.read() == b""
    writer.close()


async def test_ending_says_bye_and_removes_the_socket(server, raw):
    await server.close("shutdown was asked for")
    assert await raw.read() == {"type": "bye", "reason": "shutdown was asked for"}
    assert not server.path.exists()


async def test_the_socket_is_its_users_alone(server):
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700


async def test_a_second_engine_is_told_where_the_first_is(server, engine):
    with pytest.raises(EngineRunning) as caught:
        await ControlServer(server.path, engine, version="0.1.0").start()
    assert caught.value.pid == os.getpid()
    assert str(server.path) in str(caught.value)
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    assert json.loads(await reader.readline())["type"] == "hello"
    writer.close()


def test_the_socket_of_a_dead_engine_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    code = (
        "import sys, time; from pathlib import Path; from engine.control.endpoint import Endpoint\n"
        "e = Endpoint(Path(sys.argv[1])); e.take(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        with pytest.raises(EngineRunning) as caught:
            Endpoint(path).take()
        assert caught.value.pid == other.pid
        other.send_signal(signal.SIGKILL)
    assert path.exists()
    endpoint = Endpoint(path)
    endpoint.take()
    endpoint.release()


def test_a_listener_that_holds_no_lock_is_left_alone(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(EngineRunning):
            Endpoint(path).take()
    assert path.exists()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    with pytest.raises(EndpointError, match="not a socket"):
        Endpoint(path).take()
    assert path.read_text() == "precious"


def test_a_directory_open_to_others_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(EndpointError, match="chmod 700"):
        Endpoint(tmp_path / "open" / "control.sock").take()


def test_a_path_too_long_for_a_socket_is_one_sentence(tmp_path):
    with pytest.raises(EndpointError, match="107 bytes"):
        Endpoint(tmp_path / ("x" * 120)).take()


def test_a_directory_that_cannot_be_made_is_one_sentence():
    with pytest.raises(EndpointError, match=r"control\.socket"):
        Endpoint(Path("/proc/nowhere/control.sock")).take()
