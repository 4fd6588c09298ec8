"""Registration (RFC 3261, section 10): kept alive by the granted expiry, given back on exit."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.sip.account import USER_AGENT
from engine.sip.dialog import new_branch, new_call_id, new_tag
from engine.sip.digest import Authenticator, Challenge, next_nonce, renewed
from engine.sip.fields import delta_seconds
from engine.sip.message import Message, build
from engine.sip.transaction import TimerHandle
from engine.sip.uri import Uri, parse_name_addr

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent

FIRST_RETRY = 2.0
LONGEST_RETRY = 60.0
LASTING = 30.0
"""Seconds that a binding must have stood to be renewed at once when its connection is lost."""
REJECTED_RETRY = 300.0
"""Seconds before refused credentials are tried again: trunks lock out whoever keeps on asking."""
LEAST_REFRESH = 1.0
"""Seconds between a grant and the refresh of it at the least, however short the grant."""
LONGEST_EXPIRY = 7 * 86400
MAX_RAISES = 3
"""How often a 423 may ask for longer before a grant."""


class RegistrationState(StrEnum):
    OFF = "off"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    LOST = "lost"


@dataclass(slots=True)
class _Round:
    """One REGISTER with its tries. `gone` is an older Contact of ours that it takes away; `presented` tells
    that credentials went with it unasked, `plain` that neither may be.
    """

    expires: int
    auth: Authenticator
    gone: Uri | None = None
    contact: Uri = field(default_factory=lambda: Uri("sip", "", ""))
    presented: bool = False
    plain: bool = False


class Registration:
    """One binding at the registrar. `on_change` is called after every change of state or expiry.

    `detail` says in words why it failed; `answered` is false until the registrar has said anything;
    `rejected` is true once it has refused our credentials. `since` is when `state` began, by the
    agent's clock.
    """

    def __init__(self, agent: UserAgent, on_change: Callable[[], None]) -> None:
        self._agent = agent
        self._on_change = on_change
        self.call_id = new_call_id()
        self._tag = new_tag()
        self._cseq = 0
        self._expires = agent.account.expires
        self._retry_delay = FIRST_RETRY
        self._timer: TimerHandle | None = None
        self._accepted: tuple[Challenge, ...] = ()
        """Challenges whose answers the registrar took: answered in advance when we refresh."""
        self._done: Callable[[], None] = lambda: None
        self._bound: Uri | None = None  # also while an answer is awaited: a binding may have been made
        self._stopping = False
        self._just_moved = False
        self._raised = 0
        self._granted_at = 0.0
        self._short_lived = 0
        self.state = RegistrationState.REGISTERING if agent.account.register else RegistrationState.OFF
        self.since = agent.clock.time()
        self.detail = ""
        self.code = 0
        self.answered = False
        self.rejected = False
        self.expires_at: float | None = None

    def start(self) -> None:
        if self.state is not RegistrationState.OFF:
            self._begin(self._expires)

    def stop(self, done: Callable[[], None]) -> None:
        """Deregister; `done` is called when the registrar has answered or there is nothing to undo.

        Giving up earlier is the caller's: cancelling costs nothing, the binding expires by itself.
        """
        self._cancel_timer()
        self._stopping = True
        if self._bound is None:
            done()
            return
        self._done = done
        self._begin(0)

    def hurry(self) -> None:
        """Try again now where a failure is being waited out: the trunk has been heard again. Credentials
        that were refused still wait."""
        if self._timer is not None and self._failing and not self.rejected:
            self._cancel_timer()
            self._begin(self._expires)

    def renew(self) -> None:
        """Register at once: the connection that our binding stood on is gone, or the trunk is another hop."""
        if self.state is not RegistrationState.REGISTERED or self._stopping:
            return
        lasted = self._agent.clock.time() - self._granted_at
        self._short_lived = self._short_lived + 1 if lasted < LASTING else 0
        waits = min(FIRST_RETRY * 2 ** min(self._short_lived - 1, 10), LONGEST_RETRY)
        self._start_timer(waits if self._short_lived else 0.0)

    @property
    def _failing(self) -> bool:
        return self.state in (RegistrationState.FAILED, RegistrationState.LOST)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- asking -----------------------------------------------------------------------------------

    def _begin(self, expires: int, *, plain: bool = False) -> None:
        """A REGISTER of its own; challenges that were answered well before are answered in advance."""
        moved = self._bound is not None and self._bound != self._agent.contact_uri
        gone = self._bound if moved and not plain else None
        this = _Round(expires, Authenticator(self._agent.credentials), gone, plain=plain)
        uri, credentials = str(self._agent.account.registrar), self._agent.credentials
        headers = [credentials.answer(c, "REGISTER", uri) for c in self._accepted] if credentials else []
        this.presented = bool(headers)
        self._send(this, headers)

    def _send(self, this: _Round, credentials: Sequence[tuple[str, str]]) -> None:
        account = self._agent.account
        this.contact = self._agent.contact_uri
        self._bound = self._bound or this.contact
        self._cseq += 1
        address = account.address_of_record
        contacts = [("Contact", f"<{this.contact}>;expires={this.expires}")]
        if this.gone is not None:
            contacts.append(("Contact", f"<{this.gone}>;expires=0"))
        request = build(
            f"REGISTER {account.registrar} SIP/2.0",
            [
                ("Via", self._agent.via(new_branch())),
                ("Max-Forwards", "70"),
                ("From", str(address.with_tag(self._tag))),
                ("To", str(address)),
                ("Call-ID", self.call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                *contacts,
                ("Expires", str(this.expires)),
                ("Allow", account.allow),
                ("User-Agent", USER_AGENT),
                *credentials,
            ],
        )
        sent = self._agent.layer.request(
            request,
            self._agent.next_hop,
            lambda r: self._on_response(r, request, this),
            lambda: self._on_timeout(this, sent.error),
        )

    # --- what comes back --------------------------------------------------------------------------

    def _on_response(self, response: Message, request: Message, this: _Round) -> None:
        self.answered = True
        if response.code < 200 or (self._stopping and this.expires):
            return
        self.code = response.code
        self._agent.learn_address(response)
        if response.code in (401, 407) and (headers := this.auth.retry(response, request)):
            self._send(this, headers)
        elif response.code < 300:
            self._remember(this, response)
            if this.expires == 0:
                self._finish_stop()
            else:
                self._granted(response, this)
        elif self._asks_for_longer(response, this.expires):
            self._remember(this, response)
            self._expires = min(_seconds(response.get("Min-Expires")), LONGEST_EXPIRY)
            self._begin(self._expires)
        elif 400 <= response.code < 500 and self._simplify(this):
            self._begin(this.expires, plain=True)
        elif this.expires == 0:
            self._finish_stop()
        else:
            self._refused(response, this)

    def _asks_for_longer(self, response: Message, asked: int) -> bool:
        """423 Interval Too Brief, with more than was asked for (10.2.8)."""
        least = min(_seconds(response.get("Min-Expires")), LONGEST_EXPIRY)
        if response.code != 423 or not 0 < asked < least or self._raised >= MAX_RAISES:
            return False
        self._raised += 1
        return True

    def _simplify(self, this: _Round) -> bool:
        """Leave out what not every registrar likes, once: credentials sent unasked, a second Contact."""
        unasked = this.presented and not this.auth.answered
        if this.plain or not (unasked or this.gone is not None):
            return False
        self._accepted = ()
        return True

    def _remember(self, this: _Round, response: Message) -> None:
        accepted = this.auth.answered or self._accepted
        if nonce := next_nonce(response):
            accepted = tuple(renewed(c, nonce) if c.header == "Authorization" else c for c in accepted)
        self._accepted = accepted

    def _granted(self, response: Message, this: _Round) -> None:
        granted = max(1, _granted_expiry(response, this))
        self._bound = this.contact
        self._agent.learn_service_route(response)
        self._retry_delay = FIRST_RETRY
        self._raised = 0
        self.rejected = False
        self.detail = ""
        self._enter(RegistrationState.REGISTERED)
        self._granted_at = self._agent.clock.time()
        self.expires_at = self._granted_at + granted
        # early enough that a lost REGISTER can still be repeated before the binding ends; at once where
        # the registrar saw us at another address, but not over and over where that changes each time
        again = this.contact != self._agent.contact_uri and not self._just_moved
        self._just_moved = again
        delay = 0.0 if again else max(LEAST_REFRESH, granted - min(granted * 0.5, 32.0))
        self._start_timer(delay)
        self._on_change()

    def _refused(self, response: Message, this: _Round) -> None:
        why = f"{response.code} {response.reason}".strip()
        if response.code < 400 and response.contact is not None:
            why += f": the registrar sends us to {response.contact.uri}, and is not followed"
        elif this.auth.problem:
            why += f": the registrar {this.auth.problem}"
        refused = response.code in (401, 403, 407) and not this.auth.exhausted
        self.rejected = self.rejected or refused
        self._failed(why, _seconds(response.get("Retry-After")))

    def _failed(self, why: str, retry_after: int = 0) -> None:
        was_up = self.state in (RegistrationState.REGISTERED, RegistrationState.LOST)
        if not was_up:
            self._bound = None  # else an older binding may still stand
        self._raised = 0
        self._accepted = ()
        self._enter(RegistrationState.LOST if was_up else RegistrationState.FAILED)
        self.detail = why
        self.expires_at = None
        patience = REJECTED_RETRY if self.rejected else self._retry_delay
        delay = min(retry_after, 3600) or patience * random.uniform(0.8, 1.2)
        self._retry_delay = min(self._retry_delay * 2, LONGEST_RETRY)
        self._start_timer(delay)
        self._on_change()

    def _on_timeout(self, this: _Round, why: str) -> None:
        if this.expires == 0:
            self._finish_stop()
        elif not self._stopping:
            self._failed(why or "no answer")

    def _finish_stop(self) -> None:
        self._bound = None
        self._enter(RegistrationState.OFF)
        self.expires_at = None
        self._done()

    def _enter(self, state: RegistrationState) -> None:
        if state is not self.state:
            self.state = state
            self.since = self._agent.clock.time()

    def _start_timer(self, delay: float) -> None:
        self._cancel_timer()
        self._timer = self._agent.clock.call_later(delay, self._again)

    def _again(self) -> None:
        self._timer = None
        self._begin(self._expires)


def _granted_expiry(response: Message, this: _Round) -> int:
    """The expiry of our own Contact among all that the registrar lists (10.2.4)."""
    listed: list[int] = []
    for value in response.all("Contact"):
        try:
            contact = parse_name_addr(value)
        except ValueError:
            continue
        found = _seconds(contact.param("expires"))
        if found and contact.uri.number == this.contact.number and _same_host(contact.uri, this.contact):
            return found
        listed.append(found)
    alone = listed[0] if len(listed) == 1 else 0  # ours, as a registrar behind NAT rewrote it
    return alone or _seconds(response.get("Expires")) or this.expires


def _same_host(one: Uri, other: Uri) -> bool:
    """Host without regard to case, the default port as good as none (19.1.4)."""
    (host, port), (other_host, other_port) = one.address, other.address
    return port == other_port and _plain_host(host) == _plain_host(other_host)


def _plain_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _seconds(text: str | None) -> int:
    return delta_seconds(text) or 0
