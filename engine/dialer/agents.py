"""What standing and cold agents have in common: waiting on a leg to an agent's phone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.dialer.ports import HangupCause, Leg, LegState, LogLine, StateChanged

Tell = Callable[[LogLine], None]


async def answered(leg: Leg, ring_timeout: float) -> HangupCause | None:
    """Wait for an agent's leg to be answered: None, or why it was not. A leg in time-out is hung up."""
    try:
        async with asyncio.timeout(ring_timeout):
            while True:
                event = await leg.events.get()
                if isinstance(event, StateChanged):
                    if event.state is LegState.ANSWERED:
                        return None
                    if event.state is LegState.ENDED:
                        return event.cause or leg.cause or HangupCause("failed", "network")
    except TimeoutError:
        leg.hangup("timeout")
        return HangupCause("timeout", "us", None, f"no answer within {ring_timeout:g} s")
    except asyncio.CancelledError:
        leg.hangup("cancelled")
        raise


async def ended(leg: Leg) -> HangupCause:
    """Wait until a leg has ended, and say why."""
    while leg.state is not LegState.ENDED:
        event = await leg.events.get()
        if isinstance(event, StateChanged) and event.state is LegState.ENDED:
            return event.cause or leg.cause or HangupCause("normal", "far")
    return leg.cause or HangupCause("normal", "far")


def in_words(cause: HangupCause) -> str:
    """A cause for the log: the response where there was one."""
    if cause.sip_code is not None:
        return f"{cause.sip_code} {cause.reason}".strip()
    return cause.reason or cause.name.replace("_", " ")


def none_reached(agents: Sequence[str], failures: Sequence[str]) -> str:
    if not agents:
        return "no agent's number is set that may be called"
    return "no agent could be reached: " + (", ".join(failures) or "all are in use")
