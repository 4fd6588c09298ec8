"""What the far end asks within a call's dialogs: BYE, OPTIONS, PRACK, UPDATE, re-INVITE (RFC 3261, 12.2,
14, 15; RFC 3262; RFC 3311)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from engine.legs import LegState
from engine.sip.account import KNOWN_METHODS
from engine.sip.causes import ended_by
from engine.sip.changes import Changes
from engine.sip.dialog import Dialog
from engine.sip.message import Message
from engine.sip.sdp import Direction, SdpError, parse
from engine.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.call import Call

MAX_UNACKNOWLEDGED = 16
"""Answers to re-INVITEs that wait for their ACK at once; one more re-INVITE is answered 500."""


class MidCall:
    """Answers requests within the call's dialogs. `changes` are those that our side asks for."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.changes = Changes(call)
        self._answered: dict[int, ServerTransaction] = {}
        self._handlers = {
            "BYE": self._on_bye,
            "INFO": lambda request, transaction, dialog: call.info.receive(request, transaction),
            "INVITE": self._on_reinvite,
            "OPTIONS": self._on_options,
            "NOTIFY": lambda request, transaction, dialog: call.transfers.on_notify(request, transaction),
            "PRACK": self._on_prack,
            "REFER": lambda request, transaction, dialog: call.transfers.on_refer(request, transaction),
            "UPDATE": self._on_update,
        }

    def receive(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        call = self._call
        repeated = request.cseq == dialog.remote_cseq and request.method == "INVITE"
        if request.cseq < dialog.remote_cseq or repeated:
            call.respond(transaction, 500)  # out of order (12.2.2)
            return
        dialog.remote_cseq = request.cseq
        handler = self._handlers.get(request.method)
        lacking = call.agent.account.unsupported(request) if request.method != "BYE" else ""
        if lacking:
            call.respond(transaction, 420, extra=[("Unsupported", lacking)])
        elif handler is None:
            call.respond(transaction, 405 if request.method in KNOWN_METHODS else 501)
        else:
            handler(request, transaction, dialog)

    def _on_bye(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        call = self._call
        call.respond(transaction, 200)
        if call.caller is not None and call.dialog is None:
            call.caller.on_bye(dialog)
            return
        if call.callee is not None:
            call.callee.on_bye()
        call.end(ended_by("normal", "far", request))

    def _on_options(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        self._call.respond(transaction, 200, extra=self._call.agent.capabilities())

    def _on_prack(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        """Acknowledges a reliable provisional response of ours (RFC 3262, 3)."""
        call = self._call
        if call.callee is None or not call.callee.on_prack(request):
            call.respond(transaction, 481)
            return
        content: bytes | None = b""
        if request.sdp and not call.callee.take_answer(request.sdp):
            if code := self._offer_refused(request, dialog):
                self._refuse_offer(transaction, code)
                return
            content = self._answer(request, dialog)
        call.respond(transaction, 488 if content is None else 200, content or b"")
        call.callee.go_on()

    # --- offers of the far end -------------------------------------------------------------------

    def _offer_refused(self, request: Message, dialog: Dialog) -> int:
        """491 while an offer of ours is open, 500 while one of theirs is (RFC 3311, 5.2); else 0."""
        call = self._call
        if self.changes.inviting or any(not t.request.sdp for t in self._answered.values()):
            return 491
        if call.callee is not None and call.callee.our_offer_open:
            return 491
        if call.callee is not None and call.callee.their_offer_open:
            return 500
        if call.dialog is None and call.caller is not None:
            fork = call.caller.forks.of(request)
            return 0 if fork is not None and fork.agreed is not None else 491
        return 0

    def _refuse_offer(self, transaction: ServerTransaction, code: int) -> None:
        later = [("Retry-After", str(random.randint(1, 10)))] if code == 500 else []
        self._call.respond(transaction, code, extra=later)

    def _answer(self, request: Message, dialog: Dialog) -> bytes | None:
        """Our answer to an offer, the audio following it; None where it can't be met. One that repeats
        the last offer restarts nothing, and is answered as before (RFC 3264, 8)."""
        call = self._call
        direction: Direction = "sendonly" if call.held else "sendrecv"
        try:
            call.local, agreed = call.local.answer(parse(request.sdp), direction)
        except SdpError:
            return None
        fork = call.caller.forks.of(request) if call.dialog is None and call.caller is not None else None
        if fork is not None and call.caller is not None:
            call.caller.redescribe(fork, agreed)
        else:
            call.connect(agreed)
        return call.local.encode()

    def _on_update(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        """A change without the three-way handshake, also before the answer (RFC 3311)."""
        call = self._call
        if self._refused_for_its_interval(request, transaction):
            return
        content: bytes | None = b""
        if request.sdp:
            if code := self._offer_refused(request, dialog):
                self._refuse_offer(transaction, code)
                return
            content = self._answer(request, dialog)
        if content is None:
            call.respond(transaction, 488)
            return
        dialog.refresh_target(request)
        call.remember_methods(request)
        # before the answer the INVITE's own 2xx agrees on the timer (RFC 4028, 7.4)
        timer = call.timer.on_request(request) if call.progress is LegState.ANSWERED else []
        call.respond(transaction, 200, content, timer)
        if call.progress is LegState.ANSWERED:
            call.phone.save_dialog(call)
        call.changed()

    def _on_reinvite(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        call = self._call
        calling = call.dialog is None  # our first INVITE has no final response
        if calling or self._offer_refused(request, dialog) == 491:
            call.respond(transaction, 491)  # 14.2
            return
        if call.progress is not LegState.ANSWERED or len(self._answered) >= MAX_UNACKNOWLEDGED:
            self._refuse_offer(transaction, 500)
            return
        if self._refused_for_its_interval(request, transaction):
            return
        if request.sdp:
            content = self._answer(request, dialog)
            if content is None:
                call.respond(transaction, 488)
                return
        else:  # our offer; the ACK answers it
            call.local = call.local.with_direction("sendonly" if call.held else "sendrecv")
            content = call.local.encode()
        dialog.refresh_target(request)
        call.remember_methods(request)
        self._answered[request.cseq] = transaction
        transaction.on_no_ack = lambda: self._on_no_ack(request.cseq)
        call.respond(transaction, 200, content, call.timer.on_request(request))
        call.phone.save_dialog(call)
        call.changed()

    def _refused_for_its_interval(self, request: Message, transaction: ServerTransaction) -> bool:
        if too_small := self._call.agent.interval_too_small(request, self._call.timer.interval):
            self._call.respond(transaction, 422, extra=too_small)
        return bool(too_small)

    @property
    def answering(self) -> bool:
        """Whether an INVITE of the far end waits for the ACK of our answer (14.1)."""
        return bool(self._answered)

    def on_ack(self, ack: Message) -> None:
        transaction = self._answered.pop(ack.cseq, None)
        if transaction is None:
            return
        transaction.acknowledge()
        if ack.sdp and not transaction.request.sdp:
            self._call.take_description(ack.sdp)
            self._call.changed()
        self.changes.go_on()

    def _on_no_ack(self, cseq: int) -> None:
        self._answered.pop(cseq, None)
        self._call.hangup_leg("timeout", "the answer to a re-INVITE was never acknowledged")

    def ended(self) -> None:
        """Nothing is changed any more, and no answer repeated."""
        for transaction in self._answered.values():
            transaction.acknowledge()
        self._answered.clear()
        self.changes.ended()
