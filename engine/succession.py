"""One call taking over another's leg: a far end has transferred us (REFER), or handed its call to another
phone (Replaces). Whoever the leg is bridged to, and whoever follows it, stays with the leg.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError, NoPortsAvailableError

from engine.legs import LegState
from engine.sip.call import Call
from engine.sip.referral import Referral

if TYPE_CHECKING:
    from engine.line import TrunkLine
    from engine.trunk_leg import TrunkLeg

LEAVE_WAIT = 5.0
"""Seconds that a far end which has been replaced has to hang up; then we do."""


class Succession:
    """Set `on_referral(leg, referral)`, which decides and calls `follow`, or refuses;
    `on_taken_over(leg, earlier number)` is told of each succession."""

    def __init__(self, line: TrunkLine) -> None:
        self._line = line
        self.on_referral: Callable[[TrunkLeg, Referral], None] = lambda leg, referral: referral.refuse()
        self.on_taken_over: Callable[[TrunkLeg, str], None] = lambda leg, earlier: None

    def referral(self, referral: Referral) -> None:
        leg = self._line.leg_of(referral.call)
        if leg is None or leg.coming is not None or not leg.bridged_to:
            referral.refuse()  # nobody is there whom it could hand on
        else:
            self.on_referral(leg, referral)

    def follow(self, leg: TrunkLeg, referral: Referral, number: str) -> str:
        """Call `number`, whom the far end of a leg wants in its place, on the leg's own trunk. Whoever the
        leg is bridged to gets the new call once it is answered, or once the far end has gone. Returns why
        it could not be placed, empty where it was."""
        try:
            call = leg.call.phone.prepare_referred(referral, number)
        except (ValueError, InvalidStateError, NoPortsAvailableError) as error:
            return str(error)
        leg.coming = call
        call.begin()
        ring_timeout = self._line.config.dialer.ring_timeout
        call.agent.clock.call_later(ring_timeout, lambda: _give_up(call))
        self._line.changed(leg)
        return ""

    def call_changed(self, call: Call) -> None:
        """A call has changed that is no leg's: one that is coming?"""
        leg = next((leg for leg in self._line.legs.values() if leg.coming is call), None)
        if leg is None:
            return
        if call.progress is LegState.ANSWERED:
            earlier = leg.call
            self._take_over(leg, call)
            clock = earlier.agent.clock
            clock.call_later(LEAVE_WAIT, lambda: earlier.hangup_leg("normal", "transferred"))
        elif call.progress is LegState.ENDED:
            leg.coming = None
            self._line.changed(leg)

    def goes_on(self, leg: TrunkLeg) -> bool:
        """A leg's call has ended. Where the far end left before the call in its place was answered, that
        call is the leg from now on; where it was us who hung up, both calls end."""
        coming, ended = leg.coming, leg.call.cause
        if coming is None:
            return False
        if ended is not None and ended.by == "far" and coming.progress is not LegState.ENDED:
            self._take_over(leg, coming)
            return True
        leg.coming = None
        coming.hangup_leg("cancelled")
        return False

    def replaced(self, old: Call, new: Call) -> None:
        """A call that came in has taken the place of one of ours; of one that is no leg nobody waits for."""
        if (leg := self._line.leg_of(old)) is None:
            self._replaced_coming(old, new)
            return
        if leg.coming is not None:
            coming, leg.coming = leg.coming, None
            coming.hangup_leg("cancelled")
        self._take_over(leg, new)

    def _replaced_coming(self, old: Call, new: Call) -> None:
        leg = next((leg for leg in self._line.legs.values() if leg.coming is old), None)
        if leg is None:
            new.hangup_leg()
            return
        new.transfers.follows, old.transfers.follows = old.transfers.follows, None
        leg.coming = new
        new.changed()

    def _take_over(self, leg: TrunkLeg, call: Call) -> None:
        """Bridge, detection and recording of a leg go on with another call."""
        line = self._line
        earlier = leg.number
        line.bridges.forget(leg)
        leg.call, leg.coming, leg.taken_over, leg.detour = call, None, True, None
        leg.number, leg.country = call.number, line.country_of(call.number)
        if leg.listening:
            leg.listen(True)
        if leg.received_gain or leg.sent_gain:
            line.set_gain(leg)
        line.recordings.carried_over(leg)
        if leg.bridged_to or leg.supervises:
            line.bridges.carry(leg)
        line.call_changed(call)
        self.on_taken_over(leg, earlier)


def _give_up(call: Call) -> None:
    if call.progress is not LegState.ANSWERED:
        call.hangup_leg("timeout", "not answered in time")
