"""Sequence charts without a socket: a virtual clock, a media plane that writes down, a trunk to speak for."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.SIP alone is a circular import
from pyVoIP.SIP import SIPParseError
from pyVoIP.VoIP import NoPortsAvailableError

from engine.legs import LegState
from engine.sip.account import Account
from engine.sip.agent import UserAgent
from engine.sip.call import Call
from engine.sip.dialog import Dialog, SavedDialog, SavedInvite
from engine.sip.hop import Hop
from engine.sip.message import Message
from engine.sip.phone import Phone
from engine.sip.sdp import Negotiated

TRUNK = ("192.0.2.10", 5060)
LOCAL = ("198.51.100.7", 5070)
CALLEE = "<sip:callee@192.0.2.20:5080>"


class _Handle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time passes only by `advance`; timers fire in their order, at their exact times."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Handle]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Handle:
        handle = _Handle(callback)
        heapq.heappush(self._timers, (self._now + max(0.0, delay), next(self._order), handle))
        return handle

    def advance(self, seconds: float) -> None:
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end + 1e-9:
            at, _, handle = heapq.heappop(self._timers)
            self._now = max(self._now, at)
            if (callback := handle.callback) is not None:
                callback()
        self._now = end

    @property
    def pending(self) -> int:
        return sum(handle.callback is not None for _, _, handle in self._timers)


class FakeMedia:
    """A media plane with `count` ports. `agreed` holds the last order for each stream, `connected` its
    essence: host, port, codecs, telephone-event and direction.
    """

    def __init__(self, first: int = 40000, count: int = 4) -> None:
        self._free = list(range(first, first + 2 * count, 2))
        self.ports: dict[str, int] = {}
        self.agreed: dict[str, Negotiated] = {}
        self.connected: dict[str, tuple[str, int, tuple[tuple[str, int], ...], int | None, str]] = {}

    def open(self, stream: str, encrypted: bool = False) -> int:
        if not self._free:
            raise NoPortsAvailableError("every RTP port is taken")
        self.ports[stream] = self._free.pop(0)
        return self.ports[stream]

    def connect(self, stream: str, agreed: Negotiated) -> None:
        assert stream in self.ports, "audio for a stream that is not open"
        self.agreed[stream] = agreed
        event, direction = agreed.event_payload_type, agreed.direction
        self.connected[stream] = (agreed.host, agreed.port, agreed.codecs, event, direction)

    def close(self, stream: str) -> None:
        self._free.append(self.ports.pop(stream))

    def read(self, stream: str, length: int, blocking: bool) -> bytes:
        return b"\x80" * length

    def write(self, stream: str, data: bytes) -> None: ...


@dataclass
class Sent:
    """One message of ours, with where it went and when (seconds since the chart began)."""

    at: float
    message: Message
    to: tuple[str, int]
    hop: Hop


def sdp(
    host: str = "192.0.2.30",
    port: int = 41000,
    codecs: str = "8 0 101",
    direction: str = "sendrecv",
    extra: str = "",
    version: int = 1,
) -> str:
    maps = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000", "96": "telephone-event/8000"}
    lines = "".join(f"a=rtpmap:{n} {maps[n]}\r\n" for n in codecs.split() if n in maps)
    return (
        f"v=0\r\no=- 7 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codecs}\r\n{lines}a={direction}\r\n{extra}"
    )


def text(start: str, headers: Sequence[str], body: str = "", kind: str = "application/sdp") -> bytes:
    lines = [start, *headers]
    if body:
        lines.append(f"Content-Type: {kind}")
    return ("\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", ""]) + body).encode()


def answer(
    request: Message,
    code: int,
    reason: str = "Reason",
    tag: str | None = "far",
    body: str = "",
    contact: str | None = CALLEE,
    headers: Sequence[str] = (),
) -> bytes:
    """A response to a request of ours, as the far end would write it."""
    to = request.get("To") or ""
    if tag and not request.to.tag:
        to += f";tag={tag}"
    lines = [f"Via: {v}" for v in request.all("Via")]
    lines += [f"From: {request.get('From')}", f"To: {to}", f"Call-ID: {request.call_id}"]
    lines.append(f"CSeq: {request.get('CSeq')}")
    if contact and code < 300 and request.method == "INVITE":
        lines.append(f"Contact: {contact}")
    return text(f"SIP/2.0 {code} {reason}", [*lines, *headers], body)


@dataclass
class Chart:
    """A phone on a virtual clock. The test plays the trunk."""

    account: Account = field(
        default_factory=lambda: Account(*TRUNK, username="1001", password="demo pass", register=False)
    )
    local: tuple[str, int] = LOCAL

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.started = self.clock.time()
        self.sent: list[Sent] = []
        self.raw: list[bytes] = []
        self.media = FakeMedia()
        self.saved: dict[str, SavedDialog | SavedInvite | None] = {}
        self.inbound: list[Call] = []
        self.states: list[LegState] = []
        account = self.account
        self.phone = Phone(
            account.host, account.port, account.username, account.password, account=account, media=self.media
        )
        self.phone.on_inbound = self.inbound.append
        self.phone.on_call_change = self._changed
        self.phone.on_dialog = self.saved.__setitem__
        self.agent = UserAgent(account, self.clock, self._send, self.local, self.phone)
        self.phone.attach(self.agent)
        self._branches = itertools.count(1)

    def _send(self, data: bytes, hop: Hop) -> None:
        self.raw.append(data)
        try:
            message = Message(data)
        except SIPParseError:
            return  # a refusal that copies a damaged header
        self.sent.append(Sent(round(self.clock.time() - self.started, 6), message, hop[:2], hop))

    def _changed(self, call: Call) -> None:
        if not self.states or self.states[-1] is not call.progress:
            self.states.append(call.progress)

    # --- looking ----------------------------------------------------------------------------------

    def take(self) -> list[str]:
        """What was sent since the last look, as `INVITE` or `180 Ringing`."""
        found = [sent.message.summary_line for sent in self.sent]
        self.sent.clear()
        return found

    def last(self, what: str = "") -> Message:
        """The last message sent, or the last whose summary begins so."""
        return self.last_sent(what).message

    def last_sent(self, what: str = "") -> Sent:
        return next(s for s in reversed(self.sent) if s.message.summary_line.startswith(what))

    def times(self, what: str) -> list[float]:
        return [sent.at for sent in self.sent if sent.message.summary_line.startswith(what)]

    # --- the far end --------------------------------------------------------------------------------

    def receive(self, data: bytes, source: tuple[str, int] = TRUNK, trusted: bool = True) -> None:
        self.agent.receive(data, Hop(*source), trusted)

    def answer(self, request: Message, code: int, reason: str = "Reason", **more: object) -> None:
        self.receive(answer(request, code, reason, **more))  # type: ignore[arg-type]

    def request(
        self,
        method: str,
        call: Call | Dialog | None = None,
        *,
        cseq: int = 1,
        body: str = "",
        headers: Sequence[str] = (),
        to: str = "<sip:1001@192.0.2.10>",
        from_: str = "<sip:+12125550199@192.0.2.10>;tag=far",
        call_id: str = "inbound-1",
        branch: str = "",
        source: tuple[str, int] = TRUNK,
        trusted: bool = True,
        uri: str = "sip:1001@198.51.100.7:5070",
        contact: str = CALLEE,
        kind: str = "application/sdp",
    ) -> bytes:
        """Send a request to the phone; within a dialog, or a call's, where one is given. `kind`: of the
        body."""
        if call is not None:
            dialog = call if isinstance(call, Dialog) else call.dialog
            assert dialog is not None
            to, from_, call_id = str(dialog.local), str(dialog.remote), dialog.call_id
        branch = branch or f"z9hG4bKfar{next(self._branches)}"
        lines = [
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {from_}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: {contact}",
            *headers,
        ]
        data = text(f"{method} {uri} SIP/2.0", lines, body, kind)
        self.receive(data, source, trusted)
        return data

    # --- the usual openings ------------------------------------------------------------------------------

    def dial(self, number: str = "5551234") -> tuple[Call, Message]:
        call = self.phone.dial(number)
        return call, self.last("INVITE")

    def answered(self, body: str | None = None, **more: object) -> tuple[Call, Message]:
        """A call of ours that is up; what was sent so far is forgotten."""
        call, invite = self.dial()
        self.answer(invite, 200, "OK", body=sdp() if body is None else body, **more)
        assert call.progress is LegState.ANSWERED
        self.sent.clear()
        return call, invite

    def ringing(self, body: str | None = None, **more: object) -> Call:
        """An inbound call that rings."""
        self.request("INVITE", body=sdp() if body is None else body, **more)  # type: ignore[arg-type]
        return self.inbound[-1]

    def taken(self) -> Call:
        """An inbound call that was answered and acknowledged; what was sent so far is forgotten."""
        call = self.ringing()
        call.accept()
        self.request("ACK", call)
        self.sent.clear()
        return call
