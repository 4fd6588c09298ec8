"""Telling somebody that the call is recorded, where no attempt of the queue's does it."""

from __future__ import annotations

import asyncio

from engine.dialer.ports import PlaybackEnded, StateChanged
from engine.dialer.tape import ANNOUNCEMENT, ANNOUNCEMENT_LIMIT
from engine.legs import LegState
from engine.trunk_leg import TrunkLeg

OVER = "the call is over"


async def announce(leg: TrunkLeg, path: str) -> str:
    """Play an announcement to its end; why the party did not hear it, empty where it did.

    Takes the leg's events meanwhile.
    """
    leg.play(path, ANNOUNCEMENT)
    try:
        async with asyncio.timeout(ANNOUNCEMENT_LIMIT):
            while leg.state is not LegState.ENDED:
                event = await leg.events.get()
                if isinstance(event, PlaybackEnded) and event.tag == ANNOUNCEMENT:
                    leg.announced = not event.error
                    return event.error
                if isinstance(event, StateChanged) and event.state is LegState.ENDED:
                    return OVER
    except TimeoutError:
        return "it did not end in time"
    return OVER
