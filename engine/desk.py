"""The operator's desk: every command of the wire, carried out or refused with one sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from pyVoIP.VoIP import InvalidStateError

from engine import projection, wire
from engine.control import messages
from engine.control.server import Outcome
from engine.dialer.agents import ended
from engine.dialer.ports import StoreError
from engine.dialer.seats import Seat, SeatFailed
from engine.legs import LegState
from engine.line import TrunkLeg
from engine.media import orders

if TYPE_CHECKING:
    from engine.service import Engine

DIGITS = frozenset("0123456789*#ABCD")
MAX_DIGITS = 64
MAX_PAGE = 500


class Desk:
    """The control server's handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.muted = False
        self._tasks: set[asyncio.Task[None]] = set()
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
            messages.SetOperator: lambda c: dialer.set_operator(c.mode, c.agents),
            messages.Record: self._record,
            messages.SetDisposition: lambda c: dialer.set_disposition(c.entry, c.disposition, c.note),
            messages.QueuePage: self._page,
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
            sound=wire.sound(engine.station.sound),
            flow=projection.flow(engine.dialer.flow(), self.muted),
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
        callees = [found for found in legs.values() if found.role != "agent"]
        choice = [found for found in callees if found.state is LegState.ANSWERED] or callees
        return choice[-1] if choice else None

    def _answered(self, leg: str | None) -> TrunkLeg | str:
        found = self._current(leg)
        if found is None:
            return f"There is no leg {leg}." if leg else "No call is up."
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
        if leg.call.held == command.on:
            return "The call is on hold already." if command.on else "The call is not on hold."
        try:
            leg.hold(command.on)
        except InvalidStateError as error:
            return f"{error}."
        return ""

    async def _mute(self, command: messages.Mute) -> str:
        """The operator is muted wherever they are: at the headset and at every agent's phone."""
        self.muted = command.on
        media = self._engine.station.media
        media.order(orders.Mute(orders.SOUND, command.on))
        for leg in self._engine.line.legs.values():
            if leg.role == "agent":
                media.order(orders.Mute(leg.id, command.on))
        self._engine.publish(projection.flow(self._engine.dialer.flow(), self.muted))
        return ""

    async def _digits(self, command: messages.SendDigits) -> str:
        digits = command.digits.upper()
        if not digits or len(digits) > MAX_DIGITS or set(digits) - DIGITS:
            return f"1 to {MAX_DIGITS} of the digits 0-9 * # A-D can be sent."
        leg = self._answered(command.leg)
        if isinstance(leg, str):
            return leg
        leg.send_digits(digits)
        return ""

    async def _record(self, command: messages.Record) -> str:
        leg = self._answered(command.leg)
        if isinstance(leg, str):
            return leg
        if not command.on:
            leg.record(None)
            return ""
        path = self._engine.recording_path(leg)
        leg.record(str(path))
        self._engine.tell("info", f"recording to {path}", leg.id)
        return ""

    async def _answer(self, command: messages.Answer) -> str:
        leg = self._engine.line.legs.get(command.leg)
        if leg is None or leg.role != "inbound" or leg.state is not LegState.RINGING:
            return f"No inbound call {command.leg} is ringing."
        seat = self._engine.dialer.seats.reserve()
        if seat is None:
            problem = self._engine.dialer.seats.problem
            return f"The operator is not free to take it{': ' + problem if problem else ''}."

        task = asyncio.get_running_loop().create_task(self._talk(leg, seat))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ""

    async def _talk(self, leg: TrunkLeg, seat: Seat) -> None:
        """An inbound call from our answer to its end, which either side may bring at any moment."""
        config = self._engine.config
        over = asyncio.get_running_loop().create_task(ended(leg))
        try:
            leg.call.accept()
            if leg.state is LegState.ENDED:  # its offer could not be answered
                return
            if not seat.asks and seat.leg is None:  # the agent is being called only now
                leg.play_wait_tone(config.dialer.wait_tone)
            limit = config.operator.connect_timeout
            if not await _until(over, seat.connect(leg, manual=True), limit):
                self._engine.tell("warning", f"no operator within {limit:g} s of the answer", leg.id)
            elif not over.done():
                leg.bridge(seat.leg)
                await _until(over, seat.lost(), config.call.max_duration)
        except (SeatFailed, InvalidStateError) as error:
            self._engine.tell("warning", str(error), leg.id)
        finally:
            over.cancel()
            leg.hangup()
            seat.release()

    def close(self) -> None:
        """End the inbound calls that were answered."""
        for task in self._tasks:
            task.cancel()

    async def _refuse(self, command: messages.Refuse) -> str:
        if not 400 <= command.code <= 699:
            return f"{command.code} is no final response to refuse with: 400 to 699 are."
        leg = self._engine.line.legs.get(command.leg)
        if leg is None or leg.role != "inbound" or leg.state is not LegState.RINGING:
            return f"No inbound call {command.leg} is ringing."
        leg.call.refuse(command.code)
        return ""

    async def _load(self, command: messages.LoadQueue) -> str:
        _, error = await self._engine.dialer.load(command.path)
        return error

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


async def _until(over: asyncio.Task[Any], work: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Wait for `work`, but no longer than until `over`; False when neither came in time. Raises what
    `work` raises."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        done, _ = await asyncio.wait({task, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            task.result()
        return bool(done)
    finally:
        task.cancel()
