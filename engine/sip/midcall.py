"""Requests within a call's dialog: BYE, OPTIONS, re-INVITE of either side (RFC 3261, 12.2, 14, 15)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.legs import HangupCause, LegState
from engine.sip.account import USER_AGENT
from engine.sip.dialog import Dialog, new_branch
from engine.sip.exchange import InviteExchange
from engine.sip.message import Message
from engine.sip.sdp import Direction, LocalDescription, SdpError, parse
from engine.sip.transaction import ServerTransaction, TimerHandle

if TYPE_CHECKING:
    from engine.sip.call import Call

MAX_UNACKNOWLEDGED = 16
"""Answers to re-INVITEs that wait for their ACK at once; one more re-INVITE is answered 500."""

REINVITE_WAIT = 32.0
"""Seconds for the final response to a re-INVITE of ours; then it is taken back."""


class MidCall:
    """Answers what the far end asks within the dialog, and holds or resumes from our side."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._ours: InviteExchange | None = None
        self._retry: TimerHandle | None = None
        self._answered: dict[int, ServerTransaction] = {}

    def receive(self, request: Message, transaction: ServerTransaction) -> None:
        call, dialog = self._call, self._call.dialog
        if dialog is None:
            call.respond(transaction, 481)
        elif request.cseq <= dialog.remote_cseq:
            call.respond(transaction, 500)  # out of order (12.2.2)
        else:
            dialog.remote_cseq = request.cseq
            if request.method == "BYE":
                self._on_bye(request, transaction)
            elif request.method == "INVITE":
                self._on_reinvite(request, transaction, dialog)
            elif request.method == "REFER":
                call.transfers.on_refer(request, transaction)
            elif request.method == "NOTIFY":
                call.transfers.on_notify(request, transaction)
            else:
                call.respond(transaction, 200 if request.method == "OPTIONS" else 405)

    def _on_bye(self, request: Message, transaction: ServerTransaction) -> None:
        call = self._call
        call.respond(transaction, 200)
        if call.callee is not None:
            call.callee.on_bye()
        call.end(HangupCause("normal", "far", None, (request.get("Reason") or "")[:200]))

    # --- re-INVITEs of the far end -------------------------------------------------------------

    def _on_reinvite(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        call = self._call
        if self._changing:
            call.respond(transaction, 491)
            return
        if call.progress is not LegState.ANSWERED or len(self._answered) >= MAX_UNACKNOWLEDGED:
            call.respond(transaction, 500, extra=[("Retry-After", "2")])
            return
        direction: Direction = "sendonly" if call.held else "sendrecv"
        if request.sdp:
            try:
                call.local, agreed = call.local.answer(parse(request.sdp), direction)
            except SdpError:
                call.respond(transaction, 488)
                return
            call.connect(agreed)
        else:
            call.local = call.local.with_direction(direction)  # our offer; the ACK answers it
        dialog.refresh_target(request)
        self._answered[request.cseq] = transaction
        transaction.on_no_ack = lambda: self._on_no_ack(request.cseq)
        call.respond(transaction, 200, call.local.encode())
        call.phone.save_dialog(call)
        call.changed()

    def on_ack(self, ack: Message) -> None:
        transaction = self._answered.pop(ack.cseq, None)
        if transaction is None:
            return
        transaction.acknowledge()
        if ack.sdp and not transaction.request.sdp:
            self._call.take_description(ack.sdp)
            self._call.changed()

    def _on_no_ack(self, cseq: int) -> None:
        self._answered.pop(cseq, None)
        self._call.hangup_leg("timeout", "the answer to a re-INVITE was never acknowledged")

    # --- ours ------------------------------------------------------------------------------------

    @property
    def _changing(self) -> bool:
        return self._ours is not None and not self._ours.finished

    def hold(self, on: bool) -> None:
        """Hold or resume by re-INVITE (RFC 3264, 8.4). Raises InvalidStateError."""
        call, dialog = self._call, self._call.dialog
        if call.progress is not LegState.ANSWERED or dialog is None:
            raise InvalidStateError("Call is not answered")
        if self._changing:
            raise InvalidStateError("Call is being changed already")
        self._reinvite(on, dialog, may_repeat=True)

    def _reinvite(self, on: bool, dialog: Dialog, *, may_repeat: bool) -> None:
        call = self._call
        self.ended()
        wanted = call.local.with_direction("sendonly" if on else "sendrecv")
        content = wanted.encode()

        def make(extra: list[tuple[str, str]]) -> Message:
            fields = [
                ("Contact", call.agent.contact),
                ("Allow", call.agent.account.allow),
                ("User-Agent", USER_AGENT),
                ("Content-Type", "application/sdp"),
                *extra,
            ]
            return dialog.request("INVITE", call.agent.via(new_branch()), fields, content)

        change = _Change(self, call, dialog, wanted, on, may_repeat)
        self._ours = InviteExchange(
            call.agent.layer, dialog.next_hop, call.agent.authenticator(), make, change
        )
        self._ours.start()
        self._ours.limit(REINVITE_WAIT)

    def repeat(self, on: bool, dialog: Dialog) -> None:
        """After 491: once more, when the far end's own re-INVITE has had its time (14.1)."""
        low, high = (2.1, 4.0) if self._call.role == "outbound" else (0.0, 2.0)

        def again() -> None:
            if self._call.progress is LegState.ANSWERED:
                self._reinvite(on, dialog, may_repeat=False)

        self._retry = self._call.agent.clock.call_later(random.uniform(low, high), again)

    def ended(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


class _Change:
    """What becomes of our re-INVITE: hold or resume done, or not."""

    def __init__(
        self,
        owner: MidCall,
        call: Call,
        dialog: Dialog,
        wanted: LocalDescription,
        hold: bool,
        may_repeat: bool,
    ) -> None:
        self._owner, self._call, self._dialog = owner, call, dialog
        self._wanted, self._hold, self._may_repeat = wanted, hold, may_repeat
        self._ack: Callable[[], None] | None = None

    def on_provisional(self, response: Message) -> None:
        pass

    def on_success(self, request: Message, response: Message) -> None:
        call = self._call
        if self._ack is not None:  # it was lost
            self._ack()
            return
        self._dialog.refresh_target(response)
        self._ack = call.agent.acknowledge(self._dialog, request)
        if call.progress is LegState.ENDED:
            return
        call.local = self._wanted
        call.held = self._hold
        if response.sdp:
            call.take_description(response.sdp)
        call.phone.save_dialog(call)
        call.changed()

    def on_failure(self, request: Message, response: Message | None) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        code = response.code if response else 408
        if code in (408, 481):  # the dialog is gone (12.2.1.2)
            call.hangup_leg("timeout", f"{code} to a re-INVITE")
        elif code == 491 and self._may_repeat:
            self._owner.repeat(self._hold, self._dialog)
        else:
            call.reinvite_failed = f"{code} {response.reason if response else ''}".strip()
            call.changed()
