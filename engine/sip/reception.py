"""Each new request that comes in: refused as RFC 3261, 8.2 has it, else handed to the call that it is within
or, an INVITE that begins one, to the phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sip.account import KNOWN_METHODS
from engine.sip.message import Message
from engine.sip.refer import ReferError
from engine.sip.replacing import replaced_call
from engine.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent

MAX_INBOUND = 16
"""Inbound calls ringing or up at once; one more is answered 486."""
WITHIN_DIALOGS = ("BYE", "INFO", "NOTIFY", "PRACK", "UPDATE")
"""Methods that live within a dialog; of NOTIFY see RFC 6665, 4.1.3."""


class Reception:
    """One user agent's."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent

    def receive(self, request: Message, transaction: ServerTransaction) -> None:
        agent = self._agent
        if request.version != "SIP/2.0":
            agent.respond(transaction, 505)
        elif request.to.tag:
            self._within(request, transaction)
        else:
            self._outside(request, transaction)

    def _within(self, request: Message, transaction: ServerTransaction) -> None:
        agent = self._agent
        call = agent.call_of(request) if request.method == "BYE" else agent.calls.get(request.call_id)
        if call is not None:
            if (dialog := call.dialog_of(request)) is not None:
                call.receive_request(request, transaction, dialog)
            else:
                agent.respond(transaction, 481)
        elif request.method == "BYE" and agent.past.is_leaving(request):
            agent.respond(transaction, 200)
        elif not agent.past.take(request, transaction):
            agent.respond(transaction, 481)

    def _outside(self, request: Message, transaction: ServerTransaction) -> None:
        agent, account, method = self._agent, self._agent.account, request.method
        if not _known_scheme(request):
            agent.respond(transaction, 416)
        elif unsupported := account.unsupported(request):
            agent.respond(transaction, 420, [("Unsupported", unsupported)])
        elif method != "INVITE" and request.get("Replaces") and account.accept_transfer:
            agent.respond(transaction, 400)  # RFC 3891, 3
        elif method == "OPTIONS":
            agent.respond(transaction, 200, agent.capabilities())
        elif method == "INVITE":
            self._invite(request, transaction)
        elif method in WITHIN_DIALOGS:
            agent.respond(transaction, 481)
        elif method == "REFER" and account.accept_transfer:
            agent.respond(transaction, 603)  # only within a call
        else:
            agent.respond(transaction, 405 if method in KNOWN_METHODS else 501)

    def _invite(self, request: Message, transaction: ServerTransaction) -> None:
        agent, account = self._agent, self._agent.account
        if request.call_id in agent.calls:
            agent.respond(transaction, 482)
        elif request.get("Content-Encoding") not in (None, "", "identity"):
            agent.respond(transaction, 415, [("Accept-Encoding", "identity")])
        elif request.content and not request.sdp and not request.body_is_optional:
            agent.respond(transaction, 415, [("Accept", "application/sdp")])
        elif not request.accepts("application/sdp"):
            agent.respond(transaction, 406)
        elif min_se := agent.interval_too_small(request):
            agent.respond(transaction, 422, min_se)
        elif account.accept_transfer and request.get("Replaces") is not None:
            self._replace(request, transaction)
        elif not account.inbound:
            agent.respond(transaction, 480)
        elif sum(call.role == "inbound" for call in agent.calls.values()) >= MAX_INBOUND:
            agent.respond(transaction, 486)
        else:
            agent.on_inbound(request, transaction)

    def _replace(self, request: Message, transaction: ServerTransaction) -> None:
        """An INVITE that is to take the place of one of our dialogs."""
        agent = self._agent
        try:
            old = replaced_call(request, agent.calls, agent.past)
        except ReferError as error:
            agent.respond(transaction, error.code)
        else:
            agent.on_replacing(request, transaction, old)


def _known_scheme(request: Message) -> bool:
    try:
        return request.uri.scheme in ("sip", "sips", "tel")
    except ValueError:
        return True  # odd, but meant for us
