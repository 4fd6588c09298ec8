"""`offhook call`: one call with no queue, its events as they happen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import wire
from engine.cli.common import (
    EXIT_NO_TRUNK,
    EXIT_NOT_ANSWERED,
    EXIT_OK,
    Usage,
    emit,
    guarded,
    load_config,
    on_signals,
    say,
    set_up_logging,
)
from engine.cli.register import describe, exit_status, until_settled
from engine.cli.trace import save_pcap, save_text, unwritable
from engine.control import messages
from engine.dialer.compliance import Compliance
from engine.dialer.ports import LegState
from engine.media import orders
from engine.sip.message import Message
from engine.station import Station
from engine.trunk_leg import TrunkLeg

REGISTER_WAIT = 32.0
"""64*T1: when REGISTER counts as unanswered (RFC 3261, timer F)."""

DIGITS = frozenset("0123456789*#ABCDabcd")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the command line asks for; times in seconds."""

    number: str
    cancel_after: float | None
    hangup_after: float | None
    timeout: float | None
    dtmf: str
    record: Path | None
    play: Path | None
    as_json: bool
    trace: Path | None = None
    pcap: Path | None = None


class OneCall:
    """Follows one leg from dialling to its end."""

    def __init__(self, station: Station, options: CallOptions) -> None:
        self.station = station
        self.options = options
        self.leg: TrunkLeg | None = None
        self.ended = asyncio.Event()
        self.started = 0.0
        self.answered_after: float | None = None
        self.duration: float | None = None
        self.lasted = 0.0
        """Seconds from dialling to the end."""
        self.digits = ""
        self.stopped = False
        self.recording = ""
        self._media_started = False
        self._timers: list[asyncio.TimerHandle] = []
        self._over: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Dial. Raises Usage where the number can't be dialled."""
        station, options = self.station, self.options
        station.line.on_leg = self._changed
        station.on_fact = self._fact
        for phone in station.phones.values():
            phone.on_message = self._sip
            if phone.agent is not None:
                phone.agent.on_message = self._sip
        station.line.recordings.tell = self._tell
        station.line.on_detour = lambda leg, why: say(why)
        self.started = time.monotonic()
        leg = station.line.dial(options.number, role="manual")
        if not isinstance(leg, TrunkLeg):
            raise Usage(leg.cause.reason if leg.cause else "the call could not be placed")
        self.leg = leg
        patience = options.timeout if options.timeout is not None else station.config.dialer.ring_timeout
        self._later(patience, lambda: self._give_up("timeout"))
        if options.cancel_after is not None:
            self._later(options.cancel_after, lambda: self._give_up("cancelled"))

    def stop(self) -> None:
        """Hang up, on a signal."""
        self.stopped = True
        if self.leg is None or self.leg.state is LegState.ENDED:
            self.ended.set()
        else:
            self.leg.hangup()

    def _later(self, seconds: float, action: object) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, action))  # type: ignore[arg-type]

    def _give_up(self, cause: str) -> None:
        if self.leg is not None and self.answered_after is None:
            self.leg.hangup(cause)

    def _changed(self, leg: TrunkLeg) -> None:
        self.leg = self.leg or leg
        if leg is not self.leg:
            return
        self.recording = leg.recording or self.recording
        message = wire.leg(leg)
        if self.options.as_json:
            emit(message)
        else:
            say(f"{leg.state.value} {message.sip_code or ''} {message.reason}".rstrip())
        if leg.state in (LegState.EARLY, LegState.ANSWERED):
            self._media(leg)
        if leg.state is LegState.ANSWERED and self.answered_after is None:
            self.answered_after = time.monotonic() - self.started
            self._answered(leg)
        elif leg.state is LegState.ENDED:
            if self.answered_after is not None:
                self.duration = time.monotonic() - self.started - self.answered_after
            self.lasted = time.monotonic() - self.started
            for timer in self._timers:
                timer.cancel()
            self._over = asyncio.get_running_loop().create_task(self._heard_out(leg))

    def _media(self, leg: TrunkLeg) -> None:
        """There is audio, perhaps for the first time."""
        ignored = leg.state is LegState.EARLY and self.station.config.dialer.early_media == "ignore"
        if not leg.listening and not ignored:
            leg.listen(True)
        if not self._media_started and self.options.record is not None:
            self.station.line.recordings.begin(leg, str(self.options.record))
        self._media_started = True

    async def _heard_out(self, leg: TrunkLeg) -> None:
        """What was still to be heard when the call ended belongs to its result."""
        await leg.listened()
        self.ended.set()

    def _answered(self, leg: TrunkLeg) -> None:
        options = self.options
        audio = self.station.config.audio
        if options.play is not None:
            leg.play(str(options.play), "play")
        elif audio.input != "none" or audio.output != "none":
            leg.bridge(None)
        if options.dtmf and (problem := leg.send_digits(options.dtmf.upper())):
            say(problem)
        if options.hangup_after is not None:
            self._later(options.hangup_after, leg.hangup)
        self._later(self.station.config.call.max_duration, lambda: leg.hangup("max_duration"))

    def _fact(self, fact: orders.Fact) -> None:
        leg = self.leg
        if isinstance(fact, orders.SoundChanged):
            if fact.problem:
                say(f"sound: {fact.problem}")
            if self.options.as_json:
                emit(wire.sound(fact))
        if leg is None or getattr(fact, "stream", "") != leg.stream:
            return
        at = wire.wall(fact.at)
        if isinstance(fact, orders.DigitReceived):
            self.digits += fact.digit
            self._event(messages.Digit(at=at, leg=leg.id, digit=fact.digit), f"digit {fact.digit}")
        elif isinstance(fact, orders.DigitsSent):
            for digit in fact.digits:
                self._event(messages.Digit(at=at, leg=leg.id, digit=digit, received=False), f"sent {digit}")
        elif isinstance(fact, orders.Detected):
            heard = wire.detection(leg.id, at, fact)
            self._event(heard, f"heard {heard.tone}: {heard.why}")
        elif isinstance(fact, orders.Listened):
            self._listened(leg, at, fact)
        elif isinstance(fact, orders.PlaybackEnded) and fact.error:
            self._tell("error", fact.error, leg.id)

    def _listened(self, leg: TrunkLeg, at: float, fact: orders.Listened) -> None:
        """Listening is over; where the settings say so, with it the call."""
        outcome = fact.outcome
        self._event(wire.listened(leg.id, at, outcome), f"listening ended: {outcome.result}")
        if fact.hang_up and leg.state is not LegState.ENDED:
            answered = self.answered_after is not None
            leg.hangup("normal" if answered else "cancelled", outcome.correction or outcome.category)

    def _tell(self, level: str, text: str, leg: str) -> None:
        shown = wire.safe(text, 400)
        self._event(messages.LogLine(at=time.time(), level=level, text=shown, leg=leg), shown)  # type: ignore[arg-type]

    def _event(self, event: messages.Event, words: str) -> None:
        if self.options.as_json:
            emit(event)
        else:
            say(words)

    def _sip(self, message: Message, sent: bool) -> None:
        leg = self.leg
        if self.options.as_json and (leg is None or message.call_id == leg.call.call_id):
            emit(
                messages.Sip(
                    at=time.time(),
                    leg=leg.id if leg else "",
                    sent=sent,
                    text=wire.safe(message.summary_line, 80),
                )
            )

    def result(self) -> messages.CallResult:
        """How it ended."""
        leg = self.leg
        cause = leg.cause if leg else None
        return messages.CallResult(
            number=self.options.number,
            answered=self.answered_after is not None,
            cause=cause.name if cause else "cancelled",
            sip_code=cause.sip_code if cause and cause.sip_code else (leg.call.sip_code if leg else None),
            reason=wire.safe(cause.reason if cause else ""),
            digits=self.digits,
            answered_ms=None if self.answered_after is None else round(self.answered_after * 1000),
            duration=None if self.duration is None else round(self.duration, 3),
            q850=cause.q850 if cause else None,
            retry_after=cause.retry_after if cause else None,
            recording=wire.safe(self.recording, 400),
            quality=wire.overall_quality(leg.quality) if leg else None,
            hearing=self._hearing(),
        )

    def _hearing(self) -> messages.Hearing | None:
        outcome = self.leg.outcome if self.leg is not None else None
        if outcome is None:
            return None
        answered = self.answered_after is not None
        return wire.heard(outcome, outcome.status(answered=answered, call_s=self.lasted))


def _validate(options: CallOptions, guard: Compliance) -> None:
    for name in ("cancel_after", "hangup_after", "timeout"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 86400:
            raise Usage(f"--{name.replace('_', '-')}: found {value:g}; seconds from 0 to 86400 are allowed")
    if bad := sorted(set(options.dtmf) - DIGITS):
        raise Usage(f"--dtmf: found {bad[0]!r}; the digits 0-9 * # A-D are allowed")
    if options.play is not None and not options.play.is_file():
        raise Usage(f"--play: {options.play} is not a readable file")
    for name, file in (("trace", options.trace), ("pcap", options.pcap)):
        if file is not None and (why := unwritable(file)):
            raise Usage(f"--{name}: {file} can't be written: {why}")
    verdict = guard.check(options.number, manual=True)
    if verdict.kind != "allow":
        raise Usage(verdict.reason)
    if verdict.warning:
        say(f"warning: {verdict.warning}")


def run_call(options: CallOptions, path: Path | None, overrides: list[str]) -> int:
    async def main() -> int:
        config = load_config(path, overrides)
        set_up_logging(config, stderr=True)
        guard = Compliance(config, lambda: datetime.now(UTC))
        _validate(options, guard)
        station = Station(config)
        station.line.guard = lambda number, by_hand: guard.check(number, manual=by_hand).kind == "allow"
        await station.open(sound=options.play is None)
        call = OneCall(station, options)
        try:
            on_signals(call.stop)
            for phone in station.phones.values():
                say(describe(phone))
            patience = min(REGISTER_WAIT, options.timeout or REGISTER_WAIT)
            settling = asyncio.ensure_future(until_settled(station, patience))
            stopping = asyncio.ensure_future(call.ended.wait())
            await asyncio.wait((settling, stopping), return_when=asyncio.FIRST_COMPLETED)
            if settling.done():
                say(describe(settling.result()))
                status = exit_status(settling.result())
                if status == EXIT_OK and not call.stopped:
                    call.begin()
                    await stopping
            else:
                settling.cancel()
                status = EXIT_NOT_ANSWERED
        finally:
            await station.line.recordings.close()
            await station.close()
            _save_messages(station, options)
        if call.leg is None:
            if options.as_json:
                emit(wire.trunk(station.phone))
            return status or EXIT_NOT_ANSWERED
        if options.as_json:
            emit(call.result())
        else:
            say(_in_words(call.result()))
        return _status(call)

    return guarded(main)


def _save_messages(station: Station, options: CallOptions) -> None:
    """The call's SIP messages, and where there was no call those with the trunk."""
    passed = list(station.journal.find("last") or station.journal.trunk)
    try:
        if options.trace is not None:
            save_text(options.trace, passed)
        if options.pcap is not None:
            save_pcap(options.pcap, passed)
    except Usage as error:  # how the call went is told all the same
        say(f"offhook: {error}")


def _status(call: OneCall) -> int:
    result = call.result()
    if result.answered:
        return EXIT_OK
    return EXIT_NO_TRUNK if result.cause in ("no_response", "unauthorized") else EXIT_NOT_ANSWERED


def _in_words(result: messages.CallResult) -> str:
    answer = " ".join(str(part) for part in (result.sip_code, result.reason) if part)
    details = [answer] if answer else []
    if result.q850 is not None:
        details.append(f"Q.850 cause {result.q850}")
    if result.retry_after is not None:
        details.append(f"again after {result.retry_after} s")
    answer = ", ".join(details)
    lasted = f", {result.duration:.1f} s" if result.duration is not None else ""
    if (heard := result.quality) is not None:
        lasted += f", MOS {heard.mos:.1f}, loss {heard.loss:.1f} %, jitter {heard.jitter_ms:.0f} ms"
        if heard.round_trip_ms is not None:
            lasted += f", round trip {heard.round_trip_ms:.0f} ms"
    return f"ended: {result.cause}" + (f" ({answer})" if answer else "") + lasted
