"""The callee's side of a call: from a received INVITE to our answer's ACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyVoIP.VoIP import CallState, InvalidStateError

from engine.legs import HangupCause, LegState
from engine.sip.dialog import Dialog, new_tag
from engine.sip.message import Message
from engine.sip.sdp import SdpError, parse
from engine.sip.transaction import ServerTransaction, TimerHandle

if TYPE_CHECKING:
    from engine.sip.call import Call


class Callee:
    """Rings, answers, refuses; holds a BYE back until our answer has been acknowledged."""

    def __init__(self, call: Call, transaction: ServerTransaction) -> None:
        self._call = call
        self._transaction = transaction
        self._bye_due = False
        self._limit: TimerHandle | None = None
        call.dialog = Dialog.as_callee(transaction.request, new_tag())
        transaction.on_no_ack = self._on_no_ack

    def ring(self) -> None:
        """180; a call that nobody takes within the account's `ring_timeout` is refused with 480."""
        self._call.respond(self._transaction, 180)
        agent = self._call.agent
        if agent.account.ring_timeout:
            self._limit = agent.clock.call_later(agent.account.ring_timeout, lambda: self.refuse(480))

    def ended(self) -> None:
        """It rings no longer."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def accept(self) -> None:
        """Raises InvalidStateError where the call does not ring."""
        call, request = self._call, self._transaction.request
        self._must_ring()
        self.ended()
        if request.sdp:
            try:
                call.local, agreed = call.local.answer(parse(request.sdp))
            except SdpError as error:
                call.respond(self._transaction, 488)
                call.end(HangupCause("failed", "us", 488, str(error)))
                return
            call.connect(agreed)
        call.respond(self._transaction, 200, call.local.encode())
        call.phone.save_dialog(call)
        call.advance(LegState.ANSWERED)

    def refuse(self, code: int) -> None:
        """Raises InvalidStateError where the call does not ring, ValueError for no refusal's code."""
        if not 400 <= code <= 699:
            raise ValueError(f"{code} is not a final response that refuses a call; 400 to 699 are")
        self._must_ring()
        self._call.respond(self._transaction, code)
        self._call.end(HangupCause("rejected", "us", code))

    def _must_ring(self) -> None:
        if self._call.state != CallState.RINGING:
            raise InvalidStateError("Call is not ringing")

    def on_ack(self, ack: Message) -> None:
        if ack.cseq != self._transaction.request.cseq:
            return
        first = self._transaction.awaits_ack
        self._transaction.acknowledge()
        if self._bye_due:
            self._send_bye()
        elif first and ack.sdp and not self._transaction.request.sdp:
            self._call.take_description(ack.sdp)  # the answer to the offer in our 200
            self._call.changed()

    def on_cancel(self) -> None:
        if not self._transaction.final_code:
            self._call.respond(self._transaction, 487)
            self._call.end(HangupCause("cancelled", "far", 487))

    def on_bye(self) -> None:
        """A BYE before our answer takes the INVITE with it (15.1.2)."""
        if not self._transaction.final_code:
            self._call.respond(self._transaction, 487)

    def bye_when_acknowledged(self) -> bool:
        """True where the BYE must wait for the ACK (15): it will be sent by itself."""
        if not self._transaction.awaits_ack:
            return False
        self._bye_due = True
        self._call.agent.linger(self._call, True)
        return True

    def _on_no_ack(self) -> None:
        if self._bye_due:
            self._send_bye()
        else:
            self._call.hangup_leg("timeout", "the answer was never acknowledged")

    def _send_bye(self) -> None:
        self._bye_due = False
        self._call.agent.linger(self._call, False)
        if self._call.dialog is not None:
            self._call.agent.bye(self._call.dialog)
