"""Trunk failover: a call that its trunk can't take goes to the next, and is the same leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError, NoPortsAvailableError

from engine.dialplan import Route
from engine.legs import HangupCause, LegState

if TYPE_CHECKING:
    from engine.line import TrunkLeg, TrunkLine

_PASSED_ON = (408, 503)
"""Responses that speak of the trunk rather than of the callee."""


class Detour:
    """The ways that are left for a leg, each taken once, and none any more once the callee was heard of
    (ringing, early media, an answer): whoever was reached must not be called twice.
    """

    def __init__(self, ways: Sequence[Route], caller_id: str | None) -> None:
        self._ways = list(ways)
        self._caller_id = caller_id

    def taken(self, leg: TrunkLeg, line: TrunkLine) -> bool:
        """A leg's call has changed; true where another call has taken its place."""
        call = leg.call
        if call.progress not in (LegState.DIALING, LegState.TRYING, LegState.ENDED):
            self._ways.clear()
        if call.progress is not LegState.ENDED or not _trunks_fault(call.cause):
            return False
        while self._ways:
            way = self._ways.pop(0)
            try:
                following = line.phones[way.trunk].prepare(way.dialled, self._caller_id)
            except (ValueError, InvalidStateError, NoPortsAvailableError):
                continue
            cause = call.cause
            assert cause is not None
            why = f"{cause.sip_code or ''} {cause.reason}".strip()
            leg.call = following
            leg.state = following.progress
            if leg.listening:
                leg.listen(True)
            if leg.recording:
                leg.record(leg.recording)
            line.on_detour(leg, f"trunk {call.phone.name} can't take the call ({why}): trying {way.trunk}")
            line.changed(leg)
            following.begin()
            return True
        return False


def _trunks_fault(cause: HangupCause | None) -> bool:
    if cause is None or cause.by == "us":
        return False
    return cause.name == "no_response" or cause.sip_code in _PASSED_ON
