"""Calls that come in and go on to a number of `sip.forward`: two legs of ours, joined from early media on
until either hangs up. What the second says before its answer becomes the final response to the first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from engine import wire
from engine.control import messages
from engine.detect.outcome import FinishCause, Outcome
from engine.dialer.numbers import NumberError, parse
from engine.dialer.ports import HangupCause, Leg, Listened, StateChanged
from engine.hearing import code_of, told
from engine.legs import LegState
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine

ANY = "*"
"""In `sip.forward`: whomever else the call is for."""
UNAVAILABLE, FORBIDDEN, LOOP, BUSY = 480, 403, 482, 486
_HEARD = {"busy": 486, "congestion": 503, "sit": 404}
"""Final responses for tones that ended the listening."""
_NOT_PASSED_ON = frozenset({401, 407, 408, 481, 482, 483, 487, 488, 491, 500, 501, 502, 504, 513})
"""What a response says of our own leg, not of the callee: the caller gets 480."""


class Forwards:
    """The calls that are being forwarded; none is the operator's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[object]] = set()

    def close(self) -> None:
        """End every such call."""
        for task in self._tasks:
            task.cancel()

    def take(self, caller: TrunkLeg) -> bool:
        """Whether a call that came in is to be forwarded; it is, then."""
        number = self._target(caller)
        if not number:
            return False
        caller.forwarded_to = number
        self._run(self._forward(caller, number))
        return True

    def _run(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _target(self, caller: TrunkLeg) -> str:
        forward = self._engine.config.sip.forward
        request = caller.call.request
        for called in (request.uri.number, request.to.uri.number, ANY):
            if called in forward:
                return forward[called]
        return ""

    def _goes_round(self, caller: TrunkLeg) -> bool:
        """Whether the call is one of our own that was routed back to us."""
        ours: set[str] = set()
        for trunk in self._engine.config.all_trunks.values():
            ours |= {trunk.username, trunk.from_user, *trunk.caller_ids} - {""}
        return self._one_form(caller.number) in {self._one_form(each) for each in ours}

    def _one_form(self, number: str) -> str:
        """A number in the form that all its spellings share; what has none, as it is."""
        try:
            return parse(number, self._engine.config.trunk.country).e164 or number
        except NumberError:
            return number

    def _channels_up(self) -> int:
        """Calls that were placed for the queue or for callers, and are not over."""
        forwarded = [leg for leg in self._engine.line.legs.values() if leg.role == "forwarded"]
        up = sum(leg.state is not LegState.ENDED for leg in forwarded)
        return up + len(self._engine.dialer.active)

    # --- one call ----------------------------------------------------------------------------------

    async def _forward(self, caller: TrunkLeg, number: str) -> None:
        engine = self._engine
        if self._goes_round(caller):
            engine.tell("warning", f"{caller.number} is ourselves: not forwarded to {number}", caller.id)
            _refuse(caller, LOOP)
            return
        parsed, why = await engine.dialer.may_dial(number, by_hand=False)
        if parsed is None:
            engine.tell("warning", f"not forwarded to {number}: {why}", caller.id)
            _refuse(caller, FORBIDDEN)
            return
        if caller.state is LegState.ENDED:
            return
        if self._channels_up() >= engine.config.dialer.max_channels:
            engine.tell("warning", f"not forwarded to {number}: dialer.max_channels are in use", caller.id)
            _refuse(caller, BUSY)
            return
        engine.tell("info", f"{caller.number} goes on to {number}", caller.id)
        callee = engine.line.dial(parsed.dialable, role="forwarded")
        gone = asyncio.get_running_loop().create_task(_end_with(caller, callee))
        try:
            caller.call.ring_on()
            await self._until_over(caller, callee)
        finally:
            gone.cancel()
            callee.hangup()
            caller.hangup()

    async def _until_over(self, caller: TrunkLeg, callee: Leg) -> None:
        config = self._engine.config
        loop = asyncio.get_running_loop()
        early = config.dialer.early_media != "ignore"
        callee.listen(early)
        self._record(callee, "analysed")
        deadline: float | None = loop.time() + config.dialer.ring_timeout
        answered = False
        category = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    event = await callee.events.get()
            except TimeoutError:
                callee.hangup("max_duration" if answered else "timeout")
                deadline = None
                continue
            if isinstance(event, Listened):
                self._tell(caller, callee, event.outcome)
                if event.hang_up:
                    category = event.outcome.correction or event.outcome.category
                    callee.hangup("normal" if answered else "cancelled", category)
            elif isinstance(event, StateChanged):
                if event.state is LegState.EARLY and early:
                    self._join(caller, callee)
                elif event.state is LegState.ANSWERED:
                    answered = True
                    deadline = loop.time() + config.call.max_duration
                    self._answer(caller, callee, early)
                elif event.state is LegState.ENDED:
                    break
        outcome = await callee.listened()
        if answered:
            caller.hangup("normal", category)
        elif caller.state is not LegState.ENDED:
            self._decline(caller, callee.cause or event.cause, outcome)

    def _join(self, caller: TrunkLeg, callee: Leg) -> None:
        """Let them hear each other, before the answer what the network says."""
        if caller.state is LegState.ENDED:
            return
        if caller.state is not LegState.ANSWERED:
            caller.call.early_media()
        if caller.bridged_to != callee.id:
            self._engine.line.bridges.join(caller, callee.id)

    def _answer(self, caller: TrunkLeg, callee: Leg, listening: bool) -> None:
        if caller.state is LegState.RINGING:
            caller.call.accept()
        self._join(caller, callee)
        if not listening:
            callee.listen(True)
        self._record(callee, "callee", "both")

    def _record(self, callee: Leg, *where: str) -> None:
        """As the configuration asks; not where an announcement is to be played, which these don't hear."""
        recording = self._engine.config.recording
        if recording.what in where and not recording.announcement:
            callee.record()

    def _tell(self, caller: TrunkLeg, callee: Leg, outcome: Outcome) -> None:
        """What was heard of the callee is told of the caller's leg too."""
        heard = wire.heard(outcome)
        self._engine.publish(messages.Listened(at=time.time(), leg=caller.id, hearing=heard))
        if self._engine.config.recording.what == "analysed":
            self._run(callee.end_recording(outcome.result))

    def _decline(self, caller: TrunkLeg, cause: HangupCause | None, outcome: Outcome | None) -> None:
        """The final response to the caller, by what was heard, else by what the callee's side answered."""
        config = self._engine.config.detection
        category = (outcome.correction or outcome.category) if outcome is not None else 0
        found = code_of(config, category)
        if found is not None:
            _refuse(caller, found[0], told(config, category), found[1])
            return
        if outcome is not None and outcome.finish_cause is FinishCause.STOPTONE:
            _refuse(caller, _HEARD.get(outcome.stop_tone, UNAVAILABLE))
            return
        code = cause.sip_code if cause is not None and cause.by == "far" and cause.sip_code else UNAVAILABLE
        reason = [("Reason", f"Q.850;cause={cause.q850}")] if cause is not None and cause.q850 else []
        _refuse(caller, UNAVAILABLE if code in _NOT_PASSED_ON else code, reason)


def _refuse(
    caller: TrunkLeg, code: int, headers: list[tuple[str, str]] | None = None, phrase: str = ""
) -> None:
    if caller.state is LegState.RINGING:
        caller.call.refuse(code if 400 <= code <= 699 else UNAVAILABLE, headers or [], phrase)


async def _end_with(caller: TrunkLeg, callee: Leg) -> None:
    await caller.over.wait()
    callee.hangup("cancelled")
