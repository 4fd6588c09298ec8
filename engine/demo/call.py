"""One call of the carrier: a callee that does what the directory says, or a call to the phone."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import (
    CCEventConnect,
    CCEventDisconnect,
    CCEventFail,
    CCEventRing,
    CCEventTry,
    CCEventUpdate,
)
from sippy.MsgBody import MsgBody
from sippy.SipConf import SipConf
from sippy.SipContact import SipContact
from sippy.Time.Timeout import Timeout
from sippy.UA import UA
from sippy.UaStateDead import UaStateDead

from engine.demo import directory, sdp
from engine.demo.directory import Callee
from engine.demo.g711 import PAYLOAD_TYPES
from engine.demo.media import Stream

if TYPE_CHECKING:
    from engine.demo.carrier import Carrier

RING_SECONDS = 30.0
"""How long a call to the phone rings before it is cancelled."""

REASONS = {
    400: "Bad Request", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 410: "Gone",
    480: "Temporarily Unavailable", 484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 500: "Server Internal Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


def reason_phrase(code: int) -> str:
    """RFC 3261's phrase, or HTTP's, or a word for the class."""
    if code in REASONS:
        return REASONS[code]
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Refused"


class _Ua(UA):  # type: ignore[misc]
    """Sippy's user agent, telling when the ACK of its 2xx comes."""

    on_ack: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lContact = SipContact()
        self.lContact.address.name = None
        self.local_ua = SipConf.my_uaname

    def sendUasResponse(self, scode: int, reason: str, *args: Any, **kwargs: Any) -> None:
        kwargs["ack_wait"] = 200 <= scode < 300
        super().sendUasResponse(scode, reason, *args, **kwargs)

    def recvACK(self, req: Any) -> None:
        if self.on_ack:
            self.on_ack()


class Call:
    """A call between the phone and a number of the directory. Runs in sippy's event loop."""

    def __init__(self, carrier: Carrier, number: str, callee: Callee) -> None:
        self.number = number
        self.callee = callee
        self.ua: Any = None
        self.call_id = ""
        self.caller = ""
        self.ended = False
        self._carrier = carrier
        self._incoming = True
        self._answered = False
        self._acked = False
        self._stream: Stream | None = None
        self._remote: sdp.Description | None = None
        self._version = 0
        self._timers: list[Any] = []

    # --- a call from the phone ------------------------------------------------------------------

    def take(self, request: Any, transaction: Any) -> Any:
        """Begin with the phone's INVITE; what comes back is for sippy's transaction layer."""
        self.call_id = str(request.getHFBody("call-id"))
        self.ua = _Ua(self._carrier.sip, self._on_event)
        self.ua.on_ack = self._on_ack
        return self.ua.recvRequest(request, transaction)

    def _on_event(self, event: Any, ua: Any) -> None:
        self._carrier.guard(self._event, event)

    def _event(self, event: Any) -> None:
        if self.ended:
            return
        if isinstance(event, CCEventTry):
            _, self.caller, _, body, _, _ = event.getData()
            self.log("invite", **{"from": self.caller})
            self._offer(body)
        elif isinstance(event, CCEventUpdate):
            self._reoffer(event.getData())
        elif isinstance(event, CCEventRing):
            code, _, body = event.getData()
            self.log("ringing", code=code)
            if body is not None and not self._incoming:
                self._early(body)
        elif isinstance(event, CCEventConnect) and not self._incoming:
            self._connected(event.getData()[2])
        elif isinstance(event, CCEventDisconnect):
            self.log("bye" if self._answered else "cancel", by="phone")
            self.end("bye" if self._answered else "cancel")
        elif isinstance(event, CCEventFail):
            code, reason = event.getData()[:2]
            self.log("refused", code=code, reason=reason, by="phone")
            self.end("refused")

    def _offer(self, body: Any) -> None:
        callee = self.callee
        refusal = self._carrier.refusal(self)
        try:
            self._remote = sdp.parse(str(body)) if body is not None else None
        except ValueError:
            refusal = refusal or 488
        if self._remote is None or not self._codecs(self._remote):
            refusal = refusal or 488
        if refusal:
            self._refuse(refusal, "")
            return
        self._after(self._carrier.directory.carrier.max_call_seconds, self.hang_up)
        if callee.early:
            self._open().play(directory.early_source(callee))
            self._progress(183, "Session Progress", self._answer())
        elif callee.rings:
            self._progress(180, "Ringing", None)
        if callee.refuse is not None:
            self._after(callee.refuse_after, self._refuse, callee.refuse, callee.reason)
        elif callee.answer_after is not None:
            self._after(callee.answer_after, self._pick_up)

    def _progress(self, code: int, reason: str, body: Any) -> None:
        self.ua.recvEvent(CCEventRing((code, reason, body)))
        self.log("ringing", code=code)

    def _refuse(self, code: int, reason: str) -> None:
        phrase = reason or reason_phrase(code)
        self.ua.recvEvent(CCEventFail((code, phrase)))
        self.log("refused", code=code, reason=phrase, by="carrier")
        self.end("refused")

    def _pick_up(self) -> None:
        stream = self._open()
        self.ua.recvEvent(CCEventConnect((200, "OK", self._answer())))
        self._up(stream)

    def _up(self, stream: Stream) -> None:
        """The call is answered: say and do what the directory says."""
        self._answered = True
        self.log("answered")
        callee = self.callee
        stream.play(directory.source(callee, self._carrier.base))
        if callee.digits:
            self._after(callee.digits_after, stream.send_digits, callee.digits)
        if callee.hangup_after is not None:
            self._after(callee.hangup_after, self.hang_up)
        if callee.vanish_after is not None:
            self._after(callee.vanish_after, self._vanish)

    def _on_ack(self) -> None:
        if not self._acked:  # a re-INVITE's ACK is no news
            self._acked = True
            self.log("ack")

    def _reoffer(self, body: Any) -> None:
        """A re-INVITE: hold, resume, another address (RFC 3264, section 8)."""
        try:
            self._remote = sdp.parse(str(body))
        except ValueError:
            self.ua.recvEvent(CCEventFail((488, reason_phrase(488))))
            return
        self._open()
        self.ua.recvEvent(CCEventConnect((200, "OK", self._answer())))
        self.log("reinvite", direction=self._remote.direction)

    # --- a call to the phone --------------------------------------------------------------------

    def place(self, target: Any, called: str) -> None:
        """Call the phone at a registered contact's URL, as if the number did."""
        self._incoming = False
        self.caller = called
        stream = self._new_stream()
        codecs = [(PAYLOAD_TYPES[name], name) for name in self.callee.codecs]
        offer = sdp.write(
            self._carrier.host, stream.port, codecs, self.callee.event_payload_type, self._version
        )
        self.ua = _Ua(self._carrier.sip, self._on_event, nh_address=(str(target.host), target.getPort()))
        event = CCEventTry((None, self.number, called, MsgBody(offer), None, None))

        def to_contact(ua: Any) -> None:
            ua.rTarget = target.getCopy()
            self.call_id = str(ua.cId)

        event.onUacSetupComplete = to_contact
        self.ua.recvEvent(event)
        self.log("calling", to=called)
        self._after(RING_SECONDS, self._give_up)
        self._after(self._carrier.directory.carrier.max_call_seconds, self.hang_up)

    def _connected(self, body: Any) -> None:
        try:
            self._remote = sdp.parse(str(body)) if body is not None else None
        except ValueError:
            self._remote = None
        codecs = self._codecs(self._remote) if self._remote else []
        if self._remote is None or not codecs or self._stream is None:
            self.hang_up()
            return
        self._stream.connect(self._remote, codecs[0], self.callee.event_payload_type)
        self._up(self._stream)

    def _early(self, body: Any) -> None:
        """The phone sends before it answers: take what comes, and say nothing yet."""
        try:
            self._remote = sdp.parse(str(body))
        except ValueError:
            return
        codecs = self._codecs(self._remote)
        if codecs and self._stream is not None:
            self._stream.connect(self._remote, codecs[0], self.callee.event_payload_type)

    def _give_up(self) -> None:
        if not self._answered:
            self.hang_up()

    # --- both -----------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """End the call from our side: BYE, CANCEL, or a final response, as its state asks."""
        if self.ended:
            return
        self.log("bye" if self._answered else "cancel", by="carrier")
        self.ua.recvEvent(CCEventDisconnect())
        self.end("hung_up")

    def _vanish(self) -> None:
        self.log("vanished")
        if self._stream:
            self._stream.vanish()
        self._carrier.ignore(self.call_id)
        if not self.ua.isDead():
            self.ua.changeState((UaStateDead,))
        self.end("vanished", linger=60.0)

    def end(self, why: str, linger: float = 0.0) -> None:
        """Free everything. `linger`: seconds that the RTP port stays open."""
        if self.ended:
            return
        self.ended = True
        for timer in self._timers:
            timer.cancel()
        self.log("ended", why=why)
        self._carrier.forget(self, self._stream, linger)

    def log(self, event: str, **fields: object) -> None:
        self._carrier.log.write(event, **self._tags(), **fields)

    def _tags(self) -> dict[str, str]:
        return {"number": self.number, "call": self.call_id}

    def _after(self, seconds: float, action: Callable[..., None], *args: object) -> None:
        self._timers.append(Timeout(self._carrier.guard, seconds, 1, action, *args))

    def _codecs(self, remote: sdp.Description) -> list[tuple[int, str]]:
        """The codecs of the offer that the callee has, the callee's first choice first."""
        known = [(n, name) for n, name in remote.codecs.items() if name in self.callee.codecs]
        return sorted(known, key=lambda item: self.callee.codecs.index(item[1]))  # type: ignore[arg-type]

    def _new_stream(self) -> Stream:
        if self._stream is None:
            self._stream = self._carrier.new_stream(self._tags())
        return self._stream

    def _open(self) -> Stream:
        """The stream, connected to what the phone offered."""
        stream = self._new_stream()
        assert self._remote is not None
        stream.connect(self._remote, self._codecs(self._remote)[0], self.callee.event_payload_type)
        return stream

    def _answer(self) -> Any:
        assert self._remote is not None
        assert self._stream is not None
        events = None if self._remote.event_payload_type is None else self.callee.event_payload_type
        self._version += 1
        return MsgBody(sdp.write(
            self._carrier.host, self._stream.port, self._codecs(self._remote)[:1], events, self._version,
            sdp.answer_direction(self._remote.direction),
        ))
