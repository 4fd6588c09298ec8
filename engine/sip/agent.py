"""The user agent: pyVoIP's `SIPClient` with our layers beneath it.

Sans-IO: datagrams come in by `receive`, leave by the `send` it was given, and time is the clock's.
`engine.sip.network` is the sockets around it, `engine.sip.reception` tells what each request that comes in
gets, `engine.sip.phone` has the calls above it.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.SIP import SIPParseError

from engine.sip.account import USER_AGENT, Account
from engine.sip.dialog import Dialog, SavedDialog, SavedInvite, new_branch, new_call_id, new_tag
from engine.sip.digest import Authenticator
from engine.sip.hop import Hop
from engine.sip.layer import TransactionLayer
from engine.sip.message import Message, response_to
from engine.sip.past import Past
from engine.sip.reception import Reception
from engine.sip.refusal import refusal_of_malformed
from engine.sip.registration import Registration
from engine.sip.session_timer import MIN_SE, too_small
from engine.sip.transaction import Clock, Send, ServerTransaction, cancel_of
from engine.sip.way import Way

if TYPE_CHECKING:
    from engine.sip.call import Call

log = logging.getLogger(__name__)


class UserAgent(Way):
    """Registration, dialogs and everything that no call owns. `phone` gets inbound calls."""

    def __init__(
        self, account: Account, clock: Clock, send: Send, local: tuple[str, int], phone: Any = None
    ) -> None:
        super().__init__(account, local, phone)
        self.credentials = account.credentials()
        self.clock = clock
        self.layer = TransactionLayer(clock, self._send)
        self.layer.on_request = Reception(self).receive
        self.layer.on_ack = self._on_ack
        self.layer.refuses = self._refuses
        self.layer.on_cancel = self._on_cancel
        self.layer.on_stray = self._on_stray
        self.layer.via = self.via
        self.layer.locate = self._locate
        self.layer.worked = self._worked
        self.on_registration: Callable[[], None] = lambda: None
        self.on_message: Callable[[Message, bool], None] = lambda message, sent: None
        self.on_inbound: Callable[[Message, ServerTransaction], None] = self._refuse_inbound
        self.on_replacing: Callable[[Message, ServerTransaction, Call], None] = (
            lambda request, transaction, old: self._refuse_inbound(request, transaction)
        )
        self.calls: dict[str, Call] = {}
        self._leaving: dict[str, Call] = {}
        self.past = Past()
        self._strays: deque[tuple[str, str]] = deque(maxlen=64)
        self.malformed = self.ignored = 0
        self._malformed_told = float("-inf")
        self._send_datagram = send
        self.registration = Registration(self, lambda: self.on_registration())

    def authenticator(self) -> Authenticator:
        return Authenticator(self.credentials)

    # --- in and out -------------------------------------------------------------------------

    def _send(self, data: bytes, hop: Hop) -> None:
        try:
            self.on_message(Message(data), True)
        except SIPParseError:
            log.debug("a message of ours does not parse back")
        self._send_datagram(data, hop)

    def receive(self, data: bytes, source: Hop, trusted: bool = True) -> None:
        """One datagram, or one message of a stream.

        From an address that is not the trunk's only what belongs to a transaction or dialog of ours is
        taken; everything else is dropped in silence, so that nobody can have us send anything to a
        third party.
        """
        if not data.strip(b"\r\n\x00 "):
            return
        try:
            message = Message(data)
        except SIPParseError as error:
            self._note_malformed(source, error)
            if trusted and (refusal := refusal_of_malformed(data, str(error))):
                self._send(refusal, source)
            return
        if not message.is_request and len(message.all("Via")) > 1:
            self.ignored += 1  # meant for another, or sent round in a circle (8.1.3.3)
            return
        if not trusted and not self._is_ours(message):
            self.ignored += 1
            return
        self._stamp_via(message, source)
        self.on_message(message, False)
        try:
            self.layer.receive(message, source)
        except SIPParseError as error:  # of what we were about to send
            log.warning("no answer to %s: %s", message.summary_line[:80], error)

    def _note_malformed(self, source: Hop, error: Exception) -> None:
        """Counted, and told once a minute at most."""
        self.malformed += 1
        now = self.clock.time()
        if now >= self._malformed_told + 60.0:
            self._malformed_told = now
            log.info("a malformed SIP message from %s: %s (%d so far)", source.host, error, self.malformed)

    def _is_ours(self, message: Message) -> bool:
        if not message.is_request:
            return self.layer.expects(message)
        call = self.call_of(message)
        return call is not None and call.tag == message.to.tag

    def knows(self, call_id: str) -> bool:
        """Whether a Call-ID is that of our registration or of a call of ours."""
        kept = call_id in self._leaving or call_id in self.past
        return call_id in self.calls or kept or call_id == self.registration.call_id

    def _refuses(self, request: Message) -> int:
        """481 for a request within a dialog that is none of ours."""
        within = request.to.tag and request.method != "CANCEL" and request.version == "SIP/2.0"
        return 481 if within and not self.knows(request.call_id) else 0

    def _stamp_via(self, message: Message, source: Hop) -> None:
        """received and rport on a request's topmost Via (18.2.1); beside rport always both (RFC 3581, 4)."""
        if not message.is_request:
            return
        index = next(i for i, (k, _) in enumerate(message.fields) if k == "Via")
        value = message.fields[index][1]
        value = re.sub(r";\s*rport\s*(?:=\s*)?(?=;|$)", f";rport={source[1]}", value, count=1, flags=re.I)
        if message.via.host != source[0] or "rport" in message.via.params:
            value += f";received={source[0]}"
        message.fields[index] = ("Via", value)

    # --- answers ----------------------------------------------------------------------------

    def interval_too_small(self, request: Message, running: int = 0) -> list[tuple[str, str]]:
        """Min-SE for a 422 where a request's session interval is too small; else nothing (RFC 4028, 9)."""
        small = self.account.session_expires and too_small(request, running)
        return [("Min-SE", str(MIN_SE))] if small else []

    def capabilities(self) -> list[tuple[str, str]]:
        """What the answer to OPTIONS tells beside Allow (11.2)."""
        return [("Accept", "application/sdp, application/dtmf-relay, application/dtmf"),
                ("Supported", self.account.supported)]  # fmt: skip

    def forget(self, call: Call) -> None:
        """A call is over."""
        self.calls.pop(call.call_id, None)
        if call.dialog is not None:
            self.past.remember(call.dialog)

    def _refuse_inbound(self, request: Message, transaction: ServerTransaction) -> None:
        self.respond(transaction, 480)

    def respond(
        self, transaction: ServerTransaction, code: int, extra: list[tuple[str, str]] | None = None
    ) -> None:
        fields = [("Allow", self.account.allow), ("Server", USER_AGENT)]
        fields += [(k, v) for k, v in (extra or []) if v]
        transaction.respond(response_to(transaction.request, code, to_tag=new_tag(), extra=fields))

    def _on_ack(self, ack: Message) -> None:
        call = self.call_of(ack)
        if call is not None and call.dialog_of(ack) is not None:
            call.receive_ack(ack)

    def call_of(self, request: Message) -> Call | None:
        """The call of a request's Call-ID, also while it waits for the ACK that lets its BYE go."""
        return self.calls.get(request.call_id) or self._leaving.get(request.call_id)

    def linger(self, call: Call, on: bool) -> None:
        """Keep handing ACKs to a call that has ended before its answer was acknowledged, or no more."""
        if on:
            self._leaving[call.call_id] = call
        else:
            self._leaving.pop(call.call_id, None)

    def _on_cancel(self, transaction: ServerTransaction, cancel: Message) -> None:
        call = self.calls.get(transaction.request.call_id)
        if call is not None:
            call.receive_cancel(transaction, cancel)

    def _on_stray(self, response: Message, source: Hop) -> None:
        """A 2xx to an INVITE that we no longer know would leave someone on the line: ACK, then BYE. One that
        comes late once more, in a dialog that is up, gets its ACK alone."""
        if response.cseq_method != "INVITE" or not 200 <= response.code < 300 or not response.to.tag:
            return
        if response.contact is None or response.via.host != self.local[0]:
            return
        call = self.calls.get(response.call_id)
        if call is not None and call.dialog is not None and call.dialog.remote.tag == response.to.tag:
            self.acknowledge(call.dialog, response)
            return
        dialog = Dialog.as_caller(response, response)
        self.acknowledge(dialog, response)
        if (response.call_id, response.to.tag) not in self._strays:
            self._strays.append((response.call_id, response.to.tag))
            self.bye(dialog)

    # --- requests of ours within a dialog ----------------------------------------------------

    def acknowledge(self, dialog: Dialog, invite: Message) -> Callable[[], None]:
        """Send the ACK of a 2xx: a request of its own branch along the route set, with the CSeq and the
        credentials of the INVITE (13.2.2.4). Of a stray 2xx the response itself stands for the INVITE.

        What is returned sends the same once more, for a 2xx that is repeated.
        """
        credentials = [f for f in invite.fields if f[0] in ("Authorization", "Proxy-Authorization")]
        ack = dialog.request("ACK", self.via(new_branch()), credentials, cseq=invite.cseq)

        def send() -> None:
            self.layer.send(ack, dialog.next_hop())

        send()
        return send

    def ask(
        self,
        dialog: Dialog,
        method: str,
        fields: Sequence[tuple[str, str]] = (),
        content: bytes = b"",
        *,
        on_response: Callable[[Message], None] = lambda response: None,
        on_timeout: Callable[[], None] = lambda: None,
    ) -> None:
        """Send a request within a dialog, other than INVITE and ACK; a challenge is answered.

        `on_response` gets every response but a challenge that is answered.
        """
        auth = self.authenticator()

        def send(credentials: Sequence[tuple[str, str]]) -> None:
            request = dialog.request(
                method, self.via(new_branch()), [("User-Agent", USER_AGENT), *fields, *credentials], content
            )

            def receive(response: Message) -> None:
                if response.code in (401, 407) and (more := auth.retry(response, request)):
                    send(more)
                else:
                    on_response(response)

            self.layer.request(request, dialog.next_hop(), receive, on_timeout)

        send(())

    def bye(self, dialog: Dialog, reason: Sequence[tuple[str, str]] = ()) -> None:
        """End a dialog; `reason` is a Reason header (RFC 3326)."""

        def on_response(response: Message) -> None:
            if response.code >= 200:
                self.past.left(dialog.id)

        self.past.leave(dialog.id)
        self.ask(dialog, "BYE", reason, on_response=on_response, on_timeout=lambda: self.past.left(dialog.id))

    def hang_up_saved(self, saved: SavedDialog | SavedInvite) -> None:
        """BYE (or CANCEL) to whoever an engine that died had left on the line.

        Raises ValueError or SIPParseError for what was not saved by us.
        """
        if isinstance(saved, SavedInvite):
            invite, hop = Message(saved.invite.encode()), Hop(saved.host, saved.port, saved.transport)
            cancel = cancel_of(invite)
            # its 487 wants an ACK; a 200 that was faster an ACK and a BYE
            self.layer.resume(invite, hop, lambda response: self._on_stray(response, hop))
            self.layer.request(cancel, hop.target, lambda r: None, lambda: None)
            return
        dialog = Dialog.restore(saved)
        dialog.local_cseq += 100  # requests sent after the last save may have used the next few
        self.bye(dialog)

    # --- pyVoIP's own methods ----------------------------------------------------------------

    def gen_call_id(self) -> str:
        return new_call_id()

    def gen_tag(self) -> str:
        return new_tag()

    def gen_branch(self, length: int = 32) -> str:
        return new_branch()

    def register(self) -> bool:
        """Start registering; True when a binding stands already."""
        self.registration.start()
        return self.registration.state == "registered"

    def close(self) -> None:
        self.layer.close()

    def start(self) -> None:
        raise NotImplementedError("engine.sip.phone.Phone starts the agent with its socket")

    stop = close
