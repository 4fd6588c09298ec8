"""The transaction layer: matches messages to transactions (RFC 3261, 17.1.3, 17.2.3), hands the rest up."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from engine.sip.dialog import new_tag
from engine.sip.hop import DEFAULT_PORTS, Hop, Target
from engine.sip.message import Composed, Message, response_to
from engine.sip.outgoing import Outgoing
from engine.sip.refusal import steady_tag
from engine.sip.transaction import ClientTransaction, Clock, Send, ServerTransaction, cancel_of

Found = Callable[[Sequence[Hop], str], None]
"""Gets the hops of a target in order of preference; or none, and why."""

MAX_TRANSACTIONS = 4096
"""Transactions kept at once on either side. More of the far end's requests are answered 503 without state;
more of ours, which a far end can cause, fail at once."""
NO_TCP_FOR = 600.0
"""Seconds during which large requests go by UDP where TCP found nobody."""


class TransactionLayer:
    """Every transaction of one transport.

    `on_request(request, transaction)` gets each new request but ACK and CANCEL; `on_ack(ack)` an
    ACK that belongs to no transaction of ours, so to a dialog; `on_cancel(transaction, cancel)` the INVITE
    that a CANCEL names; `on_stray(response)` a response without a transaction; `on_sent(request, hop)`
    each request as it leaves.

    `locate`, `connected` and `worked` are the transports': the hops of a target, at once or later;
    whether a connection stands; and which hop has answered. `via` writes ours. `refuses(request)` is the
    status of a request that is refused without a transaction, 0 for any other.
    """

    def __init__(self, clock: Clock, send: Send) -> None:
        self.clock = clock
        self._send = send
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, ...], ServerTransaction] = {}
        self.on_request: Callable[[Message, ServerTransaction], None] = lambda request, transaction: None
        self.on_ack: Callable[[Message], None] = lambda ack: None
        self.on_cancel: Callable[[ServerTransaction, Message], None] = lambda transaction, cancel: None
        self.on_stray: Callable[[Message, Hop], None] = lambda response, source: None
        self.refuses: Callable[[Message], int] = lambda request: 0
        self.on_sent: Callable[[Message, Hop], None] = lambda request, hop: None
        self.locate: Callable[[Target, Found], None] = lambda target, found: found([target.hop], "")
        self.connected: Callable[[Hop], bool] = lambda hop: not hop.reliable
        self.worked: Callable[[Hop, str], None] = lambda hop, method: None
        self.via: Callable[[str, Hop], str] | None = None
        self.undecided: set[Outgoing] = set()
        self._no_tcp: dict[tuple[str, int], float] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def unanswered(self) -> int:
        """Client transactions that still wait for their final response."""
        locating = sum(outgoing.state == "locating" for outgoing in self.undecided)
        return locating + sum(t.unanswered for t in self._clients.values())

    def had_last_word(self, within: float) -> bool:
        """Whether our part of a transaction was done in the last seconds: lost, it would be asked for
        again."""
        since = self.clock.time() - within
        words = (t.last_word for t in [*self._clients.values(), *self._servers.values()])
        return any(word is not None and word > since for word in words)

    def request(
        self,
        request: Message,
        target: Target,
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
    ) -> Outgoing:
        """Send a request to the first hop of its target that answers; its Via follows the hop."""
        outgoing = Outgoing(self, request, target, on_response, on_timeout)
        if len(self._clients) < MAX_TRANSACTIONS:
            outgoing.start()
        else:
            outgoing.error = "too many requests are under way"
            self.clock.call_later(0.0, on_timeout)
        return outgoing

    def send(self, request: Message, target: Target) -> None:
        """Send a request that has no transaction: the ACK of a 2xx."""

        def found(hops: Sequence[Hop], why: str) -> None:
            if hops:
                self._send(self.stamped(request, request.via.branch, hops[0]).raw, hops[0])

        self.locate(target, found)

    def resume(
        self, invite: Message, hop: Hop, on_response: Callable[[Message], None]
    ) -> ClientTransaction:
        """Take up the transaction of an INVITE sent by an engine that died, for 64*T1."""
        transaction = self.client(invite, hop, on_response, lambda: None)
        transaction.resume()
        return transaction

    def client(
        self,
        request: Message,
        hop: Hop,
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
        on_error: Callable[[str], None] = lambda why: None,
    ) -> ClientTransaction:
        """A client transaction at one hop, not yet started."""
        key = (request.via.branch, request.method)

        def ended() -> None:
            self._clients.pop(key, None)

        transaction = ClientTransaction(
            request, hop, self.clock, self._send, ended, on_response, on_timeout, on_error
        )
        self._clients[key] = transaction
        return transaction

    def stamped(self, request: Message, branch: str, hop: Hop) -> Message:
        """The request with our Via for a hop."""
        old = request.get("Via") or ""
        new = self.via(branch, hop) if self.via else re.sub(r"branch=[^;]*", f"branch={branch}", old)
        if new == old:
            return request
        return Composed(request.raw.replace(f"Via: {old}".encode(), f"Via: {new}".encode(), 1))

    def abandon(self, transaction: ClientTransaction) -> None:
        """Go on without this hop; should it wake up, its INVITE is cancelled or its call ended."""
        cancelled = False

        def late(response: Message) -> None:
            nonlocal cancelled
            if response.code >= 200:
                self.on_stray(response, transaction.destination)
            elif transaction.is_invite and not cancelled:
                cancelled = True
                cancel = cancel_of(transaction.request)
                self.client(cancel, transaction.destination, lambda r: None, lambda: None).start()

        transaction.abandon(late)

    def failed(self, hop: Hop, why: str) -> None:
        """The transport can't reach a hop, or has lost the connection to it (RFC 3261, 18.4)."""
        for transaction in [t for t in self._clients.values() if t.destination == hop]:
            transaction.fail(why)

    def unreachable(self, hop: Hop, quoted: bytes) -> None:
        """ICMP told that a datagram did not get to a hop, and quotes its beginning."""
        if b"branch=" in quoted:
            for transaction in [t for t in self._clients.values() if t.destination == hop]:
                if transaction.request.raw.startswith(quoted):
                    transaction.unreachable()

    def takes_tcp(self, hop: Hop) -> bool:
        """Whether TCP may be tried for a large request; not for a while after it found nobody there."""
        return self._no_tcp.get((hop.host, hop.port), 0.0) <= self.clock.time()

    def refuses_tcp(self, hop: Hop) -> None:
        if len(self._no_tcp) >= 256:
            self._no_tcp.clear()
        self._no_tcp[hop.host, hop.port] = self.clock.time() + NO_TCP_FOR

    def expects(self, response: Message) -> bool:
        """Whether a response belongs to a request of ours."""
        return (response.via.branch, response.cseq_method) in self._clients

    def receive(self, message: Message, source: Hop) -> None:
        if message.is_request:
            self._receive_request(message, source)
            return
        client = self._clients.get((message.via.branch, message.cseq_method))
        if client is None:
            self.on_stray(message, source)
        else:
            client.receive(message)

    def _receive_request(self, request: Message, source: Hop) -> None:
        key = _server_key(request)
        existing = self._servers.get(key)
        if request.method == "ACK":
            if existing is not None and existing.final_code >= 300:
                existing.acknowledge()
            else:
                self.on_ack(request)
        elif existing is not None and existing.request.method == request.method:
            existing.receive_again()
        elif code := self.refuses(request):
            self._refuse(request, source, code)
        elif len(self._servers) >= MAX_TRANSACTIONS * (2 if request.to.tag else 1):  # room for our calls
            self._refuse(request, source, 503)
        else:
            self._new_server(request, source, key)

    def _refuse(self, request: Message, source: Hop, code: int) -> None:
        """Answer without state (8.2.7): a flood of such requests must leave nothing behind."""
        answer = response_to(request, code, to_tag=steady_tag(request.raw))
        self._reply(request, source)(answer.raw, source)

    def _new_server(self, request: Message, source: Hop, key: tuple[str, ...]) -> None:
        if request.method == "CANCEL":
            key = (*key, "CANCEL")
            if again := self._servers.get(key):
                again.receive_again()
                return
            if key[:-1] not in self._servers:
                self._refuse(request, source, 481)
                return

        def ended() -> None:
            self._servers.pop(key, None)

        transaction = ServerTransaction(request, source, self.clock, self._reply(request, source), ended)
        self._servers[key] = transaction
        if request.method != "CANCEL":
            self._hand_up(request, transaction)
            return
        target = self._servers[key[:-1]]
        transaction.respond(response_to(request, 200, to_tag=target.to_tag or new_tag()))
        self.on_cancel(target, request)

    def _hand_up(self, request: Message, transaction: ServerTransaction) -> None:
        """What fails before it has answered leaves no transaction that waits for ever: 500 (21.5.1)."""
        try:
            self.on_request(request, transaction)
        except Exception:
            if transaction.is_silent:
                transaction.respond(response_to(request, 500, to_tag=new_tag()))
            raise

    def _reply(self, request: Message, source: Hop) -> Send:
        """Sends responses by the connection that the request came by; without it, to Via (18.2.2)."""
        here, otherwise = reply_hops(request, source)

        def send(data: bytes, hop: Hop) -> None:
            self._send(data, here if self.connected(here) else otherwise)

        return send

    def close(self) -> None:
        """End every transaction at once, silently."""
        for outgoing in list(self.undecided):
            outgoing.terminate()
        for transaction in [*self._clients.values(), *self._servers.values()]:
            transaction.terminate()


def reply_hops(request: Message, source: Hop) -> tuple[Hop, Hop]:
    """Where responses go, and where instead once the connection that the request came by is gone (18.2.2).

    By UDP back to the source where rport was asked for (RFC 3581, 4), else to the source's address at
    the port that Via names; by a stream on its connection, else by a new one to that port.
    """
    via = request.via
    named = source._replace(port=via.port or DEFAULT_PORTS[source.transport])
    return source if source.reliable or "rport" in via.params else named, named


def _server_key(request: Message) -> tuple[str, ...]:
    """17.2.3: branch and sent-by; for an ACK or CANCEL the key of the INVITE it belongs to.

    A branch without the magic cookie, or with nothing after it, is RFC 2543's: then tags, Call-ID and
    CSeq tell it apart.
    """
    via = request.via
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    if via.branch.startswith("z9hG4bK") and len(via.branch) > len("z9hG4bK"):
        return via.branch, f"{via.sent_by[0]}:{via.sent_by[1]}", method
    return request.call_id, request.from_.tag, str(request.cseq), f"{via.sent_by[0]}:{via.sent_by[1]}", method
