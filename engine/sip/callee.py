"""The callee's side of a call: from a received INVITE to our answer's ACK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyVoIP.VoIP import CallState, InvalidStateError

from engine.legs import HangupCause, LegState
from engine.sip.causes import ended_by
from engine.sip.dialog import Dialog, new_tag
from engine.sip.message import Message
from engine.sip.reliable import ReliableResponse
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
        self._bye_reason: Sequence[tuple[str, str]] = ()
        self._limit: TimerHandle | None = None
        self._accept_due = False
        self._reliable: ReliableResponse | None = None
        self._early_due = False
        self._answer = b""
        """Our answer to the offer, once we have given it."""
        self.our_offer_open = False
        """Whether an offer of ours waits for the PRACK or ACK that answers it."""
        call.dialog = Dialog.as_callee(transaction.request, new_tag())
        call.remember_methods(transaction.request)
        transaction.on_no_ack = self._on_no_ack

    @property
    def their_offer_open(self) -> bool:
        return bool(self._transaction.request.sdp) and not self._transaction.final_code

    @property
    def awaits_ack(self) -> bool:
        return self._transaction.awaits_ack

    def ring(self) -> None:
        """180; a call that nobody takes within the account's `ring_timeout` is refused with 480."""
        agent = self._call.agent
        if agent.account.ring_timeout:
            self._limit = agent.clock.call_later(agent.account.ring_timeout, self._expire)
        self._provisional(180)

    def ring_on(self) -> None:
        """Somebody else sees to how long it rings."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def early_media(self) -> None:
        """Answer the offer, before the call itself, with a 183: the caller hears what we send. After a
        reliable 180 once that was acknowledged; nothing where the offer is ours to make."""
        if self._call.state != CallState.RINGING or self._answer or not self._transaction.request.sdp:
            return
        if self._reliable is not None and not self._reliable.acknowledged:
            self._early_due = True
            return
        self._early_due = False
        try:
            content = self._answered()
        except SdpError:
            return  # which the final response will tell
        self._provisional(183, content)

    def _answered(self) -> bytes:
        """Our answer to the INVITE's offer, always the same. Raises SdpError."""
        if not self._answer:
            call = self._call
            call.local, agreed = call.local.answer(parse(self._transaction.request.sdp))
            call.connect(agreed)
            self._answer = call.local.encode()
        return self._answer

    def _expire(self) -> None:
        self._call.respond(self._transaction, 480)
        self._call.end(HangupCause("timeout", "us", 480, "nobody answered"))

    def _provisional(self, code: int, content: bytes = b"") -> None:
        """Send one, reliably where the caller or our configuration asks for that. To an INVITE without an
        offer ours goes in the first reliable response (RFC 3262, 5)."""
        call, request = self._call, self._transaction.request
        setting = call.agent.account.reliable
        supported = setting == "required" and request.names("Supported", "100rel")
        if not (supported or request.names("Require", "100rel")):
            call.respond(self._transaction, code, content)
            return
        if not request.sdp:
            content, self.our_offer_open = call.local.encode(), True

        def send(headers: list[tuple[str, str]]) -> None:
            call.respond(self._transaction, code, content, headers)

        self._reliable = ReliableResponse(
            call.agent.clock, self._transaction, send, self._on_no_prack, self._reliable
        )

    def on_prack(self, prack: Message) -> bool:
        """Whether a PRACK acknowledges our reliable response, which then is not sent again."""
        if self._reliable is None or not self._reliable.matches(prack):
            return False
        self._reliable.acknowledged = True
        self._reliable.stop()
        return True

    def take_answer(self, description: bytes) -> bool:
        """The session description of a PRACK, where it answers our offer."""
        if not self.our_offer_open:
            return False
        self.our_offer_open = not self._call.take_description(description)
        return True

    def go_on(self) -> None:
        """After a PRACK: the answer that waited for it."""
        if self._accept_due and self._call.state == CallState.RINGING:
            self._accept()
        elif self._early_due:
            self.early_media()

    def _on_no_prack(self) -> None:
        if not self._transaction.final_code:
            self._call.respond(self._transaction, 504)
            self._call.end(HangupCause("timeout", "us", 504, "the ringing was never acknowledged (PRACK)"))

    def accept(self) -> None:
        """Raises InvalidStateError where the call does not ring."""
        self._must_ring()
        described = self.our_offer_open or bool(self._answer)
        if described and self._reliable is not None and not self._reliable.acknowledged:
            self._accept_due = True  # a description of ours is in it: its PRACK comes first (RFC 3262, 3)
        else:
            self._accept()

    def _accept(self) -> None:
        call, request = self._call, self._transaction.request
        content = b""
        if request.sdp:
            try:
                content = self._answered()
            except SdpError as error:
                self.respond_finally(488)
                call.end(HangupCause("failed", "us", 488, str(error)))
                return
        elif call.negotiated is None:
            content, self.our_offer_open = call.local.encode(), True
        timer = call.timer.on_request(request)
        self.respond_finally(200, content, timer)
        call.phone.save_dialog(call)
        call.advance(LegState.ANSWERED)

    def respond_finally(
        self, code: int, content: bytes = b"", extra: Sequence[tuple[str, str]] = (),
        phrase: str = "",
    ) -> None:
        """The final response: it rings no longer."""
        self.ended()
        self._call.respond(self._transaction, code, content, extra, phrase)

    def refuse(self, code: int, told: Sequence[tuple[str, str]] = (), phrase: str = "") -> None:
        """With headers that say why, and another phrase than the code's own.

        Raises InvalidStateError where the call does not ring, ValueError for no refusal's code."""
        if not 400 <= code <= 699:
            raise ValueError(f"{code} is not a final response that refuses a call; 400 to 699 are")
        self._must_ring()
        self.respond_finally(code, extra=told, phrase=phrase)
        self._call.end(HangupCause("rejected", "us", code, phrase))

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
        elif first:
            self._take_ack(ack)

    def _take_ack(self, ack: Message) -> None:
        """The first ACK of our answer; where our offer was in that, it must hold theirs (13.2.1)."""
        call, asked = self._call, self.our_offer_open
        self.our_offer_open = False
        if asked and not (ack.sdp and call.take_description(ack.sdp)):
            call.hangup_leg("failed", "the ACK held no session description that could be used")
            return
        if asked:
            call.changed()
        call.midcall.changes.go_on()

    def on_cancel(self, transaction: ServerTransaction, cancel: Message) -> None:
        """A CANCEL of the call's INVITE; one of another INVITE with its Call-ID is none of it."""
        if transaction is self._transaction and not transaction.final_code:
            self.respond_finally(487)
            self._call.end(ended_by("cancelled", "far", cancel, 487))

    def on_bye(self) -> None:
        """A BYE before our answer takes the INVITE with it (15.1.2); our answer is not repeated after it."""
        if not self._transaction.final_code:
            self.respond_finally(487)
        elif self.awaits_ack:
            self._transaction.acknowledge()
        if self._bye_due:  # both have hung up: ours has nothing left to end
            self._bye_due = False
            self._call.agent.linger(self._call, False)

    def bye_when_acknowledged(self, why: Sequence[tuple[str, str]]) -> bool:
        """True where the BYE must wait for the ACK (15): it will be sent by itself, with these headers."""
        if not self._transaction.awaits_ack:
            return False
        self._bye_due = True
        self._bye_reason = why
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
            self._call.agent.bye(self._call.dialog, self._bye_reason)

    def ended(self) -> None:
        """It rings no longer, reliably or not."""
        self.ring_on()
        if self._reliable is not None:
            self._reliable.stop()
