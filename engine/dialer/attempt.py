"""One attempt: a number is called, listened to, answered, given the wait tone and bridged.

Every state has a deadline, and whatever happens to either leg, or to the operator's will, leads out of
it: `run` always returns with a disposition, also when a leg never says a word.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime

from engine.config import Config, Recording
from engine.detect.outcome import Outcome
from engine.dialer.answered_by import AFTER_BEEP, BEEP_PATIENCE, MESSAGE, AnsweredBy
from engine.dialer.dispositions import after_answer, before_answer, of_category, of_outcome
from engine.dialer.notes import Notes, in_words
from engine.dialer.ports import (
    AttemptRecord,
    AttemptState,
    Digit,
    Heard,
    Leg,
    LegEvent,
    LegState,
    Line,
    Listened,
    LogLine,
    PlaybackEnded,
    QueueEntry,
    StateChanged,
)
from engine.dialer.seats import Seat, SeatFailed
from engine.dialer.tape import ANNOUNCEMENT, ANNOUNCEMENT_LIMIT, Tape
from engine.hearing import OptionError, recorded_with

log = logging.getLogger(__name__)

IDENTIFY = "identify"
"""The tag of compliance.message."""
END_GRACE = 5.0
"""Seconds that a leg which was hung up has to say that it has ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The operator ends the call: `cancelled` (hung up) or `skipped`."""

    why: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Connected:
    pass


@dataclass(frozen=True, slots=True)
class _SeatGone:
    reason: str


@dataclass(frozen=True, slots=True)
class _LetGo:
    reason: str


_Message = LegEvent | Stop | _Connected | _SeatGone | _LetGo


class Attempt:
    """One call to one queue entry. `changed` is told of every state; `wall` gives aware datetimes."""

    def __init__(
        self, entry: QueueEntry, *, seat: Seat, line: Line, config: Config, wall: Callable[[], datetime],
        changed: Callable[[Attempt], None], tell: Callable[[LogLine], None], campaign: str = "",
    ) -> None:
        self.entry = entry
        self.seat = seat
        self.leg: Leg | None = None
        self.state: AttemptState = "queued"
        self.deadline: float | None = None
        """When the present state times out, on the loop's clock."""
        self._notes = Notes(entry, wall())
        self.record = self._notes.record
        self._line = line
        self._campaign = entry.options.get("campaign", campaign)
        self._config = config = config.of_campaign(self._campaign)
        self._changed = changed
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._hung_up = False
        self._given_away = False
        self._listening_in = False
        self._tape = Tape(_recorded(config, entry), self.record, self._campaign)
        self._connected = False
        self._announcing = False
        self._may_talk = asyncio.Event()
        """Set once no announcement is, or is still to be, played."""
        self._labelled = asyncio.Event()
        self._by = AnsweredBy(config, entry.manual)
        self._early = "operator" if entry.manual else config.dialer.early_media

    @property
    def waiting_for_operator(self) -> bool:
        """A callee waits until the operator accepts."""
        return self.state == "wait_tone" and self.seat.asks and not self.entry.manual

    @property
    def over(self) -> bool:
        """The call is over, though its wrap-up may not be."""
        return bool(self.record.disposition)

    def stop(self, why: str, reason: str = "hung up by the operator") -> None:
        """End the call from whatever state it is in; in wrap-up, end that."""
        self._inbox.put_nowait(Stop(why, reason))
        self._labelled.set()

    def let_go(self, reason: str) -> None:
        """The callee's leg is somebody else's from now on: the attempt ends, and the call goes on."""
        self._given_away = True
        self._inbox.put_nowait(_LetGo(reason))

    def end_wrap_up(self) -> None:
        self._labelled.set()

    async def run(self) -> AttemptRecord:
        """Make the call, to its end. When cancelled, hangs up and still completes the record."""
        try:
            disposition, reason = await self._call()
        except asyncio.CancelledError:
            disposition, reason = self._notes.cut_off("cancelled"), "the engine ended"
        except Exception:
            log.exception("the attempt at %s failed", self.entry.number)
            disposition, reason = self._notes.cut_off("failed"), "an error in the engine; its log says more"
        finally:
            self._release_legs()
        if self.leg is not None:
            self.record.quality = self.leg.quality
        self._notes.over(disposition, reason)
        if self.leg is not None and self._notes.outcome is None:
            await self._listened(self.leg)
        self._notes.keep_hearing()
        self.record.recording = await self._tape.end(disposition)
        return self.record

    @property
    def wraps_up(self) -> bool:
        """Whether `wrap_up` will take time."""
        return self._notes.bridged and self._config.operator.wrap_up > 0

    async def wrap_up(self) -> None:
        """The time after a bridged call in which the operator can write it up; then `done`."""
        seconds = self._config.operator.wrap_up
        if self._notes.bridged:
            self._enter("wrap_up", seconds)
            if seconds:
                try:
                    async with asyncio.timeout(seconds):
                        await self._labelled.wait()
                except TimeoutError:
                    pass
        self._enter("done")

    # the call

    async def _call(self) -> tuple[str, str]:
        if not self._inbox.empty():  # stopped before it began
            return self._stopped(self._inbox.get_nowait())
        ring = self._config.dialer.ring_timeout
        self._enter("dialing", ring)
        leg = self.leg = self._line.dial(
            self.entry.number, caller_id=self.entry.options.get("caller_id"),
            role="manual" if self.entry.manual else "callee", entry=self.entry.id,
            options=self.entry.options, campaign=self._campaign,
        )
        self.record.leg = leg.id
        self._tape.follow(leg)
        leg.listen(self._early != "ignore")
        if self._early != "ignore":
            self._tape.listening(leg)
        self._spawn(self._pump(leg))
        if ended := await self._until_answered(leg, ring):
            return ended
        if ended := await self._until_connected(leg):
            return ended
        return await self._until_ended(leg)

    async def _until_answered(self, leg: Leg, ring: float) -> tuple[str, str] | None:
        while True:
            message = await self._next()
            if message is None:
                await self._hang_up("timeout")
                return "no_answer", f"no answer within {ring:g} s"
            if isinstance(message, Stop):
                await self._hang_up("cancelled")
                return self._stopped(message)
            if isinstance(message, Listened) and message.hang_up:
                await self._hang_up("cancelled", message.outcome)
                return of_outcome(message.outcome)
            if isinstance(message, StateChanged):
                if message.state is LegState.ANSWERED:
                    return None
                if message.state is LegState.ENDED:
                    cause = self._notes.cause(message, leg)
                    heard = await self._listened(leg)
                    found = of_category(heard) if heard is not None and cause.by != "us" else ""
                    return found or before_answer(cause), in_words(cause)
                if message.state in (LegState.RINGING, LegState.EARLY):
                    if self.state == "dialing":
                        self._enter("listening", None, keep_deadline=True)
                    if message.state is LegState.EARLY:
                        self._tape.early(leg)
                    if message.state is LegState.EARLY and self._early == "operator":
                        self._listening_in = True
                        self.seat.listen_in(leg)

    async def _until_connected(self, leg: Leg) -> tuple[str, str] | None:
        limit = self._config.operator.connect_timeout
        self._enter("answered", limit)
        self._enter("wait_tone", limit)
        self._tape.begin(leg, "callee")
        self._spawn(self._connect(leg))
        if self._config.compliance.message and not self.entry.manual:
            self._spawn(self._identify(leg))
        if not self.seat.asks:
            self._enter("connecting", None, keep_deadline=True)
        while True:
            message = await self._next()
            if self._by.machine and (ended := await self._with_machine(leg, message)):
                return ended
            if message is None and self._connected:
                message = PlaybackEnded(ANNOUNCEMENT, "it did not end in time")
            if message is None:
                await self._hang_up("normal")
                return "abandoned", f"no operator within {limit:g} s of the answer"
            if isinstance(message, Listened) and message.hang_up:
                await self._hang_up("normal", message.outcome)
                return of_outcome(message.outcome, answered=True)
            if isinstance(message, Stop):
                await self._hang_up("normal")
                return "abandoned", f"{message.reason} between the answer and the bridge"
            if isinstance(message, _SeatGone):
                await self._hang_up("normal")
                return "abandoned", message.reason
            if isinstance(message, _Connected):
                if not self._announcing and self._operator_there(leg):
                    return None
                if self._announcing:
                    self._connected = True
                    self.deadline = self._loop.time() + ANNOUNCEMENT_LIMIT
            if isinstance(message, PlaybackEnded) and message.tag == ANNOUNCEMENT:
                self._announced(leg, message.error)
                if self._connected and self._operator_there(leg):
                    return None
                self._connected = False
                self._keep_company(leg)
                continue
            if isinstance(message, PlaybackEnded) and message.tag == IDENTIFY:
                if message.error:
                    self._tell(LogLine("error", f"compliance.message: {message.error}", leg.id))
                await self._hang_up("normal")
                after = self._config.compliance.message_after
                return "abandoned", f"no operator within {after:g} s of the answer; the message was played"
            if isinstance(message, PlaybackEnded) and message.error:
                self._tell(LogLine("warning", f"the wait tone could not be played: {message.error}", leg.id))
                leg.play_wait_tone("ringback")
            if isinstance(message, StateChanged) and message.state is LegState.ENDED:
                cause = self._notes.cause(message, leg)
                return after_answer(cause, bridged=False), in_words(cause)

    async def _with_machine(self, leg: Leg, message: _Message | None) -> tuple[str, str] | None:
        """A machine answered: hang up, or leave a message after its beep."""
        if not self._by.leaves_message:
            await self._hang_up("normal")
            return "machine", "an answering machine answered"
        if message is None:
            await self._hang_up("normal")
            return "machine", "an answering machine answered, and no beep came"
        if isinstance(message, Heard) and message.tone in ("machine", "beep"):
            self.deadline = self._loop.time() + BEEP_PATIENCE
            if message.tone == "beep" and not self._by.talks_to_machine:
                waits = self._by.message_at > 0.0
                self._by.message_at = self._loop.time() + AFTER_BEEP
                if not waits:
                    self._spawn(self._leave_message(leg))
        if isinstance(message, PlaybackEnded) and message.tag == MESSAGE:
            if message.error:
                self._tell(LogLine("error", f"dialer.machine_message: {message.error}", leg.id))
            await self._hang_up("normal")
            left = "could not be played" if message.error else "was left"
            return "machine", f"an answering machine answered; the message {left}"
        return None

    async def _leave_message(self, leg: Leg) -> None:
        """Once the last beep is over."""
        while (left := self._by.message_at - self._loop.time()) > 0:
            await asyncio.sleep(left)
        self._by.talks_to_machine = True
        leg.play(self._config.dialer.machine_message, MESSAGE)

    async def _until_ended(self, leg: Leg) -> tuple[str, str]:
        agent = self.seat.leg
        if self.seat.asks:
            self._enter("connecting", None, keep_deadline=True)
        self.record.agent = self.seat.agent
        leg.bridge(agent)
        self._enter("bridged", self._config.call.max_duration)
        if agent is not None:
            self._tape.follow(agent, self.seat.agent)
            self._tape.begin(agent, "agent")
        self._spawn(self._watch_seat())
        while True:
            message = await self._next()
            if message is None:
                await self._hang_up("max_duration")
                return "bridged", f"ended at call.max_duration, {self._config.call.max_duration:g} s"
            if isinstance(message, _LetGo):
                return "bridged", message.reason
            if isinstance(message, Listened) and message.hang_up:
                await self._hang_up("normal", message.outcome)
                found, reason = of_outcome(message.outcome, answered=True)
                return "bridged" if found == "abandoned" else found, reason
            if isinstance(message, Stop | _SeatGone):
                await self._hang_up("normal")
                return "bridged", message.reason
            if isinstance(message, StateChanged) and message.state is LegState.ENDED:
                cause = self._notes.cause(message, leg)
                return after_answer(cause, bridged=True), in_words(cause)

    # its parts

    async def _pump(self, leg: Leg) -> None:
        """Take the leg's events. The wait tone starts here, in the step that sees the answer."""
        while True:
            event = await leg.events.get()
            if isinstance(event, StateChanged):
                if event.state is LegState.ANSWERED and not self._hung_up:
                    self._seen_answer(leg, event)
            elif isinstance(event, Heard):
                self._notes.heard(event)
                if self._notes.answered:
                    self._by.hear(event.tone)
            elif isinstance(event, Listened):
                self._heard_out(leg, event.outcome)
            elif isinstance(event, Digit):
                self._notes.pressed(event.digit)
            self._inbox.put_nowait(event)
            if isinstance(event, StateChanged) and event.state is LegState.ENDED:
                return

    async def _listened(self, leg: Leg) -> Outcome | None:
        """What came of listening, once the leg is over: with what was still waiting to be heard."""
        outcome = await leg.listened()
        while not leg.events.empty():
            if isinstance(event := leg.events.get_nowait(), Heard):
                self._notes.heard(event)
        if outcome is not None:
            self._heard_out(leg, outcome)
        return self._notes.outcome

    def _heard_out(self, leg: Leg, outcome: Outcome) -> None:
        self._notes.outcome = self._notes.outcome or outcome
        self._tape.heard(leg, outcome)

    def _seen_answer(self, leg: Leg, event: StateChanged) -> None:
        self._notes.seen_answer(event)
        self._tape.answered(leg)
        if self._tape.announcement:
            self._announcing = True
            if self._listening_in:
                leg.unbridge()
            leg.play(self._tape.announcement, ANNOUNCEMENT)
        else:
            self._may_talk.set()
            self._keep_company(leg)
        if self._early == "ignore":
            leg.listen(True)
            self._tape.listening(leg, answered=True)

    def _keep_company(self, leg: Leg) -> None:
        """The wait tone, but for whom the operator dialled by hand: they hear each other at once."""
        if not (self.entry.manual and (self.seat.asks or self.seat.leg is not None)):
            if self._listening_in:
                leg.unbridge()
            leg.play_wait_tone(self._config.dialer.wait_tone)

    def _announced(self, leg: Leg, error: str) -> None:
        self._announcing = False
        self._may_talk.set()
        self._tape.announced(leg, error)
        if error:
            self._tell(LogLine("error", f"not recorded, recording.announcement failed: {error}", leg.id))
        else:
            self._notes.reached("announced")

    def _operator_there(self, leg: Leg) -> bool:
        """Whether the operator whom the seat had still is; else ask again."""
        if self.seat.asks or self.seat.leg is not None:
            return True
        self._spawn(self._connect(leg))  # gone again in that very moment
        return False

    async def _connect(self, leg: Leg) -> None:
        await self._by.person()
        try:
            await self.seat.connect(leg, manual=self.entry.manual)
            if self._config.operator.whisper and not self.entry.manual:
                await self._whisper(leg)
        except SeatFailed as error:
            self._inbox.put_nowait(_SeatGone(str(error)))
        else:
            self._inbox.put_nowait(_Connected())

    async def _whisper(self, leg: Leg) -> None:
        """Tell the operator who comes, while the callee hears the wait tone. Raises SeatFailed."""
        if self.seat.asks:
            self._enter("connecting", None, keep_deadline=True)
        if error := await self.seat.whisper(self._config.operator.whisper):
            self._tell(LogLine("warning", f"operator.whisper: {error}", leg.id))
        if self.seat.leg is not None and self.seat.leg.state is LegState.ENDED:
            raise SeatFailed("the agent's phone hung up")

    async def _identify(self, leg: Leg) -> None:
        """Say who is calling to someone who has waited too long; the bridge still cuts it short."""
        await asyncio.sleep(self._config.compliance.message_after)
        await self._may_talk.wait()
        waits = not self._connected and not self._notes.bridged
        if waits and not self._hung_up and not self._by.machine:
            leg.play(self._config.compliance.message, IDENTIFY)

    async def _watch_seat(self) -> None:
        self._inbox.put_nowait(_SeatGone(await self.seat.lost()))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(self._loop.create_task(work))

    async def _next(self) -> _Message | None:
        """The next thing that happens, or None once the state's deadline has passed."""
        if not self._inbox.empty():
            return self._inbox.get_nowait()
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self._inbox.get()
        except TimeoutError:
            # What came in the same moment as the deadline was in time.
            return None if self._inbox.empty() else self._inbox.get_nowait()

    async def _hang_up(self, cause: str, heard: Outcome | None = None) -> None:
        """Hang up the callee and wait a little for the end, whose response is worth recording."""
        leg = self.leg
        self._hung_up = True
        self.seat.clear()
        if leg is None or leg.state is LegState.ENDED:
            return
        leg.hangup(cause, 0 if heard is None else heard.correction or heard.category)
        try:
            async with asyncio.timeout(END_GRACE):
                while True:
                    message = await self._inbox.get()
                    if isinstance(message, StateChanged) and message.state is LegState.ENDED:
                        if not self._notes.answered:
                            self._notes.cause(message, leg)
                        return
        except TimeoutError:
            self._tell(LogLine("warning", f"the call to {self.entry.number} did not confirm its end", leg.id))

    def _release_legs(self) -> None:
        """Whatever happened: no leg of ours stays up, nothing runs on, and the operator's end is free."""
        self._hung_up = True
        if self.leg is not None and self.leg.state is not LegState.ENDED and not self._given_away:
            self.leg.hangup()
        for task in self._tasks:
            task.cancel()
        self.seat.clear()

    def _stopped(self, message: _Message) -> tuple[str, str]:
        stop = message if isinstance(message, Stop) else Stop("cancelled", "")
        return self._notes.cut_off(stop.why), stop.reason

    def _enter(
        self, state: AttemptState, seconds: float | None = None, *, keep_deadline: bool = False
    ) -> None:
        self.state = state
        self._notes.reached(state)
        if not keep_deadline:
            self.deadline = None if seconds is None else self._loop.time() + seconds
        self._changed(self)


def _recorded(config: Config, entry: QueueEntry) -> Recording:
    """How a call is recorded; options that make no sense were told when the queue was read."""
    try:
        return recorded_with(config.recording, entry.options)
    except OptionError:
        return config.recording
