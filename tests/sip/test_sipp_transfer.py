"""Transfers against SIPp, a SIP stack of another's making: asked for by us, and asked of us."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import Sipp, phone_to

from engine.legs import LegState
from engine.sip.call import Call
from engine.sip.phone import Phone
from engine.sip.referral import Referral


@pytest.fixture
def second_sipp(tmp_path: Path) -> Iterator[Sipp]:
    folder = tmp_path / "second"
    folder.mkdir()
    made = Sipp(folder)
    yield made
    made.close()


def up(call: Call) -> bool:
    return call.progress is LegState.ANSWERED


async def test_a_blind_transfer(sipp: Sipp) -> None:
    """RFC 3515, 2.4; RFC 5589, 6.1: held, REFER, the reports, BYE."""
    sipp.start("transferred")
    async with phone_to(sipp.port) as (phone, until):
        call = phone.dial("5551234")
        await until(lambda: up(call))
        said: list[str] = []
        phone.on_transfer = lambda of, transfer: said.append(transfer.in_words)
        call.transfers.ask("5559876")
        await until(lambda: call.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
    assert call.cause is not None
    assert call.cause.reason == "transferred to 5559876"
    assert said[-3:] == [
        "the transfer to 5559876: 100 Trying", "the transfer to 5559876: 180 Ringing",
        "transferred to 5559876",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "why"),
    [("transfer_fails", "486 Busy Here"), ("transfer_refused", "the far end refused: 603 Decline")],
)
async def test_a_transfer_that_fails_leaves_the_call_up(sipp: Sipp, scenario: str, why: str) -> None:
    """RFC 3515, 2.4.2 and 2.4.5: taken back from hold."""
    sipp.start(scenario)
    async with phone_to(sipp.port) as (phone, until):
        call = phone.dial("5551234")
        await until(lambda: up(call))
        transfer = call.transfers.ask("5559876")
        await until(lambda: call.held)
        await until(lambda: transfer.over and not call.held)
        assert up(call)
        call.hangup_leg()
        await asyncio.to_thread(sipp.wait)
    assert transfer.in_words == f"the transfer to 5559876 failed: {why}"


async def test_an_attended_transfer(sipp: Sipp) -> None:
    """RFC 3891, 6.1; RFC 5589, 7.1: Refer-To carries Replaces, escaped."""
    sipp.start("attended", "-m", "2")
    async with phone_to(sipp.port) as (phone, until):
        first, second = phone.dial("5551234"), phone.dial("5555678")
        await until(lambda: up(first) and up(second))
        first.transfers.ask("5555678", second)
        await until(lambda: first.progress is LegState.ENDED)
        second.hangup_leg()  # its own far end would have hung up by now, had there been a third party
        await asyncio.to_thread(sipp.wait)
    assert first.cause is not None
    assert first.cause.reason == "transferred to 5555678"


async def test_a_far_end_that_transfers_us(sipp: Sipp) -> None:
    """RFC 3515, 2.4.4: 202, and NOTIFY until the final report; the target is called on our own trunk."""
    sipp.start("transfers_us", "-m", "2")
    async with phone_to(sipp.port, accept_transfer=True) as (phone, until):
        placed: list[Call] = []
        phone.on_referral = lambda referral: follow(phone, referral, placed)
        call = phone.dial("5551234")
        await until(lambda: bool(placed) and up(placed[0]))
        await until(lambda: call.progress is LegState.ENDED)
        placed[0].hangup_leg()
        await asyncio.to_thread(sipp.wait)
    assert call.cause is not None
    assert call.cause.by == "far"


def follow(phone: Phone, referral: Referral, placed: list[Call]) -> None:
    referral.accept()
    placed.append(phone.prepare_referred(referral))
    placed[0].begin()


async def test_a_call_that_takes_anothers_place(sipp: Sipp, second_sipp: Sipp) -> None:
    """RFC 3891, 3: answered without ringing; the call that it replaces is ended."""
    sipp.start("far_answers")
    async with phone_to(sipp.port, accept_transfer=True) as (phone, until):
        taken: list[tuple[Call, Call]] = []
        phone.on_replaced = lambda old, new: taken.append((old, new))
        call = phone.dial("5551234")
        await until(lambda: up(call))
        assert call.dialog is not None
        dialog = call.dialog
        wanted = f"{dialog.call_id};from-tag={dialog.remote.tag};to-tag={dialog.local.tag}"
        host, port = phone.listening[:2]
        second_sipp.start("replaces", "-key", "replaces", wanted, f"{host}:{port}")
        await until(lambda: call.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
        taken[0][1].hangup_leg()
        await asyncio.to_thread(second_sipp.wait)
    assert taken[0][0] is call
