"""Calls with baresip, a SIP stack of another's making, and their audio: every codec, SRTP, packet length."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from baresip import Baresip, BaresipError, baresip, installed, write_tone

from engine.legs import LegState
from engine.media.engine import MediaEngine
from engine.media.network import rtcp_session
from engine.media.orders import DigitReceived, DigitsSent, Fact, SendDigits
from engine.media.plane import MediaPlane
from engine.sip.account import Account
from engine.sip.call import Call
from engine.sip.phone import Phone

WAIT_S = 10
F = TypeVar("F")


class Talking:
    """A phone of ours with a real media thread, and the far end that is its trunk."""

    def __init__(self, phone: Phone, media: MediaEngine, far: Baresip, facts: queue.Queue[Fact]) -> None:
        self.phone, self.media, self.far, self.facts = phone, media, far, facts
        self.changed = asyncio.Event()
        self.inbound: list[Call] = []
        phone.on_call_change = lambda call: self.changed.set()
        phone.on_inbound = self._rings

    def _rings(self, call: Call) -> None:
        self.inbound.append(call)
        self.changed.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def call(self) -> Call:
        """A call of ours that is up."""
        call = self.phone.dial("far")
        await self.until(lambda: call.progress in (LegState.ANSWERED, LegState.ENDED))
        assert call.progress is LegState.ANSWERED, call.cause
        return call

    async def called(self) -> Call:
        """A call of baresip's that is up."""
        host, port = self.phone.listening[:2]
        await asyncio.to_thread(self.far.command, "dial", f"sip:1001@{host}:{port}")
        await self.until(lambda: self.inbound)
        call = self.inbound[-1]
        call.accept()
        await asyncio.to_thread(self.far.event, "CALL_ESTABLISHED")
        return call

    async def fact(self, kind: type[F]) -> F:
        """The next fact of a kind."""

        def wait() -> F:
            while True:
                found = self.facts.get(timeout=WAIT_S)
                if isinstance(found, kind):
                    return found

        return await asyncio.to_thread(wait)

    async def echo_of(self, call: Call, hz: float) -> float:
        """Speak a tone; the frequency of what comes back."""
        t = np.arange(8000 * 4) / 8000
        tone = (128 + 60 * np.sin(2 * np.pi * hz * t)).astype(np.uint8).tobytes()
        stream = self.media.stream(call.stream)
        assert stream is not None
        stream.write(tone)
        return await self.hears(call, hz)

    async def hears(self, call: Call, hz: float) -> float:
        """The frequency of what comes, once it is the expected one or after 3.2 s."""
        stream = self.media.stream(call.stream)
        assert stream is not None
        stream.read(0, blocking=False)
        for _ in range(8):
            reading = asyncio.create_task(asyncio.to_thread(stream.read, 3200, True))
            if not (await asyncio.wait({reading}, timeout=WAIT_S))[0]:
                stream.stop()  # ends the read, which waits for packets
                pytest.fail("baresip sends no audio")
            heard = await reading
            pcm = np.frombuffer(heard, np.uint8).astype(float) - 128
            strongest = np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * 8000 / len(pcm)
            if pcm.std() > 10 and abs(strongest - hz) < 5:
                break
        return float(strongest)


@pytest.fixture
def _needs_baresip() -> None:
    if not installed():
        if os.environ.get("CI"):
            pytest.fail("baresip is missing; CI must have it (Debian's package baresip)")
        pytest.skip("baresip is missing (Debian's package baresip)")


@contextlib.asynccontextmanager
async def talking(
    folder: Path,
    account: str,
    *,
    host: str = "127.0.0.1",
    modules: tuple[str, ...] = ("g711",),
    tone: bool = False,
    settings: tuple[str, ...] = (),
    **ours: Any,
) -> AsyncIterator[Talking]:
    """Its account's parameters, and fields of ours. It plays a tone of 440 Hz in place of an echo: calls of
    its own open its loop too early to echo.
    """
    where = f"[{host}]" if ":" in host else host
    facts: queue.Queue[Fact] = queue.Queue()
    line = f"<sip:far@{where}>;regint=0;answermode=auto;{account}"
    with _running(folder, line, modules, host, tone, settings) as far:
        media = MediaEngine(facts.put)
        media.start()
        trunk = Account(host, far.port, username="1001", register=False, **ours)
        plane = MediaPlane(media, host, 28000, 28999)
        phone = Phone(host, far.port, "1001", "", host, None, 0, account=trunk, media=plane)
        await phone.open()
        try:
            yield Talking(phone, media, far, facts)
        finally:
            await phone.close()
            media.stop()


@contextlib.contextmanager
def _running(
    folder: Path, account: str, modules: tuple[str, ...], host: str, tone: bool, settings: tuple[str, ...]
) -> Iterator[Baresip]:
    more: dict[str, Any] = {"settings": settings}
    if tone:
        write_tone(folder / "tone.wav", seconds=8)
        more = {"source": f"aufile,{folder / 'tone.wav'}", "settings": [*settings, "ausrc_srate 8000"]}
    try:
        with baresip(folder, account, modules=modules, host=host, **more) as far:
            yield far
    except BaresipError as error:
        pytest.fail(str(error))


pytestmark = pytest.mark.usefixtures("_needs_baresip")


@pytest.mark.parametrize(
    ("codec", "theirs", "module"),
    [("PCMU", "pcmu", "g711"), ("PCMA", "pcma", "g711"), ("G722", "g722", "g722"), ("opus", "opus", "opus")],
)
async def test_a_tone_goes_there_and_back_in_every_codec(
    tmp_path: Path, codec: str, theirs: str, module: str
) -> None:
    async with talking(tmp_path, f"audio_codecs={theirs}", modules=(module,), codecs=(codec,)) as pair:
        call = await pair.call()
        assert call.negotiated is not None
        assert [name for name, _ in call.negotiated.codecs] == [codec]
        assert await pair.echo_of(call, 440) == pytest.approx(440, abs=3)


@pytest.mark.parametrize(("ours", "theirs"), [("required", "srtp-mand"), ("preferred", "srtp")])
@pytest.mark.parametrize("caller", ["we call", "baresip calls"])
async def test_the_audio_is_encrypted_where_both_want_it(
    tmp_path: Path, ours: str, theirs: str, caller: str
) -> None:
    """RFC 4568, 5.1; required under RTP/SAVP, preferred beside RTP/AVP."""
    called = caller == "baresip calls"
    modules = ("g711", "srtp")
    async with talking(tmp_path, f"mediaenc={theirs}", modules=modules, srtp=ours, tone=called) as pair:
        call = await (pair.called() if called else pair.call())
        assert call.negotiated is not None
        assert call.negotiated.keys is not None
        heard = await (pair.hears(call, 440) if called else pair.echo_of(call, 440))
        assert heard == pytest.approx(440, abs=3)
        stream = pair.media.stream(call.stream)
        assert stream is not None
        assert stream.inbound.encrypted
        assert stream.inbound.discards in ({}, {"srtp": 1})  # one may come before the answer with its key


async def test_a_far_end_that_demands_encryption_gets_none_where_it_is_off(tmp_path: Path) -> None:
    async with talking(tmp_path, "mediaenc=srtp-mand", modules=("g711", "srtp")) as pair:
        call = pair.phone.dial("far")
        await pair.until(lambda: call.progress is LegState.ENDED)
        assert call.cause is not None
        assert call.cause.sip_code == 488 or "SRTP" in call.cause.reason


async def test_a_far_end_without_encryption_is_refused_where_it_is_required(tmp_path: Path) -> None:
    async with talking(tmp_path, "", srtp="required") as pair:
        call = pair.phone.dial("far")
        await pair.until(lambda: call.progress is LegState.ENDED)
        assert call.negotiated is None


@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60])
async def test_packets_of_every_length_are_understood_both_ways(tmp_path: Path, ptime_ms: int) -> None:
    """RFC 8866, 6.4."""
    async with talking(tmp_path, f"ptime={ptime_ms}", tone=True) as pair:
        call = await pair.called()
        assert call.negotiated is not None
        assert call.negotiated.ptime == ptime_ms
        assert await pair.hears(call, 440) == pytest.approx(440, abs=3)
        received = await asyncio.to_thread(pair.far.event, "CALL_RTPESTAB")
        assert received


@pytest.mark.parametrize(("codec", "theirs"), [("PCMA", "pcma"), ("opus", "opus")])
async def test_digits_go_both_ways(tmp_path: Path, codec: str, theirs: str) -> None:
    """RFC 4733; baresip names 8000 Hz for its events beside Opus too."""
    async with talking(
        tmp_path, f"audio_codecs={theirs}", modules=("g711", "opus"), codecs=("opus", "PCMA")
    ) as pair:
        call = await pair.call()
        assert call.negotiated is not None
        assert call.negotiated.codecs[0][0] == codec
        assert await pair.echo_of(call, 440) == pytest.approx(440, abs=3)
        pair.media.order(SendDigits(call.stream, "7", 120, 60))
        told = await asyncio.to_thread(pair.far.event, "CALL_DTMF_START")
        assert told["param"] == "7"
        await pair.fact(DigitsSent)
        await asyncio.to_thread(pair.far.command, "sndcode", "5")
        assert (await pair.fact(DigitReceived)).digit == "5"


async def test_multiplexed_rtcp_is_accepted_where_offered(tmp_path: Path) -> None:
    """RFC 5761, 5.1.1."""
    async with talking(tmp_path, "", tone=True, settings=("rtcp_mux yes",)) as pair:
        call = await pair.called()
        assert call.negotiated is not None
        assert call.negotiated.rtcp_mux
        assert await pair.hears(call, 440) == pytest.approx(440, abs=3)
        stream = pair.media.stream(call.stream)
        assert stream is not None
        assert stream.inbound.discards in ({}, {"srtp": 1})  # one may come before the answer with its key


async def test_a_call_over_ipv6(tmp_path: Path) -> None:
    """RFC 8866, 5.7: c=IN IP6."""
    async with talking(tmp_path, "", host="::1") as pair:
        call = await pair.call()
        assert call.negotiated is not None
        assert call.negotiated.host == "::1"
        assert await pair.echo_of(call, 440) == pytest.approx(440, abs=3)


async def test_each_side_holds_and_resumes(tmp_path: Path) -> None:
    """RFC 3261, 14; RFC 3264, 8.4. baresip's loop opens no more after a hold: it plays its tone."""
    async with talking(tmp_path, "", tone=True) as pair:
        call = await pair.call()
        call.hold(True)
        await pair.until(lambda: call.held)
        assert call.negotiated is not None
        assert call.negotiated.direction in ("sendonly", "inactive")
        call.hold(False)
        await pair.until(lambda: not call.held)
        assert call.negotiated.direction == "sendrecv"
        await asyncio.to_thread(pair.far.command, "hold")
        await pair.until(lambda: call.far_held)
        await asyncio.to_thread(pair.far.command, "resume")
        await pair.until(lambda: not call.far_held)
        assert call.reinvite_failed == ""
        assert await pair.hears(call, 440) == pytest.approx(440, abs=3)


@pytest.mark.slow
@pytest.mark.parametrize("mux", [False, True])
async def test_both_sides_learn_the_round_trip_and_what_arrives_by_rtcp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mux: bool
) -> None:
    """RFC 3550, 6.4, on the next port and on RTP's own (RFC 5761). baresip reports every five seconds."""
    monkeypatch.setattr(rtcp_session, "INTERVAL_S", 1.0)
    settings = ("rtcp_mux yes",) if mux else ()
    modules = ("g711", "rtcpsummary")
    async with talking(tmp_path, "", modules=modules, settings=settings, rtcp_mux=mux) as pair:
        call = await pair.call()
        assert call.negotiated is not None
        assert call.negotiated.rtcp_mux is mux
        stream = pair.media.stream(call.stream)
        assert stream is not None
        session = stream.control.session
        async with asyncio.timeout(30):
            while session.round_trip_s is None or session.received < 2:
                await asyncio.sleep(0.1)
        assert session.round_trip_s < 0.1
        assert (session.far_lost, session.far_fraction) == (0, 0)
        assert session.far_jitter_ms is not None
        assert session.far_jitter_ms < 20
        assert session.far_name
        assert stream.control.foreign == 0
        assert session.discarded <= 1  # its first is a lone APP that opens a NAT's port, no compound packet
        call.hangup_leg()
        await pair.until(lambda: call.progress is LegState.ENDED)
        log = next(tmp_path.glob("baresip-*")) / "log"
        async with asyncio.timeout(WAIT_S):
            while (summary := re.search(r"EX=BareSip;.*", log.read_text(errors="replace"))) is None:
                await asyncio.sleep(0.1)
    figures = dict(part.split("=", 1) for part in summary[0].split(";") if "=" in part)
    print(summary[0])
    assert figures["PL"].split(",") == ["0", "0"]  # lost: of ours and of its own
    assert float(figures["DL"]) < 100  # the round trip, in ms
