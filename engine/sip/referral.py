"""A REFER of the far end's within a call (RFC 3515): it wants us to call somebody in its place.

Whether we do is not decided here: `Phone.on_referral` gets each one, and what it asks for is dialled as any
other number is, by those who may. Here are the answer and the reports (message/sipfrag) to who asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.legs import LegState
from engine.sip.message import Message, pyvoip_status
from engine.sip.refer import SIPFRAG, Referred, fragment
from engine.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.call import Call

EXPIRES = 180
"""Seconds that the subscription is said to last."""


class Referral:
    """One REFER: `accept`, then `follow` a call to the target, or `refuse`. `asked` says what it asks for."""

    def __init__(self, call: Call, asked: Referred, request: Message, transaction: ServerTransaction) -> None:
        self.call = call
        self.asked = asked
        self.over = False
        self._transaction = transaction
        self._event = f"refer;id={request.cseq}"
        self._quiet = (request.get("Refer-Sub") or "").strip().lower() == "false"  # RFC 4488
        self._waiting: tuple[int, str] | None = None
        self._busy = False
        self._last = 0

    def accept(self) -> None:
        """202, and the first report: 100 Trying."""
        extra = [("Refer-Sub", "false")] if self._quiet else []
        self.call.respond(self._transaction, 202, extra=extra)
        self.report(100)

    def refuse(self, code: int = 603) -> None:
        self.over = True
        self.call.respond(self._transaction, code)

    def follow(self, call: Call) -> None:
        """Report what has become of the call to the target: each new response, until a final one."""
        if call.progress is LegState.ANSWERED:
            self.report(200)
        elif call.progress is LegState.ENDED:
            code = call.cause.sip_code if call.cause is not None else None
            self.report(code if code is not None and code >= 300 else 503, call.reason if code else "")
        elif call.sip_code is not None and 100 < call.sip_code < 200:
            self.report(call.sip_code, call.reason)

    def report(self, code: int, reason: str = "") -> None:
        """Tell the far end of a response; the final one ends the subscription."""
        if self.over or code == self._last:
            return
        self._last = code
        self.over = code >= 200
        if not self._quiet:
            self._waiting = (code, reason)
            self._send()

    def _send(self) -> None:
        """One NOTIFY at a time, so that none overtakes another; only the latest is worth sending."""
        dialog = self.call.dialog
        if self._busy or self._waiting is None or dialog is None:
            return
        (code, reason), self._waiting = self._waiting, None
        self._busy = True
        state = f"active;expires={EXPIRES}" if code < 200 else "terminated;reason=noresource"
        fields = [
            ("Contact", self.call.agent.contact),
            ("Event", self._event),
            ("Subscription-State", state),
            ("Content-Type", SIPFRAG),
        ]
        self.call.agent.ask(
            dialog,
            "NOTIFY",
            fields,
            fragment(code, reason or pyvoip_status(code).phrase),
            on_response=self._on_response,
            on_timeout=self._gone,
        )

    def _on_response(self, response: Message) -> None:
        if response.code < 200:
            return
        self._busy = False
        if response.code in (408, 481, 489):
            self._gone()
        else:
            self._send()

    def _gone(self) -> None:
        """Nobody listens to the reports any more."""
        self._quiet, self._waiting = True, None
