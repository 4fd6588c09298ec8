"""The operator's desk: every command of the wire, carried out or refused with one sentence."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from engine import projection, wire
from engine.control import messages
from engine.control.server import Outcome
from engine.dialer.ports import StoreError
from engine.earlier import Earlier
from engine.forwarding import Forwards
from engine.handover import Handover
from engine.legs import LegState
from engine.pairs import Pairs
from engine.supervision import Supervisors
from engine.talks import Talks
from engine.teaching import Teaching
from engine.trunk_leg import TrunkLeg
from engine.voice import Switches, Voice

if TYPE_CHECKING:
    from engine.service import Engine

DIGITS = frozenset("0123456789*#ABCD")
MAX_DIGITS = 64
MAX_PAGE = 500


class Desk:
    """The control server's handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.do_not_disturb = engine.config.sip.do_not_disturb
        self.voice = Voice(engine)
        self.talks = Talks(engine)
        self.handover = Handover(engine)
        self.pairs = Pairs(engine)
        self.forwards = Forwards(engine)
        self.supervisors = Supervisors(engine)
        known, past = engine.station.known, engine.store.past
        self.earlier = Earlier(
            known.folder, past, engine.tell, lambda row: engine.publish(projection.entry(row))
        )
        self.teaching = Teaching(known, self.earlier, engine.tell)
        dialer = engine.dialer
        self._table: dict[type, Callable[[Any], Awaitable[str | Outcome]]] = {
            messages.Dial: lambda c: dialer.dial(c.number),
            messages.Next: lambda c: dialer.next(),
            messages.Pause: lambda c: dialer.pause(),
            messages.Resume: lambda c: dialer.resume(),
            messages.Skip: lambda c: dialer.skip(c.entry),
            messages.Redial: lambda c: dialer.redial(c.entry),
            messages.LoadQueue: self._load,
            messages.Accept: lambda c: dialer.accept(),
            messages.Hangup: self._hangup,
            messages.StopAll: self._stop_all,
            messages.Hold: self._hold,
            messages.Mute: self._mute,
            messages.SendDigits: self._digits,
            messages.Answer: self._answer,
            messages.Refuse: self._refuse,
            messages.Consult: self._consult,
            messages.Conference: self._conference,
            messages.Supervise: self._supervise,
            messages.Gain: self._gain,
            messages.Talk: self._talk,
            messages.Transfer: self._transfer,
            messages.TransferToLeg: self._transfer_to_leg,
            messages.DoNotDisturb: self._do_not_disturb,
            messages.SetOperator: lambda c: dialer.set_operator(c.mode, c.agents),
            messages.Record: self._record,
            messages.Teach: lambda c: self.teaching.teach(c.category, c.leg, c.name),
            messages.SetDisposition: lambda c: dialer.set_disposition(c.entry, c.disposition, c.note),
            messages.QueuePage: self._page,
            messages.Trace: self._trace,
            messages.Shutdown: self._shutdown,
        }

    async def handle(self, command: messages.Command) -> Outcome:
        outcome = await self._table[type(command)](command)
        return outcome if isinstance(outcome, Outcome) else Outcome(error=outcome)

    def snapshot(self) -> messages.Snapshot:
        engine = self._engine
        return messages.Snapshot(
            at=time.time(),
            trunk=wire.trunk(engine.station.phone),
            trunks=[wire.trunk(phone) for phone in engine.station.phones.values()],
            sound=wire.sound(engine.station.sound),
            flow=projection.flow(engine.dialer.flow(), self.switches),
            counts=projection.counts(engine.dialer.counts),
            legs=[wire.leg(leg) for leg in engine.line.legs.values()],
            attempts=[projection.attempt(a) for a in engine.dialer.attempts()],
            log=list(engine.log),
        )

    # --- which leg is meant ----------------------------------------------------------------------

    def _current(self, leg: str | None) -> TrunkLeg | None:
        """The leg named, or the party that the operator talks to: the latest that is not an agent."""
        legs = self._engine.line.legs
        if leg is not None:
            return legs.get(leg)
        callees = [
            found for found in legs.values()
            if found.role not in ("agent", "supervisor", "forwarded") and not found.forwarded_to
        ]  # fmt: skip
        answered = [found for found in callees if found.state is LegState.ANSWERED]
        bridges = self._engine.line.bridges
        own = [found for found in answered if not found.bridged_to or bridges.end_of(found)]
        choice = own or answered or callees
        return choice[-1] if choice else None

    def _answered(self, leg: str | None) -> TrunkLeg | str:
        found = self._current(leg)
        if found is None:
            return f"There is no leg {leg}: get_snapshot lists them." if leg else "No call is up."
        if found.state is not LegState.ANSWERED:
            return "The call is not answered yet."
        return found

    # --- commands ---------------------------------------------------------------------------------

    async def _hangup(self, command: messages.Hangup) -> str:
        error = await self._engine.dialer.hangup(command.leg)
        if not error:
            return ""
        leg = self._current(command.leg)
        if leg is None or (command.leg is None and leg.role == "agent"):
            return error
        leg.hangup()
        return ""

    async def _stop_all(self, command: messages.StopAll) -> str:
        error = await self._engine.dialer.stop_all()
        for leg in list(self._engine.line.legs.values()):
            leg.hangup("cancelled")
        return error

    async def _hold(self, command: messages.Hold) -> str:
        leg = self._answered(command.leg)
        if isinstance(leg, str):
            return leg
        return self.talks.end.hold(leg, command.on)

    async def _mute(self, command: messages.Mute) -> str:
        self.voice.mute(command.on)
        self.tell_flow()
        return ""

    async def _talk(self, command: messages.Talk) -> str:
        return self.voice.talk(command.on, command.seconds)

    async def _gain(self, command: messages.Gain) -> str:
        leg = None
        if command.leg is not None:
            found = self._answered(command.leg)
            if isinstance(found, str):
                return found
            leg = found
        error = self.voice.gain(leg, command.received, command.sent)
        if not error and leg is None:
            self.tell_flow()
        return error

    async def _consult(self, command: messages.Consult) -> str:
        beside = self._answered(command.leg)
        if isinstance(beside, str):
            return beside if command.leg is not None else await self._engine.dialer.dial(command.number)
        return await self.talks.consult(command.number, beside)

    async def _conference(self, command: messages.Conference) -> str:
        leg = self._answered(command.leg) if command.leg is not None else None
        return leg if isinstance(leg, str) else self.talks.end.conference(leg)

    async def _supervise(self, command: messages.Supervise) -> str:
        legs = self._engine.line.legs
        leg = legs.get(command.leg)
        if command.leg and leg is None:
            return f"There is no leg {command.leg}: get_snapshot lists them."
        if command.mode == "off":
            return "Say which leg." if leg is None else self.supervisors.stop(leg)
        of = self._answered(command.of or None)
        if isinstance(of, str):
            return of
        if leg is not None:
            return self.supervisors.begin(leg, of, command.mode)
        if not command.number:
            return "Say which leg is to supervise, or which number is to be called for it."
        return await self.supervisors.call(command.number, of, command.mode)

    def let_go(self, legs: dict[TrunkLeg, str]) -> str:
        """Leave answered calls up, for the reasons given, without the operator and whoever sees to them now;
        all of them, or none and why."""
        dialer = self._engine.dialer
        for leg in legs:
            if dialer.bridged(leg.id) is None and not self.talks.owns(leg):
                return f"{leg.number} is no call that the operator could leave."
        for leg, reason in legs.items():
            if (attempt := dialer.bridged(leg.id)) is not None:
                attempt.let_go(reason)
            else:
                self.talks.let_go(leg)
        return ""

    async def _digits(self, command: messages.SendDigits) -> str:
        digits = command.digits.upper()
        if not digits or len(digits) > MAX_DIGITS or set(digits) - DIGITS:
            return f"1 to {MAX_DIGITS} of the digits 0-9 * # A-D can be sent."
        leg = self._answered(command.leg)
        if isinstance(leg, str):
            return leg
        return leg.send_digits(digits)

    async def _record(self, command: messages.Record) -> str:
        leg = self._answered(command.leg)
        if isinstance(leg, str):
            return leg
        # What must not be on tape may be heard on any leg of the talk.
        others = self._engine.line.talking_with(leg)
        if not command.on:
            for each in (leg, *others):
                each.pause_recording()
            return ""
        for each in others:
            if each.recording_paused:
                each.record(by_hand=True)
        if self._engine.config.recording.announcement and not leg.announced and not leg.recording:
            self._engine.tell("warning", "recorded without recording.announcement having been played", leg.id)
        leg.record(by_hand=True)
        return ""

    async def _answer(self, command: messages.Answer) -> str:
        leg = self._ringing(command.leg)
        return leg if isinstance(leg, str) else self.talks.answer(leg)

    def close(self) -> None:
        """End the calls that were answered or placed here, and follow no transfer any more."""
        for part in (self.talks, self.forwards, self.handover, self.pairs, self.supervisors, self.voice):
            part.close()

    def _ringing(self, leg: str) -> TrunkLeg | str:
        found = self._engine.line.legs.get(leg)
        if found is None or found.role != "inbound" or found.state is not LegState.RINGING:
            return f"No inbound call {leg} is ringing."
        return f"It goes on to {found.forwarded_to} (sip.forward)." if found.forwarded_to else found

    async def _refuse(self, command: messages.Refuse) -> str:
        if not 400 <= command.code <= 699:
            return f"{command.code} is no final response to refuse with: 400 to 699 are."
        leg = self._ringing(command.leg)
        if isinstance(leg, str):
            return leg
        leg.call.refuse(command.code)
        return ""

    async def _transfer(self, command: messages.Transfer) -> str:
        leg = self._answered(command.leg)
        return leg if isinstance(leg, str) else await self.handover.blind(leg, command.to)

    async def _transfer_to_leg(self, command: messages.TransferToLeg) -> str:
        leg, other = self._answered(command.leg), self._answered(command.other)
        if isinstance(leg, str) or isinstance(other, str):
            return leg if isinstance(leg, str) else str(other)
        return self.handover.attended(leg, other, here=command.here)

    async def _do_not_disturb(self, command: messages.DoNotDisturb) -> str:
        self.do_not_disturb = command.on
        self.tell_flow()
        return ""

    def turn_away(self, number: str) -> int:
        """The response to a new call from a number, 0 to let it ring."""
        if not self.do_not_disturb:
            return 0
        self._engine.tell("info", f"{number} called: answered busy (do not disturb)")
        return 486

    @property
    def switches(self) -> Switches:
        """What the operator has switched."""
        voice = self.voice
        return Switches(
            voice.muted, self.do_not_disturb, voice.received_gain, voice.sent_gain, voice.push_to_talk,
            voice.talking,
        )  # fmt: skip

    def tell_flow(self) -> None:
        """Publish how the flow and the operator's switches stand."""
        self._engine.publish(projection.flow(self._engine.dialer.flow(), self.switches))

    async def _load(self, command: messages.LoadQueue) -> str:
        _, error = await self._engine.dialer.load(command.path)
        return error

    async def _trace(self, command: messages.Trace) -> Outcome:
        ring = self._engine.station.journal.find(command.call)
        if ring is None:
            what = "" if command.call == "last" else " with this leg, number or Call-ID"
            return Outcome(error=f"No call{what} is remembered.")
        return Outcome(trace=wire.traced(ring))

    async def _page(self, command: messages.QueuePage) -> Outcome:
        if command.offset < 0 or not 1 <= command.limit <= MAX_PAGE:
            return Outcome(error=f"offset must be 0 or more, and limit 1 to {MAX_PAGE}.")
        campaign = self._engine.dialer.campaign
        if campaign is None:
            return Outcome(rows=messages.QueueRows(offset=command.offset, total=0, rows=[]))
        try:
            rows = await self._engine.store.page(campaign.id, command.offset, command.limit)
        except StoreError as error:
            return Outcome(error=str(error))
        total = self._engine.dialer.counts.total
        page = messages.QueueRows(
            offset=command.offset, total=total, rows=[projection.entry(row) for row in rows]
        )
        return Outcome(rows=page)

    async def _shutdown(self, command: messages.Shutdown) -> str:
        self._engine.stopping.set()
        return ""
