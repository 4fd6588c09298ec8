"""What may happen at any moment: hang-ups, holds, stops and restarts, through the real engine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from raw_trunk import Message, RawTrunk, sdp, udp_port
from rig import Bench, Driver

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.3
[numbers.5550002]
[numbers.5550003]
answer_after = 0.3
hangup_after = 0.5
[numbers.5550004]
answer_after = 0.2
[numbers.8001]
answer_after = 0.5
voice = 11
one_call = true
[numbers.8002]
answer_after = 0.5
one_call = true
[numbers.8009]
"""
COLD = ("operator.mode=cold", "operator.agents=8001")
STANDING = ("operator.mode=standing", "operator.agents=8001")
Drive = Callable[[], Awaitable[Driver]]


@pytest.fixture
async def trunk() -> AsyncIterator[RawTrunk]:
    opened = await RawTrunk.open()
    yield opened
    opened.close()


async def snapshot(driver: Driver) -> messages.Snapshot:
    driver.forget()
    await driver.send(messages.GetSnapshot())
    return await driver.until(messages.Snapshot)


async def bridged(driver: Driver, number: str = "5550001") -> messages.Attempt:
    driver.forget()
    await driver.send(messages.Dial(number=number))
    return await driver.until(messages.Attempt, lambda a: a.state == "bridged" and a.number == number)


def loud(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("mode", [COLD, STANDING], ids=["cold", "standing"])
async def test_hung_up_in_any_state_the_call_ends_and_the_agent_is_free(
    bench: Bench, drive: Drive, mode: tuple[str, str]
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*mode)
    driver = await drive()
    outcomes = {}
    states = ("dialing", "listening", "answered", "wait_tone", "connecting", "bridged")
    for state in states:
        driver.forget()
        await driver.send(messages.Dial(number="5550001"))
        await driver.until(messages.Attempt, lambda a, state=state: a.state == state)  # type: ignore[misc]
        await driver.client.send(messages.Hangup())  # refused where the end has come already
        outcomes[state] = (await driver.until(messages.AttemptDone)).disposition
        await driver.until(messages.Leg, lambda e: e.role == "manual" and e.state == "ended")
    assert outcomes["dialing"] == outcomes["listening"] == "cancelled"
    assert outcomes["bridged"] == "bridged"
    assert {outcomes["answered"], outcomes["wait_tone"], outcomes["connecting"]} <= {"abandoned", "bridged"}
    if mode is COLD:
        async with asyncio.timeout(10):
            while (await snapshot(driver)).legs:
                await asyncio.sleep(0.05)
    else:
        assert [leg.role for leg in (await snapshot(driver)).legs] == ["agent"]
        assert len([e for e in carrier.events if e["event"] == "answered" and e["number"] == "8001"]) == 1
    assert (await bridged(driver)).state == "bridged"


async def test_who_is_on_hold_hears_nobody_and_hears_again_when_resumed(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await bridged(driver)
    moments = [time.monotonic()]
    for on in (True, False):
        await asyncio.sleep(1.0)  # of talk, then of hold: the recording is what is looked at
        driver.forget()
        await driver.send(messages.Hold(on=on))
        await driver.until(messages.Leg, lambda e, on=on: e.role == "manual" and e.held is on)  # type: ignore[misc]
        moments.append(time.monotonic())
    await asyncio.sleep(1.0)
    await driver.send(messages.Hangup())
    await driver.until(messages.AttemptDone)
    carrier.wait("recording", number="5550001")
    carrier.wait("recording", number="8001")
    for number in ("5550001", "8001"):
        heard = bench.recording(number)
        before, held, after = (loud(heard.cut("received", at + 0.25, at + 0.95)) for at in moments)
        assert before > 100, number
        assert held < 20, number
        assert after > 100, number


async def test_an_agent_called_while_muted_is_not_heard(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Mute(on=True))
    await bridged(driver)
    at = time.monotonic()
    await asyncio.sleep(1.0)
    await driver.send(messages.Mute(on=False))
    await asyncio.sleep(1.0)
    await driver.send(messages.Hangup())
    carrier.wait("recording", number="5550001")
    heard = bench.recording("5550001")
    assert loud(heard.cut("received", at + 0.3, at + 0.95)) < 20
    assert loud(heard.cut("received", at + 1.3, at + 1.95)) > 100


async def test_hung_up_while_its_hold_is_being_asked_for(bench: Bench, drive: Drive, trunk: RawTrunk) -> None:
    driver, invite, _ = await raw_call(bench, drive, trunk)
    await driver.send(messages.Hold(on=True))
    hold = await trunk.next("INVITE")
    assert "a=sendonly" in hold.body
    trunk.reply(hold, 100)
    await driver.send(messages.Hangup())
    trunk.reply(await trunk.next("BYE", Call_ID=invite.header("Call-ID")), 200)
    trunk.reply(hold, 200, sdp(9, "recvonly"))
    await trunk.next("ACK", Call_ID=invite.header("Call-ID"))
    assert (await driver.until(messages.AttemptDone)).disposition == "bridged"
    trunk.reply(await trunk.next("BYE"), 200)  # the agent's
    assert not (await snapshot(driver)).legs


async def raw_call(bench: Bench, drive: Drive, trunk: RawTrunk) -> tuple[Driver, Message, Message]:
    """A call bridged to an agent, both at a trunk that does what the test says; the two INVITEs."""
    bench.start_engine(
        f"trunk.server={trunk.address}", "trunk.register=false", "operator.mode=cold", "operator.agents=8001"
    )
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    rtp = udp_port()
    callee = await trunk.answer("5550001", sdp(rtp.getsockname()[1]))
    agent = await trunk.answer("8001", sdp(udp_port().getsockname()[1]))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    return driver, callee, agent


async def test_the_callee_holds_and_resumes_in_mid_call(bench: Bench, drive: Drive, trunk: RawTrunk) -> None:
    driver, invite, _ = await raw_call(bench, drive, trunk)
    port = udp_port().getsockname()[1]
    changes = ((1, "sendonly", "recvonly", True), (2, "sendrecv", "sendrecv", False))
    for cseq, direction, ours, held in changes:
        driver.forget()
        trunk.request("INVITE", invite, cseq, sdp(port, direction, version=cseq + 1))
        answer = await trunk.next(code=200)
        assert f"a={ours}" in answer.body
        trunk.request("ACK", invite, cseq)
        leg = await driver.until(messages.Leg, lambda e, held=held: e.role == "manual" and e.far_held is held)  # type: ignore[misc]
        assert leg.bridged_to
    trunk.request("BYE", invite, 3)
    await trunk.next(code=200)
    assert (await driver.until(messages.AttemptDone)).disposition == "bridged"
    await trunk.next("BYE")


@pytest.mark.parametrize("way", ["shutdown", "sigterm"])
async def test_an_engine_that_ends_takes_leave_of_everybody(bench: Bench, drive: Drive, way: str) -> None:
    carrier = bench.start_carrier(NUMBERS)
    engine = bench.start_engine(
        "operator.mode=cold", "operator.agents=8001,8009", "dialer.max_channels=3", "operator.ring_timeout=60"
    )
    driver = await drive()
    await bridged(driver)
    await driver.send(messages.Dial(number="5550004"))  # hears the wait tone: 8009 never answers
    await driver.until(messages.Attempt, lambda a: a.state == "wait_tone" and a.number == "5550004")
    carrier.wait("ringing", number="8009")
    began = time.monotonic()
    if way == "shutdown":
        await driver.send(messages.Shutdown())
    else:
        engine.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(engine.wait, 10) == 0
    took = time.monotonic() - began
    for number in ("5550001", "5550004", "8001"):
        carrier.wait("bye", number=number, by="phone")
    carrier.wait("cancel", number="8009", by="phone")
    carrier.wait("deregistered")
    assert took < 5


async def test_after_a_stop_the_queue_goes_on_when_told_so(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    queue = bench.folder / "queue.csv"
    queue.write_text("number\n5550002\n5550003\n5550004\n")
    bench.start_engine(*STANDING, queue=queue)
    driver = await drive()
    await driver.send(messages.Resume())
    await driver.until(messages.Attempt, lambda a: a.state == "listening")
    await driver.send(messages.StopAll())
    assert (await driver.until(messages.AttemptDone)).disposition == "cancelled"
    carrier.wait("bye", number="8001")
    assert not (await snapshot(driver)).flow.running
    await driver.send(messages.Resume())
    done = await driver.until(messages.AttemptDone)
    assert (done.number, done.disposition) == ("5550003", "bridged")


async def test_another_operator_takes_over_only_when_the_call_has_ended(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await bridged(driver)
    await driver.send(messages.SetOperator(mode="standing", agents=["8002"]))
    assert [a.state for a in (await snapshot(driver)).attempts] == ["bridged"]
    assert not [e for e in carrier.events if e.get("number") == "8002"]
    await driver.send(messages.Hangup())
    await asyncio.to_thread(carrier.wait, "answered", number="8002")
    await driver.until(messages.Flow, lambda f: f.operator == "standing" and f.agent_state == "ready")


async def test_a_carrier_that_restarts_in_mid_call_costs_that_call_and_no_more(
    bench: Bench, drive: Drive
) -> None:
    short = NUMBERS + "[carrier]\nmax_expires = 6\n"
    carrier = bench.start_carrier(short)
    bench.start_engine(*COLD, "rtp.timeout=1")
    driver = await drive()
    await bridged(driver)
    address = carrier.sip
    os.kill(carrier.pid, signal.SIGKILL)
    carrier.close()
    driver.forget()
    carrier = bench.start_carrier(short, address)
    assert (await driver.until(messages.AttemptDone)).disposition == "no_rtp"
    await asyncio.to_thread(carrier.wait, "registered", 20)
    await bridged(driver)
    assert [leg.role for leg in (await snapshot(driver)).legs].count("agent") == 1
