"""The calls at the operator's end, the headset or an agent's phone: one is talked to, the others are held,
or all of them are joined.

Commands return an empty text, or one sentence that says why nothing was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.dialer.ports import Leg
from engine.dialer.seats import Seat
from engine.legs import LegState
from engine.media import orders
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine


class OperatorEnd:
    """An end is named as in `bridged_to`: `sound`, or an agent's leg."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.placing: TrunkLeg | None = None
        """The call that is being placed beside others."""

    # --- commands ----------------------------------------------------------------------------------

    def hold(self, leg: TrunkLeg, on: bool) -> str:
        """Hold a call, or take it back; of the calls at one end taking one back holds the others (a swap),
        but for those in a conference with it."""
        if leg.call.held == on and not (leg.parked_at and not on):
            return "The call is on hold already." if on else "The call is not on hold."
        try:
            if leg.call.held != on:
                leg.hold(on)
        except InvalidStateError as error:
            return f"{error}."
        if leg.parked_at and not on:
            self.bring(leg, leg.parked_at)
        return ""

    def conference(self, leg: TrunkLeg | None) -> str:
        """Bring whom the operator has on hold, or one of them, to the present call: all talk with all."""
        waiting = [leg] if leg is not None else self.waiting()
        ends = {each.parked_at for each in waiting if each.parked_at}
        if not ends:
            return "Nobody waits on hold for the operator: call somebody beside this call first."
        for each in waiting:
            end = each.parked_at
            if not end:
                return f"{each.number} does not wait on hold for the operator."
            if not self.at(end):
                return "The operator talks to nobody whom they could be joined with."
        for each in waiting:
            end, each.parked_at = each.parked_at, ""
            self._engine.line.bridges.add(each, end)
            each.hold_soon(False)
        for end in ends:
            numbers = ", ".join(each.number for each in self.at(end))
            self._engine.tell("info", f"conference of the operator with {numbers}")
        return ""

    # --- for calls that come and go ------------------------------------------------------------------

    def second_line(self, end: str) -> Seat | str:
        """A place for one more call at an end, or why there is none."""
        dialer = self._engine.dialer
        busy = self.placing is not None or any(
            attempt.state not in ("bridged", "wrap_up", "done") for attempt in dialer.active.values()
        )
        if busy and end == orders.SOUND:
            return "A call is being placed: it must be answered or hung up first."
        if self.placing is not None:
            return "A call is being placed: it must be answered or hung up first."
        seat = dialer.seats.share(self._engine.line.legs.get(end))
        if seat is None:
            problem = dialer.seats.problem
            return f"The operator is not free to take it{': ' + problem if problem else ''}."
        return seat

    def bring(self, leg: TrunkLeg, end: str) -> None:
        """Bridge a call to an end; the others there are held."""
        self.park(end, leg)
        leg.parked_at = ""
        self._engine.line.bridges.join(leg, end)

    def at(self, end: str, but: Leg | None = None) -> list[TrunkLeg]:
        """Who is talked to at an end."""
        legs = self._engine.line.bridges.at(end)
        return [leg for leg in legs if leg is not but and leg.state is LegState.ANSWERED]

    def waiting(self) -> list[TrunkLeg]:
        """Who is held for another call."""
        legs = self._engine.line.legs.values()
        return [leg for leg in legs if leg.parked_at and leg.state is LegState.ANSWERED]

    def park(self, end: str, but: TrunkLeg | None) -> list[TrunkLeg]:
        """Hold who is at an end, deaf and mute at once, whenever their far end agrees to it."""
        parked = self.at(end, but)
        for each in parked:
            each.parked_at = end
            each.unbridge()
            each.hold_soon(True)
        return parked

    def remind(self) -> None:
        """The call at an end is over: is anybody still waiting there?"""
        for leg in self.waiting():
            if not self.at(leg.parked_at):
                self._engine.tell("warning", f"{leg.number} is still on hold", leg.id)
