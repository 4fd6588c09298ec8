"""A request of ours on its way: along the hops that its target has, until one answers (RFC 3263, 4.3)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.sip.dialog import new_branch
from engine.sip.hop import Hop, Target
from engine.sip.message import Message
from engine.sip.transaction import ClientTransaction, TimerHandle

if TYPE_CHECKING:
    from engine.sip.layer import TransactionLayer

log = logging.getLogger(__name__)

PATIENCE = 4.0
"""Seconds without any response after which the next hop is tried, where there is one."""
SWITCH_PATIENCE = 2.0
"""Seconds for the TCP connection that a large request asks for; then it goes by UDP after all."""
LARGEST_DATAGRAM = 1300
"""Bytes above which a request goes by TCP (RFC 3261, 18.1.1)."""
MAX_HOPS = 8


class Outgoing:
    """The client transactions of one request, one a hop and one at a time.

    A hop that gives no answer, can't be reached or says 503 is followed by the next, with a new
    branch; its late provisional response gets a CANCEL. `on_response` gets what the hop that
    answered says; `on_timeout` is called when no hop is left, `error` then says why where that is known.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        request: Message,
        target: Target,
        on_response: Callable[[Message], None],
        on_timeout: Callable[[], None],
    ) -> None:
        self.request = request
        self.error = ""
        self._layer = layer
        self._target = target
        self._on_response = on_response
        self._on_timeout = on_timeout
        self._hops: deque[Hop] = deque()
        self._transaction: ClientTransaction | None = None
        self._switched: Hop | None = None
        self._tries = 0
        self._reused = False
        self._reconnected = False
        self._early = False
        self._over = False
        self._timer: TimerHandle | None = None

    @property
    def state(self) -> str:
        """The transaction's state; "locating" until the first hop is known."""
        return self._transaction.state if self._transaction else "locating"

    @property
    def hop(self) -> Target:
        """The way that the request took: what belongs to it (CANCEL) must take the same."""
        return self._transaction.destination.target if self._transaction else self._target

    def start(self) -> None:
        self._layer.undecided.add(self)
        self._layer.locate(self._target, self._located)

    def terminate(self) -> None:
        """End at once, silently."""
        self._over = True
        self._decided()
        if self._transaction is not None:
            self._transaction.terminate()

    def stay(self) -> None:
        """Try no further hop; what has not left yet does not leave."""
        self._hops.clear()
        if self._transaction is None and not self._over:
            self._layer.clock.call_later(0.0, self._give_up)

    def _located(self, hops: Sequence[Hop], why: str) -> None:
        if self._over:
            return
        self.error = why
        big = len(self.request.raw) > LARGEST_DATAGRAM
        for hop in hops[:MAX_HOPS]:
            if big and not hop.reliable and self._layer.takes_tcp(hop):
                self._hops.append(hop._replace(transport="tcp"))
            self._hops.append(hop)
        if self._hops:
            self._next()
        else:
            self._layer.clock.call_later(0.0, self._give_up)

    def _next(self) -> None:
        self._stop_timer()
        self._layer.undecided.add(self)
        hop = self._hops.popleft()
        branch = new_branch() if self._tries else self.request.via.branch
        self._tries += 1
        layer = self._layer
        self.request = layer.stamped(self.request, branch, hop)
        datagrams = hop._replace(transport="udp")
        self._switched = datagrams if hop.reliable and datagrams in self._hops else None
        self._reused = hop.reliable and layer.connected(hop)
        # set before it starts: a transport may fail at once
        self._transaction = layer.client(
            self.request, hop, self._receive, lambda: self._failed(""), self._on_error
        )
        if self._switched is not None:
            self._timer = layer.clock.call_later(SWITCH_PATIENCE, self._no_connection)
        elif self._hops:
            self._timer = layer.clock.call_later(PATIENCE, self._no_answer)
        layer.on_sent(self.request, hop)
        self._transaction.start()

    def _receive(self, response: Message) -> None:
        self._decided()
        transaction = self._transaction
        if response.code == 503 and self._hops and not self._early and not self._over:
            self._skip_switch()
            if self._hops:
                log.info("out of service: trying %s next", self._hops[0])
                self._next()
                return
        self._early = self._early or response.code > 100
        if transaction is not None and response.code != 503:
            self._layer.worked(transaction.destination, self.request.method)
        self._on_response(response)

    def _no_connection(self) -> None:
        transaction = self._transaction
        if transaction is not None and not self._layer.connected(transaction.destination):
            transaction.terminate()
            self._failed("no connection")
        elif len(self._hops) > 1:
            self._timer = self._layer.clock.call_later(PATIENCE - SWITCH_PATIENCE, self._no_answer)

    def _no_answer(self) -> None:
        """The patience with this hop is over, though its timers B or F are not."""
        transaction = self._transaction
        self._skip_switch()
        if self._hops and transaction is not None:
            log.info("no answer from %s, trying %s", transaction.destination, self._hops[0])
            self._layer.abandon(transaction)
            self._next()

    def _on_error(self, why: str) -> None:
        transaction = self._transaction
        if self._reused and not self._reconnected and transaction is not None and not self._over:
            self._reconnected = True  # it may have been dead for long: once more, by a new connection
            self._hops.appendleft(transaction.destination)
            self._next()
        else:
            self._failed(why)

    def _failed(self, why: str) -> None:
        transaction, switched = self._transaction, self._switched
        self.error = why or self.error
        if self._over:
            return
        if switched is not None and transaction is not None and self._hops:
            if why:
                self._layer.refuses_tcp(switched)
            else:
                self._skip_switch()  # it was there, and silent: not once more by UDP
        if self._hops:
            log.info("%s: trying %s next", why or "no answer", self._hops[0])
            self._next()
        else:
            self._give_up()

    def _skip_switch(self) -> None:
        if self._switched is not None and self._hops and self._hops[0] == self._switched:
            self._hops.popleft()

    def _give_up(self) -> None:
        if not self._over:
            self._over = True
            self._decided()
            self._on_timeout()

    def _decided(self) -> None:
        self._stop_timer()
        self._layer.undecided.discard(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
