"""Calls that come in: an INVITE becomes a call that rings, takes another's place, or is refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyVoIP.VoIP import NoPortsAvailableError

from engine.legs import LegState
from engine.sip.call import Call
from engine.sip.message import Message
from engine.sip.sdp import SdpError, negotiate, parse
from engine.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent
    from engine.sip.phone import Phone

log = logging.getLogger(__name__)


class Incoming:
    """The inbound side of a phone; what the INVITE itself forbids, its user agent has refused already."""

    def __init__(self, phone: Phone, agent: UserAgent) -> None:
        self._phone = phone
        self._agent = agent

    def ring(self, request: Message, transaction: ServerTransaction) -> None:
        """Let a new call ring, unless the phone turns its number away."""
        phone = self._phone
        if code := phone.turn_away(request.from_.uri.number):
            self._agent.respond(transaction, code)
            return
        call = self._call(request, transaction)
        if call is None:
            return
        call.ring(transaction)
        phone.on_inbound(call)
        phone.call_back(call)

    def replace(self, request: Message, transaction: ServerTransaction, old: Call) -> None:
        """An INVITE takes the place of a call that is up: answered at once, the old one ended (RFC 3891)."""
        call = self._call(request, transaction)
        if call is None:
            return
        call.answer_at_once(transaction)
        if call.progress is LegState.ANSWERED:
            self._phone.on_replaced(old, call)
            old.hangup_leg("normal", f"replaced by a call from {call.number}")

    def _call(self, request: Message, transaction: ServerTransaction) -> Call | None:
        """The call that an INVITE begins; None, and the INVITE is refused, where its offer can't be accepted
        (RFC 3261, 13.3.1.3) or every RTP port is taken.
        """
        phone, agent, number = self._phone, self._agent, request.from_.uri.number
        try:
            if request.sdp:
                negotiate(parse(request.sdp), agent.account.terms)
        except SdpError as error:
            log.warning("a call from %r was refused: %s", number, error)
            agent.respond(transaction, 488)
            return None
        try:
            leg, local = phone.new_leg()
        except NoPortsAvailableError:
            agent.respond(transaction, 503)
            return None
        call = Call(leg, phone, agent, "inbound", number, request, local, phone.call_changed)
        phone.keep(call)
        return call
