"""What a hostile network sends: it is bounded, made visible, and disturbs no call."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from raw_trunk import RawTrunk, sdp, udp_port
from rig import Bench, Driver, udp_ports
from test_first_call import delay

from engine.control import messages
from engine.control.framing import encode

NUMBERS = """
[numbers.5550001]
answer_after = 0.3
voice = 3
[numbers.8001]
answer_after = 0.3
voice = 11
"""
COLD = ("operator.mode=cold", "operator.agents=8001")
NASTY = "\x1b[31mred\x07 [b]bold[/b] \u202egnp.exe\u200b \x9b2J"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
Drive = Callable[[], Awaitable[Driver]]


@pytest.fixture
async def trunk() -> AsyncIterator[RawTrunk]:
    opened = await RawTrunk.open()
    yield opened
    opened.close()


def start_at(bench: Bench, trunk: RawTrunk, *more: str) -> int:
    """An engine at this trunk, which does not ask it to register; its SIP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bench.start_engine(
        f"trunk.server={trunk.address}", "trunk.register=false", f"sip.listen=127.0.0.1:{port}", *COLD, *more
    )
    trunk.engine = ("127.0.0.1", port)
    return port


def invite(trunk: RawTrunk, call: str, body: str, display: str = "", extra: str = "") -> str:
    return (
        "INVITE sip:1001@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {trunk.address};rport;branch=z9hG4bK{call}\r\n"
        f'Max-Forwards: 70\r\nFrom: "{display}" <sip:5550009@{trunk.address}>;tag=far\r\n'
        f"To: <sip:1001@127.0.0.1>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:far@{trunk.address}>\r\n{extra}Content-Type: application/sdp\r\n"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    )


async def lives(trunk: RawTrunk, name: str) -> None:
    """The engine answers OPTIONS."""
    trunk.send(
        "OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {trunk.address};rport;branch=z9hG4bK{name}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:t@{trunk.address}>;tag=t\r\nTo: <sip:1001@127.0.0.1>\r\n"
        f"Call-ID: {name}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    await trunk.next(code=200, Call_ID=name)


async def test_control_characters_and_directions_never_reach_a_console(
    bench: Bench, drive: Drive, trunk: RawTrunk
) -> None:
    start_at(bench, trunk)
    driver = await drive()
    trunk.send(invite(trunk, "nasty", sdp(udp_port().getsockname()[1]), display=NASTY))
    ringing = await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")
    assert "[b]bold[/b]" in ringing.remote, "markup is for the console to escape"
    assert r"\x1b" in ringing.remote
    await driver.send(messages.Refuse(leg=ringing.id))

    await driver.send(messages.Dial(number="5550001"))
    asked = await trunk.next("INVITE")
    headers = "".join(f"{n}: {asked.header(n)}\r\n" for n in ("Via", "From", "Call-ID", "CSeq"))
    trunk.send(
        f"SIP/2.0 486 {NASTY}\r\n{headers}To: {asked.header('To')};tag=x\r\nContent-Length: 0\r\n\r\n"
    )
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "busy"
    assert r"\x1b" in done.reason
    await driver.send(messages.GetSnapshot())
    await driver.until(messages.Snapshot, lambda s: bool(s.counts.done))
    texts = [encode(event).decode() for event in driver.seen]
    assert len(texts) > 10
    for text in texts:
        assert not CONTROL.search(text.rstrip("\n")), text
        assert "\\u001b" not in text  # JSON's own way to say it
        assert "\\u0007" not in text


@pytest.mark.parametrize("size", [20_000, 65_000])
async def test_giant_messages_are_answered_or_dropped_and_hurt_nobody(
    bench: Bench, trunk: RawTrunk, size: int
) -> None:
    start_at(bench, trunk)
    port = udp_port().getsockname()[1]
    lines = "a=x:" + "y" * 60 + "\r\n"
    giant = sdp(port) + lines * ((size - 1500) // len(lines))
    began = time.monotonic()
    trunk.send(invite(trunk, "giant-body", giant))
    trunk.send(invite(trunk, "media-lines", sdp(port) + "m=audio 9 RTP/AVP 8\r\n" * ((size - 1500) // 21)))
    trunk.send(invite(trunk, "one-header", sdp(port), extra="X-Long: " + "z" * (size - 1000) + "\r\n"))
    trunk.send(invite(trunk, "many-headers", sdp(port), extra="X-A: b\r\n" * ((size - 1000) // 8)))
    trunk.send(invite(trunk, "deep", sdp(port), extra="Contact: " + "<" * (size - 1500) + "\r\n"))
    trunk.send(b"\x00" * size)
    await lives(trunk, f"after-{size}")
    assert time.monotonic() - began < 5
    for call in ("giant-body", "media-lines", "one-header", "many-headers", "deep"):
        codes = {m.code for m in trunk.heard if m.header("Call-ID") == call}
        assert codes <= {100, 180, 400, 413, 415, 486, 488, 503, 513}, (call, codes)


async def test_floods_at_both_ports_do_not_disturb_a_bridged_call(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    engine = bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    contact = carrier.wait("registered")["contacts"][0]
    sip = int(re.search(r"127\.0\.0\.1:(\d+)", contact)[1])  # type: ignore[index]
    rtp = udp_ports(engine.pid)
    assert len(rtp) == 4  # of two legs, RTP and RTCP
    start = time.monotonic() + 0.3
    await asyncio.to_thread(flood, [sip, *rtp])
    end = time.monotonic()
    assert end - start > 1
    told = await driver.until(messages.LogLine, lambda e: "faster than they are looked at" in e.text)
    assert told.level == "warning"
    assert await driver.until(messages.Trunk, lambda t: t.dropped > 0)
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    carrier.wait("recording", number="5550001")
    carrier.wait("recording", number="8001")
    callee, agent = bench.recording("5550001"), bench.recording("8001")
    for speaker, listener in ((callee, agent), (agent, callee)):
        third = (end - 0.5 - start) / 3
        # a machine that is busy with something else spoils one third, a flood that gets through all of them
        thirds = [delay(speaker, listener, start + n * third, start + (n + 1) * third) for n in range(3)]
        late, alike = (statistics.median(values) for values in zip(*thirds, strict=True))
        print(f"under the flood: delay {late * 1000:.1f} ms, likeness {alike:.3f}")
        assert alike > 0.9
        assert late < 0.1


def flood(ports: list[int], each: int = 10_000, seconds: float = 3.0) -> None:
    """Ten thousand datagrams at each port, from the trunk's address and from a stranger's: noise, things
    that look like RTP, and truncated SIP."""
    random.seed(5)
    shapes = [
        random.randbytes(200),
        b"\x80\x08" + random.randbytes(170),
        b"\x80\x65" + random.randbytes(14),
        b"BYE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK" + b"1" * 40 + b"\r\nTo: <",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"",
    ]
    senders = []
    for host in ("127.0.0.1", "127.0.0.2"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        senders.append(sock)
    began, rounds = time.monotonic(), 100
    for turn in range(rounds):
        for n in range(each // rounds):
            for port in ports:
                try:
                    senders[n % 2].sendto(shapes[(n + turn) % len(shapes)], ("127.0.0.1", port))
                except OSError:
                    pass
        time.sleep(max(0.0, began + (turn + 1) * seconds / rounds - time.monotonic()))
    for sock in senders:
        sock.close()


async def test_no_file_holds_the_password_or_what_is_computed_from_it(bench: Bench, drive: Drive) -> None:
    bench.start_carrier(NUMBERS)
    log, trace = bench.folder / "engine.log", bench.folder / "sip.trace"
    bench.start_engine(*COLD, "log.level=debug", f"log.file={log}", f"sip.trace_file={trace}")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    await driver.send(messages.Hangup())
    await driver.until(messages.AttemptDone)
    await driver.send(messages.Shutdown())
    assert await asyncio.to_thread(bench.engines[0].wait, 10) == 0
    traced = trace.read_text()
    assert "uthorization: Digest ***" in traced
    assert traced.count("REGISTER") >= 2
    assert log.stat().st_size
    files = [file for file in bench.folder.rglob("*") if file.is_file() and file.suffix != ".wav"]
    texts = [file.read_bytes() for file in files]
    texts += [encode(event) for event in driver.seen]
    secrets = re.compile(rb"demo pass|\bresponse\s*=\s*\\?\"?[0-9a-f]{32}")
    for text in texts:
        if b"[[users]]" not in text:  # the carrier's own list
            assert not secrets.search(text)
