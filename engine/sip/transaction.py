"""The four transaction machines of RFC 3261, section 17, with RFC 6026's Accepted state.

No socket and no clock of their own: bytes leave through `send`, timers come from a `Clock`, which
an asyncio loop is. Timer names are the RFC's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.sip.hop import Hop
from engine.sip.message import Message, build

T1 = 0.5
"""Round-trip estimate, RFC 3261 17.1.1.1."""
T2 = 4.0
"""Longest retransmission interval of non-INVITE requests and INVITE responses."""
T4 = 5.0
"""How long a message stays in the network."""
MAX_REFUSED = 3
"""Reports that a hop can't be reached, after which a request to it has failed."""


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time in seconds and timers; `asyncio.AbstractEventLoop` satisfies it."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> TimerHandle: ...


Send = Callable[[bytes, Hop], None]


class Transaction:
    """What the four have in common: timers by name, one destination, one end."""

    def __init__(self, clock: Clock, send: Send, destination: Hop, ended: Callable[[], None]) -> None:
        self.clock = clock
        self.destination = destination
        self.state = ""
        self.last_word: float | None = None
        """When our part was last done: a final response, or the ACK of one, was sent."""
        self._send = send
        self._ended = ended
        self._timers: dict[str, TimerHandle] = {}

    def _start(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._stop(name)
        self._timers[name] = self.clock.call_later(delay, callback)

    def _stop(self, *names: str) -> None:
        for name in names:
            if timer := self._timers.pop(name, None):
                timer.cancel()

    def _absorb(self, name: str, seconds: float) -> None:
        """Wait for repeats that a timer names, then end; on a reliable transport none come."""
        if self.destination.reliable:
            self.terminate()
        else:
            self._start(name, seconds, self.terminate)

    def terminate(self) -> None:
        """End at once, silently; safe to call again."""
        if self.state != "terminated":
            self.state = "terminated"
            self._stop(*list(self._timers))
            self._ended()
            self._forget()

    def _forget(self) -> None:
        """Let go of its users, who hold it: what is over must not wait for the garbage collector."""
        self._ended = lambda: None


class ClientTransaction(Transaction):
    """INVITE (17.1.1) and non-INVITE (17.1.2) clients.

    `on_response` gets every response once, and each repeated 2xx to an INVITE (its ACK is the
    dialog's, not ours); `on_timeout` is called when nothing final came in 64*T1,
    `on_error` with the reason when the transport could not bring the request there (18.4).

    On a reliable transport nothing is repeated, and nothing that was repeated is waited for.
    """

    def __init__(
        self,
        request: Message,
        destination: Hop,
        clock: Clock,
        send: Send,
        ended: Callable[[], None],
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
        on_error: Callable[[str], None] = lambda why: None,
    ) -> None:
        super().__init__(clock, send, destination, ended)
        self.request = request
        self.is_invite = request.method == "INVITE"
        self.answered_at_all = False
        self.abandoned = False
        self._on_response = on_response
        self._on_timeout = on_timeout
        self._on_error = on_error
        self._refused = 0
        self._ack: bytes | None = None
        self._interval = T1

    def resume(self) -> None:
        """Wait for the final response to an INVITE that an engine which died had sent."""
        self.state = "proceeding"
        self._start("B/F", 64 * T1, self.terminate)

    def start(self) -> None:
        self.state = "calling" if self.is_invite else "trying"
        if not self.destination.reliable:
            self._start("A/E", self._interval, self._retransmit)
        self._start("B/F", 64 * T1, self._time_out)
        self._send(self.request.raw, self.destination)

    def _retransmit(self) -> None:  # timers A and E
        self._send(self.request.raw, self.destination)
        if self.is_invite:
            self._interval *= 2
        else:
            self._interval = T2 if self.state == "proceeding" else min(self._interval * 2, T2)
        self._start("A/E", self._interval, self._retransmit)

    def _time_out(self) -> None:  # timers B and F
        told = self._on_timeout
        self.terminate()
        told()

    def _forget(self) -> None:
        super()._forget()
        self._on_response = lambda response: None
        self._on_timeout = lambda: None
        self._on_error = lambda why: None

    @property
    def unanswered(self) -> bool:
        """Whether our user still waits for the final response."""
        return self.state in ("calling", "trying", "proceeding") and not self.abandoned

    def fail(self, why: str) -> None:
        """The transport can't bring the request there, or the connection that it left by is gone.

        An INVITE that has had a provisional response waits on: its answer may come another way.
        """
        if self.state in ("calling", "trying") or (self.state == "proceeding" and not self.is_invite):
            told = self._on_error
            self.terminate()
            told(why)

    def unreachable(self) -> None:
        """ICMP says that the request did not arrive (18.4). Believed the third time: a server that starts
        again is back before the next retransmission or two."""
        self._refused += 1
        if self._refused >= MAX_REFUSED:
            self.fail(
                f"nothing answers at {self.destination} (ICMP unreachable): "
                "check the address, the port and trunk.transport"
            )

    def abandon(self, on_response: Callable[[Message], None]) -> None:
        """Ask no more, and hand what may still come to another; the user hears nothing of it."""
        self.abandoned = True
        self._stop("A/E")
        self._on_response = on_response
        self._on_timeout = lambda: None
        self._on_error = lambda why: None

    def receive(self, response: Message) -> None:
        self.answered_at_all = True
        tell = self._on_response  # by a reliable transport it may all be over at once
        if response.code < 200:
            if self.state in ("calling", "trying", "proceeding"):
                self._provisional()
                tell(response)
        elif not self.is_invite:
            if self.state in ("trying", "proceeding"):
                self.state = "completed"
                self._stop("A/E", "B/F")
                self._absorb("K", T4)
                tell(response)
        elif response.code < 300:
            if self.state in ("calling", "proceeding"):
                self.state = "accepted"
                self._stop("A/E", "B/F")
                self._start("M", 64 * T1, self.terminate)  # RFC 6026, 8.4
            if self.state == "accepted":
                tell(response)
        elif self.state in ("calling", "proceeding"):
            self.state = "completed"
            self._stop("A/E", "B/F")
            self._ack = _ack_non_2xx(self.request, response).raw
            self._acknowledge(self._ack)
            self._absorb("D", 32.0)
            tell(response)
        elif self.state == "completed" and self._ack is not None:
            self._acknowledge(self._ack)

    def _acknowledge(self, ack: bytes) -> None:
        self.last_word = self.clock.time()
        self._send(ack, self.destination)

    def _provisional(self) -> None:
        self.state = "proceeding"
        if self.is_invite:
            self._stop("A/E")
        if self.is_invite and not self.abandoned:
            self._stop("B/F")  # the user's own ring timeout governs from here


def _ack_non_2xx(request: Message, response: Message) -> Message:
    """The ACK that belongs to the INVITE's transaction (17.1.1.3): its branch and Route set."""
    fields = [
        ("Via", request.get("Via") or ""),
        ("Max-Forwards", "70"),
        ("From", request.get("From") or ""),
        ("To", response.get("To") or ""),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq} ACK"),
        *(("Route", v) for v in request.all("Route")),
    ]
    return build(f"ACK {request.uri_text} SIP/2.0", fields, copied=("To",))


def cancel_of(invite: Message, told: Sequence[tuple[str, str]] = ()) -> Message:
    """The CANCEL of an INVITE: its Request-URI, Via, From, To, Call-ID, CSeq number and Route (9.1);
    `told` are headers that say why."""
    return build(
        f"CANCEL {invite.uri_text} SIP/2.0",
        [
            ("Via", invite.get("Via") or ""),
            ("Max-Forwards", "70"),
            ("From", invite.get("From") or ""),
            ("To", invite.get("To") or ""),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{invite.cseq} CANCEL"),
            *(("Route", v) for v in invite.all("Route")),
            *told,
        ],
    )


class ServerTransaction(Transaction):
    """INVITE (17.2.1) and non-INVITE (17.2.2) servers.

    A 2xx to an INVITE is repeated here until `acknowledge` (13.3.1.4); without one in 64*T1
    `on_no_ack` is called. Any other final response to an INVITE is repeated until its ACK.
    """

    def __init__(
        self, request: Message, source: Hop, clock: Clock, send: Send, ended: Callable[[], None]
    ) -> None:
        super().__init__(clock, send, source, ended)
        self.request = request
        self.is_invite = request.method == "INVITE"
        self.state = "proceeding" if self.is_invite else "trying"
        self.on_no_ack: Callable[[], None] = lambda: None
        self._last: bytes | None = None
        self._interval = T1
        self._acknowledged = False
        self.final_code = 0
        self.to_tag = ""
        """The To tag of our last response; the answer to a CANCEL carries the same (9.2)."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing was answered yet."""
        return self._last is None and not self.final_code

    def receive_again(self) -> None:
        """The same request once more: repeat the last response, if any."""
        if self._last is not None:
            if self.final_code and not self.is_invite:
                self.last_word = self.clock.time()
            self._send(self._last, self.destination)

    def respond(self, response: Message) -> None:
        """Send a response; anything after a final one is dropped."""
        if self.final_code or self.state == "terminated":
            return
        self._last = response.raw
        self.to_tag = response.to.tag
        self._send(response.raw, self.destination)
        if response.code < 200:
            self.state = "proceeding"
            return
        self.final_code = response.code
        if not self.is_invite:
            self.last_word = self.clock.time()
            self.state = "completed"
            self._absorb("J", 64 * T1)
            return
        self.state = "accepted" if response.code < 300 else "completed"
        if self.state == "accepted" or not self.destination.reliable:  # a 2xx is for the far end's user
            self._start("G", self._interval, self._retransmit)
        self._start("H", 64 * T1, self._no_ack)

    def _retransmit(self) -> None:  # timer G
        self.receive_again()
        self._interval = min(self._interval * 2, T2)
        self._start("G", self._interval, self._retransmit)

    def _no_ack(self) -> None:  # timers H and L
        self.terminate()
        if not self._acknowledged:
            self.on_no_ack()

    @property
    def awaits_ack(self) -> bool:
        """Whether a 2xx to an INVITE is still being repeated."""
        return self.state == "accepted" and not self._acknowledged

    def acknowledge(self) -> None:
        """An ACK came: stop repeating. Late ACKs are absorbed for T4 (timer I); after a 2xx late
        INVITEs are, to the end of 64*T1 (timer L, RFC 6026, 7.1)."""
        if self.state == "accepted":
            self._acknowledged = True
            self._last = None
            self._stop("G")
        elif self.state == "completed":
            self.state = "confirmed"
            self._stop("G", "H")
            self._absorb("I", T4)
