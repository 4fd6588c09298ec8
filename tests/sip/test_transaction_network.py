"""Two transaction layers over a network that loses, repeats and reorders as it likes (RFC 3261, 17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from charts import TRUNK, VirtualClock
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transaction import request

from engine.sip.hop import Hop, Target
from engine.sip.layer import TransactionLayer
from engine.sip.message import Message, build, response_to
from engine.sip.transaction import ServerTransaction

US = Hop("198.51.100.7", 5070)
Fates = st.lists(st.lists(st.floats(0.0, 3.0), max_size=3), max_size=40)
"""For each datagram in turn the delays in seconds of the copies that arrive; none where it is lost. What is
sent after the last of them arrives once, at once."""


@dataclass
class Network:
    """Both ends on one clock. The far end answers a request with `codes`, one a second."""

    fates: list[list[float]]
    codes: list[int]
    clock: VirtualClock = field(default_factory=VirtualClock)
    asked: list[ServerTransaction] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    timeouts: int = 0

    def __post_init__(self) -> None:
        self.near = TransactionLayer(self.clock, lambda data, to: self._carry(data, self._to_far))
        self.far = TransactionLayer(self.clock, lambda data, to: self._carry(data, self._to_near))
        self.far.on_request = self._asked
        self.far.on_ack = lambda ack: [t.acknowledge() for t in self.asked if t.is_invite]  # type: ignore[assignment]

    def _carry(self, data: bytes, deliver: Callable[[bytes], None]) -> None:
        for delay in self.fates.pop(0) if self.fates else [0.0]:
            self.clock.call_later(delay, lambda: deliver(data))

    def _to_far(self, data: bytes) -> None:
        self.far.receive(Message(data), US)

    def _to_near(self, data: bytes) -> None:
        self.near.receive(Message(data), Hop(*TRUNK))

    def _asked(self, message: Message, transaction: ServerTransaction) -> None:
        self.asked.append(transaction)
        for second, code in enumerate(self.codes):
            answer = response_to(message, code, to_tag="far")
            self.clock.call_later(float(second), lambda answer=answer: transaction.respond(answer))  # type: ignore[misc]

    def ask(self, method: str) -> None:
        message = request(method)

        def receive(response: Message) -> None:
            self.got.append(response.code)
            if method == "INVITE" and 200 <= response.code < 300:
                fields = [(name, value) for name, value in message.fields if name not in ("CSeq", "Via")]
                via = [("Via", "SIP/2.0/UDP 198.51.100.7:5070;rport;branch=z9hG4bKack"), ("CSeq", "1 ACK")]
                ack = build("ACK sip:x@example.net SIP/2.0", [*via, *fields[:-1]])
                self._carry(ack.raw, self._to_far)

        def time_out() -> None:
            self.timeouts += 1

        self.outgoing = self.near.request(message, Target(*TRUNK), receive, time_out)


@given(
    fates=Fates,
    method=st.sampled_from(["INVITE", "OPTIONS"]),
    codes=st.tuples(
        st.sampled_from([[], [100], [180], [100, 183]]), st.sampled_from([200, 302, 404, 486, 603])
    ),
)
@settings(max_examples=150, deadline=None)
def test_every_transaction_ends_once_whatever_the_network_does(
    fates: list[list[float]], method: str, codes: tuple[list[int], int]
) -> None:
    """RFC 3261, 17.1 and 17.2; RFC 6026: the far end sees a request once, we see its final answer once
    (a 2xx to INVITE as often as it is repeated) or a timeout, and nothing is left behind."""
    provisional, final = codes
    network = Network(fates, [*provisional, final])
    network.ask(method)
    network.clock.advance(200)
    assert len(network.asked) <= 1
    finals = [code for code in network.got if code >= 200]
    assert set(finals) <= {final}
    if method != "INVITE" or final >= 300:
        assert len(finals) <= 1
    assert network.timeouts <= 1
    assert not (finals and network.timeouts)
    rang = any(code < 200 for code in network.got)
    waits = method == "INVITE" and rang
    assert finals or network.timeouts or waits, "only an INVITE that rings waits for its user"
    network.outgoing.terminate()
    network.clock.advance(200)
    assert len(network.near) == len(network.far) == 0
    assert network.clock.pending == 0


@given(fates=Fates)
@settings(max_examples=50, deadline=None)
def test_a_network_that_lets_anything_through_lets_an_invite_through(fates: list[list[float]]) -> None:
    """RFC 3261, 17.1.1.2 and 13.3.1.4: what is lost (here any third datagram) is repeated."""
    network = Network([fate or [1.0] if n % 3 else fate for n, fate in enumerate(fates)], [180, 200])
    network.ask("INVITE")
    network.clock.advance(200)
    assert 200 in network.got
    assert network.asked[0].state == "terminated"
