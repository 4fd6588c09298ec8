"""The caller's side of a call: from INVITE to its answer, refusal or cancellation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.legs import HangupCause, LegState
from engine.sip.causes import COMPLETED_ELSEWHERE, ended_by
from engine.sip.exchange import InviteExchange
from engine.sip.forks import MAX_FORKS, Fork, Forks, reliable_number
from engine.sip.message import Message
from engine.sip.redirect import sent_to, targets
from engine.sip.transaction import TimerHandle
from engine.sip.uri import Uri

if TYPE_CHECKING:
    from engine.sip.call import Call
    from engine.sip.dialog import Dialog
    from engine.sip.sdp import Negotiated

CANCEL_WAIT = 4.0
"""Seconds that a cancelled call waits for its final response before it counts as ended."""


class Caller:
    """Follows the call's first INVITE. `make(extra headers)` builds each try of it."""

    def __init__(self, call: Call, make: Callable[[list[tuple[str, str]]], Message]) -> None:
        agent = call.agent
        self._call = call
        self._offer = call.local
        self._acks: dict[str, Callable[[], None]] = {}
        self._cancel_timer: TimerHandle | None = None
        self._giving_up = ""
        self._targets: list[Uri] | None = None
        self._target: Uri | None = None
        self.forks = Forks()
        self._heard: Fork | None = None

        def attempt(extra: list[tuple[str, str]]) -> Message:
            # those of an earlier try are gone, and what they described with them
            self.forks, self._heard, call.negotiated = Forks(), None, None
            required = [("Require", "100rel")] if agent.account.reliable == "required" else []
            invite = make([*required, *call.timer.offer(), *extra])
            return invite if self._target is None else sent_to(invite, self._target)

        self.exchange = InviteExchange(
            agent.layer, lambda: agent.call_hop, agent.authenticator, attempt, self
        )

    def begin(self) -> None:
        if self.exchange.request is None and self._call.progress is not LegState.ENDED:
            self._call.request = self.exchange.start()

    def on_provisional(self, response: Message) -> None:
        call, request = self._call, self.exchange.request
        if call.progress is LegState.ENDED or request is None:
            return
        fork = self.forks.take(request, response) if response.code > 100 and response.to.tag else None
        if (rseq := reliable_number(response)) is not None:
            if fork is None or not fork.in_order(rseq):
                return
            call.agent.ask(fork.dialog, "PRACK", [("RAck", f"{rseq} {response.cseq} INVITE")])
        call.sip_code, call.reason = response.code, response.reason
        if response.sdp and self._describe(fork, response.sdp):
            call.advance(LegState.EARLY)
        elif response.code == 100:
            if call.progress is LegState.DIALING:
                call.advance(LegState.TRYING)
        elif call.progress in (LegState.DIALING, LegState.TRYING):
            call.advance(LegState.RINGING if response.code == 180 else LegState.TRYING)
        if response.code == 199 and fork is not None:
            self._ended(fork)

    def _describe(self, fork: Fork | None, description: bytes) -> bool:
        """Let the audio follow the fork that described its end last; a description that it repeats
        restarts nothing, so that what an UPDATE has changed since stays."""
        call = self._call
        if fork is None:  # no To tag: nothing tells it apart
            return call.take_description(description)
        if description != fork.described:
            agreed = call.understand(description, self._offer)
            if agreed is None:
                return False
            fork.described, fork.agreed = description, agreed
        self.hear(fork)
        return fork.agreed is not None

    def hear(self, fork: Fork) -> None:
        """Let the audio go where a fork's description says, once."""
        if fork.agreed is not None and (fork is not self._heard or fork.agreed is not self._call.negotiated):
            self._heard = fork
            self._call.connect(fork.agreed)

    def redescribe(self, fork: Fork, agreed: Negotiated) -> None:
        """The far end has changed a fork's session by UPDATE; it is heard only if it was."""
        changed, fork.agreed = agreed != fork.agreed, agreed
        if fork is self._heard and changed:
            self._call.connect(agreed)

    def _ended(self, fork: Fork) -> None:
        """A fork that is over (RFC 6228): its audio gives way to that of another, where there is one."""
        fork.ended = True
        if fork is self._heard and (other := self.forks.latest_described()):
            self.hear(other)

    def on_bye(self, dialog: Dialog) -> None:
        """A BYE within an early dialog ends that fork, not the call (RFC 3261, 15)."""
        for fork in self.forks.all():
            if fork.dialog is dialog:
                self._ended(fork)

    def on_success(self, request: Message, response: Message) -> None:
        call, tag = self._call, response.to.tag
        if again := self._acks.get(tag):  # our ACK was lost (13.2.2.4)
            again()
            return
        if len(self._acks) >= MAX_FORKS:
            return
        fork = self.forks.confirm(request, response)
        dialog = fork.dialog
        self._acks[tag] = call.agent.acknowledge(dialog, request)
        if call.dialog is not None or call.progress is LegState.ENDED or self._giving_up:
            # a second fork, or one that crossed our CANCEL
            elsewhere = call.dialog is not None and call.progress is LegState.ANSWERED
            call.agent.bye(dialog, COMPLETED_ELSEWHERE if elsewhere else ())
            if call.dialog is None:
                call.end(HangupCause(self._giving_up or "cancelled", "us"))
            return
        call.dialog = dialog
        call.remember_methods(response)
        call.sip_code, call.reason = response.code, response.reason
        if not (response.sdp and self._describe(fork, response.sdp)):
            self.hear(fork)  # as described in a provisional response
        if call.negotiated is None:
            held = call.reason if response.sdp else "the answer held no session description"
            call.hangup_leg("failed", held)
            return
        call.phone.save_dialog(call)
        call.timer.on_response(response)
        call.advance(LegState.ANSWERED)

    def wants_again(self, response: Message) -> bool:
        """A session interval that was too small for the far end is raised (RFC 4028, 7.3); a redirected
        call is tried at the places named, one after the other, but not sent on once more."""
        call, request = self._call, self.exchange.request
        if call.progress is LegState.ENDED or request is None:
            return False
        if call.timer.raised_by(response) or call.timer.refused_by(response):
            return True
        account = call.agent.account
        if response.code < 400 and self._targets is None and account.redirects == "follow":
            found = targets(response, account, request.uri)
            self._targets = [uri for uri in found if call.phone.on_redirect(call, uri.number)]
        if not self._targets or response.code >= 600 or response.code in (401, 407, 487):
            return False
        self._target = self._targets.pop(0)
        return True

    def on_failure(self, request: Message, response: Message | None) -> None:
        call = self._call
        if call.progress is LegState.ENDED:
            return
        if response is None:
            heard = self.exchange.heard_anything
            reason = "no final response" if heard else self.exchange.error or "no answer from the trunk"
            name = self._giving_up or ("timeout" if heard else "no_response")
            call.end(HangupCause(name, "network", None, reason))
            return
        call.sip_code, call.reason = response.code, response.reason
        if self._giving_up:
            call.end(ended_by(self._giving_up, "us", response, response.code, response.reason))
            return
        refused = response.code in (401, 407) or (response.code == 403 and self.exchange.sent_credentials)
        reason = response.reason
        name = "unauthorized" if refused else "rejected"
        if response.code < 400 and (to := targets(response, call.agent.account, request.uri)):
            name, reason = "redirected", f"{reason} to {to[0].number}".strip()
        call.end(ended_by(name, "far", response, response.code, reason))

    def give_up(self, cause: str, reason: str, told: Sequence[tuple[str, str]] = ()) -> None:
        """Take the INVITE back; the call ends with its final response, or without one a little later."""
        if self._giving_up:
            return
        call = self._call
        self._giving_up = cause if cause != "normal" else "cancelled"
        ending = HangupCause(self._giving_up, "us", None, reason)
        if self.exchange.request is None:
            call.end(ending)
            return
        self.exchange.cancel(told)
        self._cancel_timer = call.agent.clock.call_later(CANCEL_WAIT, lambda: call.end(ending))

    def ended(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer.cancel()
