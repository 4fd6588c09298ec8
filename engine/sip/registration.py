"""Registration (RFC 3261, section 10): kept alive by the granted expiry, given back on exit."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.sip.account import USER_AGENT
from engine.sip.dialog import new_branch, new_call_id, new_tag
from engine.sip.digest import Authenticator, Credentials
from engine.sip.message import Message, build
from engine.sip.transaction import TimerHandle
from engine.sip.uri import number, parse_name_addr

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent

FIRST_RETRY = 2.0
LONGEST_RETRY = 60.0
REJECTED_RETRY = 300.0
"""Seconds before refused credentials are tried again: trunks lock out whoever keeps on asking."""


class RegistrationState(StrEnum):
    OFF = "off"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    LOST = "lost"


class Registration:
    """One binding at the registrar. `on_change` is called after every change of state or expiry.

    `detail` says in words why it failed; `answered` is false until the registrar has said anything;
    `rejected` is true once it has refused our credentials.
    """

    def __init__(self, agent: UserAgent, on_change: Callable[[], None]) -> None:
        self._agent = agent
        self._on_change = on_change
        self._call_id = new_call_id()
        self._tag = new_tag()
        self._cseq = 0
        self._expires = agent.account.expires
        self._retry_delay = FIRST_RETRY
        self._timer: TimerHandle | None = None
        self._credentials: Credentials | None = agent.account.credentials()
        self._done: Callable[[], None] = lambda: None
        self._bound = False  # also while an answer is awaited: a binding may have been made
        self._stopping = False
        self._just_moved = False
        self.state = RegistrationState.REGISTERING if agent.account.register else RegistrationState.OFF
        self.detail = ""
        self.code = 0
        self.answered = False
        self.rejected = False
        self.expires_at: float | None = None

    def start(self) -> None:
        if self.state is not RegistrationState.OFF:
            self._register(self._expires, Authenticator(self._credentials))

    def stop(self, done: Callable[[], None]) -> None:
        """Deregister; `done` is called when the registrar has answered or there is nothing to undo.

        Giving up earlier is the caller's: cancelling costs nothing, the binding expires by itself.
        """
        self._cancel_timer()
        self._stopping = True
        if not self._bound:
            done()
            return
        self._done = done
        self._register(0, Authenticator(self._credentials))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _register(
        self, expires: int, auth: Authenticator, extra: list[tuple[str, str]] | None = None
    ) -> None:
        account = self._agent.account
        self._bound = True
        self._cseq += 1
        address = account.address_of_record
        uri = account.registrar
        request = build(
            f"REGISTER {uri} SIP/2.0",
            [
                ("Via", self._agent.via(new_branch())),
                ("Max-Forwards", "70"),
                ("From", str(address.with_tag(self._tag))),
                ("To", str(address)),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Contact", f"{self._agent.contact};expires={expires}"),
                ("Expires", str(expires)),
                ("Allow", account.allow),
                ("User-Agent", USER_AGENT),
                *(extra or []),
            ],
        )
        self._agent.layer.request(
            request,
            self._agent.next_hop,
            lambda r: self._on_response(r, expires, auth, str(uri)),
            lambda: self._on_timeout(expires),
        )

    def _on_response(self, response: Message, expires: int, auth: Authenticator, uri: str) -> None:
        self.answered = True
        if response.code < 200 or (self._stopping and expires):
            return
        self.code = response.code
        moved = self._agent.learn_address(response)
        if response.code in (401, 407) and (headers := auth.retry(response, "REGISTER", uri)):
            self._register(expires, auth, headers)
        elif response.code == 423 and 0 < expires < (least := _seconds(response.get("Min-Expires"))):
            self._expires = min(least, 86400)
            self._register(self._expires, auth)
        elif expires == 0:
            self._finish_stop()
        elif response.code < 300:
            self._granted(response, expires, moved)
        else:
            self.rejected = self.rejected or response.code in (401, 403, 407)
            self._failed(f"{response.code} {response.reason}".strip(), _seconds(response.get("Retry-After")))

    def _granted(self, response: Message, asked: int, moved: bool) -> None:
        granted = max(1, self._granted_expiry(response, asked))
        self._bound = True
        self._retry_delay = FIRST_RETRY
        self.rejected = False
        self.detail = ""
        self.state = RegistrationState.REGISTERED
        self.expires_at = self._agent.clock.time() + granted
        # early enough that a lost REGISTER can still be repeated before the binding ends; at once where
        # the registrar saw us at another address, but not over and over where that changes each time
        again = moved and not self._just_moved
        self._just_moved = again
        delay = 0.0 if again else granted - min(granted * 0.5, 32.0)
        self._start_timer(delay)
        self._on_change()

    def _granted_expiry(self, response: Message, asked: int) -> int:
        """The expiry of our own Contact among all that the registrar lists (10.2.4)."""
        ours = self._agent.contact_uri
        listed: list[int] = []
        for value in response.all("Contact"):
            try:
                contact = parse_name_addr(value)
            except ValueError:
                continue
            found = _seconds(contact.param("expires"))
            if found and contact.uri.number == ours.number and contact.uri.address == ours.address:
                return found
            listed.append(found)
        alone = listed[0] if len(listed) == 1 else 0  # ours, as a registrar behind NAT rewrote it
        return alone or _seconds(response.get("Expires")) or asked

    def _failed(self, why: str, retry_after: int = 0) -> None:
        was_up = self.state in (RegistrationState.REGISTERED, RegistrationState.LOST)
        self._bound = was_up  # an older binding may still stand
        self.state = RegistrationState.LOST if was_up else RegistrationState.FAILED
        self.detail = why
        self.expires_at = None
        patience = REJECTED_RETRY if self.rejected else self._retry_delay
        delay = min(retry_after, 3600) or patience * random.uniform(0.8, 1.2)
        self._retry_delay = min(self._retry_delay * 2, LONGEST_RETRY)
        self._start_timer(delay)
        self._on_change()

    def _on_timeout(self, expires: int) -> None:
        if expires == 0:
            self._finish_stop()
        elif not self._stopping:
            self._failed("no answer")

    def _finish_stop(self) -> None:
        self._bound = False
        self.state = RegistrationState.OFF
        self.expires_at = None
        self._done()

    def _start_timer(self, delay: float) -> None:
        self._cancel_timer()
        self._timer = self._agent.clock.call_later(delay, self._again)

    def _again(self) -> None:
        self._register(self._expires, Authenticator(self._credentials))


def _seconds(text: str | None) -> int:
    """The leading digits of a header, as in `Retry-After: 18 (busy)`; 0 for none."""
    return number((text or "").split("(")[0].split(";")[0]) or 0
