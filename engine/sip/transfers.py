"""What one call has to do with transfers: the one that we asked for, the one that the far end asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.legs import LegState
from engine.sip.message import Message
from engine.sip.refer import ReferError, parse_refer
from engine.sip.referral import Referral
from engine.sip.transaction import ServerTransaction
from engine.sip.transfer import Transfer

if TYPE_CHECKING:
    from engine.sip.call import Call

MAX_REFERRALS = 8
"""REFERs that one call may send us to be looked at; more are declined."""


class CallTransfers:
    """`sent` is the latest transfer that we asked for, `received` the latest REFER of the far end's that was
    taken, `follows` the REFER (of another call) that this call was placed for."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.sent: Transfer | None = None
        self.received: Referral | None = None
        self.follows: Referral | None = None
        self._taken = 0

    def ask(self, number: str, other: Call | None = None) -> Transfer:
        """Ask the far end to call a number (RFC 3515) or, with `other`, to take our place in that call.

        Raises InvalidStateError where a call is not up, or being transferred already.
        """
        call = self._call
        if self.sent is not None and not self.sent.over:
            raise InvalidStateError("Call is being transferred already")
        if other is not None and (other.dialog is None or other.progress is not LegState.ANSWERED):
            raise InvalidStateError("The other call is not answered")
        target = call.agent.account.target(number)
        transfer = Transfer(call, number, target, other, lambda t: self._report(t))
        transfer.begin()
        self.sent = transfer
        call.changed()
        return transfer

    def _report(self, transfer: Transfer) -> None:
        self._call.phone.on_transfer(self._call, transfer)
        if self._call.progress is not LegState.ENDED:
            self._call.changed()

    def on_notify(self, request: Message, transaction: ServerTransaction) -> None:
        if self.sent is None:
            self._call.respond(transaction, 481)
        else:
            self.sent.receive(request, transaction)

    def on_refer(self, request: Message, transaction: ServerTransaction) -> None:
        """The answer to a REFER, at once where it is not to be followed."""
        call = self._call
        if not call.agent.account.accept_transfer:
            call.respond(transaction, 405)  # as Allow says
        elif self._taken >= MAX_REFERRALS:
            call.respond(transaction, 603)
        elif self.received is not None and not self.received.over:
            call.respond(transaction, 491)
        elif call.progress is not LegState.ANSWERED:
            call.respond(transaction, 603)
        else:
            try:
                asked = parse_refer(request)
            except ReferError as error:
                call.respond(transaction, error.code)
                return
            self._taken += 1
            self.received = Referral(call, asked, request, transaction)
            call.phone.on_referral(self.received)

    def changed(self) -> None:
        if self.sent is not None:
            self.sent.call_changed()
        if self.follows is not None:
            self.follows.follow(self._call)

    def ended(self) -> None:
        if self.sent is not None:
            self.sent.call_ended()
