"""Calls beside the queue's: those that come in and are answered, and those placed to consult somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from pyVoIP.VoIP import InvalidStateError

from engine.announcement import OVER, announce
from engine.dialer.agents import in_words
from engine.dialer.ports import HangupCause, Leg, StateChanged
from engine.dialer.seats import Seat, SeatFailed
from engine.legs import LegState
from engine.media import orders
from engine.operator_end import OperatorEnd
from engine.sip.auto_answer import answer_after
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine


class Talks:
    """What comes in, and what is placed beside it.

    Each command returns an empty text, or one sentence that says why nothing was done.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.end = OperatorEnd(engine)
        self._tasks: set[asyncio.Task[None]] = set()
        self._given: dict[str, asyncio.Event] = {}
        """By leg: set when the call goes on without us."""

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
        seat = self._engine.dialer.seats.reserve() or self.end.second_line(orders.SOUND)
        if isinstance(seat, str):
            return seat
        self._run(self._talk(leg, seat))
        return ""

    async def _talk(self, leg: TrunkLeg, seat: Seat) -> None:
        """An inbound call from our answer to its end, which either side may bring at any moment."""
        config = self._engine.config
        over = asyncio.get_running_loop().create_task(leg.over.wait())
        given = self._given[leg.id] = asyncio.Event()
        try:
            leg.call.accept()
            if leg.state is LegState.ENDED:  # its offer could not be answered
                return
            if not seat.asks and seat.leg is None:  # the agent is being called only now
                leg.play_wait_tone(config.dialer.wait_tone)
            limit = config.operator.connect_timeout
            if not await _until(over, seat.connect(leg, manual=True), limit):
                self._engine.tell("warning", f"no operator within {limit:g} s of the answer", leg.id)
                return
            await self._record(leg)
            if not over.done():
                self.end.bring(leg, seat.leg.id if seat.leg is not None else orders.SOUND)
                await _until(over, _either(seat.lost(), given.wait()), config.call.max_duration)
        except (SeatFailed, InvalidStateError) as error:
            self._engine.tell("warning", str(error), leg.id)
        finally:
            over.cancel()
            self._leave(leg, seat)

    async def _record(self, leg: TrunkLeg) -> None:
        """Have a call that came in recorded as the configuration asks, once its caller was told."""
        recording = self._engine.config.recording
        if recording.what not in ("callee", "both") or leg.state is LegState.ENDED:
            return
        if recording.announcement and (why := await announce(leg, recording.announcement)):
            if why != OVER:
                text = f"not recorded, recording.announcement failed: {why}"
                self._engine.tell("error", text, leg.id)
            return
        leg.record()

    def owns(self, leg: TrunkLeg) -> bool:
        """Whether an answered call was answered or placed here."""
        return leg.id in self._given and leg.state is LegState.ANSWERED

    def let_go(self, leg: TrunkLeg) -> None:
        """Leave a call up, whose operator's end is free from now on."""
        self._given[leg.id].set()

    def _leave(self, leg: Leg, seat: Seat) -> None:
        given = self._given.pop(leg.id, None)
        if given is None or not given.is_set():
            leg.hangup()
        seat.release()
        self.end.remind()

    # --- calls placed beside another ---------------------------------------------------------------

    async def consult(self, number: str, beside: TrunkLeg) -> str:
        """Call a number beside a call, which is held; where the operator is free, as by hand."""
        if not self._engine.dialer.seats.taken:
            return await self._engine.dialer.dial(number)
        parsed, error = await self._engine.dialer.may_dial(number)
        if parsed is None:
            return error
        end = self._engine.line.bridges.end_of(beside) or beside.parked_at
        if not end:
            return "The operator does not talk to anybody beside whom somebody could be called."
        seat = self.end.second_line(end)
        if isinstance(seat, str):
            return seat
        held = self.end.park(end, None)
        leg = self._engine.line.dial(parsed.dialable, role="manual")
        if isinstance(leg, TrunkLeg):
            self.end.placing = leg
        self._run(self._consult(leg, seat, end, held))
        return ""

    async def _consult(self, leg: Leg, seat: Seat, end: str, held: list[TrunkLeg]) -> None:
        config = self._engine.config
        given = self._given[leg.id] = asyncio.Event()
        try:
            cause = await self._placed(leg, end, config.dialer.ring_timeout)
            self.end.placing = None
            if cause is not None:
                taken_back = cause.name == "cancelled"
                level, words = ("info", "taken back") if taken_back else ("warning", in_words(cause))
                self._engine.tell(level, f"the call to {leg.number}: {words}", leg.id)
                self._take_back(held)
            elif isinstance(leg, TrunkLeg):
                self.end.bring(leg, end)
                over = asyncio.get_running_loop().create_task(leg.over.wait())
                try:
                    await _until(over, _either(seat.lost(), given.wait()), config.call.max_duration)
                finally:
                    over.cancel()
        finally:
            self.end.placing = None
            self._leave(leg, seat)

    def _take_back(self, held: list[TrunkLeg]) -> None:
        """Nobody came: the operator goes on with whom they talked to before, all of them if joined."""
        for each in held[:1]:
            if each.parked_at:
                self.end.hold(each, False)
        if len(held) > 1 and any(each.parked_at for each in held):
            self.end.conference(None)

    async def _placed(self, leg: Leg, end: str, ring_timeout: float) -> HangupCause | None:
        """Wait for the answer, early media at the operator's ear; None, or why there is none."""
        try:
            async with asyncio.timeout(ring_timeout):
                while True:
                    event = await leg.events.get()
                    if not isinstance(event, StateChanged):
                        continue
                    if event.state is LegState.EARLY:
                        if isinstance(leg, TrunkLeg) and not self.end.at(end, leg):  # nobody was taken back
                            self._engine.line.bridges.join(leg, end)
                    elif event.state is LegState.ANSWERED:
                        return None
                    elif event.state is LegState.ENDED:
                        return event.cause or leg.cause or HangupCause("failed", "network")
        except TimeoutError:
            leg.hangup("timeout")
            return HangupCause("timeout", "us", None, f"no answer within {ring_timeout:g} s")

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _either(lost: Coroutine[Any, Any, object], given: Coroutine[Any, Any, object]) -> None:
    """Wait for one of two things."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(lost), loop.create_task(given)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


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
