"""Transfers: those that the operator asks for, and those that a far end asks of us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.dial_rules import RuleError
from engine.legs import LegState
from engine.sip.referral import Referral
from engine.sip.transfer import Transfer
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine


class Handover:
    """Commands return an empty text, or one sentence that says why nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[str, tuple[str, str]] = {}
        self._attended: dict[str, str] = {}
        """Attended transfers under way: with which other leg."""

    def close(self) -> None:
        """Follow no further wish of a far end's."""
        for task in self._tasks:
            task.cancel()

    async def blind(self, leg: TrunkLeg, number: str) -> str:
        """Have a leg's far end call a number in our place. What may not be dialled may not be asked for."""
        dialled, error = await self._dialled(leg, number, by_hand=True)
        if error:
            return error
        try:
            leg.call.transfers.ask(dialled)
        except (InvalidStateError, ValueError) as problem:
            return f"{problem}."
        return ""

    async def _dialled(self, leg: TrunkLeg, number: str, *, by_hand: bool) -> tuple[str, str]:
        """What a leg's own trunk dials for a number that may be called, or why it may not be."""
        parsed, error = await self._engine.dialer.may_dial(number, by_hand=by_hand)
        if parsed is None:
            return "", error
        try:
            plan = self._engine.line.plan
            if leg.trunk not in plan.order(parsed.dialable):
                return "", f"The call's trunk does not take {parsed.dialable}: it has another prefix."
            return plan.route(leg.trunk, parsed.dialable).dialled, ""
        except RuleError as problem:
            return "", f"{problem}."

    def attended(self, leg: TrunkLeg, other: TrunkLeg, *, here: bool) -> str:
        """Join the far ends of two legs, and leave both; `here` without asking either of them to."""
        if leg is other:
            return "A call can't be transferred to itself."
        if here:
            return self._engine.desk.pairs.join(leg, other)
        try:
            leg.call.transfers.ask(other.number, other.call)
        except (InvalidStateError, ValueError) as problem:
            return f"{problem}."
        self._attended[leg.id] = other.id
        return ""

    def told(self, leg: str, transfer: Transfer) -> None:
        """A step of a transfer that we asked for."""
        known = self._engine.line.legs.get(leg)
        number, said = self._told.pop(leg, (known.number if known is not None else "", ""))
        if (text := transfer.in_words) != said:
            level = "warning" if transfer.state == "failed" else "info"
            self._engine.tell(level, f"{number}: {text}" if number else text, leg)
        if not transfer.over:
            self._told[leg] = number, text
        elif (other := self._attended.pop(leg, None)) is not None and transfer.state == "failed":
            self._join_here(leg, other)

    def _join_here(self, leg: str, other: str) -> None:
        """The far end would not, or could not, take our place: the engine joins the two itself."""
        legs = [self._engine.line.legs.get(each) for each in (leg, other)]
        up = [each for each in legs if each is not None and each.state is LegState.ANSWERED]
        if len(up) == 2 and (problem := self._engine.desk.pairs.join(*up)):
            self._engine.tell("warning", problem, leg)

    # --- asked of us -----------------------------------------------------------------------------

    def referred(self, leg: TrunkLeg, referral: Referral) -> None:
        """A far end wants us to call somebody in its place: as any call, through the guards."""
        task = asyncio.get_running_loop().create_task(self._follow(leg, referral))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, leg: TrunkLeg, referral: Referral) -> None:
        wanted = referral.asked.number
        dialled, problem = await self._dialled(leg, wanted, by_hand=False)
        if not problem and self._engine.line.legs.get(leg.id) is not leg:
            problem = "The call is over."
        if problem:
            referral.refuse()
            text = f"{leg.number} wanted to transfer us to {wanted}, which was declined: {problem}"
            self._engine.tell("warning", text, leg.id)
            return
        referral.accept()
        self._engine.tell("info", f"{leg.number} transfers us to {wanted}", leg.id)
        if problem := self._engine.line.succession.follow(leg, referral, dialled):
            referral.report(503)
            self._engine.tell("warning", f"the transfer to {wanted} failed: {problem}", leg.id)

    def taken_over(self, leg: TrunkLeg, earlier: str) -> None:
        """A leg goes on with another party than before."""
        self._engine.tell("info", f"{leg.number} has taken the place of {earlier}", leg.id)
