"""One call: pyVoIP's `VoIPCall` as a leg of a real user agent."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.RTP import PayloadType
from pyVoIP.VoIP import CallState, InvalidStateError, VoIPCall

from engine.legs import HangupCause, LegState
from engine.presses import DigitMerge
from engine.sip.account import USER_AGENT
from engine.sip.callee import Callee
from engine.sip.caller import Caller
from engine.sip.causes import reason_of
from engine.sip.dialog import Dialog, new_tag
from engine.sip.hop import Hop, Target
from engine.sip.info import InfoDigits
from engine.sip.message import Message, response_to
from engine.sip.midcall import MidCall
from engine.sip.sdp import LocalDescription, Negotiated, SdpError, parse
from engine.sip.session_timer import SessionTimer
from engine.sip.transaction import ServerTransaction
from engine.sip.transfers import CallTransfers
from engine.sip.uri import is_ip

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent
    from engine.sip.phone import Phone

Role = Literal["outbound", "inbound"]

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
            {local.port: {pt: PayloadType(pt) for _, pt in local.codecs if pt < 96}},
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
        self.caller: Caller | None = None
        self.callee: Callee | None = None
        self.midcall = MidCall(self)
        self.transfers = CallTransfers(self)
        self.timer = SessionTimer(self)
        self.info = InfoDigits(self)
        self.presses = DigitMerge()
        self.far_methods: frozenset[str] = frozenset()
        """What the far end's last Allow listed."""
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

    # --- from the application, in the loop -------------------------------------------------------

    def begin(self) -> None:
        """Send the INVITE."""
        if self.caller is not None:
            self.caller.begin()

    def accept(self) -> None:
        """Answer an inbound call that rings. Raises InvalidStateError if it doesn't."""
        if self.callee is None:
            raise InvalidStateError("Call is not ringing")
        self.callee.accept()

    def refuse(self, code: int = 486, told: Sequence[tuple[str, str]] = (), phrase: str = "") -> None:
        """Refuse an inbound call that rings with a final response of 400 to 699; `told` are headers of it.

        Raises InvalidStateError where it doesn't ring, ValueError for another code.
        """
        if self.callee is None:
            raise InvalidStateError("Call is not ringing")
        self.callee.refuse(code, told, phrase)

    def ring_on(self) -> None:
        """Of an inbound call: somebody else sees to how long it rings."""
        if self.callee is not None:
            self.callee.ring_on()

    def early_media(self) -> None:
        """Let the caller of an inbound call that rings hear what we send, where the INVITE has an offer."""
        if self.callee is not None:
            self.callee.early_media()

    def hold(self, on: bool) -> None:
        """Hold or resume from our side by re-INVITE (RFC 3264, 8.4). Raises InvalidStateError."""
        self.midcall.changes.hold(on)

    def hangup_leg(
        self, cause: str = "normal", reason: str = "", told: Sequence[tuple[str, str]] = ()
    ) -> None:
        """End it from any state: CANCEL, BYE, or a refusal; twice is as good as once. `told` are headers of
        the CANCEL or BYE that say why."""
        if self._progress is LegState.ENDED:
            return
        if self._progress is LegState.ANSWERED or (self.dialog is not None and self.role == "outbound"):
            why = told or reason_of(cause)
            waits = self.callee is not None and self.callee.bye_when_acknowledged(why)
            if self.dialog is not None and not waits:
                self.agent.bye(self.dialog, why)
            self.end(HangupCause(cause, "us", None, reason))
        elif self.role == "inbound":
            self.refuse(603)
        elif self.caller is not None:
            self.caller.give_up(cause, reason, told)

    # --- from the agent ----------------------------------------------------------------------------

    def ring(self, transaction: ServerTransaction) -> None:
        """Take an inbound INVITE: make its dialog and answer 180."""
        self.callee = Callee(self, transaction)
        self.callee.ring()

    def answer_at_once(self, transaction: ServerTransaction) -> None:
        """Take an inbound INVITE and answer it without ringing."""
        self.callee = Callee(self, transaction)
        self.callee.accept()

    @property
    def tag(self) -> str:
        """Our own tag, the same in every dialog of the call."""
        return self.dialog.local.tag if self.dialog is not None else str(self.request.from_.tag)

    def dialog_of(self, request: Message) -> Dialog | None:
        """The dialog of this call that a request is within, by tags (12.2.2): the call's own, or an
        early one before the answer."""
        if request.to.tag != self.tag:
            return None
        if (dialog := self.dialog) is not None:
            return dialog if not dialog.remote.tag or request.from_.tag == dialog.remote.tag else None
        fork = self.caller.forks.of(request) if self.caller is not None else None
        return fork.dialog if fork is not None else None

    def receive_request(self, request: Message, transaction: ServerTransaction, dialog: Dialog) -> None:
        self.midcall.receive(request, transaction, dialog)

    def receive_ack(self, ack: Message) -> None:
        if self.callee is not None:
            self.callee.on_ack(ack)
        self.midcall.on_ack(ack)

    def receive_cancel(self, transaction: ServerTransaction, cancel: Message) -> None:
        if self.callee is not None:
            self.callee.on_cancel(transaction, cancel)

    # --- for its parts -----------------------------------------------------------------------------

    def advance(self, state: LegState) -> None:
        self._progress = state
        self.changed()

    def changed(self) -> None:
        self.transfers.changed()
        self.on_change(self)

    def remember_methods(self, message: Message) -> None:
        """Take note of the methods that the far end allows."""
        if methods := message.all("Allow"):
            self.far_methods = frozenset(method.upper() for method in methods)
        self.info.note_accept(message)

    def understand(self, answer: bytes, offer: LocalDescription) -> Negotiated | None:
        """What the far end's answer to an offer of ours comes to; None, with `reason`, where it can't be
        used."""
        try:
            return offer.accept(parse(answer))
        except SdpError as error:
            self.reason = str(error)
            return None

    def take_description(self, answer: bytes) -> bool:
        """Let the audio go as the far end's answer says; False, with `reason`, where it can't."""
        agreed = self.understand(answer, self.local)
        if agreed is not None:
            self.connect(agreed)
        return agreed is not None

    def connect(self, agreed: Negotiated) -> None:
        """Let the audio go as agreed; the same again restarts nothing. A name instead of an address
        (RFC 8866, 5.7) is looked up first."""
        self.negotiated = agreed
        self.far_held = agreed.on_hold
        known = replace(agreed, signalling=self.agent.flow.host)
        if is_ip(agreed.host):
            self.phone.media.connect(self.stream, known)
            return

        def found(hops: Sequence[Hop], why: str) -> None:
            if self.negotiated is not agreed or self._progress is LegState.ENDED:
                return
            if hops:
                self.phone.media.connect(self.stream, replace(known, host=hops[0].host))
            else:
                self.hangup_leg("failed", f"the far end's audio has no address: {why}")

        self.agent.locate(Target(agreed.host, agreed.port, "udp"), found)

    def respond(
        self,
        transaction: ServerTransaction,
        code: int,
        content: bytes = b"",
        extra: Sequence[tuple[str, str]] = (),
        phrase: str = "",
    ) -> None:
        fields = [("Contact", self.agent.contact), ("Allow", self.agent.account.allow)]
        fields += [("Server", USER_AGENT), *extra]
        if code == 200 and transaction.is_invite and (supported := self.agent.account.supported):
            fields.append(("Supported", supported))
        if content:
            fields.append(("Content-Type", "application/sdp"))
        tag = self.dialog.local.tag if self.dialog else new_tag()
        response = response_to(transaction.request, code, phrase, to_tag=tag, extra=fields, content=content)
        transaction.respond(response)

    def end(self, cause: HangupCause) -> None:
        """The leg is over; its port goes back."""
        if self._progress is LegState.ENDED:
            return
        if self.caller is not None:
            self.caller.ended()
        if self.callee is not None:
            self.callee.ended()
        self.midcall.ended()
        self.timer.stop()
        self.info.ended()
        self.cause = cause
        self._progress = LegState.ENDED
        self.transfers.ended()
        self.phone.forget(self)
        self.changed()

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

    def receive_press(self, digit: str, way: str, at: float, duration_ms: int) -> None:
        """A key press of the far end, as one of its ways told it: see `DigitMerge`."""
        if self.presses.is_new(digit, way, at, duration_ms):
            self.receive_digit(digit)

    def receive_digit(self, digit: str) -> None:
        """A key press of the far end, for pyVoIP's `get_dtmf`; the last thousand are kept."""
        with self.dtmfLock:
            unread: str = self.dtmf.read()[-999:]
            self.dtmf = io.StringIO(unread + digit)

    def bye(self) -> None:
        self.end(HangupCause("normal", "far"))

    def renegotiate(self, request: Any) -> None:
        raise NotImplementedError("re-INVITEs are answered by receive_request")


__all__ = ["Call", "CallState", "InvalidStateError"]
