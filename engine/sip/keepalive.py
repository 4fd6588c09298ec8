"""OPTIONS pings: whether the trunk can be reached, also where nothing is registered (RFC 3261, 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.sip.account import USER_AGENT
from engine.sip.dialog import new_branch, new_call_id, new_tag
from engine.sip.message import Message, build
from engine.sip.transaction import TimerHandle
from engine.sip.uri import NameAddr

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent

_UNREACHABLE = (408, 503)
"""What a proxy answers in place of a trunk that it can't reach; any other answer is a sign of life."""


class OptionsPing:
    """Asks the trunk every `account.keepalive` seconds. `reachable` is true until a ping finds it silent;
    `on_change` is called when that changes.
    """

    def __init__(self, agent: UserAgent, on_change: Callable[[], None]) -> None:
        self._agent = agent
        self._on_change = on_change
        self._call_id = new_call_id()
        self._tag = new_tag()
        self._cseq = 0
        self._timer: TimerHandle | None = None
        self._stopped = False
        self.reachable = True

    def start(self) -> None:
        account = self._agent.account
        self._cseq += 1
        request = build(
            f"OPTIONS {account.registrar} SIP/2.0",
            [
                ("Via", self._agent.via(new_branch())),
                ("Max-Forwards", "70"),
                ("From", str(account.address_of_record.with_tag(self._tag))),
                ("To", str(NameAddr(account.registrar))),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} OPTIONS"),
                ("Contact", self._agent.contact),
                ("Accept", "application/sdp"),
                ("User-Agent", USER_AGENT),
            ],
        )
        agent = self._agent
        agent.layer.request(request, agent.next_hop, self._on_response, lambda: self._heard(False))

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _on_response(self, response: Message) -> None:
        if response.code >= 200:
            self._heard(response.code not in _UNREACHABLE)

    def _heard(self, reachable: bool) -> None:
        if self._stopped:
            return
        self._timer = self._agent.clock.call_later(self._agent.account.keepalive, self.start)
        if reachable is not self.reachable:
            self.reachable = reachable
            self._on_change()
