"""A key pressed on one side of a bridge reaches the other in the way that it takes, whichever way it came."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from raw_trunk import RawTrunk, sdp, udp_port
from rig import Bench, Driver

from engine.control import messages
from engine.detect.dtmf import DtmfDetector
from engine.media import codec
from engine.media.clip import key_clip
from engine.media.dtmf import EVENTS

Drive = Callable[[], Awaitable[Driver]]
QUIET = codec.SILENCE["PCMA"]


class Phone:
    """An RTP end that sends a packet every 20 ms: silence, or what it is told to send."""

    def __init__(self) -> None:
        self.sock: socket.socket = udp_port()
        self.to: tuple[str, int] | None = None
        self.events: list[tuple[int, int]] = []
        """Telephone-events received: key and timestamp."""
        self.tones = ""
        """Keys heard in the audio."""
        self._detector = DtmfDetector()
        self._waiting: deque[tuple[int, bytes, int]] = deque()  # payload type, payload, ticks since the first
        self._new = asyncio.Event()
        self._task = asyncio.create_task(self._send())
        asyncio.get_running_loop().add_reader(self.sock, self._take)

    def sdp(self, event: bool) -> str:
        text = sdp(self.sock.getsockname()[1])
        if event:
            text = text.replace("RTP/AVP 8", "RTP/AVP 8 101") + "a=rtpmap:101 telephone-event/8000\r\n"
        return text

    def press(self, digit: str) -> None:
        """By telephone-event."""
        for n in range(8):
            duration = min(n + 1, 6) * 160
            payload = struct.pack("!BBH", EVENTS.index(digit), 0x8A if n >= 5 else 10, duration)
            self._waiting.append((101, payload, n))

    def sound(self, digit: str) -> None:
        """As tones."""
        pcm = key_clip(digit, 100, 100).pcm
        self._waiting.extend((8, codec.encode("PCMA", pcm[at : at + 160]), 0) for at in range(0, 1600, 160))

    async def until(self, heard: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not heard():
                self._new.clear()
                await self._new.wait()

    async def _send(self) -> None:
        loop, n = asyncio.get_running_loop(), 0
        begin = loop.time()
        while True:
            kind, payload, since = self._waiting.popleft() if self._waiting else (8, QUIET, 0)
            if self.to is not None:
                stamp = 160 * (n - since)
                self.sock.sendto(struct.pack("!BBHII", 0x80, kind, n & 0xFFFF, stamp, 7) + payload, self.to)
            n += 1
            await asyncio.sleep(max(0.0, begin + 0.02 * n - loop.time()))

    def _take(self) -> None:
        while True:
            try:
                data = self.sock.recv(2000)
            except OSError:
                break
            if data[1] & 0x7F == 101:
                event = data[12], struct.unpack_from("!I", data, 4)[0]
                if event not in self.events:
                    self.events.append(event)
            elif len(data) == 172:
                pcm = codec.decode("PCMA", data[12:]).astype(np.int16)
                self.tones += "".join(p.digit for p in self._detector.feed(pcm) if not p.over)
        self._new.set()

    def close(self) -> None:
        self._task.cancel()
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()


@pytest.fixture
async def trunk() -> AsyncIterator[RawTrunk]:
    made = await RawTrunk.open()
    yield made
    made.close()


@pytest.fixture
async def phones(trunk: RawTrunk) -> AsyncIterator[tuple[Phone, Phone]]:
    made = Phone(), Phone()
    yield made
    for phone in made:
        phone.close()


async def test_digits_go_from_each_side_to_the_other_in_its_own_way(
    bench: Bench, drive: Drive, trunk: RawTrunk, phones: tuple[Phone, Phone]
) -> None:
    """The agent's phone takes telephone-event, the callee's tones, and later it shows that it takes INFO."""
    agent, callee = phones
    bench.start_engine(
        f"trunk.server={trunk.address}", "trunk.register=false",
        "operator.mode=standing", "operator.agents=8001",
    )
    driver = await drive()
    await driver.send(messages.Dial(number="2125550101"))
    invite = await trunk.answer("8001", agent.sdp(True))
    agent.to = ("127.0.0.1", invite.rtp_port)
    invite = await trunk.answer("2125550101", callee.sdp(False))
    callee.to = ("127.0.0.1", invite.rtp_port)
    await driver.until(messages.Leg, lambda e: e.number == "2125550101" and bool(e.bridged_to))

    # telephone-event to tones, in a row
    agent.press("5")
    agent.press("5")
    agent.press("#")
    await callee.until(lambda: callee.tones == "55#")
    # tones are heard here too, and go on as they are
    callee.sound("7")
    digit = await driver.until(messages.Digit, lambda e: e.received and e.digit == "7")
    await agent.until(lambda: agent.tones == "7")
    # INFO to telephone-event
    trunk.request("INFO", invite, 9, "Signal=9\r\nDuration=120\r\n", kind="application/dtmf-relay")
    await agent.until(lambda: [key for key, _ in agent.events] == [9])
    # and, since it sends INFO, telephone-event to INFO
    agent.press("1")
    info = await trunk.next("INFO")
    assert "Signal=1" in info.body
    trunk.reply(info, 200)
    await driver.until(messages.Digit, lambda e: e.leg == digit.leg and not e.received and e.digit == "1")
    assert callee.tones == "55#"
    received = [e.digit for e in driver.seen if isinstance(e, messages.Digit) and e.received]
    assert received == ["5", "5", "#", "7", "9", "1"]


async def test_keys_pressed_during_the_wait_tone_are_kept_whichever_way_they_come(
    bench: Bench, drive: Drive, trunk: RawTrunk, phones: tuple[Phone, Phone]
) -> None:
    """By telephone-event, by INFO and as tones, one after the other and each once."""
    callee, _ = phones
    queue = bench.folder / "queue.csv"
    queue.write_text("number\n2125550101\n")
    bench.start_engine(
        f"trunk.server={trunk.address}", "trunk.register=false", "operator.accept_after=-1",
        "rtp.inband_dtmf=on", "dialer.autostart=true", queue=queue,
    )  # fmt: skip
    driver = await drive()
    invite = await trunk.answer("2125550101", callee.sdp(True))
    callee.to = ("127.0.0.1", invite.rtp_port)
    await driver.until(messages.Attempt, lambda a: a.state == "wait_tone")

    async def told(digit: str) -> None:
        await driver.until(messages.Digit, lambda e: e.received and e.digit == digit)

    callee.press("1")
    await told("1")
    trunk.request("INFO", invite, 9, "Signal=2\r\nDuration=120\r\n", kind="application/dtmf-relay")
    await told("2")
    callee.sound("3")
    await told("3")
    await driver.send(messages.Accept())
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    await driver.send(messages.Hangup())
    trunk.reply(await trunk.next("BYE"), 200)
    done = await driver.until(messages.AttemptDone)
    assert (done.digits, done.disposition) == ("123", "bridged")
