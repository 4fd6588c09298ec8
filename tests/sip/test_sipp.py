"""`offhook register` and `offhook call` against SIPp, a SIP stack of another's making.

The scenarios in scenarios/ are the far end; SIPp's exit status says whether all that they expect came.
"""

from __future__ import annotations

import asyncio

from peers import Sipp, call, offhook, phone_to

from engine.legs import HangupCause, LegState


def test_register_answers_the_challenge_and_leaves_at_the_end(sipp: Sipp) -> None:
    sipp.start("register")
    status, events = offhook("register --for 1.5", sipp.port, register=True)
    assert status == 0
    assert any(event.get("state") == "registered" for event in events)
    sipp.wait()


def test_a_stale_nonce_is_replaced(sipp: Sipp) -> None:
    sipp.start("stale_nonce")
    status, result, _ = call(sipp)
    sipp.wait()
    assert status == 0
    assert result["answered"]


def test_early_media_and_an_answer_with_another_tag_and_port(sipp: Sipp) -> None:
    sipp.start("early_media_then_another_fork")
    status, result, states = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")
    assert states == ["dialing", "early", "answered", "ended"]


def test_busy(sipp: Sipp) -> None:
    sipp.start("busy")
    status, result, _ = call(sipp)
    sipp.wait()
    assert (status, result["cause"], result["sip_code"]) == (3, "rejected", 486)


def test_a_cancelled_call(sipp: Sipp) -> None:
    sipp.start("cancelled")
    status, result, states = call(sipp, "--cancel-after", "0.8")
    sipp.wait()
    assert (status, result["cause"], result["sip_code"]) == (3, "cancelled", 487)
    assert "answered" not in states


def test_ack_and_bye_follow_the_recorded_route(sipp: Sipp) -> None:
    sipp.start("record_route")
    status, result, _ = call(sipp, "--hangup-after", "0.5")
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


def test_the_far_end_hangs_up(sipp: Sipp) -> None:
    sipp.start("far_bye")
    status, result, states = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")
    assert states == ["dialing", "trying", "ringing", "answered", "ended"]


async def test_a_call_survives_the_loss_of_every_fifth_message(sipp: Sipp) -> None:
    """The phone stays until SIPp has done, so that a BYE whose answer was lost is answered again."""
    sipp.start("far_bye", "-lost", "20")
    async with phone_to(sipp.port) as (phone, until):
        dialled = phone.dial("5551234")
        await until(lambda: dialled.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
    assert dialled.cause == HangupCause("normal", "far")


def test_the_far_end_holds_and_resumes(sipp: Sipp) -> None:
    sipp.start("far_hold")
    status, result, _ = call(sipp)
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


async def test_we_hold_and_resume(sipp: Sipp) -> None:
    sipp.start("held")
    async with phone_to(sipp.port) as (phone, until):
        dialled = phone.dial("5551234")
        await until(lambda: dialled.progress is LegState.ANSWERED)
        dialled.hold(True)
        await until(lambda: dialled.held)
        dialled.hold(False)
        await until(lambda: not dialled.held)
    await asyncio.to_thread(sipp.wait)
