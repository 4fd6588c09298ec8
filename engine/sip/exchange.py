"""One INVITE from first send to final answer: challenges answered, forks told apart, CANCEL held back.

Serves the call's first INVITE and every re-INVITE. Nothing here knows of audio or of states that
users see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.sip.digest import Authenticator
from engine.sip.hop import Target
from engine.sip.layer import TransactionLayer
from engine.sip.message import Message
from engine.sip.outgoing import Outgoing
from engine.sip.transaction import TimerHandle, cancel_of

CANCEL_GRACE = 32.0
"""Seconds after CANCEL in which the final response must come (9.1)."""


class ExchangeUser(Protocol):
    def on_provisional(self, response: Message) -> None: ...

    def on_success(self, request: Message, response: Message) -> None:
        """A 2xx; called again for every repeat, and for other To tags (forks)."""

    def wants_again(self, response: Message) -> bool:
        """Whether to try once more after a final response >= 300 that is no challenge."""

    def on_failure(self, request: Message, response: Message | None) -> None:
        """The final response >= 300, or None when none came in time."""


class InviteExchange:
    """`build(extra headers) -> INVITE` makes each try, with a new branch and a higher CSeq."""

    def __init__(
        self,
        layer: TransactionLayer,
        destination: Callable[[], Target],
        authenticator: Callable[[], Authenticator],
        make: Callable[[list[tuple[str, str]]], Message],
        user: ExchangeUser,
    ) -> None:
        self._layer = layer
        self._destination = destination
        self._authenticator = authenticator
        self._auth = authenticator()
        self._make = make
        self._user = user
        self._transaction: Outgoing | None = None
        self._cancelled = False
        self._told: Sequence[tuple[str, str]] = ()
        self._cancel_sent = False
        self._limit: TimerHandle | None = None
        self._grace: TimerHandle | None = None
        self.request: Message | None = None
        self.finished = False
        self.heard_anything = False

    def start(self, extra: list[tuple[str, str]] | None = None) -> Message:
        request = self._make(extra or [])
        self.request = request
        self._transaction = self._layer.request(
            request,
            self._destination(),
            lambda r: self._on_response(request, r),
            lambda: self._fail(request, None),
        )
        return request

    @property
    def error(self) -> str:
        """Why no answer came, where the transport or DNS said so."""
        return self._transaction.error if self._transaction else ""

    @property
    def rejected(self) -> bool:
        """True when our credentials were sent and refused."""
        return self._auth.rejected

    @property
    def sent_credentials(self) -> bool:
        return self.request is not None and any("uthorization" in k for k, _ in self.request.fields)

    def limit(self, seconds: float) -> None:
        """Take the INVITE back where no final response has come by then."""
        self._limit = self._layer.clock.call_later(seconds, self.cancel)

    def cancel(self, told: Sequence[tuple[str, str]] = ()) -> None:
        """Take the INVITE back. CANCEL leaves only after a provisional response (9.1), and with `told`."""
        self._cancelled = True
        self._told = told
        if self._transaction is None:
            return
        self._transaction.stay()
        if self._transaction.state == "proceeding":
            self._send_cancel()

    def _send_cancel(self) -> None:
        request, sent = self.request, self._transaction
        if self._cancel_sent or request is None or sent is None:
            return
        self._cancel_sent = True
        # as the INVITE left: by the same hop, with the same Via (9.1)
        self._layer.request(cancel_of(sent.request, self._told), sent.hop, lambda r: None, lambda: None)
        self._grace = self._layer.clock.call_later(CANCEL_GRACE, lambda: self._give_up(request))

    def _give_up(self, request: Message) -> None:
        if self._transaction is not None:
            self._transaction.terminate()
            self._fail(request, None)

    def _on_response(self, request: Message, response: Message) -> None:
        self.heard_anything = True
        if response.code < 200:
            if self._cancelled:
                self._send_cancel()
            if not self.finished:
                self._user.on_provisional(response)
        elif response.code < 300:
            self._finish()
            self._user.on_success(request, response)
        elif (
            response.code in (401, 407)
            and not self._cancelled
            and (headers := self._auth.retry(response, request))
        ):
            self.start(headers)
        elif not self._cancelled and self._user.wants_again(response):
            self._auth = self._authenticator()
            self.start()
        else:
            self._fail(request, response)

    def _fail(self, request: Message, response: Message | None) -> None:
        if not self.finished:
            self._finish()
            self._user.on_failure(request, response)

    def _finish(self) -> None:
        self.finished = True
        for timer in (self._limit, self._grace):
            if timer is not None:
                timer.cancel()
