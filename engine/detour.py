"""Trunk failover: a call that its trunk can't take goes to the next, and is the same leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError, NoPortsAvailableError

from engine.dialplan import Route
from engine.legs import HangupCause, LegState

if TYPE_CHECKING:
    from engine.line import TrunkLine
    from engine.trunk_leg import TrunkLeg

_PASSED_ON = (408, 503)
"""Responses that speak of the trunk rather than of the callee."""


SILENCE = 8.0
"""Seconds of silence after which the next trunk is asked; the INVITE has left five times by then."""


class Detour:
    """The ways that are left for a leg, each taken once, and none any more once the callee was heard of
    (ringing, early media, an answer): whoever was reached must not be called twice.
    """

    def __init__(self, ways: Sequence[Route], caller_id: str | None) -> None:
        self._ways = list(ways)
        self._caller_id = caller_id

    def watch(self, leg: TrunkLeg, line: TrunkLine) -> None:
        """Go on where the call that was just begun meets nothing but silence."""
        call = leg.call

        def silent() -> None:
            if leg.call is call and call.progress is LegState.DIALING and self._go_on(leg, line, "no answer"):
                call.hangup_leg("no_response")  # a response that comes after all is answered by CANCEL

        if self._ways:
            call.agent.clock.call_later(SILENCE, silent)

    def taken(self, leg: TrunkLeg, line: TrunkLine) -> bool:
        """A leg's call has changed; true where another call has taken its place."""
        call, cause = leg.call, leg.call.cause
        if call.progress not in (LegState.DIALING, LegState.TRYING, LegState.ENDED):
            self._ways.clear()
        if call.progress is not LegState.ENDED or cause is None or not _trunks_fault(cause):
            return False
        return self._go_on(leg, line, f"{cause.sip_code or ''} {cause.reason}".strip())

    def _go_on(self, leg: TrunkLeg, line: TrunkLine, why: str) -> bool:
        while self._ways:
            way = self._ways.pop(0)
            try:
                following = line.phones[way.trunk].prepare(way.dialled, self._caller_id)
            except (ValueError, InvalidStateError, NoPortsAvailableError):
                continue
            name = leg.call.phone.name
            leg.call = following
            leg.state = following.progress
            if leg.listening:
                leg.listen(True)
            line.on_detour(leg, f"trunk {name} can't take the call ({why}): trying {way.trunk}")
            line.changed(leg)
            following.begin()
            self.watch(leg, line)
            return True
        return False


def _trunks_fault(cause: HangupCause) -> bool:
    return cause.by != "us" and (cause.name == "no_response" or cause.sip_code in _PASSED_ON)
