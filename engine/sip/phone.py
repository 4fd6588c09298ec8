"""pyVoIP's `VoIPPhone` on our user agent: registers, dials, rings, hangs up.

The engine opens it inside its own loop (`await open()`); code written for pyVoIP calls `start()`
and gets a loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.SIP import SIPParseError
from pyVoIP.VoIP import InvalidStateError, PhoneStatus

from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.agent import UserAgent
from engine.sip.call import Call
from engine.sip.caller import Caller
from engine.sip.dialog import SavedDialog, SavedInvite
from engine.sip.first_invite import FirstInvite
from engine.sip.hop import Hop, Target
from engine.sip.incoming import Incoming
from engine.sip.journal import Journal, Passed
from engine.sip.keepalive import OptionsPing
from engine.sip.mediaplane import MediaPlane
from engine.sip.message import Message
from engine.sip.network import Network
from engine.sip.referral import Referral
from engine.sip.registration import RegistrationState
from engine.sip.resolver import ResolveError, Resolver
from engine.sip.sdp import LocalDescription
from engine.sip.threaded import ThreadedPhone
from engine.sip.trace import Trace, mask
from engine.sip.transfer import Transfer
from engine.sip.transport import local_address_towards

log = logging.getLogger(__name__)


def new_leg_id() -> str:
    return secrets.token_hex(4)


DEREGISTER_WAIT = 2.0
"""Longest wait for the answers to BYE, CANCEL and the last REGISTER on the way out, in seconds."""

LINGER = 0.75
"""Seconds that the way out stays open after our last word: whoever missed it asks again after T1."""

_STATUS = {
    RegistrationState.OFF: PhoneStatus.REGISTERED,
    RegistrationState.REGISTERING: PhoneStatus.REGISTERING,
    RegistrationState.REGISTERED: PhoneStatus.REGISTERED,
    RegistrationState.FAILED: PhoneStatus.FAILED,
    RegistrationState.LOST: PhoneStatus.REGISTERING,
}


class Traffic(NamedTuple):
    """SIP messages: all that came, those dropped unread (too many at once), malformed ones, and those
    left unanswered because strangers sent them or another was meant."""

    received: int
    dropped: int
    malformed: int
    ignored: int


class Phone(ThreadedPhone):
    """A phone at one trunk.

    Set `on_call_change(call)`, `on_inbound(call)`, `on_registration()`, `on_flood(text)` (else it is
    logged) and `on_dialog(leg, saved)` before `open`; all are called in the loop. `saved` is what an
    engine that restarts needs to end the call: an INVITE not yet answered, a dialog, or None once it is over.

    `turn_away(number)` gives the response that refuses a call from there at once, or 0 to let it ring.
    Transfers: `on_transfer(call, transfer)` follows those that we asked for, `on_referral(referral)` gets
    what a far end asks for, `on_replaced(old, new)` is told of a call that took another's place.
    `on_redirect(call, number)` says whether a call may go on to where a 3xx sends it; none may otherwise.
    `on_digit(call, digit, milliseconds)` gets a key press that came by INFO, `on_digit_sent(call, digit)`
    one of ours that the far end took.
    """

    def __init__(
        self,
        server: str,
        port: int,
        username: str,
        password: str,
        myIP: str = "0.0.0.0",
        callCallback: Callable[[Call], None] | None = None,
        sipPort: int = 5060,
        rtpPortLow: int = 10000,
        rtpPortHigh: int = 20000,
        *,
        account: Account | None = None,
        media: MediaPlane | None = None,
        trace: Trace | None = None,
        name: str = "trunk",
        journal: Journal | None = None,
    ) -> None:
        super().__init__(
            server, port, username, password, myIP, callCallback, sipPort, rtpPortLow, rtpPortHigh
        )
        self.account = account or Account(server, port, username, password)
        self.name = name
        self.trouble = ""
        """Why it could not be opened, in words; whoever opens it keeps this."""
        self._listen = (myIP, sipPort)
        self._media = media
        self._trace = trace
        self.journal = journal or Journal()
        self._network: Network | None = None
        self.resolver: Resolver | None = None
        self._closing = False
        self._ping: OptionsPing | None = None
        self.agent: UserAgent | None = None
        self.on_call_change: Callable[[Call], None] = lambda call: None
        self.on_inbound: Callable[[Call], None] = lambda call: None
        self.on_registration: Callable[[], None] = lambda: None
        self.on_message: Callable[[Message, bool], None] = lambda message, sent: None
        self.on_transfer: Callable[[Call, Transfer], None] = lambda call, transfer: None
        self.on_replaced: Callable[[Call, Call], None] = lambda old, new: None
        self.turn_away: Callable[[str], int] = lambda number: 0
        self.on_digit: Callable[[Call, str, int], None] = lambda call, digit, ms: call.receive_press(
            digit, "info", time.monotonic(), ms
        )
        self.on_digit_sent: Callable[[Call, str], None] = lambda call, digit: None
        self.on_redirect: Callable[[Call, str], bool] = lambda call, number: False
        self.on_referral: Callable[[Referral], None] = lambda referral: referral.refuse()
        self.on_dialog: Callable[[str, SavedDialog | SavedInvite | None], None] = lambda leg, saved: None
        self.on_flood: Callable[[str], None] = log.warning

    @property
    def media(self) -> MediaPlane:
        assert self._media is not None, "the phone is not open"
        return self._media

    @property
    def listening(self) -> Hop:
        """The bound SIP address, once open."""
        assert self._network is not None
        return self._network.udp.bound

    # --- inside a loop ------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind, resolve the trunk, start to register. Raises OSError, ResolveError or TlsError."""
        self._loop = asyncio.get_running_loop()
        account = self.account
        trunk = [account.next_hop]
        if account.proxy:
            trunk.append(Target(account.host, account.port))
        resolver = self.resolver or Resolver("IPv6" if ":" in self._listen[0] else "IPv4")
        network = self._network = Network(self._receive, trunk, account.tls, resolver)
        if account.transport == "tls":
            account.tls.context()
        await network.open(self._listen, tcp=account.transport == "tcp")
        network.udp.gate.knows = self._knows
        network.udp.gate.on_flood = lambda text: self.on_flood(text)
        try:
            network.on_traffic = self._traffic
            hops = await network.resolve(trunk[0])
            for registrar in trunk[1:]:
                with contextlib.suppress(ResolveError):  # behind a proxy its name need not resolve here
                    await network.resolve(registrar)
            bound = network.udp.bound
            local = (local_address_towards(hops[0]) if self._wildcard else bound.host, bound.port)
        except BaseException:
            network.close()
            raise
        self._closing = False
        agent = UserAgent(account, self._loop, network.send, local, self)
        agent.flow = hops[0]
        agent.locate = network.locate
        agent.on_answered = network.worked
        agent.layer.connected = network.connected
        network.streams.on_failed = agent.failed
        network.udp.on_unreachable = self._unreachable
        network.streams.kept = lambda: agent.flow
        self.attach(agent)
        self._keep_alive()

    def attach(self, agent: UserAgent) -> None:
        """Take a user agent, which has a clock and a way to send, and start to register."""
        self.agent = self.sip = agent
        agent.on_registration = self._registration_changed
        incoming = Incoming(self, agent)
        agent.on_inbound, agent.on_replacing = incoming.ring, incoming.replace
        agent.on_message = self.on_message
        agent.layer.on_sent = self._sent
        self.calls = agent.calls
        agent.registration.start()
        if self.account.keepalive and self.account.keepalive_method == "options":
            self._ping = OptionsPing(agent, self._reachable_changed)
            self._ping.start()

    def _unreachable(self, hop: Hop, quoted: bytes) -> None:
        if self.agent is None:
            return
        if self._closing:  # nobody is left to take leave of
            self.agent.failed(hop, "unreachable")
        else:
            self.agent.layer.unreachable(hop, quoted)

    async def close(self) -> None:
        """Hang up every call, deregister, close; two seconds at most."""
        agent, network = self.agent, self._network
        if agent is None or network is None or self._closing:
            return
        self._closing = True
        deregistered = asyncio.Event()
        self.leave(deregistered.set)
        try:
            async with asyncio.timeout(DEREGISTER_WAIT):
                await deregistered.wait()
                while agent.layer.unanswered or agent.layer.had_last_word(LINGER):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.info("the trunk was not done with the last requests within %.0f s", DEREGISTER_WAIT)
        agent.close()
        network.close()

    def leave(self, done: Callable[[], None]) -> None:
        """Hang up every call and deregister; `done` is called when the registrar has answered."""
        agent = self.agent
        if agent is None:
            done()
            return
        if self._ping is not None:
            self._ping.stop()
        for call in list(agent.calls.values()):
            call.hangup_leg()
        agent.registration.stop(done)

    def dial(self, number: str, caller_id: str | None = None) -> Call:
        """Place a call. Raises what `prepare` raises."""
        call = self.prepare(number, caller_id)
        call.begin()
        return call

    def prepare_referred(self, referral: Referral, number: str = "") -> Call:
        """A call to whom a REFER names (`number`: as we write it), on our own trunk; what becomes of it is
        reported to who asked.

        It carries Referred-By (RFC 3892, 2.2) and Replaces on. Raises what `prepare` raises.
        """
        asked = referral.asked
        headers = [("Referred-By", asked.referred_by)] if asked.referred_by else []
        if asked.replaces is not None:
            headers += [("Require", "replaces"), ("Replaces", str(asked.replaces))]
        call = self.prepare(number or asked.number, headers=headers)
        call.transfers.follows = referral
        return call

    def prepare(
        self, number: str, caller_id: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> Call:
        """A call whose INVITE leaves with its `begin`.

        Raises ValueError for a number or caller ID that can't be dialled, NoPortsAvailableError
        when every RTP port is taken.
        """
        agent = self.agent
        if agent is None:
            raise InvalidStateError("the phone is not open")
        if not number or not number.isprintable() or len(number) > 64:
            raise ValueError("a number of 1 to 64 printable characters is needed")
        invite = FirstInvite(agent, number, caller_id, headers)
        leg, local = self.new_leg()
        offer = local.encode()
        try:
            call = Call(
                leg, self, agent, "outbound", number, invite.draft(offer), local, self.call_changed
            )
        except SIPParseError as error:
            self.media.close(leg)
            raise ValueError(str(error)) from None
        self.keep(call)
        call.caller = Caller(call, lambda extra: invite.next(offer, extra))
        return call

    def new_leg(self) -> tuple[str, LocalDescription]:
        """The id of a call to be, and our description of its audio. Raises NoPortsAvailableError."""
        assert self.agent is not None
        leg, terms = new_leg_id(), self.account.terms
        port = self.media.open(leg, terms.srtp != "off")
        return leg, LocalDescription.offer(self.agent.local[0], port, terms)

    def keep(self, call: Call) -> None:
        """A call has begun; `forget` ends it."""
        assert self.agent is not None
        self.agent.calls[call.call_id] = call
        self.journal.open(call.call_id, call.id, call.number)

    def save_dialog(self, call: Call) -> None:
        if call.dialog is not None and self.agent is not None:
            self.on_dialog(call.id, call.dialog.save(self.agent.local, self.name))

    def _sent(self, request: Message, hop: Hop) -> None:
        """An engine that restarts can take back an INVITE that was not answered yet."""
        if request.method == "INVITE" and not request.to.tag and request.call_id in self.calls:
            saved = SavedInvite(mask(request.raw).decode(), *hop, trunk=self.name)
            self.on_dialog(self.calls[request.call_id].id, saved)

    def forget(self, call: Call) -> None:
        """The call has ended: its port goes back, its dialog need not be remembered."""
        if self.agent is not None:
            self.agent.forget(call)
        self.journal.close(call.call_id)
        self.media.close(call.stream)
        self.on_dialog(call.id, None)

    def _receive(self, data: bytes, source: Hop, trusted: bool) -> None:
        if self.agent is not None:
            self.agent.receive(data, source, trusted)

    def _traffic(self, data: bytes, peer: Hop, sent: bool) -> None:
        """Every message as it passes, before anything is done with it."""
        if not data.strip(b"\r\n\x00 "):
            return
        if self._trace is not None:
            self._trace.write(data, peer, sent)
        if self.agent is not None and self._network is not None:
            local = Hop(*self.agent.local, peer.transport)
            trusted = sent or peer.host in self._network.udp.trusted
            self.journal.add(Passed(time.time(), sent, local, peer, data), trusted=trusted)

    @property
    def traffic(self) -> Traffic:
        """What came at the SIP port so far."""
        gate = self._network.udp.gate if self._network is not None else None
        agent = self.agent
        return Traffic(
            received=gate.received if gate else 0,
            dropped=gate.dropped if gate else 0,
            malformed=agent.malformed if agent else 0,
            ignored=agent.ignored if agent else 0,
        )

    def _knows(self, call_id: str) -> bool:
        return self.agent is not None and self.agent.knows(call_id)

    def call_changed(self, call: Call) -> None:
        self.on_call_change(call)

    @property
    def reachable(self) -> bool:
        """False where the last OPTIONS ping found the trunk silent."""
        return self._ping is None or self._ping.reachable

    @property
    def usable(self) -> bool:
        """Whether calls can be placed now: reachable, and registered or known by our address."""
        state = self.agent.registration.state if self.agent else RegistrationState.REGISTERING
        return self.reachable and state in (RegistrationState.OFF, RegistrationState.REGISTERED)

    def _reachable_changed(self) -> None:
        if self.reachable and self.agent is not None:
            self.agent.registration.hurry()
        self._registration_changed()

    def _registration_changed(self) -> None:
        self._status = self.get_status()
        self.on_registration()

    @property
    def _wildcard(self) -> bool:
        return self._listen[0] in ("0.0.0.0", "::")

    def _keep_alive(self) -> None:
        agent, network = self.agent, self._network
        if agent is None or network is None or self._closing or not self.account.keepalive:
            return
        if self._wildcard:
            with contextlib.suppress(OSError):  # no network at the moment
                if agent.move(local_address_towards(agent.flow)):
                    network.streams.drop("our address has changed")
        if self.account.keepalive_method == "crlf":
            network.keep_alive(agent.flow)
        agent.clock.call_later(self.account.keepalive, self._keep_alive)

    def get_status(self) -> PhoneStatus:
        if self._closing or self.agent is None:
            return PhoneStatus.INACTIVE
        return _STATUS[self.agent.registration.state]


__all__ = ["HangupCause", "LegState", "Phone"]
