"""Changes of a call that our side asks for: hold, resume, the session's refresh (RFC 3261, 14; RFC 3311)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyVoIP.VoIP import InvalidStateError

from engine.legs import LegState
from engine.sip.account import USER_AGENT
from engine.sip.dialog import Dialog, new_branch
from engine.sip.exchange import InviteExchange
from engine.sip.forks import Fork, reliable_number
from engine.sip.message import Message
from engine.sip.sdp import LocalDescription
from engine.sip.transaction import TimerHandle

if TYPE_CHECKING:
    from engine.sip.call import Call

REINVITE_WAIT = 32.0
"""Seconds for the final response to a re-INVITE of ours; then it is taken back."""


class Changes:
    """One at a time; while the far end's INVITE waits for its ACK ours waits too (14.1)."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._ours: InviteExchange | None = None
        self._retry: TimerHandle | None = None
        self._waiting: bool | None = None
        self._updating = False

    @property
    def inviting(self) -> bool:
        """Whether a re-INVITE of ours, and so our offer, is open."""
        return self._ours is not None and not self._ours.finished

    def hold(self, on: bool) -> None:
        """Hold or resume by re-INVITE (RFC 3264, 8.4). Raises InvalidStateError."""
        call, dialog = self._call, self._call.dialog
        if call.progress is not LegState.ANSWERED or dialog is None:
            raise InvalidStateError("Call is not answered")
        if self.inviting:
            raise InvalidStateError("Call is being changed already")
        if self._far_is_inviting:
            self._waiting = on
        else:
            self._reinvite(on, dialog, may_repeat=True)

    @property
    def _far_is_inviting(self) -> bool:
        callee = self._call.callee
        return self._call.midcall.answering or (callee is not None and callee.awaits_ack)

    def go_on(self) -> None:
        """The far end's INVITE has had its ACK: what waited for it goes out."""
        wanted, self._waiting = self._waiting, None
        if wanted is None or self._call.progress is not LegState.ANSWERED or self.inviting:
            return
        if self._far_is_inviting:
            self._waiting = wanted
        elif self._call.dialog is not None:
            self._reinvite(wanted, self._call.dialog, may_repeat=True)

    def refresh(self) -> None:
        """Refresh the session: by UPDATE where the far end allows it, else by a re-INVITE that changes
        nothing. Left out while another change is under way, which refreshes it too (RFC 4028, 7.4)."""
        call, dialog = self._call, self._call.dialog
        if dialog is None or self.inviting or self._far_is_inviting or self._retry or self._updating:
            return
        if "UPDATE" in call.far_methods:
            self._update(dialog)
        else:
            self._reinvite(None, dialog, may_repeat=True)

    def _update(self, dialog: Dialog) -> None:
        call = self._call
        self._updating = True

        def receive(response: Message) -> None:
            if response.code < 200:
                return
            self._updating = False
            if call.progress is not LegState.ANSWERED:
                return
            if response.code < 300:
                dialog.refresh_target(response)
                call.timer.on_response(response)
                call.phone.save_dialog(call)
            elif response.code in (408, 481):  # the dialog is gone (12.2.1.2)
                call.hangup_leg("timeout", f"{response.code} to the session's refresh")
            elif response.code in (405, 501):
                call.far_methods -= {"UPDATE"}
                self.refresh()
            elif call.timer.raised_by(response):
                self._update(dialog)

        def silence() -> None:
            self._updating = False
            if call.progress is LegState.ANSWERED:
                call.hangup_leg("timeout", "no answer to the session's refresh")

        fields = [("Contact", call.agent.contact), ("Allow", call.agent.account.allow), *call.timer.offer()]
        call.agent.ask(dialog, "UPDATE", fields, on_response=receive, on_timeout=silence)

    def _reinvite(self, on: bool | None, dialog: Dialog, *, may_repeat: bool) -> None:
        """`on` holds or resumes; None leaves the session as it is, its description's version too."""
        call = self._call
        self.ended()
        wanted = call.local
        if on is not None:
            wanted = wanted.with_direction("sendonly" if on else "sendrecv")
        content = wanted.encode()

        def make(extra: list[tuple[str, str]]) -> Message:
            fields = [
                ("Contact", call.agent.contact),
                ("Allow", call.agent.account.allow),
                ("User-Agent", USER_AGENT),
                *call.timer.offer(),
                ("Content-Type", "application/sdp"),
                *extra,
            ]
            return dialog.request("INVITE", call.agent.via(new_branch()), fields, content)

        change = _Change(self, call, dialog, wanted, on, may_repeat)
        self._ours = InviteExchange(call.agent.layer, dialog.next_hop, call.agent.authenticator, make, change)
        self._ours.start()
        self._ours.limit(REINVITE_WAIT)

    def repeat(self, on: bool | None, dialog: Dialog) -> None:
        """After 491: once more, when the far end's own re-INVITE has had its time (14.1)."""
        low, high = (2.1, 4.0) if self._call.role == "outbound" else (0.0, 2.0)

        def again() -> None:
            self._retry = None
            if self._call.progress is not LegState.ANSWERED:
                return
            if self._far_is_inviting:
                self._waiting = on
            else:
                self._reinvite(on, dialog, may_repeat=False)

        self._retry = self._call.agent.clock.call_later(random.uniform(low, high), again)

    def ended(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


class _Change:
    """What becomes of our re-INVITE: hold, resume or refresh done, or not."""

    def __init__(
        self,
        owner: Changes,
        call: Call,
        dialog: Dialog,
        wanted: LocalDescription,
        hold: bool | None,
        may_repeat: bool,
    ) -> None:
        self._owner, self._call, self._dialog = owner, call, dialog
        self._wanted, self._hold, self._may_repeat = wanted, hold, may_repeat
        self._ack: Callable[[], None] | None = None
        self._early: dict[int, Fork] = {}  # of each try, by its CSeq

    def on_provisional(self, response: Message) -> None:
        rseq = reliable_number(response)
        early = self._early.setdefault(response.cseq, Fork(self._dialog))
        if rseq is not None and early.in_order(rseq):
            early.described = response.sdp or early.described
            fields = [("RAck", f"{rseq} {response.cseq} INVITE")]
            self._call.agent.ask(self._dialog, "PRACK", fields)

    def on_success(self, request: Message, response: Message) -> None:
        call = self._call
        if self._ack is not None:  # it was lost
            self._ack()
            return
        self._dialog.refresh_target(response)
        self._ack = call.agent.acknowledge(self._dialog, request)
        if call.progress is LegState.ENDED:
            return
        call.local = self._wanted
        if self._hold is not None:
            call.held = self._hold
        call.remember_methods(response)
        call.timer.on_response(response)
        early = self._early.get(response.cseq)
        answer = response.sdp or (early.described if early is not None else b"")
        if answer and (agreed := call.understand(answer, self._wanted)):
            call.connect(agreed)
        call.phone.save_dialog(call)
        call.changed()

    def wants_again(self, response: Message) -> bool:
        return self._call.progress is LegState.ANSWERED and self._call.timer.raised_by(response)

    def on_failure(self, request: Message, response: Message | None) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        code = response.code if response else 408
        if code in (408, 481):  # the dialog is gone (12.2.1.2)
            call.hangup_leg("timeout", f"{code} to a re-INVITE")
        elif code == 491 and self._may_repeat:
            self._owner.repeat(self._hold, self._dialog)
        elif self._hold is not None:
            call.reinvite_failed = f"{code} {response.reason if response else ''}".strip()
            call.changed()
