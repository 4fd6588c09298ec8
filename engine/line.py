"""The way out through the trunks, and every leg that is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from pyVoIP.VoIP import InvalidStateError, NoPortsAvailableError

from engine.bridges import Bridges
from engine.config import Config, Detection
from engine.detect.plans import code_of
from engine.detour import Detour
from engine.dialer.numbers import NumberError, parse
from engine.dialer.ports import (
    Digit,
    Heard,
    LegState,
    PlaybackEnded,
    StateChanged,
)
from engine.dialplan import DialPlan
from engine.hearing import OptionError, with_options
from engine.media import orders
from engine.media.engine import MediaEngine
from engine.recordings import Recordings
from engine.sip.call import Call
from engine.sip.phone import Phone
from engine.sip.transfer import Transfer
from engine.succession import Succession
from engine.trunk_leg import Role, TrunkLeg, UnplacedLeg
from engine.whisper import WHISPER, Whispers


class TrunkLine:
    """The way out, and every leg that is up. `on_leg(leg)` follows each change of a leg."""

    def __init__(self, phones: Mapping[str, Phone], media: MediaEngine, config: Config) -> None:
        self.phones = phones
        self.plan = DialPlan(config)
        self.media = media
        self.config = config
        self.legs: dict[str, TrunkLeg] = {}
        self.listened_to: dict[str, TrunkLeg] = {}
        """By the name of the stream; a leg that is over for as long as more may be told of it."""
        self.on_leg: Callable[[TrunkLeg], None] = lambda leg: None
        self.on_inbound: Callable[[TrunkLeg], None] = lambda leg: None
        self.turn_away: Callable[[str], int] = lambda number: 486 if config.sip.do_not_disturb else 0
        self.on_transfer: Callable[[str, Transfer], None] = lambda leg, transfer: None
        self.bridges = Bridges(self)
        self.whispers = Whispers(media)
        self.succession = Succession(self)
        self.recordings = Recordings(config, media.order)
        self.recordings.changed = self._recording_changed
        self.tell: Callable[[orders.Fact], None] = self.on_fact
        """Where facts go that signalling learns, such as a digit by INFO."""
        self.guard: Callable[[str, bool], bool] = lambda number, by_hand: False
        """Whether a call that the callee's side redirects may go on to a number."""
        self._registered = asyncio.Event()
        self.on_detour: Callable[[TrunkLeg, str], None] = lambda leg, why: None
        for phone in phones.values():
            phone.on_call_change = self.call_changed
            phone.on_inbound = self._inbound
            phone.turn_away = lambda number: self.turn_away(number)
            phone.on_transfer = self._transfer
            phone.on_referral = self.succession.referral
            phone.on_replaced = self.succession.replaced
            phone.on_redirect = self._may_go_on
            phone.on_digit = self._digit
            phone.on_digit_sent = self._digit_sent

    # --- the dialer's Line ---------------------------------------------------------------------

    def dial(
        self, number: str, *, caller_id: str | None = None, role: Role = "callee", entry: int | None = None,
        options: Mapping[str, str] | None = None, campaign: str = "",
    ) -> TrunkLeg | UnplacedLeg:
        """Place a call at the trunk that the dial plan gives; where that can't take it, at the next. It is
        listened to by an entry's own `options` before what the configuration has for its `campaign`.

        One that can't be placed has ended already, with cause `failed`.
        """
        try:
            ways = self.plan.choose(number, caller_id, lambda name: self.phones[name].usable)
            call = self.phones[ways[0].trunk].prepare(ways[0].dialled, caller_id)
        except (ValueError, InvalidStateError, NoPortsAvailableError) as error:
            return UnplacedLeg(number, str(error))
        leg = TrunkLeg(call, self, role, number)
        leg.entry = entry
        leg.detection = self._detection(options or {}, campaign)
        leg.detour = Detour(ways[1:], caller_id)
        self.media.preload(leg.wait_source(self.config.dialer.wait_tone))  # ready by the time of the answer
        self.legs[leg.id] = leg
        self.on_leg(leg)
        call.begin()
        leg.detour.watch(leg, self)
        return leg

    def _detection(self, options: Mapping[str, str], campaign: str) -> Detection:
        """How a call is listened to; options that make no sense were told when the queue was read."""
        general = self.config.of_campaign(campaign).detection
        try:
            return with_options(general, options)
        except OptionError:
            return general

    @property
    def registered(self) -> bool:
        return self._registered.is_set()

    async def until_registered(self) -> None:
        await self._registered.wait()

    def registration_changed(self) -> None:
        if any(phone.usable for phone in self.phones.values()):
            self._registered.set()
        else:
            self._registered.clear()

    # --- media ----------------------------------------------------------------------------------

    def country_of(self, number: str) -> str:
        """The tone plan for a number: its own country's, else the trunk's; empty where none is known."""
        trunk = self.config.trunk.country
        try:
            region = parse(number, trunk).region.lower()
        except NumberError:
            region = ""
        return code_of(region) or code_of(trunk)

    def talking_with(self, leg: TrunkLeg) -> list[TrunkLeg]:
        """The other legs on which what is said on this one can be heard, or which it hears."""
        return [
            each for each in self.legs.values()
            if each is not leg and (
                each.bridged_to == leg.id or leg.bridged_to == each.id or each.supervises == leg.id
                or bool(leg.conference and each.conference == leg.conference)
            )
        ]  # fmt: skip

    def leg_of(self, call: Call | None) -> TrunkLeg | None:
        """The leg whose present call this is."""
        return next((leg for leg in self.legs.values() if leg.call is call), None)

    def leg_in(self, call_id: str) -> TrunkLeg | None:
        """The leg of a Call-ID."""
        return next((leg for leg in self.legs.values() if leg.call.call_id == call_id), None)

    def leg_at(self, stream: str) -> TrunkLeg | None:
        """The leg whose audio has a name in media's facts."""
        return next((leg for leg in self.legs.values() if leg.stream == stream), None)

    def set_gain(self, leg: TrunkLeg) -> None:
        """Have media change a leg's levels by what the leg says."""
        self.media.order(orders.Gain(leg.stream, leg.received_gain, leg.sent_gain))
        self.on_leg(leg)

    def changed(self, leg: TrunkLeg) -> None:
        self.on_leg(leg)

    def _recording_changed(self, name: str) -> None:
        if (leg := self.legs.get(name)) is not None:
            self.on_leg(leg)

    def on_fact(self, fact: orders.Fact) -> None:
        """A fact of the media thread, already in the loop."""
        self.recordings.on_fact(fact)
        if isinstance(fact, orders.PlaybackEnded) and fact.tag == WHISPER:
            self.whispers.ended(fact)
            return
        stream = getattr(fact, "stream", "")
        leg = self.leg_at(stream)
        if isinstance(fact, orders.Detected | orders.Listened):  # the last ones come after the leg's end
            leg = leg or self.listened_to.get(stream)
        if isinstance(fact, orders.Listened):
            leg = self.listened_to.pop(stream, leg)
            if leg is not None and leg.stream != stream:
                return  # another call has taken its place, and is listened to in turn
        if leg is None:
            return
        if isinstance(fact, orders.DigitReceived):
            leg.call.receive_digit(fact.digit)
            leg.put(Digit(fact.digit))
            self._pass_on(leg, fact)
        elif isinstance(fact, orders.Detected):
            heard = fact.detection
            sample = asdict(heard.sample) if heard.sample is not None else {}
            leg.put(
                Heard(
                    heard.tone.label, heard.begin_ms, heard.end_ms, heard.confidence, heard.why, sample,
                    heard.digit,
                )
            )
        elif isinstance(fact, orders.Listened):
            leg.heard_out(fact.outcome, fact.hang_up)
        elif isinstance(fact, orders.PlaybackEnded):
            leg.put(PlaybackEnded(fact.tag, fact.error))
        elif isinstance(fact, orders.RtpTimeout):
            leg.hangup("no_rtp")

    def _pass_on(self, leg: TrunkLeg, fact: orders.DigitReceived) -> None:
        """Let a key press reach whoever the leg talks to, where the audio thread has not seen to it: that
        sends tones on as they are, and telephone-events to those who agreed to them.
        """
        talk = self.bridges.talk_of(leg)
        if talk is None or fact.way == "inband" or leg.held:
            return
        for other in talk.legs:
            agreed = other.call.negotiated
            forwarded = fact.way == "rtp" and (agreed is None or bool(agreed.events))
            if other is not leg and not other.held and not forwarded:
                other.send_digits(fact.digit)

    def is_new_digit(self, fact: orders.DigitReceived) -> bool:
        """Whether a key press has not come by another way already."""
        leg = self.leg_at(fact.stream)
        return leg is None or leg.call.presses.is_new(fact.digit, fact.way, fact.at, fact.duration_ms)

    def digit_ended(self, fact: orders.DigitEnded) -> None:
        if (leg := self.leg_at(fact.stream)) is not None:
            leg.call.presses.ended(fact.digit, fact.way, fact.at)

    def _digit(self, call: Call, digit: str, duration_ms: int) -> None:
        fact = orders.DigitReceived(call.stream, time.monotonic(), digit, duration_ms, "info")
        if self.is_new_digit(fact):
            self.tell(fact)

    def _digit_sent(self, call: Call, digit: str) -> None:
        self.tell(orders.DigitsSent(call.stream, time.monotonic(), digit))

    def _may_go_on(self, call: Call, number: str) -> bool:
        leg = self.leg_of(call)
        if leg is None:
            return False
        return self.config.nobody_can_ring or self.guard(number, leg.role == "manual")

    def _held_or_resumed(self, leg: TrunkLeg) -> None:
        if leg.bridged_to or leg.supervises:
            self.bridges.carry(leg)
        if leg.held:
            music = self.config.call.hold_music
            source = orders.WavSource(str(Path(music).expanduser())) if music else None
            self.media.order(orders.Hold(leg.stream, source))
        elif not leg.bridged_to:
            self.media.order(orders.Hold(leg.stream))  # silence until somebody takes it

    # --- calls ----------------------------------------------------------------------------------

    def _inbound(self, call: Call) -> None:
        leg = TrunkLeg(call, self, "inbound")
        self.legs[leg.id] = leg
        self.on_inbound(leg)
        self.on_leg(leg)

    def _transfer(self, call: Call, transfer: Transfer) -> None:
        leg = self.leg_of(call)
        self.on_transfer(leg.id if leg is not None else "", transfer)

    def call_changed(self, call: Call) -> None:
        leg = self.leg_of(call)
        if leg is None:
            self.succession.call_changed(call)
            return
        if call.progress is LegState.ENDED and self.succession.goes_on(leg):
            return
        if leg.detour is not None and leg.detour.taken(leg, self):
            return
        state = call.progress
        if leg.taken_over and state is not LegState.ENDED:
            state = LegState.ANSWERED  # to whoever follows the leg it has been up all along
        if state is not leg.state:
            leg.state, leg.cause, leg.changed_at = state, call.cause, time.time()
            if leg.state is LegState.ANSWERED:
                leg.answered_at = leg.changed_at
                leg.tell_answered()
            leg.put(StateChanged(leg.state, call.sip_code, call.reason, call.cause))
        if call.held is not leg.held:
            leg.held = call.held
            if leg.state is LegState.ANSWERED:
                self._held_or_resumed(leg)
        if leg.hold_wanted is not None:
            asyncio.get_running_loop().call_soon(leg.settle_hold)
        if leg.state is LegState.ANSWERED:
            timeout = self.config.rtp.timeout if not (call.held or call.far_held) else 0.0
            if call.progress is not LegState.ANSWERED:
                timeout = 0.0
            self.media.order(orders.SetRtpTimeout(leg.stream, timeout or None))
        elif leg.state is LegState.ENDED:
            self.bridges.part(leg)
            del self.legs[leg.id]
            leg.over.set()
            self.recordings.leg_over(leg)
            self.whispers.gone(leg.stream)
        self.on_leg(leg)
