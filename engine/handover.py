"""Transfers: those that the operator asks for, and those that a far end asks of us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.line import TrunkLeg
from engine.sip.referral import Referral
from engine.sip.transfer import Transfer

if TYPE_CHECKING:
    from engine.service import Engine


class Handover:
    """Commands return an empty text, or one sentence that says why nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[str, str] = {}

    async def blind(self, leg: TrunkLeg, number: str) -> str:
        """Have a leg's far end call a number in our place. What may not be dialled may not be asked for."""
        parsed, error = await self._engine.dialer.may_dial(number)
        if parsed is None:
            return error
        try:
            leg.call.transfers.ask(parsed.dialable)
        except (InvalidStateError, ValueError) as problem:
            return f"{problem}."
        return ""

    def attended(self, leg: TrunkLeg, other: TrunkLeg) -> str:
        """Join the far ends of two legs, and leave both."""
        if leg is other:
            return "A call can't be transferred to itself."
        try:
            leg.call.transfers.ask(other.number, other.call)
        except (InvalidStateError, ValueError) as problem:
            return f"{problem}."
        return ""

    def told(self, leg: str, transfer: Transfer) -> None:
        """A step of a transfer that we asked for."""
        text = transfer.in_words
        if text != self._told.get(leg):
            self._engine.tell("warning" if transfer.state == "failed" else "info", text, leg)
        if transfer.over:
            self._told.pop(leg, None)
        else:
            self._told[leg] = text

    # --- asked of us -----------------------------------------------------------------------------

    def referred(self, leg: TrunkLeg, referral: Referral) -> None:
        """A far end wants us to call somebody in its place: as any call, through the guards."""
        task = asyncio.get_running_loop().create_task(self._follow(leg, referral))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, leg: TrunkLeg, referral: Referral) -> None:
        wanted = referral.asked.number
        parsed, problem = await self._engine.dialer.may_dial(wanted, by_hand=False)
        if parsed is not None and self._engine.line.legs.get(leg.id) is not leg:
            problem = "The call is over."
        if parsed is None or problem:
            referral.refuse()
            text = f"{leg.number} wanted to transfer us to {wanted}, which was declined: {problem}"
            self._engine.tell("warning", text, leg.id)
            return
        referral.accept()
        self._engine.tell("info", f"{leg.number} transfers us to {wanted}", leg.id)
        if problem := self._engine.line.succession.follow(leg, referral, parsed.dialable):
            referral.report(503)
            self._engine.tell("warning", f"the transfer to {wanted} failed: {problem}", leg.id)

    def taken_over(self, leg: TrunkLeg, earlier: str) -> None:
        """A leg goes on with another party than before."""
        self._engine.tell("info", f"{leg.number} has taken the place of {earlier}", leg.id)
