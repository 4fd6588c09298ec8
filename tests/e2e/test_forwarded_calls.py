"""Calls that come in and go on to a number: what its callee says is what the caller is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from raw_trunk import RawTrunk, sdp, udp_port
from rig import RATE, Bench, Driver

from engine.control import messages
from engine.samples.edit import add_all, check_sound
from engine.samples.starter import say, spoken

Drive = Callable[[], Awaitable[Driver]]
NUMBERS = """
[[users]]
name = "1002"
password = "p2"
[[users]]
name = "1003"
password = "p3"
[numbers.5550009]
voice = 5
[numbers.5550301]
early = "busy"
[numbers.5550302]
refuse = 404
[numbers.5550303]
early = "ringback"
answer_after = 1.5
voice = 11
[numbers.5550304]
early = "announcement"
announces = 3
language = "en"
"""
FORWARD = '{"1001"="5550301","1002"="5550302","1003"="5550303"}'


async def call(bench: Bench, to: str) -> None:
    await asyncio.to_thread(bench.carrier.wait, "registered", user=to)
    bench.carrier.order("call", **{"from": "5550009", "to": to})


async def told(bench: Bench, event: str, number: str = "5550009", **fields: str) -> dict[str, Any]:
    return await asyncio.to_thread(bench.carrier.wait, event, number=number, **fields)


def loud(samples: np.ndarray) -> float:
    """Seconds in which anything is to be heard."""
    return float((abs(samples) > 300).sum()) / RATE


async def test_the_caller_gets_the_final_response_that_the_callees_side_means(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(
        f"sip.forward={FORWARD}", *(
            f"trunks.{name}.{key}={value}"
            for name, user in (("b", "1002"), ("c", "1003"))
            for key, value in (("server", carrier.sip), ("username", user), ("password", f"p{user[-1]}"))
        ),
    )  # fmt: skip
    driver = await drive()
    await call(bench, "1001")
    refused = await told(bench, "refused", by="phone")
    assert refused["code"] == 486
    assert [e["code"] for e in carrier.events if e["event"] == "ringing" and e["number"] == "5550009"] == [
        180, 183,
    ]  # fmt: skip
    await told(bench, "cancel", "5550301", by="phone")
    await told(bench, "recording")
    assert loud(bench.recording("5550009").received) > 0.5, "the caller heard the busy tone"
    roles = {e.role: e for e in driver.seen if isinstance(e, messages.Leg)}
    assert roles["inbound"].forwarded_to == "5550301"
    assert roles["forwarded"].number == "5550301"
    heard = {e.leg: e.hearing for e in driver.seen if isinstance(e, messages.Listened)}
    assert {each.result for each in heard.values()} == {"busy"}
    assert set(heard) == {roles["inbound"].id, roles["forwarded"].id}
    await call(bench, "1002")
    assert (await told(bench, "refused", code=404, by="phone"))["reason"]
    await call(bench, "1003")
    await told(bench, "answered", "5550303")
    await told(bench, "answered")
    await asyncio.sleep(0)
    await driver.until(
        messages.Leg, lambda e: e.role == "inbound" and e.state == "answered" and bool(e.bridged_to)
    )
    await asyncio.sleep(1.0)  # they talk
    carrier.order("hangup", number="5550303")
    await told(bench, "bye", by="phone")
    await told(bench, "recording", "5550303")
    assert loud(bench.recording("5550303").received) > 0.4


async def test_a_refusal_goes_back_with_its_cause_and_our_own_call_goes_no_second_round(
    bench: Bench,
) -> None:
    trunk = await RawTrunk.open()
    with udp_port() as free:
        ours: tuple[str, int] = free.getsockname()
    try:
        bench.start_engine(
            f"trunk.server={trunk.address}", "trunk.register=false", f"sip.listen={ours[0]}:{ours[1]}",
            'sip.forward={"1001"="2125550101"}', "trunk.country=us", "trunk.caller_ids=['+12125550177']",
        )
        trunk.engine = ours
        trunk.invite("2125550199", sdp(40000))
        onward = await trunk.next("INVITE")
        assert onward.number == "2125550101"
        trunk.invite("2125550198", sdp(40002))  # dialer.max_channels is 1
        assert await trunk.next(code=486, Call_ID="from-2125550198")
        trunk.reply(onward, 404, "", "far", "Reason: Q.850;cause=1")
        final = await trunk.next(code=404, Call_ID="from-2125550199")
        assert final.header("Reason") == "Q.850;cause=1"
        for ourselves in ("1001", "+12125550177", "2125550177"):
            trunk.invite(ourselves, sdp(40000))
            assert await trunk.next(code=482, Call_ID=f"from-{ourselves}")
    finally:
        trunk.close()


async def test_nobody_is_called_outside_their_calling_hours_for_a_caller(bench: Bench) -> None:
    trunk = await RawTrunk.open()
    with udp_port() as free:
        ours: tuple[str, int] = free.getsockname()
    hour = (datetime.now(ZoneInfo("America/New_York")).hour + 6) % 24
    try:
        bench.start_engine(
            f"trunk.server={trunk.address}", "trunk.register=false", f"sip.listen={ours[0]}:{ours[1]}",
            "compliance.loopback_exempt=false", f"compliance.calling_hours={hour:02}:00-{hour:02}:30",
            'sip.forward={"1001"="2125550101"}', "trunk.country=us",
        )
        trunk.engine = ours
        trunk.invite("2125550199", sdp(40000))
        assert await trunk.next(code=403, Call_ID="from-2125550199")
    finally:
        trunk.close()


@pytest.mark.slow
async def test_a_caller_who_gives_up_ends_the_call_that_was_placed_for_them(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine('sip.forward={"*"="5550303"}')
    driver = await drive()
    await call(bench, "1001")
    ringing = await driver.until(messages.Leg, lambda e: e.role == "inbound")
    reply = await driver.client.send(messages.Answer(leg=ringing.id))
    assert "5550303" in reply.error, "it is not the operator's to answer"
    carrier.order("hangup", number="5550009")
    await told(bench, "cancel", "5550303", by="phone")
    await driver.until(messages.Leg, lambda e: e.role == "forwarded" and e.state == "ended")
    assert not [e for e in driver.seen if isinstance(e, messages.LogLine) and "missed" in e.text]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_an_announcement_before_the_answer_is_the_callers_final_response(
    bench: Bench, drive: Drive
) -> None:
    samples = bench.folder / "samples"
    add_all(samples, [
        (check_sound(say(each.sample.brief, each.voice), each.sample.uniqueid), each.sample)
        for each in spoken() if (each.sample.category, each.sample.language) == (3, "en")
    ])  # fmt: skip
    bench.start_carrier(NUMBERS)
    bench.start_engine('sip.forward={"1001"="5550304"}', f"detection.samples={samples}")
    driver = await drive()
    await call(bench, "1001")
    refused = await told(bench, "refused", by="phone")
    assert (refused["code"], refused["reason"]) == (433, "does not exist")
    await told(bench, "cancel", "5550304", by="phone")
    heard = await driver.until(messages.Listened)
    assert (heard.hearing.category, heard.hearing.result) == (3, "does not exist")
