"""The engine put together: station, store, dialer and control server; the only place that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from engine import projection, wire
from engine.config import Config, SetupError, control_socket, plans_file, store_url
from engine.control import messages
from engine.control.server import ControlServer
from engine.desk import Desk
from engine.detect import plans
from engine.detect.plans import PlanError
from engine.dialer import ports
from engine.dialer.dialer import Dialer
from engine.dialer.queue_csv import QueueFile
from engine.dialer.seats import HeadsetPrompt
from engine.legs import LegState
from engine.looking import Looking
from engine.media import orders
from engine.retention import keep, recover
from engine.ringer import Ringer
from engine.sip.dialog import SavedDialog, SavedInvite
from engine.sip.message import Message
from engine.sip.phone import Phone
from engine.station import Station
from engine.store.store import SqlStore
from engine.trunk_leg import TrunkLeg
from engine.trunk_watch import TrunkWatch
from engine.version import VERSION

log = logging.getLogger(__name__)

METER_PERIOD = 0.1
METERS_A_SECOND = 10
LOG_LINES = 200
ANSWERED_ELSEWHERE = 26
"""The Q.850 cause of a call that rang on several phones and was taken on another."""
SOUND_WAIT = 5.0
"""Seconds to wait for the sound card's first word before the dialer starts."""


SAMPLES_WAIT = 20.0
"""Seconds to wait for the known announcements before the dialer starts."""
STARTER_WAIT = 120.0
"""The same where the starter library may have to be made."""


class Engine:
    """A running engine. `on_event(event)` gets every event that consoles get.

    `start` raises SetupError, StoreError, EndpointError or QueueError with one plain sentence.
    """

    def __init__(
        self,
        config: Config,
        *,
        serve: bool = True,
        on_event: Callable[[messages.Event], None] = lambda event: None,
    ) -> None:
        self.config = config
        try:
            plans.use(plans_file(config))
        except PlanError as error:  # the file was good when the configuration was read
            raise SetupError(f"detection.tone_plans: {error}") from None
        self.stopping = asyncio.Event()
        self.socket = control_socket(config)
        self.station = Station(config)
        self.line = self.station.line
        self.store = SqlStore(store_url(config))
        self.prompt = HeadsetPrompt(
            config.operator.accept_after,
            lambda: self.operator_here,
            lambda what: self.line.whispers.play(orders.SOUND, what),
        )
        self.dialer = Dialer(
            config, self.line, self.prompt, self.store, lambda: datetime.now(UTC), self._notice
        )
        self.desk = Desk(self)
        self.server = ControlServer(self.socket, self.desk, version=VERSION) if serve else None
        self._looking = Looking(self.line, self.station.media, self._to_lookers)
        self.log: deque[messages.LogLine] = deque(maxlen=LOG_LINES)
        self._on_event = on_event
        self._watch = TrunkWatch(self.tell)
        self._meters: asyncio.Task[None] | None = None
        self._retention: asyncio.Task[None] | None = None
        country = self.line.country_of("")
        self._ringer = Ringer(config, self.station.media.order, country)
        self._sound_known = asyncio.Event()
        self._sound_problem = ""
        self._closed = False
        self._opened = False

    # --- life -----------------------------------------------------------------------------------

    async def start(self, queue: Path | None = None, *, fresh: bool = False) -> QueueFile | None:
        """Open everything, hang up on whom a dead engine left on the line, begin to work."""
        if self.server is not None:
            await self.server.start()
        await self.store.open()
        await recover(self.store.recordings, self.tell)
        station = self.station
        station.on_fact = self._fact
        station.on_registration = self._registration
        for phone in station.phones.values():
            phone.on_dialog = self._save_dialog
            phone.on_message = self._sip
            phone.on_flood = partial(self._flood, phone)
        self.line.on_leg = self._leg
        self.line.guard = self._may_go_on
        self.line.on_detour = lambda leg, why: self.tell("warning", why, leg.id)
        self.line.on_inbound = self._inbound
        self.line.turn_away = self.desk.turn_away
        self.line.recordings.tell = self.tell
        self.line.recordings.shelf = self.store.recordings
        self.line.on_transfer = self.desk.handover.told
        self.line.succession.on_referral = self.desk.handover.referred
        self.line.succession.on_taken_over = self.desk.handover.taken_over
        station.known.tell = self.tell
        station.known.added = self.desk.earlier.begin
        await station.open()
        station.known.keep()
        self._opened = True
        self.desk.voice.start()
        await self._hang_up_leftovers()
        await self._sound_settled()
        await self._samples_known()
        file = await self.dialer.start(queue, fresh=fresh)
        loop = asyncio.get_running_loop()
        self._meters = loop.create_task(self._tell_meters())
        if days := self.config.recording.keep_days:
            self._retention = loop.create_task(keep(self.store.recordings, days, self.tell))
        return file

    def _may_go_on(self, number: str, by_hand: bool) -> bool:
        return self.dialer.compliance.check(number, manual=by_hand).kind == "allow"

    async def close(self, reason: str = "the engine is ending") -> None:
        """Hang up, write every record, deregister, close; safe to call at any point of `start`."""
        if self._closed:
            return
        self._closed = True
        for task in (self._meters, self._retention):
            if task is not None:
                task.cancel()
        self.desk.close()
        await self.desk.earlier.close()
        with contextlib.suppress(ports.StoreError):
            await self.dialer.close()
        if self._opened:
            await self.line.recordings.close()
            await self.station.close()
        await self.store.close()
        if self.server is not None:
            await self.server.close(reason)

    async def _sound_settled(self) -> None:
        audio = self.config.audio
        if audio.input == audio.output == "none":
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOUND_WAIT):
                await self._sound_known.wait()

    async def _samples_known(self) -> None:
        """The first call is compared with the known announcements too, unless reading them takes too long;
        and where no operator waits at a console, with those that are made at first use."""
        known = self.station.known
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAMPLES_WAIT if self.server is not None else STARTER_WAIT):
                await (known.ready if self.server is not None else known.settled).wait()

    async def _hang_up_leftovers(self) -> None:
        """BYE or CANCEL to whoever was on the line when the last engine died."""
        for leg, blob in self.store.dialogs.left().items():
            try:
                saved = msgspec.json.decode(blob, type=SavedDialog | SavedInvite)
                phone = self.station.phones.get(saved.trunk, self.station.phone)
                if phone.agent is None:
                    raise SetupError(f"trunk {phone.name} is not open")
                phone.agent.hang_up_saved(saved)
                words = f"the call with {saved.number} was left up by an engine that died: hanging up"
                self.tell("warning", words)
            except Exception as error:  # whatever the file holds, the engine starts
                self.tell("error", f"a call that was left up can't be hung up on: {error}")
            self.store.dialogs.drop(leg)

    # --- what others may ask ---------------------------------------------------------------------

    @property
    def operator_here(self) -> bool:
        """Whether somebody at this terminal can talk: both sides of the sound card work.

        On a loopback trunk `none` for both is as good: whoever answers there hears silence, which
        must never be done to people.
        """
        sound = self.station.sound
        if self.config.audio.input == self.config.audio.output == "none":
            return self.config.nobody_can_ring
        return sound.input != "none" and sound.output != "none"

    def publish(self, event: messages.Event) -> None:
        if isinstance(event, messages.LogLine):
            self.log.append(event)
            log.log(getattr(logging, event.level.upper()), "%s", event.text)
        self._on_event(event)
        if self.server is not None:
            self.server.publish(event)

    def _to_lookers(self, event: messages.Spectrum) -> None:
        if self.server is not None:
            self.server.publish(event)

    def tell(self, level: str, text: str, leg: str = "") -> None:
        line = ports.LogLine(level, text, leg)  # type: ignore[arg-type]
        self.publish(projection.log_line(line))

    # --- what the parts say -----------------------------------------------------------------------

    def _notice(self, notice: ports.Notice) -> None:
        if isinstance(notice, ports.AttemptChanged):
            self._ringer.attempt(notice.attempt, notice.waiting_for_operator)
        elif isinstance(notice, ports.AttemptDone):
            self.desk.earlier.ended(notice.record)
        self.publish(projection.notice(notice, self.desk.switches))

    def _registration(self, phone: Phone) -> None:
        self.publish(wire.trunk(phone))
        self._watch.changed(phone)
        self.dialer.wake()

    def _flood(self, phone: Phone, text: str) -> None:
        self.tell("warning", text)
        self.publish(wire.trunk(phone))

    def _fact(self, fact: orders.Fact) -> None:
        at = wire.wall(fact.at)
        leg = self._leg_name(getattr(fact, "stream", ""))
        if isinstance(fact, orders.SoundChanged):
            self._sound_known.set()
            self.publish(wire.sound(fact))
            self._tell_sound(fact)
            self.dialer.wake()
        elif isinstance(fact, orders.Detected):
            self.publish(wire.detection(leg, at, fact))
        elif isinstance(fact, orders.Listened):
            self.publish(wire.listened(leg, at, fact.outcome))
        elif isinstance(fact, orders.Unmatched):
            found = self.line.leg_at(fact.stream) or self.line.listened_to.get(fact.stream)
            if found is not None:
                self.desk.teaching.note(fact, found.id, found.number)
        elif isinstance(fact, orders.DigitReceived):
            self.publish(messages.Digit(at=at, leg=leg, digit=fact.digit))
        elif isinstance(fact, orders.DigitsSent):
            for digit in fact.digits:
                self.publish(messages.Digit(at=at, leg=leg, digit=digit, received=False))
        elif isinstance(fact, orders.Overload):
            self._overload(fact)
        elif isinstance(fact, orders.PlaybackEnded) and fact.error:
            self.tell("error", fact.error, leg)

    def _overload(self, fact: orders.Overload) -> None:
        if fact.on:
            self.tell("warning", "this machine can't keep up: tones on the line may go unrecognised; "
                      "audio goes on")
        else:
            self.tell("info", f"this machine keeps up again; {fact.frames / 50:.1f} s of audio were not "
                      "looked at for tones")

    def _tell_sound(self, fact: orders.SoundChanged) -> None:
        if fact.problem:
            self.tell("warning", f"sound: {fact.problem}")
        elif self._sound_problem:
            self.tell("info", f"sound: back at {fact.input!r} and {fact.output!r}")
        self._sound_problem = fact.problem

    def _leg(self, leg: TrunkLeg) -> None:
        if leg.role == "agent" and leg.state is LegState.DIALING:
            self.desk.voice.follow(leg)
        if failed := leg.call.reinvite_failed:
            leg.call.reinvite_failed = ""
            self.tell("warning", f"the far end refused the change: {failed}", leg.id)
        self._ringer.leg(leg)
        self.publish(wire.leg(leg))
        rang = leg.role == "inbound" and not leg.forwarded_to
        if leg.state is LegState.ENDED and rang and leg.answered_at is None:
            self._missed(leg)

    def _inbound(self, leg: TrunkLeg) -> None:
        self.tell("info", f"{leg.number} is calling", leg.id)
        if not self.desk.forwards.take(leg):
            self.desk.talks.rung(leg)

    def _missed(self, leg: TrunkLeg) -> None:
        cause = leg.cause
        if cause is None or (cause.by == "us" and cause.name != "timeout"):
            return
        if cause.q850 == ANSWERED_ELSEWHERE or "completed elsewhere" in cause.reason.lower():
            self.tell("info", f"another phone answered {leg.number}", leg.id)
        else:
            self.tell("warning", f"missed a call from {leg.number}", leg.id)

    def _leg_name(self, stream: str) -> str:
        leg = self.line.leg_at(stream) or self.line.listened_to.get(stream)
        return leg.id if leg is not None else stream

    def _sip(self, message: Message, sent: bool) -> None:
        if leg := self.line.leg_in(message.call_id):
            text = wire.safe(message.summary_line, 80)
            self.publish(messages.Sip(at=time.time(), leg=leg.id, sent=sent, text=text))

    def _save_dialog(self, leg: str, saved: SavedDialog | SavedInvite | None) -> None:
        """At once, in the loop: it is on disk before the message that made it necessary leaves."""
        if saved is None:
            self.store.dialogs.drop(leg)
            return
        try:
            self.store.dialogs.save(leg, msgspec.json.encode(saved))
        except ports.StoreError as error:
            self.tell("error", str(error), leg)

    async def _tell_meters(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(METER_PERIOD)
            if self.server is not None:
                self._looking.tick(self.server.looked_at)
            if self.server is None or not self.server.clients or not self.line.legs:
                continue
            levels = {
                self._leg_name(name): messages.Meter(
                    received=round(m.received_dbm0, 1), sent=round(m.sent_dbm0, 1), tone=m.tone
                )
                for name, m in self.station.media.meters().items()
            }
            self.server.publish(messages.Meters(at=time.time(), legs=levels))
            if (rounds := rounds + 1) % METERS_A_SECOND == 0:
                self._tell_quality()

    def _tell_quality(self) -> None:
        assert self.server is not None
        found = {leg.id: self.station.media.quality(leg.stream) for leg in self.line.legs.values()}
        legs = {leg: wire.quality(quality) for leg, quality in found.items() if quality is not None}
        if legs:
            self.server.publish(messages.Qualities(at=time.time(), legs=legs))
