"""The caller's side of a call: from INVITE to its answer, refusal or cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.legs import HangupCause, LegState
from engine.sip.dialog import Dialog
from engine.sip.exchange import InviteExchange
from engine.sip.message import Message
from engine.sip.transaction import TimerHandle

if TYPE_CHECKING:
    from engine.sip.call import Call

CANCEL_WAIT = 4.0
"""Seconds that a cancelled call waits for its final response before it counts as ended."""
MAX_FORKS = 32
"""Answers with To tags of their own that are told apart; more are not acknowledged."""


class Caller:
    """Follows the call's first INVITE. `make(extra headers)` builds each try of it."""

    def __init__(self, call: Call, make: Callable[[list[tuple[str, str]]], Message]) -> None:
        agent = call.agent
        self._call = call
        self._acks: dict[str, Callable[[], None]] = {}
        self._cancel_timer: TimerHandle | None = None
        self._giving_up = ""
        self.exchange = InviteExchange(agent.layer, lambda: agent.next_hop, agent.authenticator(), make, self)

    def begin(self) -> None:
        if self.exchange.request is None and self._call.progress is not LegState.ENDED:
            self._call.request = self.exchange.start()

    def on_provisional(self, response: Message) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        call.sip_code, call.reason = response.code, response.reason
        if response.sdp and call.take_description(response.sdp):
            call.advance(LegState.EARLY)
        elif response.code == 100:
            if call.progress is LegState.DIALING:
                call.advance(LegState.TRYING)
        elif call.progress in (LegState.DIALING, LegState.TRYING):
            call.advance(LegState.RINGING if response.code == 180 else LegState.TRYING)

    def on_success(self, request: Message, response: Message) -> None:
        call, tag = self._call, response.to.tag
        if again := self._acks.get(tag):  # our ACK was lost (13.2.2.4)
            again()
            return
        if len(self._acks) >= MAX_FORKS:
            return
        dialog = Dialog.as_caller(request, response)
        self._acks[tag] = call.agent.acknowledge(dialog, request)
        if call.dialog is not None or call.progress is LegState.ENDED or self._giving_up:
            call.agent.bye(dialog)  # a second fork, or one that crossed our CANCEL
            if call.dialog is None:
                call.end(HangupCause(self._giving_up or "cancelled", "us"))
            return
        call.dialog = dialog
        call.sip_code, call.reason = response.code, response.reason
        if response.sdp:
            call.take_description(response.sdp)
        if call.negotiated is None:
            call.hangup_leg("failed", "the answer held no session description that could be used")
            return
        call.phone.save_dialog(call)
        call.advance(LegState.ANSWERED)

    def on_failure(self, request: Message, response: Message | None) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        if response is None:
            heard = self.exchange.heard_anything
            reason = "no final response" if heard else self.exchange.error or "no answer from the trunk"
            name = self._giving_up or ("timeout" if heard else "no_response")
            call.end(HangupCause(name, "network", None, reason))
            return
        call.sip_code, call.reason = response.code, response.reason
        if self._giving_up:
            call.end(HangupCause(self._giving_up, "us", response.code, response.reason))
            return
        refused = response.code in (401, 407) or (response.code == 403 and self.exchange.sent_credentials)
        name = "unauthorized" if refused else "rejected"
        call.end(HangupCause(name, "far", response.code, response.reason))

    def give_up(self, cause: str, reason: str) -> None:
        """Take the INVITE back; the call ends with its final response, or without one a little later."""
        if self._giving_up:
            return
        call = self._call
        self._giving_up = cause if cause != "normal" else "cancelled"
        ending = HangupCause(self._giving_up, "us", None, reason)
        if self.exchange.request is None:
            call.end(ending)
            return
        self.exchange.cancel()
        self._cancel_timer = call.agent.clock.call_later(CANCEL_WAIT, lambda: call.end(ending))

    def ended(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer.cancel()
