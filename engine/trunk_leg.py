"""One call with its stream: the leg that the dialer, the command line and the console act on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyVoIP.VoIP import InvalidStateError

from engine.bridges import Supervision
from engine.config import RINGBACK
from engine.detect.outcome import Outcome
from engine.detour import Detour
from engine.dialer.ports import (
    CallFacts,
    HangupCause,
    Leg,
    LegEvent,
    LegState,
    Listened,
    StateChanged,
)
from engine.hearing import settings, told
from engine.media import orders
from engine.sip.call import Call
from engine.sip.digit_way import digit_way
from engine.sip.phone import new_leg_id

if TYPE_CHECKING:
    from engine.line import TrunkLine

Role = Literal["callee", "agent", "inbound", "manual", "supervisor", "forwarded"]

RESULT_TAKES = 0.1
"""Seconds in which a result that is there has come from the media thread."""
MAX_EVENTS = 10_000
"""Events kept for a reader of a leg that has fallen behind; more are dropped, never its end."""


class UnplacedLeg:
    """A call that could not be placed: ended from the start, with cause `failed`."""

    def __init__(self, number: str, why: str) -> None:
        self.id = new_leg_id()
        self.number = number
        self.state = LegState.ENDED
        self.cause: HangupCause | None = HangupCause("failed", "us", None, why)
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.events.put_nowait(StateChanged(self.state, None, why, self.cause))
        self.facts = CallFacts()
        self.announced = False

    def hangup(self, cause: str = "normal", category: int = 0) -> None: ...

    def play_wait_tone(self, wait_tone: str) -> None: ...

    def play(self, path: str, tag: str) -> None: ...

    async def whisper(self, what: str) -> str:
        return "The call is over."

    def bridge(self, other: Leg | None) -> None: ...

    def unbridge(self) -> None: ...

    def listen(self, on: bool) -> None: ...

    async def listened(self) -> Outcome | None:
        return None

    def record(self) -> None: ...

    def pause_recording(self) -> None: ...

    async def end_recording(self, result: str) -> str:
        return ""

    @property
    def quality(self) -> dict[str, float | None]:
        return {}


class TrunkLeg:
    """One call with its stream; the dialer's `Leg`.

    Where a far end transfers us, another call takes over the leg: `coming` while it is being placed,
    then `call`. The leg keeps its id, its bridge and whoever follows it.
    """

    def __init__(self, call: Call, line: TrunkLine, role: Role, number: str = "") -> None:
        self.call = call
        self.id = call.id
        self.number = number or call.number
        self.role: Role = role
        self.state = LegState.RINGING if call.role == "inbound" else LegState.DIALING
        self.cause: HangupCause | None = None
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.bridged_to = ""
        self.forwarded_to = ""
        """The number that a call which came in goes on to (sip.forward); the operator has no part in it."""
        self.facts = CallFacts()
        self.announced = False
        self.entry: int | None = None
        self.held = False
        self.conference = ""
        """The conference it is in; empty for none."""
        self.supervises = ""
        """The leg whose talk it listens to, as `supervision` says; empty for none."""
        self.supervision: Supervision | None = None
        self.parked_at = ""
        """Held for another call at this operator's end (`sound` or an agent's leg), where it has a place."""
        self.received_gain = 0.0
        self.sent_gain = 0.0
        """dB by which it is heard, and is spoken to, louder."""
        self.hold_wanted: bool | None = None
        """To be held or resumed once the change under way is done."""
        self.over = asyncio.Event()
        self.coming: Call | None = None
        self.taken_over = False
        self.listening = False
        self.detection = line.config.detection
        self.outcome: Outcome | None = None
        """What came of listening, once that has ended."""
        self._heard_out = asyncio.Event()
        self.changed_at = time.time()
        self.began = time.monotonic()
        """When it was dialled, or rang here."""
        self.answered_at: float | None = None
        self.country = line.country_of(self.number)
        self.detour: Detour | None = None
        self._line = line

    @property
    def stream(self) -> str:
        """The name of its audio in media's orders and facts."""
        return self.call.stream

    @property
    def trunk(self) -> str:
        """The name of the trunk that carries it."""
        return str(self.call.phone.name)

    @property
    def music(self) -> bool:
        """Whether it hears music on hold."""
        return self.held and bool(self._line.config.call.hold_music)

    def hangup(self, cause: str = "normal", category: int = 0) -> None:
        self.call.hangup_leg(cause, told=told(self.detection, category))

    def play_wait_tone(self, wait_tone: str) -> None:
        source = self.wait_source(wait_tone)
        self._line.media.order(orders.Play(self.stream, source, loop=True, tag="wait_tone"))

    def wait_source(self, wait_tone: str) -> orders.Source:
        """What a wait tone by its setting is to this party."""
        if wait_tone == RINGBACK:
            return orders.ToneSource(self.country or "us", "ringback")
        return orders.WavSource(str(Path(wait_tone).expanduser()))

    async def whisper(self, what: str) -> str:
        return await self._line.whispers.play(self.stream, what)

    def play(self, path: str, tag: str) -> None:
        source = orders.WavSource(str(Path(path).expanduser()))
        self._line.media.order(orders.Play(self.stream, source, tag=tag))

    def send_digits(self, digits: str) -> str:
        """Send key presses by the trunk's setting; one sentence where they can't be, else an empty text."""
        setting = self.call.agent.account.dtmf
        way = digit_way(setting, self.call)
        if way is None:
            return f"{self.number} takes no telephone-event, and trunk.dtmf allows no other way for digits."
        if way == "info":
            self.call.info.send(digits, self._send_tones if setting == "auto" else None)
        else:
            self._line.media.order(orders.SendDigits(self.stream, digits, inband=way == "inband"))
        return ""

    def _send_tones(self, digits: str) -> None:
        self._line.media.order(orders.SendDigits(self.stream, digits, inband=True))

    def bridge(self, other: Leg | None) -> None:
        self._line.bridges.join(self, other.id if other is not None else orders.SOUND)

    def unbridge(self) -> None:
        self._line.bridges.part(self)
        if self.role == "agent" and self.taken_over:
            self.hangup()  # whom the agent had us call in their place stands by for nobody

    def listen(self, on: bool) -> None:
        self.listening = on
        if not on:
            self._line.media.order(orders.Detect(self.stream, False))
            return
        self._line.listened_to[self.stream] = self
        self._heard_out.clear()
        self._line.media.order(orders.Detect(
            self.stream, True, self.country or None, settings(self.detection),
            self.state is LegState.ANSWERED, time.monotonic() - self.began,
        ))  # fmt: skip

    def tell_answered(self) -> None:
        """The call was just answered: whoever listens knows a person from a machine from now on."""
        if self.listening and self.outcome is not None:
            self.listen(True)
        elif self.listening:
            self._line.media.order(orders.Answered(self.stream))

    def heard_out(self, outcome: Outcome, hang_up: bool) -> None:
        """Listening has ended; what came of it first counts."""
        self._heard_out.set()
        if self.outcome is None:
            self.outcome = outcome
            self.put(Listened(outcome, hang_up))

    async def listened(self) -> Outcome | None:
        if self.listening and self.outcome is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.detection.wait_for_result_ms / 1000 + RESULT_TAKES):
                    await self._heard_out.wait()
        return self.outcome

    @property
    def recording(self) -> str:
        """The file that this leg is recorded to; empty while it is not."""
        return self._line.recordings.path(self.id)

    @property
    def recording_paused(self) -> bool:
        return self._line.recordings.paused(self.id)

    def record(self, *, by_hand: bool = False) -> None:
        self._line.recordings.begin(self, by_hand=by_hand)

    def pause_recording(self) -> None:
        self._line.recordings.pause(self.id, True)

    async def end_recording(self, result: str) -> str:
        return await self._line.recordings.end(self.id, result)

    def hold(self, on: bool) -> None:
        """Hold or resume by re-INVITE. Raises InvalidStateError where the call is not up or being changed."""
        self.hold_wanted = None
        self.call.hold(on)

    def hold_soon(self, on: bool) -> None:
        """Hold or resume; where the call is just being changed, as soon as that is done."""
        self.hold_wanted = None
        try:
            if self.call.midcall.changes.inviting:
                self.hold_wanted = on
            elif self.call.held != on:
                self.call.hold(on)
        except InvalidStateError:
            pass  # it is not up

    def settle_hold(self) -> None:
        if self.hold_wanted is not None:
            self.hold_soon(self.hold_wanted)

    @property
    def quality(self) -> dict[str, float | None]:
        found = self._line.media.quality(self.stream)
        return {} if found is None else orders.overall(found)

    def put(self, event: LegEvent) -> None:
        if self.events.qsize() < MAX_EVENTS or isinstance(event, StateChanged):
            self.events.put_nowait(event)
