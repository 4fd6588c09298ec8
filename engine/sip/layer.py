"""The transaction layer: matches messages to transactions (RFC 3261, 17.1.3, 17.2.3), hands the rest up."""

from __future__ import annotations

from collections.abc import Callable

from engine.sip.dialog import new_tag
from engine.sip.message import Message, response_to
from engine.sip.transaction import Address, ClientTransaction, Clock, Send, ServerTransaction

MAX_TRANSACTIONS = 4096
"""Server transactions kept at once; more requests are answered 503 without state."""


class TransactionLayer:
    """Every transaction of one transport.

    `on_request(request, transaction)` gets each new request but ACK and CANCEL; `on_ack(ack)` an
    ACK that belongs to no transaction of ours, so to a dialog; `on_cancel(transaction)` the INVITE
    that a CANCEL names; `on_stray(response)` a response without a transaction.
    """

    def __init__(self, clock: Clock, send: Send) -> None:
        self.clock = clock
        self._send = send
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, ...], ServerTransaction] = {}
        self.on_request: Callable[[Message, ServerTransaction], None] = lambda request, transaction: None
        self.on_ack: Callable[[Message], None] = lambda ack: None
        self.on_cancel: Callable[[ServerTransaction], None] = lambda transaction: None
        self.on_stray: Callable[[Message, Address], None] = lambda response, source: None

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def unanswered(self) -> int:
        """Client transactions that still wait for their final response."""
        return sum(t.state in ("calling", "trying", "proceeding") for t in self._clients.values())

    def had_last_word(self, within: float) -> bool:
        """Whether our part of a transaction was done in the last seconds: lost, it would be asked for
        again."""
        since = self.clock.time() - within
        words = (t.last_word for t in [*self._clients.values(), *self._servers.values()])
        return any(word is not None and word > since for word in words)

    def request(
        self,
        request: Message,
        destination: Address,
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
    ) -> ClientTransaction:
        """Start a client transaction and send its request."""
        transaction = self._client(request, destination, on_response, on_timeout)
        transaction.start()
        return transaction

    def resume(
        self, invite: Message, destination: Address, on_response: Callable[[Message], None]
    ) -> ClientTransaction:
        """Take up the transaction of an INVITE sent by an engine that died, for 64*T1."""
        transaction = self._client(invite, destination, on_response, lambda: None)
        transaction.resume()
        return transaction

    def _client(
        self,
        request: Message,
        destination: Address,
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
    ) -> ClientTransaction:
        key = (request.via.branch, request.method)

        def ended() -> None:
            self._clients.pop(key, None)

        transaction = ClientTransaction(
            request, destination, self.clock, self._send, ended, on_response, on_timeout
        )
        self._clients[key] = transaction
        return transaction

    def expects(self, response: Message) -> bool:
        """Whether a response belongs to a request of ours."""
        return (response.via.branch, response.cseq_method) in self._clients

    def receive(self, message: Message, source: Address) -> None:
        if message.is_request:
            self._receive_request(message, source)
            return
        client = self._clients.get((message.via.branch, message.cseq_method))
        if client is None:
            self.on_stray(message, source)
        else:
            client.receive(message)

    def _receive_request(self, request: Message, source: Address) -> None:
        key = _server_key(request)
        existing = self._servers.get(key)
        if request.method == "ACK":
            if existing is not None and existing.final_code >= 300:
                existing.acknowledge()
            else:
                self.on_ack(request)
        elif existing is not None and existing.request.method == request.method:
            existing.receive_again()
        elif len(self._servers) >= MAX_TRANSACTIONS:
            self._send(response_to(request, 503, to_tag=new_tag()).raw, reply_address(request, source))
        else:
            self._new_server(request, source, key)

    def _new_server(self, request: Message, source: Address, key: tuple[str, ...]) -> None:
        if request.method == "CANCEL":
            key = (*key, "CANCEL")
            if again := self._servers.get(key):
                again.receive_again()
                return

        def ended() -> None:
            self._servers.pop(key, None)

        destination = reply_address(request, source)
        transaction = ServerTransaction(request, destination, self.clock, self._send, ended)
        self._servers[key] = transaction
        if request.method != "CANCEL":
            self.on_request(request, transaction)
            return
        target = self._servers.get(key[:-1])
        tag = (target.to_tag if target else "") or new_tag()
        transaction.respond(response_to(request, 200 if target else 481, to_tag=tag))
        if target is not None:
            self.on_cancel(target)

    def close(self) -> None:
        """End every transaction at once, silently."""
        for transaction in [*self._clients.values(), *self._servers.values()]:
            transaction.terminate()


def reply_address(request: Message, source: Address) -> Address:
    """Where responses go: back to the source where rport was asked for (RFC 3581, 4), else to the
    source's address at the port that Via names (18.2.2)."""
    via = request.via
    return source if "rport" in via.params else (source[0], via.sent_by[1])


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
