"""Inbound calls beside others: taken, refused, given up, and lost at either side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rig import RATE, Bench, Driver
from test_first_call import tone_begins

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.3
[numbers.5550009]
voice = 5
[numbers.8001]
answer_after = 0.6
one_call = true
[numbers.8002]
answer_after = 0.6
[numbers.8009]
"""
Drive = Callable[[], Awaitable[Driver]]


async def rung(bench: Bench, driver: Driver) -> messages.Leg:
    """Somebody calls; their leg, ringing."""
    await asyncio.to_thread(bench.carrier.wait, "registered")
    driver.forget()
    bench.carrier.order("call", **{"from": "5550009", "to": "1001"})
    return await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")


async def gone(driver: Driver, leg: str) -> messages.Leg:
    return await driver.until(messages.Leg, lambda e: e.id == leg and e.state == "ended")


async def legs(driver: Driver) -> list[messages.Leg]:
    driver.forget()
    await driver.send(messages.GetSnapshot())
    return (await driver.until(messages.Snapshot)).legs


async def no_legs(driver: Driver) -> None:
    async with asyncio.timeout(10):
        while await legs(driver):
            await asyncio.sleep(0.05)


async def test_a_second_line_rings_while_a_call_is_up_and_does_not_touch_it(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=cold", "operator.agents=8001")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    second = await rung(bench, driver)
    reply = await driver.client.send(messages.Answer(leg=second.id))
    assert not reply.ok
    assert "not free" in reply.error
    await driver.send(messages.Refuse(leg=second.id, code=486))
    assert (await gone(driver, second.id)).cause == "rejected"
    third = await rung(bench, driver)
    carrier.order("hangup", number="5550009")
    assert (await gone(driver, third.id)).cause == "cancelled"
    assert not (await driver.client.send(messages.Answer(leg=third.id))).ok
    assert sorted(leg.role for leg in await legs(driver)) == ["agent", "manual"]
    assert all(leg.bridged_to for leg in await legs(driver))


async def test_calls_are_turned_away_and_refused_from_the_command_line(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine()
    driver = await drive()
    where = ["--set", f"control.socket={bench.socket}"]

    async def ctl(*words: str) -> int:
        return (await asyncio.to_thread(bench.offhook, "ctl", *words, *where)).returncode

    await asyncio.to_thread(carrier.wait, "registered")
    assert await ctl("dnd", "on") == 0
    carrier.order("call", **{"from": "5550009", "to": "1001"})
    await driver.until(messages.LogLine, lambda e: "5550009 called: answered busy" in e.text)
    assert await ctl("dnd", "off") == 0
    ringing = await rung(bench, driver)
    assert await ctl("transfer", ringing.id, "5550001") == 1  # not answered yet
    assert await ctl("attend", ringing.id, "none") == 1
    assert await ctl("refuse", ringing.id, "603") == 0
    await driver.until(messages.Sip, lambda e: e.leg == ringing.id and e.text.startswith("603 "))
    assert (await gone(driver, ringing.id)).cause == "rejected"


async def test_a_caller_hears_the_wait_tone_until_the_agent_is_there(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=cold", "operator.agents=8001")
    driver = await drive()
    ringing = await rung(bench, driver)
    await driver.send(messages.Answer(leg=ringing.id))
    await driver.until(messages.Leg, lambda e: e.id == ringing.id and bool(e.bridged_to))
    carrier.order("hangup", number="8001")  # and the caller's call ends with the agent's
    await gone(driver, ringing.id)
    carrier.wait("recording", number="5550009")
    heard = bench.recording("5550009").received
    begins = tone_begins(heard, (440.0, 480.0))
    assert begins is not None
    assert begins < 0.4, f"{len(heard) / RATE:.1f} s heard"
    await no_legs(driver)


async def test_a_caller_who_hangs_up_while_the_agent_rings_stops_the_ringing(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=cold", "operator.agents=8009,8002")
    driver = await drive()
    ringing = await rung(bench, driver)
    await driver.send(messages.Answer(leg=ringing.id))
    await asyncio.to_thread(carrier.wait, "ringing", number="8009")
    carrier.order("hangup", number="5550009")
    await asyncio.to_thread(carrier.wait, "cancel", number="8009", by="phone")
    await no_legs(driver)
    await driver.send(messages.Dial(number="5550001"))  # the agent's seat is free again
    await driver.until(messages.Attempt, lambda a: a.state == "wait_tone")
    assert not [e for e in carrier.events if e.get("number") == "8002"]


async def test_stopping_everything_calls_no_further_agent(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=cold", "operator.agents=8009,8002")
    driver = await drive()
    ringing = await rung(bench, driver)
    await driver.send(messages.Answer(leg=ringing.id))
    await asyncio.to_thread(carrier.wait, "ringing", number="8009")
    await driver.send(messages.StopAll())
    await asyncio.to_thread(carrier.wait, "bye", number="5550009", by="phone")
    await asyncio.to_thread(carrier.wait, "cancel", number="8009", by="phone")
    await no_legs(driver)
    assert not [e for e in carrier.events if e.get("number") == "8002"]


async def test_an_operator_is_not_changed_under_an_inbound_call(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=cold", "operator.agents=8001")
    driver = await drive()
    ringing = await rung(bench, driver)
    await driver.send(messages.Answer(leg=ringing.id))
    await driver.until(messages.Leg, lambda e: e.id == ringing.id and bool(e.bridged_to))
    await driver.send(messages.SetOperator(mode="standing", agents=["8002"]))
    assert len(await legs(driver)) == 2
    await driver.send(messages.Hangup(leg=ringing.id))
    await asyncio.to_thread(carrier.wait, "answered", number="8002")
