"""Calls beside the queue's: those that come in and are answered, and those placed to consult somebody.

Several can be at the headset at once: one is talked to, the others are held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from pyVoIP.VoIP import InvalidStateError

from engine.dialer.agents import ended, in_words
from engine.dialer.ports import HangupCause, Leg, StateChanged
from engine.dialer.seats import Seat, SeatFailed
from engine.legs import LegState
from engine.line import TrunkLeg
from engine.media import orders
from engine.sip.auto_answer import answer_after

if TYPE_CHECKING:
    from engine.service import Engine


class Talks:
    """What comes in, what is placed beside it, and which of them the operator hears.

    Each command returns an empty text, or one sentence that says why nothing was done.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self._placing: TrunkLeg | None = None

    def close(self) -> None:
        """End every call that was answered or placed here."""
        for task in self._tasks:
            task.cancel()

    # --- calls that come in ----------------------------------------------------------------------

    def rung(self, leg: TrunkLeg) -> None:
        """A call rings; answer it where the configuration, or the caller with its leave, asks for that."""
        mode = self._engine.config.sip.auto_answer
        after = 0.0 if mode == "all" else answer_after(leg.call.request) if mode == "header" else None
        if after is not None:
            asyncio.get_running_loop().call_later(after, self._answer_by_itself, leg)

    def _answer_by_itself(self, leg: TrunkLeg) -> None:
        if leg.state is not LegState.RINGING:
            return
        seat = self._engine.dialer.seats.reserve()
        if seat is None:  # never over a call that is up: it rings on
            self._engine.tell("info", f"{leg.number} is not answered by itself: you are not free", leg.id)
        else:
            self._engine.tell("info", f"{leg.number} is answered by itself", leg.id)
            self._run(self._talk(leg, seat))

    def answer(self, leg: TrunkLeg) -> str:
        """Answer a call that rings; a call at the headset is held for it."""
        seat = self._engine.dialer.seats.reserve() or self._second_line()
        if isinstance(seat, str):
            return seat
        self._run(self._talk(leg, seat))
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
                self._bring(leg, seat.leg)
                await _until(over, seat.lost(), config.call.max_duration)
        except (SeatFailed, InvalidStateError) as error:
            self._engine.tell("warning", str(error), leg.id)
        finally:
            over.cancel()
            leg.hangup()
            seat.release()
            self._remind()

    # --- calls placed beside another ---------------------------------------------------------------

    async def consult(self, number: str) -> str:
        """Call a number beside the present call, which is held; without one, as by hand."""
        if not self._engine.dialer.seats.taken:
            return await self._engine.dialer.dial(number)
        parsed, error = await self._engine.dialer.may_dial(number)
        if parsed is None:
            return error
        if self._engine.dialer.seats.mode != "headset":
            return "Consulting needs the headset: an agent's phone takes one call at a time."
        seat = self._second_line()
        if isinstance(seat, str):
            return seat
        held = self._park_others(None)
        leg = self._engine.line.dial(parsed.dialable, role="manual")
        if isinstance(leg, TrunkLeg):
            self._placing = leg
        self._run(self._consult(leg, seat, held))
        return ""

    async def _consult(self, leg: Leg, seat: Seat, held: list[TrunkLeg]) -> None:
        config = self._engine.config
        over: asyncio.Task[HangupCause] | None = None
        try:
            cause = await self._placed(leg, config.dialer.ring_timeout)
            self._placing = None
            if cause is not None:
                taken_back = cause.name == "cancelled"
                level, words = ("info", "taken back") if taken_back else ("warning", in_words(cause))
                self._engine.tell(level, f"the call to {leg.number}: {words}", leg.id)
                for each in held[-1:]:
                    self.hold(each, False)
                return
            if isinstance(leg, TrunkLeg):
                self._bring(leg, None)
            over = asyncio.get_running_loop().create_task(ended(leg))
            await _until(over, seat.lost(), config.call.max_duration)
        finally:
            self._placing = None
            if over is not None:
                over.cancel()
            leg.hangup()
            seat.release()
            self._remind()

    async def _placed(self, leg: Leg, ring_timeout: float) -> HangupCause | None:
        """Wait for the answer, early media at the operator's ear; None, or why there is none."""
        try:
            async with asyncio.timeout(ring_timeout):
                while True:
                    event = await leg.events.get()
                    if not isinstance(event, StateChanged):
                        continue
                    if event.state is LegState.EARLY:
                        if not self._at_headset(leg):  # another may have been taken back meanwhile
                            leg.bridge(None)
                    elif event.state is LegState.ANSWERED:
                        return None
                    elif event.state is LegState.ENDED:
                        return event.cause or leg.cause or HangupCause("failed", "network")
        except TimeoutError:
            leg.hangup("timeout")
            return HangupCause("timeout", "us", None, f"no answer within {ring_timeout:g} s")

    # --- who is at the headset -----------------------------------------------------------------------

    def hold(self, leg: TrunkLeg, on: bool) -> str:
        """Hold a call, or take it back; of the calls at the headset one is talked to, so taking one back
        holds the others (a swap)."""
        if leg.call.held == on and not (leg.parked and not on):
            return "The call is on hold already." if on else "The call is not on hold."
        try:
            if leg.call.held != on:
                leg.hold(on)
        except InvalidStateError as error:
            return f"{error}."
        if leg.parked and not on:
            self._bring(leg, None)
        return ""

    def _second_line(self) -> Seat | str:
        """A place for one more call at the headset, or why there is none."""
        dialer = self._engine.dialer
        busy = self._placing is not None or any(
            attempt.state not in ("bridged", "wrap_up", "done") for attempt in dialer.active.values()
        )
        if busy and dialer.seats.mode == "headset":
            return "A call is being placed: it must be answered or hung up first."
        seat = dialer.seats.share()
        if seat is None:
            problem = dialer.seats.problem
            return f"The operator is not free to take it{': ' + problem if problem else ''}."
        return seat

    def _bring(self, leg: TrunkLeg, other: Leg | None) -> None:
        """Bridge a call to the operator's end; at the headset (None) the others there are held."""
        if other is None:
            self._park_others(leg)
        leg.parked = False
        leg.bridge(other)

    def _at_headset(self, but: Leg | None) -> list[TrunkLeg]:
        return [
            leg
            for leg in self._engine.line.legs.values()
            if leg is not but and leg.bridged_to == orders.SOUND and leg.state is LegState.ANSWERED
        ]

    def _park_others(self, leg: TrunkLeg | None) -> list[TrunkLeg]:
        """Hold who is at the headset, deaf and mute at once, whenever their far end agrees to it."""
        parked = []
        for each in self._at_headset(leg):
            each.parked = True
            each.unbridge()
            parked.append(each)
            try:
                if not each.held:
                    each.hold(True)
            except InvalidStateError:
                pass  # it is being changed; it hears nothing meanwhile
        return parked

    def _remind(self) -> None:
        """The call at the headset is over: is anybody still waiting there?"""
        for leg in self._engine.line.legs.values():
            if leg.parked and leg.state is LegState.ANSWERED:
                self._engine.tell("warning", f"{leg.number} is still on hold", leg.id)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
