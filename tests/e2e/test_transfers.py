"""Transfers, a second line and what happens to calls that come in, through the engine and its socket."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import unquote

import pytest
from raw_trunk import Message, RawTrunk, sdp, udp_port
from rig import Bench, Driver

from engine.control import messages

Drive = Callable[[], Awaitable[Driver]]
SIPFRAG = "message/sipfrag;version=2.0"
DO_NOT_CALL = "2125550666"


@pytest.fixture
async def trunk() -> AsyncIterator[RawTrunk]:
    opened = await RawTrunk.open()
    yield opened
    opened.close()


@pytest.fixture
async def start(bench: Bench, drive: Drive, trunk: RawTrunk) -> Callable[..., Awaitable[Driver]]:
    """Start an engine at the trunk, and a driver for it."""

    async def started(*more: str) -> Driver:
        listed = bench.folder / "dnc.txt"
        listed.write_text(DO_NOT_CALL, "utf-8")
        keys = [f"trunk.server={trunk.address}", "trunk.register=false", f"compliance.do_not_call={listed}"]
        bench.start_engine(*keys, *more)
        return await drive()

    return started


async def leg(driver: Driver, number: str, **wanted: object) -> messages.Leg:
    """A leg's event with a number, and every field as wanted."""
    return await driver.until(
        messages.Leg,
        lambda e: e.number == number and all(getattr(e, k) == v for k, v in wanted.items()),
    )


async def logged(driver: Driver, text: str) -> messages.LogLine:
    return await driver.until(messages.LogLine, lambda e: text in e.text)


async def up(driver: Driver, trunk: RawTrunk, number: str, rtp: socket.socket) -> tuple[Message, str]:
    """A call dialled by hand, at the headset; its INVITE and leg."""
    await driver.send(messages.Dial(number=number))
    invite = await trunk.answer(number, sdp(rtp.getsockname()[1]))
    return invite, (await leg(driver, number, state="answered", bridged_to="sound")).id


async def reinvited(trunk: RawTrunk, of: Message, rtp: socket.socket, direction: str) -> None:
    """The engine's re-INVITE with a direction, answered."""
    invite = await trunk.next("INVITE", Call_ID=of.header("Call-ID"))
    assert f"a={direction}" in invite.body
    mirrored = {"sendonly": "recvonly", "sendrecv": "sendrecv"}[direction]
    trunk.reply(invite, 200, sdp(rtp.getsockname()[1], mirrored, version=2))
    await trunk.next("ACK", Call_ID=of.header("Call-ID"))


async def all_ended(driver: Driver, trunk: RawTrunk, calls: int) -> None:
    """Hang up what is up, so that the engine's end waits for nobody."""
    await driver.send(messages.StopAll())
    for _ in range(calls):
        trunk.reply(await trunk.next("BYE"), 200)


def report(trunk: RawTrunk, of: Message, cseq: int, line: str, state: str = "terminated") -> None:
    headers = ("Event: refer", f"Subscription-State: {state}")
    trunk.request("NOTIFY", of, cseq, f"{line}\r\n", headers=headers, kind=SIPFRAG)


async def test_blind_transfers_refused_failed_and_done(
    start: Callable[..., Awaitable[Driver]], trunk: RawTrunk
) -> None:
    driver = await start()
    with udp_port() as rtp:
        invite, call = await up(driver, trunk, "2125550101", rtp)
        for to, why in ((DO_NOT_CALL, "do-not-call"), ("911", "emergency"), ("x", "not a number")):
            refused = await driver.client.send(messages.Transfer(leg=call, to=to))
            assert not refused.ok
            assert why in refused.error or to == "x"
        assert not (await driver.client.send(messages.Transfer(leg="none", to="2125550102"))).ok
        await driver.send(messages.Transfer(leg=call, to="(212) 555-0102"))
        again = await driver.client.send(messages.Transfer(leg=call, to="2125550102"))
        assert not again.ok
        await reinvited(trunk, invite, rtp, "sendonly")
        refer = await trunk.next("REFER")
        assert "sip:2125550102@" in refer.header("Refer-To")
        trunk.reply(refer, 202)
        report(trunk, invite, 1, "SIP/2.0 180 Ringing", "active;expires=60")
        await trunk.next(code=200, CSeq="1 NOTIFY")
        await leg(driver, "2125550101", transfer="the transfer to 2125550102: 180 Ringing", held=True)
        report(trunk, invite, 2, "SIP/2.0 486 Busy Here")
        await logged(driver, "the transfer to 2125550102 failed: 486 Busy Here")
        driver.forget()
        await reinvited(trunk, invite, rtp, "sendrecv")
        await leg(driver, "2125550101", held=False, bridged_to="sound", state="answered")
        driver.forget()
        await driver.send(messages.Transfer(leg=call, to="2125550102"))
        await reinvited(trunk, invite, rtp, "sendonly")
        trunk.reply(await trunk.next("REFER"), 202)
        report(trunk, invite, 3, "SIP/2.0 200 OK")
        trunk.reply(await trunk.next("BYE"), 200)
        await logged(driver, "transferred to 2125550102")
        done = await driver.until(messages.AttemptDone)
        assert (done.disposition, done.reason) == ("bridged", "transferred to 2125550102")


async def test_a_second_line_swapped_and_joined_with_the_first(
    start: Callable[..., Awaitable[Driver]], trunk: RawTrunk
) -> None:
    driver = await start()
    with udp_port() as one, udp_port() as two:
        first, held = await up(driver, trunk, "2125550101", one)
        trunk.invite("5550900", sdp(two.getsockname()[1]))
        await trunk.next(code=180)
        second = (await leg(driver, "5550900", state="ringing")).id
        driver.forget()
        await driver.send(messages.Answer(leg=second))
        ok = await trunk.next(code=200, CSeq="1 INVITE", Call_ID="from-5550900")
        trunk.acknowledge(ok)
        await reinvited(trunk, first, one, "sendonly")
        await leg(driver, "5550900", state="answered", bridged_to="sound")
        await leg(driver, "2125550101", held=True, bridged_to="")
        # swapped: the first is taken back, the second is held
        driver.forget()
        await driver.send(messages.Hold(on=False, leg=held))
        for _ in range(2):
            invite = await trunk.next("INVITE")
            direction = "sendrecv" if invite.header("Call-ID") == first.header("Call-ID") else "sendonly"
            assert f"a={direction}" in invite.body
            trunk.reply(invite, 200, sdp(one.getsockname()[1], version=3))
        await leg(driver, "5550900", held=True, bridged_to="")
        await leg(driver, "2125550101", held=False, bridged_to="sound")
        # and joined: the first takes our place in the second
        driver.forget()
        await driver.send(messages.TransferToLeg(leg=held, other=second))
        await reinvited(trunk, first, one, "sendonly")
        refer = await trunk.next("REFER", Call_ID=first.header("Call-ID"))
        target = re.search(r"<sip:([^?>]+)\?Replaces=([^>]+)>", refer.header("Refer-To"))
        assert target
        tag = re.search(r"tag=(\w+)", ok.header("To"))
        assert tag
        assert unquote(target[2]) == f"from-5550900;to-tag=caller;from-tag={tag[1]}"
        assert target[1] == f"far@{trunk.address}"  # as its latest Contact has it
        trunk.reply(refer, 202)
        report(trunk, first, 1, "SIP/2.0 200 OK")
        trunk.reply(await trunk.next("BYE", Call_ID=first.header("Call-ID")), 200)
        await leg(driver, "2125550101", state="ended")
        await all_ended(driver, trunk, 1)


async def test_consulting_beside_a_call(start: Callable[..., Awaitable[Driver]], trunk: RawTrunk) -> None:
    driver = await start()
    with udp_port() as one, udp_port() as two:
        first, held = await up(driver, trunk, "2125550101", one)
        assert "do-not-call" in (await driver.client.send(messages.Consult(number=DO_NOT_CALL))).error
        driver.forget()
        await driver.send(messages.Consult(number="2125550102"))
        await reinvited(trunk, first, one, "sendonly")
        ringing = await trunk.next("INVITE")
        trunk.reply(ringing, 180)
        third = await driver.client.send(messages.Consult(number="2125550103"))
        assert "being placed" in third.error
        trunk.reply(ringing, 486)
        await logged(driver, "the call to 2125550102: 486")
        await reinvited(trunk, first, one, "sendrecv")  # and the first is back by itself
        await leg(driver, "2125550101", held=False, bridged_to="sound")
        driver.forget()
        await driver.send(messages.Consult(number="2125550104"))
        await reinvited(trunk, first, one, "sendonly")
        ringing = await trunk.next("INVITE")
        trunk.reply(ringing, 180)
        placed = await leg(driver, "2125550104", state="ringing")
        await driver.send(messages.Hangup(leg=placed.id))  # thought better of
        trunk.reply(await trunk.next("CANCEL"), 200)
        trunk.reply(ringing, 487)
        await logged(driver, "the call to 2125550104: taken back")
        await reinvited(trunk, first, one, "sendrecv")
        await leg(driver, "2125550101", held=False, bridged_to="sound")
        driver.forget()
        await driver.send(messages.Consult(number="2125550103"))
        await reinvited(trunk, first, one, "sendonly")
        await leg(driver, "2125550101", held=True)
        await driver.send(messages.Hold(on=False, leg=held))  # taken back while the other rings
        await reinvited(trunk, first, one, "sendrecv")
        await leg(driver, "2125550101", held=False, bridged_to="sound")
        driver.forget()
        second = await trunk.answer("2125550103", sdp(two.getsockname()[1]))
        await reinvited(trunk, first, one, "sendonly")
        await leg(driver, "2125550103", bridged_to="sound", role="manual")
        await leg(driver, "2125550101", held=True, bridged_to="")
        # the first hangs up: the operator goes on with the second, and is not free for a third
        trunk.request("BYE", first, 9)
        await leg(driver, "2125550101", state="ended")
        await driver.until(messages.AttemptDone)
        await driver.send(messages.Dial(number="2125550104"))
        trunk.request("BYE", second, 9)
        await leg(driver, "2125550103", state="ended")
        last = await trunk.next("INVITE")  # only now
        assert last.number == "2125550104"
        trunk.reply(last, 486)
        await leg(driver, "2125550104", state="ended")
        assert held


async def test_a_far_end_transfers_us_past_the_guards_only_and_the_audio_goes_on(
    start: Callable[..., Awaitable[Driver]], trunk: RawTrunk
) -> None:
    driver = await start("sip.accept_transfer=true", "operator.mode=standing", "operator.agents=8001")
    with udp_port() as agent, udp_port() as one, udp_port() as two:
        await driver.send(messages.Dial(number="2125550101"))
        await trunk.answer("8001", sdp(agent.getsockname()[1]))
        invite = await trunk.answer("2125550101", sdp(one.getsockname()[1]))
        before = await leg(driver, "2125550101", state="answered", codec="PCMA")
        await driver.until(messages.Attempt, lambda a: a.state == "bridged")
        trunk.request("REFER", invite, 1, headers=(f"Refer-To: <sip:{DO_NOT_CALL}@127.0.0.1>",))
        await trunk.next(code=603, CSeq="1 REFER")
        assert "do-not-call" in (await logged(driver, "which was declined")).text
        trunk.request("REFER", invite, 2, headers=("Refer-To: <sip:2125550102@evil.invalid>",))
        await trunk.next(code=202)
        trying = await trunk.next("NOTIFY")
        assert "SIP/2.0 100" in trying.body
        trunk.reply(trying, 200)
        placed = await trunk.next("INVITE")
        assert placed.text.startswith(f"INVITE sip:2125550102@{trunk.address} ")
        driver.forget()
        trunk.reply(placed, 200, sdp(two.getsockname()[1]))
        answered = await trunk.next("NOTIFY")
        assert "SIP/2.0 200" in answered.body
        assert "terminated" in answered.header("Subscription-State")
        trunk.reply(answered, 200)
        trunk.request("BYE", invite, 3)
        await trunk.next(code=200, CSeq="3 BYE")
        after = await leg(driver, "2125550102", state="answered")
        assert after.id == before.id
        assert after.bridged_to
        assert await heard(agent, two, placed.rtp_port)
        trunk.request("BYE", placed, 1)
        done = await driver.until(messages.AttemptDone)
        assert done.disposition == "bridged"
        assert not [e for e in driver.seen if isinstance(e, messages.Leg) and e.role == "agent" and e.cause]
        await all_ended(driver, trunk, 1)


async def heard(ear: socket.socket, mouth: socket.socket, port: int) -> bool:
    """Whether what is said at one end comes out at another."""
    said = bytes(range(160))
    loop = asyncio.get_running_loop()
    for n in range(200):
        header = bytes([0x80, 8]) + n.to_bytes(2, "big") + (160 * n).to_bytes(4, "big") + b"mouth"[:4]
        mouth.sendto(header + said, ("127.0.0.1", port))
        try:
            async with asyncio.timeout(0.02):
                while True:
                    if said in await loop.sock_recv(ear, 2000):
                        return True
        except TimeoutError:
            continue
    return False


async def test_what_becomes_of_calls_that_come_in(
    start: Callable[..., Awaitable[Driver]], trunk: RawTrunk
) -> None:
    driver = await start("sip.auto_answer=header", "sip.do_not_disturb=true", "sip.accept_transfer=true")
    with udp_port() as one, udp_port() as two:
        offer = sdp(one.getsockname()[1])
        async with asyncio.timeout(10):
            while not trunk.engine[1]:  # its first keep-alive
                await asyncio.sleep(0.02)
        trunk.invite("5550901", offer)
        await trunk.next(code=486)
        await logged(driver, "5550901 called: answered busy (do not disturb)")
        await driver.send(messages.DoNotDisturb(on=False))
        flow = await driver.until(messages.Flow, lambda e: not e.do_not_disturb)
        assert not flow.do_not_disturb
        trunk.invite("5550902", offer)
        ringing = (await leg(driver, "5550902", state="ringing")).id
        await driver.send(messages.Refuse(leg=ringing, code=603))
        await trunk.next(code=603)
        trunk.invite("5550903", offer)
        await leg(driver, "5550903", state="ringing")
        gone = await trunk.next(code=180, Call_ID="from-5550903")
        trunk.cancel(gone)
        await trunk.next(code=487)
        await logged(driver, "missed a call from 5550903")
        elsewhere = {"5550906": "Q.850;cause=26", "5550907": 'SIP;cause=200;text="Call completed elsewhere"'}
        for number, reason in elsewhere.items():
            trunk.invite(number, offer)
            trunk.cancel(await trunk.next(code=180, Call_ID=f"from-{number}"), f"Reason: {reason}")
            await trunk.next(code=487)
            await logged(driver, f"another phone answered {number}")
        said = [event.text for event in driver.seen if isinstance(event, messages.LogLine)]
        assert "missed a call from 5550902" not in said
        trunk.invite("5550904", offer, "Call-Info: <sip:127.0.0.1>;answer-after=0")
        ok = await trunk.next(code=200, CSeq="1 INVITE", Call_ID="from-5550904")
        trunk.acknowledge(ok)
        taken = await leg(driver, "5550904", state="answered", bridged_to="sound")
        # another phone takes the caller's end over
        tag = re.search(r"tag=(\w+)", ok.header("To"))
        assert tag
        trunk.invite(
            "5550905", sdp(two.getsockname()[1]), f"Replaces: from-5550904;to-tag={tag[1]};from-tag=caller"
        )
        trunk.acknowledge(await trunk.next(code=200, CSeq="1 INVITE", Call_ID="from-5550905"))
        trunk.reply(await trunk.next("BYE", Call_ID="from-5550904"), 200)
        after = await leg(driver, "5550905", state="answered")
        assert (after.id, after.bridged_to) == (taken.id, "sound")
        await logged(driver, "5550905 has taken the place of 5550904")
        await all_ended(driver, trunk, 1)
