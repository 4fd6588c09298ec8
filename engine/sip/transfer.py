"""A transfer that we ask for: REFER within a call's dialog (RFC 3515), blind or attended (RFC 5589), and
the far end's reports of what became of it.

The call is held while the far end tries. Once it says that it has reached the target we hang up; if it
fails, or says nothing, the call is taken back and goes on. Nobody is hung up on for want of a report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pyVoIP.VoIP import InvalidStateError

from engine.legs import LegState
from engine.sip.message import Message
from engine.sip.refer import SIPFRAG, expiry, parse_fragment, refer_to
from engine.sip.transaction import ServerTransaction, TimerHandle
from engine.sip.uri import NameAddr, Uri

if TYPE_CHECKING:
    from engine.sip.call import Call

HOLD_WAIT = 5.0
"""Seconds for the call to be on hold before REFER leaves all the same."""
NOTIFY_WAIT = 32.0
"""Seconds from the 202 to the first report (timer N of RFC 6665)."""
RESULT_WAIT = 180.0
"""Longest wait for the final report, in seconds, whatever the far end says that it may take."""
OTHER_WAIT = 5.0
"""Seconds for the consulted party to leave us, once it has been reached in our place."""

State = Literal["holding", "asked", "accepted", "done", "failed"]


class Transfer:
    """One transfer of `call`, from hold to its end; `report(transfer)` is told of each step.

    `to` is whom to, in words; `code` and `reason` the last response reported. With `other`, a second call
    of ours, the far end of `call` takes our place in it.
    """

    def __init__(
        self, call: Call, to: str, target: Uri, other: Call | None, report: Callable[[Transfer], None]
    ) -> None:
        self._call = call
        self._other = other
        self._report = report
        self._target = target
        self._timer: TimerHandle | None = None
        self._held_here = False
        self._heard = False
        self.to = to
        self.state: State = "holding"
        self.code: int | None = None
        self.reason = ""

    # --- asking --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Hold the call, then ask. Raises InvalidStateError where it is not up."""
        call = self._call
        if call.progress is not LegState.ANSWERED or call.dialog is None:
            raise InvalidStateError("Call is not answered")
        if call.held:
            self._ask()
            return
        call.reinvite_failed = ""
        call.hold(True)
        self._held_here = True
        self._wait(HOLD_WAIT, self._ask)

    def call_changed(self) -> None:
        """The call has changed: it is on hold, or can't be, or has ended."""
        if self.state == "holding" and self._call.progress is LegState.ENDED:
            self._end("failed", "the call ended before it could be transferred")
        elif self.state == "holding" and (self._call.held or self._call.reinvite_failed):
            self._held_here = self._held_here and self._call.held
            self._ask()

    def _ask(self) -> None:
        call, dialog = self._call, self._call.dialog
        assert dialog is not None
        self._stop_waiting()
        self.state = "asked"
        replacing = self._other.dialog if self._other is not None else None
        target = replacing.remote_target if replacing is not None else self._target
        fields = [
            ("Contact", call.agent.contact),
            ("Refer-To", str(refer_to(target, replacing))),
            ("Referred-By", str(NameAddr(dialog.local.uri))),
            ("Allow", call.agent.account.allow),
        ]
        call.agent.ask(
            dialog,
            "REFER",
            fields,
            on_response=self._on_response,
            on_timeout=lambda: self._end("failed", "the far end did not answer the request"),
        )
        self._report(self)

    def _on_response(self, response: Message) -> None:
        if response.code < 200 or self.over:
            return
        if response.code >= 300:
            self._end("failed", f"the far end refused: {response.code} {response.reason}".strip())
            return
        self.state = "accepted"
        if (response.get("Refer-Sub") or "").strip().lower() == "false":  # RFC 4488: it will report nothing
            self._wait(NOTIFY_WAIT, lambda: self._silence("the far end reports nothing and stays"))
        elif not self._heard:
            self._wait(NOTIFY_WAIT, lambda: self._silence("the far end accepted, then said nothing"))
        self._report(self)

    # --- reports -------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")

    def receive(self, request: Message, transaction: ServerTransaction) -> None:
        """A NOTIFY of the implicit subscription; one may outrun the 202."""
        package = (request.get("Event") or "").split(";")[0].strip().lower()
        if package != "refer":
            self._call.respond(transaction, 489, extra=[("Allow-Events", "refer")])
            return
        if self.over or self.state == "holding":
            self._call.respond(transaction, 481)
            return
        self._call.respond(transaction, 200)
        self._heard = True
        kind = (request.get("Content-Type") or SIPFRAG).split(";")[0].strip().lower()
        found = parse_fragment(request.content) if kind == "message/sipfrag" else None
        if found is not None:
            self.code, self.reason = found
        state, seconds = expiry(request)
        if self.code is not None and self.code >= 200:
            self._result(self.code)
        elif state == "terminated":
            self._end("failed", "the far end stopped reporting before it had a result")
        else:
            self.state = "accepted"
            longest = RESULT_WAIT if seconds is None else min(max(seconds, 1), RESULT_WAIT)
            self._wait(longest, lambda: self._silence("the far end never said what became of it"))
            self._report(self)

    def _result(self, code: int) -> None:
        if code >= 300:
            self._end("failed", f"{code} {self.reason}".strip())
            return
        self._end("done", "")
        self._call.hangup_leg("normal", f"transferred to {self.to}")
        other = self._other
        if other is not None and other.progress is not LegState.ENDED:
            clock = self._call.agent.clock
            clock.call_later(OTHER_WAIT, lambda: other.hangup_leg("normal", "transferred"))

    def call_ended(self) -> None:
        """The call is over. A far end that had accepted may still report: it is listened to."""
        if self.state == "holding":
            self.call_changed()
        elif not self.over:
            self._call.agent.past.keep(self._call.call_id, self)

    def matches(self, request: Message) -> bool:
        """Whether a request after the call's end is in its dialog, and new."""
        dialog = self._call.dialog
        if dialog is None or request.cseq <= dialog.remote_cseq:
            return False
        if (request.to.tag, request.from_.tag) != (dialog.local.tag, dialog.remote.tag):
            return False
        dialog.remote_cseq = request.cseq
        return True

    def _silence(self, why: str) -> None:
        """No report came. A far end that has left by then went to the target, or nobody will ever know."""
        if self._call.progress is LegState.ENDED:
            self._end("done", "it left without a word of the outcome")
        else:
            self._end("failed", why)

    # --- the end -------------------------------------------------------------------------------

    def _end(self, state: State, why: str) -> None:
        if self.over:
            return
        self._stop_waiting()
        self.state, self.reason = state, why or self.reason
        call = self._call
        call.agent.past.drop(call.call_id)
        if state == "failed" and self._held_here and call.progress is LegState.ANSWERED:
            try:
                call.hold(False)
            except InvalidStateError:
                pass  # it is being changed: the operator sees that it is held
        self._report(self)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._call.agent.clock.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def in_words(self) -> str:
        """How far it has come, in one line without the name of the call."""
        if self.state == "failed":
            return f"the transfer to {self.to} failed: {self.reason}"
        if self.state == "done":
            return f"transferred to {self.to}" + (f": {self.reason}" if self.code is None else "")
        if self.code is not None:
            return f"the transfer to {self.to}: {self.code} {self.reason}".strip()
        return {
            "holding": f"holding the call, to transfer it to {self.to}",
            "asked": f"asking the far end to call {self.to}",
        }.get(self.state, f"the far end is calling {self.to}")
