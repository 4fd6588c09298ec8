"""One call: pyVoIP's `VoIPCall` as a leg of a real user agent."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pyVoIP.VoIP  # first: see message.py
from pyVoIP.RTP import PayloadType
from pyVoIP.VoIP import CallState, InvalidStateError, VoIPCall

from engine.legs import HangupCause, LegState
from engine.sip.account import ALLOW, USER_AGENT
from engine.sip.dialog import Dialog, new_branch, new_tag
from engine.sip.exchange import InviteExchange
from engine.sip.message import Message, response_to
from engine.sip.sdp import Direction, LocalDescription, Negotiated, SdpError, negotiate, parse, refused_lines
from engine.sip.transaction import ServerTransaction, TimerHandle

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent
    from engine.sip.phone import Phone

Role = Literal["outbound", "inbound"]

CANCEL_WAIT = 4.0
"""Seconds that a cancelled call waits for its final response before it counts as ended."""

_PYVOIP_STATE = {
    LegState.DIALING: CallState.DIALING,
    LegState.TRYING: CallState.DIALING,
    LegState.EARLY: CallState.DIALING,
    LegState.RINGING: CallState.DIALING,
    LegState.ANSWERED: CallState.ANSWERED,
    LegState.ENDED: CallState.ENDED,
}


class Call(VoIPCall):  # type: ignore[misc]
    """A leg. `progress` is its state, `cause` why it ended; `on_change(call)` follows each change.

    Every method must be called in the agent's loop; pyVoIP's blocking ones (`answer`, `hangup`,
    `deny`, `read_audio`, ...) may be called from any thread.
    """

    def __init__(
        self,
        leg: str,
        phone: Phone,
        agent: UserAgent,
        role: Role,
        number: str,
        request: Message,
        local: LocalDescription,
        on_change: Callable[[Call], None],
    ) -> None:
        self.id = leg
        self.role: Role = role
        self._progress = LegState.DIALING if role == "outbound" else LegState.RINGING
        super().__init__(
            phone,
            CallState.DIALING,
            request,
            local.session_id,
            local.host,
            {local.port: {pt: PayloadType(pt) for _, pt in local.codecs}},
            "sendrecv",
        )
        self.agent = agent
        self.number = number
        self.local = local
        self.on_change = on_change
        self.dtmf = io.StringIO()
        self.cause: HangupCause | None = None
        self.sip_code: int | None = None
        self.reason = ""
        self.dialog: Dialog | None = None
        self.negotiated: Negotiated | None = None
        self.held = False
        self.far_held = False
        self.exchange: InviteExchange | None = None
        self._invite_transaction: ServerTransaction | None = None
        self._acks: dict[str, bytes] = {}
        self._cancel_timer: TimerHandle | None = None
        self._reinvite: InviteExchange | None = None
        self._hangup_cause: str = ""
        self.reinvite_failed = ""

    @property
    def state(self) -> CallState:
        if self.role == "inbound" and self._progress is LegState.RINGING:
            return CallState.RINGING
        return _PYVOIP_STATE[self._progress]

    @state.setter
    def state(self, value: CallState) -> None:
        """pyVoIP's constructor assigns; ours goes by `progress`."""

    def __del__(self) -> None:
        """pyVoIP returns ports when a call is collected; ours go back the moment it ends."""

    @property
    def progress(self) -> LegState:
        return self._progress

    @property
    def stream(self) -> str:
        return self.id

    def _set(self, state: LegState) -> None:
        self._progress = state
        self.on_change(self)

    def matches(self, request: Message) -> bool:
        """Whether a request within a dialog is this call's, by tags (12.2.2)."""
        dialog = self.dialog
        return (
            dialog is not None
            and request.to.tag == dialog.local.tag
            and (not dialog.remote.tag or request.from_.tag == dialog.remote.tag)
        )

    # --- outbound ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Send the INVITE."""
        if self.exchange is not None and self.exchange.request is None:
            self.request = self.exchange.start()

    def on_provisional(self, response: Message) -> None:
        if self._progress is LegState.ENDED:
            return
        self.sip_code, self.reason = response.code, response.reason
        if response.sdp and self._take_description(response.sdp):
            self._set(LegState.EARLY)
        elif response.code == 100:
            if self._progress is LegState.DIALING:
                self._set(LegState.TRYING)
        elif self._progress in (LegState.DIALING, LegState.TRYING) and response.code in (180, 181, 182, 183):
            self._set(LegState.RINGING if response.code == 180 else LegState.TRYING)

    def on_success(self, request: Message, response: Message) -> None:
        tag = response.to.tag
        if tag in self._acks:  # its ACK was lost (13.2.2.4)
            self.agent.acknowledge(Dialog.as_caller(request, response), request.cseq)
            return
        dialog = Dialog.as_caller(request, response)
        if len(self._acks) < 32:
            self._acks[tag] = self.agent.acknowledge(dialog, request.cseq)
        if self.dialog is not None or self._progress is LegState.ENDED or self._hangup_cause:
            self.agent.bye(dialog)  # a second fork, or one that crossed our CANCEL
            if self.dialog is None and self._progress is not LegState.ENDED:
                self._end(HangupCause(self._hangup_cause or "cancelled", "us"))
            return
        self.dialog = dialog
        self.sip_code, self.reason = response.code, response.reason
        if response.sdp and not self._take_description(response.sdp) and self.negotiated is None:
            self.hangup_leg("failed", "the answer's session description could not be used")
            return
        if self.negotiated is None:
            self.hangup_leg("failed", "the answer held no session description")
            return
        self.phone.save_dialog(self)
        self._set(LegState.ANSWERED)

    def on_failure(self, request: Message, response: Message | None) -> None:
        if self._progress is LegState.ENDED:
            return
        exchange = self.exchange
        if response is None:
            heard = exchange is not None and exchange.heard_anything
            name = "timeout" if heard else "no_response"
            reason = "no final response" if heard else "no answer from the trunk"
            self._end(HangupCause(self._hangup_cause or name, "network", None, reason))
            return
        self.sip_code, self.reason = response.code, response.reason
        if self._hangup_cause:
            self._end(HangupCause(self._hangup_cause, "us", response.code, response.reason))
            return
        refused = response.code in (401, 407) or (
            response.code == 403 and exchange is not None and exchange.sent_credentials
        )
        self._end(
            HangupCause("unauthorized" if refused else "rejected", "far", response.code, response.reason)
        )

    def _take_description(self, data: bytes) -> bool:
        try:
            self.negotiated = negotiate(
                parse(data), [name for name, _ in self.local.codecs], self.local.direction
            )
        except SdpError as error:
            self.reason = str(error)
            return False
        self.far_held = self.negotiated.on_hold
        self._connect_media(self.negotiated)
        return True

    def _connect_media(self, agreed: Negotiated) -> None:
        self.phone.media.connect(
            self.stream,
            agreed.host,
            agreed.port,
            agreed.codecs,
            agreed.event_payload_type,
            agreed.direction,
            self.local.event_payload_type,
        )

    # --- inbound -----------------------------------------------------------------------------

    def ring(self, transaction: ServerTransaction) -> None:
        """Take an inbound INVITE: make its dialog and answer 180."""
        self._invite_transaction = transaction
        self.dialog = Dialog.as_callee(transaction.request, new_tag())
        transaction.on_no_ack = lambda: self.hangup_leg("timeout", "the answer was never acknowledged")
        self._respond(transaction, 180)

    def accept(self) -> None:
        """Answer an inbound call that rings. Raises InvalidStateError if it doesn't."""
        transaction, request = self._invite_transaction, self._invite_request()
        if transaction is None or request is None or self.state != CallState.RINGING:
            raise InvalidStateError("Call is not ringing")
        refused: tuple[str, ...] = ()
        if request.sdp:
            try:
                session = parse(request.sdp)
                self.negotiated = negotiate(session, [n for n, _ in self.local.codecs], self.local.direction)
            except SdpError as error:
                self._respond(transaction, 488)
                self._end(HangupCause("failed", "us", 488, str(error)))
                return
            self.local = self.local.answering(self.negotiated)
            refused = refused_lines(session)
            self._connect_media(self.negotiated)
        self._respond(transaction, 200, self.local.encode(refused))
        self.phone.save_dialog(self)
        self._set(LegState.ANSWERED)

    def refuse(self, code: int = 486) -> None:
        """Refuse an inbound call that rings with a final response of 400 to 699."""
        if self._invite_transaction is None or self.state != CallState.RINGING:
            raise InvalidStateError("Call is not ringing")
        self._respond(self._invite_transaction, code)
        self._end(HangupCause("rejected", "us", code))

    def _invite_request(self) -> Message | None:
        return self._invite_transaction.request if self._invite_transaction else None

    def _respond(self, transaction: ServerTransaction, code: int, content: bytes = b"") -> None:
        fields = [("Contact", self.agent.contact), ("Allow", ALLOW), ("Server", USER_AGENT)]
        if content:
            fields.append(("Content-Type", "application/sdp"))
        tag = self.dialog.local.tag if self.dialog else new_tag()
        transaction.respond(response_to(transaction.request, code, to_tag=tag, extra=fields, content=content))

    # --- within the dialog --------------------------------------------------------------------

    def receive_request(self, request: Message, transaction: ServerTransaction) -> None:
        dialog = self.dialog
        if dialog is None:
            self._respond(transaction, 481)
        elif request.cseq <= dialog.remote_cseq:
            self._respond(transaction, 500)  # out of order (12.2.2)
        else:
            dialog.remote_cseq = request.cseq
            handler = {"BYE": self._on_bye, "INVITE": self._on_reinvite, "OPTIONS": self._on_options}.get(
                request.method
            )
            if handler is None:
                self._respond(transaction, 405)
            else:
                handler(request, transaction)

    def _on_bye(self, request: Message, transaction: ServerTransaction) -> None:
        self._respond(transaction, 200)
        if self._invite_transaction is not None and not self._invite_transaction.final_code:
            self._respond(self._invite_transaction, 487)
        self._end(HangupCause("normal", "far", None, (request.get("Reason") or "")[:200]))

    def _on_options(self, request: Message, transaction: ServerTransaction) -> None:
        self._respond(transaction, 200)

    def _on_reinvite(self, request: Message, transaction: ServerTransaction) -> None:
        if self._reinvite is not None and not self._reinvite.finished:
            self._respond(transaction, 491)
            return
        if self._progress is not LegState.ANSWERED or self.dialog is None:
            self._respond(transaction, 500)
            return
        refused: tuple[str, ...] = ()
        if request.sdp:
            direction: Direction = "sendonly" if self.held else "sendrecv"
            try:
                session = parse(request.sdp)
                self.negotiated = negotiate(session, list(self.agent.account.codecs), direction)
            except SdpError:
                self._respond(transaction, 488)
                return
            refused = refused_lines(session)
            self.local = self.local.answering(self.negotiated)
            self.far_held = self.negotiated.on_hold
            self._connect_media(self.negotiated)
        self.dialog.refresh_target(request)
        self._respond(transaction, 200, self.local.encode(refused))
        self.phone.save_dialog(self)
        self.on_change(self)

    def receive_ack(self, ack: Message) -> None:
        if self._invite_transaction is not None:
            self._invite_transaction.acknowledge()
        if ack.sdp and self.negotiated is None:
            self._take_description(ack.sdp)

    def receive_cancel(self, transaction: ServerTransaction) -> None:
        if not transaction.final_code:
            self._respond(transaction, 487)
            self._end(HangupCause("cancelled", "far", 487))

    def hold(self, on: bool) -> None:
        """Hold or resume from our side by re-INVITE (RFC 3264, 8.4). Raises InvalidStateError."""
        dialog = self.dialog
        if self._progress is not LegState.ANSWERED or dialog is None:
            raise InvalidStateError("Call is not answered")
        if self._reinvite is not None and not self._reinvite.finished:
            raise InvalidStateError("Call is being changed already")
        wanted = self.local.with_direction("sendonly" if on else "sendrecv")
        content = wanted.encode()

        def make(extra: list[tuple[str, str]]) -> Message:
            fields = [
                ("Contact", self.agent.contact),
                ("Allow", ALLOW),
                ("User-Agent", USER_AGENT),
                ("Content-Type", "application/sdp"),
                *extra,
            ]
            return dialog.request("INVITE", self.agent.via(new_branch()), fields, content)

        change = _Reinvite(self, dialog, wanted, on)
        self._reinvite = InviteExchange(
            self.agent.layer, dialog.next_hop, self.agent.authenticator(), make, change
        )
        self._reinvite.start()

    # --- the end ------------------------------------------------------------------------------

    def hangup_leg(self, cause: str = "normal", reason: str = "") -> None:
        """End it from any state: CANCEL, BYE, or a refusal; twice is as good as once."""
        if self._progress is LegState.ENDED:
            return
        if self._progress is LegState.ANSWERED or (self.dialog is not None and self.role == "outbound"):
            if self.dialog is not None:
                self.agent.bye(self.dialog)
            self._end(HangupCause(cause, "us", None, reason))
        elif self.role == "inbound":
            self.refuse(603)
        elif not self._hangup_cause and self.exchange is not None:
            self._hangup_cause = cause if cause != "normal" else "cancelled"
            self.exchange.cancel()
            self._cancel_timer = self.agent.clock.call_later(
                CANCEL_WAIT, lambda: self._end(HangupCause(self._hangup_cause, "us", None, reason))
            )

    def _end(self, cause: HangupCause) -> None:
        if self._progress is LegState.ENDED:
            return
        if self._cancel_timer is not None:
            self._cancel_timer.cancel()
        self.cause = cause
        self._progress = LegState.ENDED
        self.phone.forget(self)
        self.on_change(self)

    # --- pyVoIP's methods, for any thread --------------------------------------------------------

    def answer(self) -> None:
        self.phone.run(self.accept)

    def deny(self) -> None:
        self.phone.run(self.refuse)

    def hangup(self) -> None:
        if self.state != CallState.ANSWERED and self.role == "inbound":
            raise InvalidStateError("Call is not answered")
        self.phone.run(self.hangup_leg)

    def read_audio(self, length: int = 160, blocking: bool = True) -> bytes:
        """`length` bytes of what was received, as pyVoIP gives it: 8-bit unsigned linear at 8 kHz."""
        audio: bytes = self.phone.media.read(self.stream, length, blocking)
        return audio

    def write_audio(self, data: bytes) -> None:
        """Queue 8-bit unsigned linear audio at 8 kHz to be sent."""
        self.phone.media.write(self.stream, data)

    def receive_digit(self, digit: str) -> None:
        """A key press of the far end, for pyVoIP's `get_dtmf`; the last thousand are kept."""
        with self.dtmfLock:
            unread: str = self.dtmf.read()[-999:]
            self.dtmf = io.StringIO(unread + digit)

    def bye(self) -> None:
        self._end(HangupCause("normal", "far"))

    def renegotiate(self, request: Any) -> None:
        raise NotImplementedError("re-INVITEs are answered by receive_request")


class _Reinvite:
    """What becomes of our re-INVITE: hold or resume done, or not."""

    def __init__(self, call: Call, dialog: Dialog, wanted: LocalDescription, hold: bool) -> None:
        self._call, self._dialog, self._wanted, self._hold = call, dialog, wanted, hold
        self._acked = False

    def on_provisional(self, response: Message) -> None:
        pass

    def on_success(self, request: Message, response: Message) -> None:
        call = self._call
        call.agent.acknowledge(self._dialog, request.cseq)
        if self._acked or call.progress is LegState.ENDED:
            return
        self._acked = True
        self._dialog.refresh_target(response)
        call.local = self._wanted
        call.held = self._hold
        if response.sdp:
            call._take_description(response.sdp)
        call.phone.save_dialog(call)
        call.on_change(call)

    def on_failure(self, request: Message, response: Message | None) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        code = response.code if response else 408
        if code in (408, 481):  # the dialog is gone (12.2.1.2)
            call.hangup_leg("timeout", f"{code} to a re-INVITE")
            return
        call.reinvite_failed = f"{code} {response.reason if response else 'no answer'}"
        call.on_change(call)


__all__ = ["Call", "CallState", "InvalidStateError", "pyVoIP"]
