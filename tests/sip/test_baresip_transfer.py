"""Transfers with baresip, a softphone of another's making, at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from baresip import Baresip, baresip
from peers import Until, need, phone_to

from engine.legs import LegState
from engine.sip.call import Call
from engine.sip.phone import Phone
from engine.sip.referral import Referral

ACCOUNT = "<sip:5559876@127.0.0.1>;regint=0;answermode=auto"
"""It is both the party that we talk to and, called once more, the one that the call goes to."""


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[tuple[Baresip, Phone, Until, Call]]:
    """A call to baresip that is up."""
    need("baresip", "baresip-core")
    with baresip(folder, ACCOUNT) as far:
        async with phone_to(far.port, accept_transfer=True) as (phone, until):
            call = phone.dial("5559876")
            await until(lambda: call.progress is LegState.ANSWERED)
            yield far, phone, until, call


async def test_it_follows_our_refer_and_reports(tmp_path: Path) -> None:
    """RFC 3515, 2.4; RFC 5589, 6.1."""
    async with talking(tmp_path) as (_, phone, until, call):
        said: list[str] = []
        phone.on_transfer = lambda of, transfer: said.append(transfer.in_words)
        call.transfers.ask("5559876")
        await until(lambda: call.progress is LegState.ENDED)
        assert call.cause is not None
        assert call.cause.reason == "transferred to 5559876"
        assert "the far end is calling 5559876" in said
        assert said[-1] == "transferred to 5559876"


async def test_it_has_us_call_somebody_in_its_place(tmp_path: Path) -> None:
    """RFC 3515, 2.4.4 and 2.4.5: its own call ends with our final report."""
    async with talking(tmp_path) as (far, phone, until, call):
        placed: list[Call] = []

        def follow(referral: Referral) -> None:
            referral.accept()
            placed.append(phone.prepare_referred(referral))
            placed[0].begin()

        phone.on_referral = follow
        await asyncio.to_thread(far.command, "transfer", "sip:5559876@127.0.0.1")
        await until(lambda: bool(placed) and placed[0].progress is LegState.ANSWERED)
        await until(lambda: call.progress is LegState.ENDED)
        assert call.cause is not None
        assert call.cause.by == "far"
        assert placed[0].progress is LegState.ANSWERED
