"""The INVITE that begins a call of ours (RFC 3261, 8.1.1 and 13.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.sip.account import USER_AGENT
from engine.sip.dialog import new_branch, new_call_id, new_tag
from engine.sip.message import Message, build
from engine.sip.uri import NameAddr

if TYPE_CHECKING:
    from engine.sip.agent import UserAgent


class FirstInvite:
    """Builds each try: From, To and Call-ID stay, CSeq counts up, the branch is new.

    Raises ValueError for a caller ID that is not one of the trunk's own.
    """

    def __init__(
        self, agent: UserAgent, number: str, caller_id: str | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        account = agent.account
        self._agent = agent
        self._target = account.target(number)
        self._from = account.caller(caller_id).with_tag(new_tag())
        self._headers = [*account.identity_headers(caller_id), *headers]
        self._cseq = 0
        self.call_id = new_call_id()

    def draft(self, offer: bytes) -> Message:
        """What a call is made from before it begins; it is not sent. Raises SIPParseError for a control
        character in a header."""
        return self._build(1, offer, ())

    def next(self, offer: bytes, extra: Sequence[tuple[str, str]]) -> Message:
        """The next try, `extra` headers with it."""
        self._cseq += 1
        return self._build(self._cseq, offer, extra)

    def _build(self, cseq: int, offer: bytes, extra: Sequence[tuple[str, str]]) -> Message:
        agent = self._agent
        fields = [
            ("Via", agent.via(new_branch())),
            ("Max-Forwards", "70"),
            *agent.preloaded_routes,
            ("From", str(self._from)),
            ("To", str(NameAddr(self._target))),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} INVITE"),
            ("Contact", agent.contact),
            ("Allow", agent.account.allow),
            ("User-Agent", USER_AGENT),
            ("Content-Type", "application/sdp"),
            *self._headers,
            *extra,
        ]
        return build(f"INVITE {self._target} SIP/2.0", fields, offer)
