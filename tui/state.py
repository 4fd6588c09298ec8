"""The console's view model: what the engine has said, applied event by event. No Textual here.

`apply` returns what changed; the screen looks at that once per tick, however many events came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto

from engine.control import messages as wire
from tui.calls import Call, attempt_key, call_of_attempt, call_of_leg, rank
from tui.text import span
from tui.tracks import Spectra, Track

MAX_CALLS = 64
MAX_LEGS = 256
MAX_TRUNKS = 64
MAX_LOG = 1000
ENDED_LEGS_SHOWN = 4
SPECTRA_KEPT = 4
"""Calls whose spectrum is kept, of those looked at last."""
UNMATCHED = "unmatch"
NO_CADENCE = "450hz"
"""A tone that is not yet told apart; the timeline shows it, the log waits for the verdict."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A number that said something unknown, and when (UNIX seconds)."""

    number: str
    at: float


class Change(Flag):
    """The parts of the screen that an event touches."""

    NONE = 0
    STATUS = auto()
    CALLS = auto()
    METERS = auto()
    TIMELINE = auto()
    LOG = auto()
    ROWS = auto()
    """Single queue entries, in `ConsoleState.changed_rows`."""
    QUEUE = auto()
    """The queue's rows moved: fetch again what is on show."""
    GONE = auto()
    ALL = STATUS | CALLS | METERS | TIMELINE | LOG | QUEUE


class ConsoleState:
    """Everything on show. Bounded, whatever the engine sends."""

    def __init__(self) -> None:
        self.hello: wire.Hello | None = None
        self.trunks: dict[str, wire.Trunk] = {}
        self.sound: wire.Sound | None = None
        self.flow: wire.Flow | None = None
        self.counts: wire.Counts | None = None
        self.legs: dict[str, wire.Leg] = {}
        self.calls: dict[str, Call] = {}
        self.tracks: dict[str, Track] = {}
        self.meters: dict[str, wire.Meter] = {}
        self.quality: dict[str, wire.Quality] = {}
        self.log: deque[wire.LogLine] = deque(maxlen=MAX_LOG)
        self.log_seen = 0
        """Log lines ever taken in, so that a view knows how many of them are new to it."""
        self.changed_rows: list[wire.Entry] = []
        self.bye = ""
        self.unknown: tuple[str, str] | None = None
        """The leg and number that said last what no known announcement matched."""
        self.offer: Offer | None = None
        """The same where it came before the answer: it may be an announcement."""
        self._chosen = ""
        self._latest = 0.0
        self._apply: dict[type, Callable[..., Change]] = {
            wire.Hello: self._hello,
            wire.Snapshot: self._snapshot,
            wire.Trunk: self._trunk,
            wire.Sound: self._sound,
            wire.Flow: self._flow,
            wire.Counts: self._counts,
            wire.Entry: self._entry,
            wire.QueueChanged: self._queue_changed,
            wire.Leg: self._leg,
            wire.Attempt: self._attempt,
            wire.LogLine: self._log,
            wire.Detection: self._detection,
            wire.Digit: self._digit,
            wire.Sip: self._sip,
            wire.AttemptDone: self._done,
            wire.Meters: self._meters,
            wire.Spectrum: self._spectrum,
            wire.Qualities: self._quality,
            wire.Bye: self._bye,
        }

    def apply(self, event: wire.Event) -> Change:
        """Take in one event; kinds the console does not know change nothing."""
        handler = self._apply.get(type(event))
        self._latest = max(self._latest, getattr(event, "at", None) or 0.0)
        return handler(event) if handler is not None else Change.NONE

    # --- what the screen asks -----------------------------------------------------------------

    @property
    def call(self) -> Call | None:
        """The call on show: the one chosen while it is up, else the one that matters most."""
        chosen = self.calls.get(self._chosen)
        if chosen is not None and chosen.up:
            return chosen
        return max(self.calls.values(), key=rank, default=None)

    @property
    def calls_up(self) -> list[Call]:
        return [call for call in self.calls.values() if call.up]

    @property
    def legs_up(self) -> list[wire.Leg]:
        return [leg for leg in self.legs.values() if leg.state != "ended"]

    @property
    def ringing_in(self) -> wire.Leg | None:
        """The inbound leg that rings, the longest-waiting first."""
        ringing = [
            leg for leg in self.legs_up
            if leg.role == "inbound" and leg.state != "answered" and not leg.forwarded_to
        ]  # fmt: skip
        return min(ringing, key=lambda leg: leg.at, default=None)

    @property
    def can_join(self) -> bool:
        """Whether somebody is on hold while the operator talks to somebody else."""
        answered = [leg for leg in self.legs_up if leg.state == "answered"]
        guests = [leg for leg in answered if leg.role not in ("agent", "supervisor", "forwarded")]
        return any(leg.held and not leg.bridged_to for leg in guests) and any(
            leg.bridged_to and not self.joined(leg) for leg in guests
        )

    def joined(self, leg: wire.Leg) -> bool:
        """Whether a leg talks to another far end, without the operator."""
        other = self.legs.get(leg.bridged_to)
        return other is not None and "agent" not in (leg.role, other.role)

    def supervisors_of(self, leg: wire.Leg | None) -> list[wire.Leg]:
        """Who supervises a leg's call."""
        if leg is None:
            return []
        same = {other.id for other in self.legs_up if other.conference and other.conference == leg.conference}
        talk = {leg.id, leg.bridged_to} | same
        return [other for other in self.legs_up if other.supervises and other.supervises in talk]

    def leg_of(self, call: Call | None) -> wire.Leg | None:
        """The far party's leg of a call."""
        return self.legs.get(call.leg) if call is not None else None

    def track_of(self, call: Call | None) -> Track | None:
        return self.tracks.get(call.leg) if call is not None else None

    def choose_next_call(self) -> Call | None:
        """Show the next of the calls that are up; returns it."""
        up = sorted(self.calls_up, key=lambda call: call.started)
        if not up:
            return None
        shown = self.call
        place = up.index(shown) if shown in up else -1
        self._chosen = up[(place + 1) % len(up)].key
        return self.call

    # --- events -------------------------------------------------------------------------------

    def _hello(self, event: wire.Hello) -> Change:
        self.hello, self.bye = event, ""
        return Change.NONE

    def _snapshot(self, event: wire.Snapshot) -> Change:
        self.sound, self.flow, self.counts = event.sound, event.flow, event.counts
        self.trunks = {trunk.name: trunk for trunk in (event.trunks or [event.trunk])[:MAX_TRUNKS]}
        self.legs = {leg.id: leg for leg in event.legs[-MAX_LEGS:]}
        self.meters = {}
        known = self.calls
        self.calls = {}
        for attempt in event.attempts[-MAX_CALLS:]:
            kept = known.get(attempt_key(attempt))
            if kept is not None:
                self.calls[kept.key] = kept
            self._attempt(attempt)
        for leg in event.legs[-MAX_LEGS:]:
            self._leg(leg)
        shown = set(self.log)
        for line in event.log[-MAX_LOG:]:
            if line not in shown:
                self._log(line)
        return Change.ALL

    def _trunk(self, event: wire.Trunk) -> Change:
        if event.name in self.trunks or len(self.trunks) < MAX_TRUNKS:
            self.trunks[event.name] = event
        return Change.STATUS

    def _sound(self, event: wire.Sound) -> Change:
        self.sound = event
        return Change.STATUS

    def _flow(self, event: wire.Flow) -> Change:
        self.flow = event
        return Change.STATUS | Change.CALLS

    def _counts(self, event: wire.Counts) -> Change:
        self.counts = event
        return Change.STATUS | Change.CALLS

    def _entry(self, event: wire.Entry) -> Change:
        self.changed_rows.append(event)
        if len(self.changed_rows) > 1000:
            self.changed_rows.clear()
            return Change.QUEUE
        return Change.ROWS

    def _queue_changed(self, event: wire.QueueChanged) -> Change:
        self.counts = event.counts
        return Change.QUEUE | Change.STATUS | Change.CALLS

    def _leg(self, event: wire.Leg) -> Change:
        self.legs[event.id] = event
        if event.state == "ended":
            self.meters.pop(event.id, None)
        else:
            self.tracks.setdefault(event.id, Track())
        self._claim(event)
        if event.role in ("supervisor", "forwarded") or event.forwarded_to or self.joined(event):
            self.calls.pop(event.id, None)  # none of the operator's calls: the lines show it
        elif event.role in ("manual", "inbound") or event.id in self.calls:
            self._bare_call(event)
        if event.answered_at is not None:
            for call in self.calls.values():
                if call.leg == event.id:
                    call.answered(event.answered_at)
        self._prune()
        return Change.CALLS | Change.STATUS | Change.TIMELINE

    def _claim(self, leg: wire.Leg) -> None:
        """A new leg to an entry's number is that of the attempt under way, which names it only later."""
        if leg.entry is None or leg.role not in ("callee", "manual") or leg.state == "ended":
            return
        for call in self.calls.values():
            if call.up and call.attempt is not None and call.attempt.entry == leg.entry and not call.leg:
                call.leg = leg.id

    def _bare_call(self, leg: wire.Leg) -> None:
        """A manual or inbound leg is a call of its own until an attempt claims it."""
        if any(call.leg == leg.id for call in self.calls.values() if call.attempt is not None and call.up):
            self.calls.pop(leg.id, None)
        elif leg.id in self.calls:
            self.calls[leg.id].follow_leg(leg)
        elif leg.state != "ended":
            self.calls[leg.id] = call_of_leg(leg)
            if leg.role == "manual" and leg.state != "answered":
                self._chosen = leg.id  # just placed by hand: F8 ends it, and not the call held for it

    def _attempt(self, event: wire.Attempt) -> Change:
        key = attempt_key(event)
        if key in self.calls:
            self.calls[key].follow_attempt(event)
        else:
            self.calls[key] = call_of_attempt(event)
        if event.leg:
            self.calls.pop(event.leg, None)
            self.tracks.setdefault(event.leg, Track())
        self._prune()
        return Change.CALLS | Change.STATUS | Change.TIMELINE

    def _done(self, event: wire.AttemptDone) -> Change:
        for call in self.calls.values():
            if call.attempt is not None and call.attempt.entry == event.entry and call.word == "done":
                call.word = event.disposition.replace("_", " ") or "done"
        if self.offer is not None and self.offer.number != event.number:
            self.offer = None
        parts = [event.disposition.replace("_", " ")]
        if answer := " ".join(str(part) for part in (event.sip_code, event.reason) if part):
            parts.append(answer)
        text = f"{event.number}: {', '.join([*parts, span(event.duration)])}"
        self._log(wire.LogLine(at=self._latest, level="info", text=text))
        return Change.CALLS | Change.LOG

    def _log(self, event: wire.LogLine) -> Change:
        self.log.append(event)
        self.log_seen += 1
        return Change.LOG

    def _detection(self, event: wire.Detection) -> Change:
        if (track := self.tracks.get(event.leg)) is None:
            return Change.NONE
        before = (track.heard[-1].label, track.heard[-1].said) if track.heard else ("", "")
        track.detection(event)
        if event.tone == UNMATCHED and (leg := self.legs.get(event.leg)) is not None:
            self.unknown = leg.id, leg.number
            if leg.state != "answered":  # else somebody may have spoken
                self.offer = Offer(leg.number, event.at)
        meant = track.heard[-1].said
        if (event.tone, meant) == before or event.tone == NO_CADENCE:
            return Change.TIMELINE
        said = f": {meant}" if meant else ""
        text = f"heard {event.tone}{said}" + (f" ({event.why})" if event.why else "")
        return Change.TIMELINE | self._log(wire.LogLine(at=event.at, level="info", text=text, leg=event.leg))

    def _digit(self, event: wire.Digit) -> Change:
        if (track := self.tracks.get(event.leg)) is not None:
            track.digits.append(event)
        return Change.TIMELINE

    def _sip(self, event: wire.Sip) -> Change:
        self.tracks.setdefault(event.leg, Track()).sip.append(event)
        self._prune()
        return Change.TIMELINE

    def _meters(self, event: wire.Meters) -> Change:
        self.meters = event.legs
        for name, meter in event.legs.items():
            if (track := self.tracks.get(name)) is not None:
                track.meter(event.at, meter)
        return Change.METERS

    def _spectrum(self, event: wire.Spectrum) -> Change:
        if (track := self.tracks.get(event.leg)) is None:
            return Change.NONE
        if not track.spectra.times:
            others = [other for other in self.tracks.values() if other.spectra.times]
            others.sort(key=lambda other: other.spectra.times[-1])
            for other in others[: max(0, len(others) + 1 - SPECTRA_KEPT)]:
                other.spectra = Spectra()
        track.spectra.add(event)
        return Change.TIMELINE

    def _quality(self, event: wire.Qualities) -> Change:
        self.quality = event.legs
        return Change.METERS

    def _bye(self, event: wire.Bye) -> Change:
        self.bye = event.reason or "no reason given"
        return Change.GONE

    # --- bounds -------------------------------------------------------------------------------

    def _prune(self) -> None:
        over = [key for key, call in self.calls.items() if not call.up]
        shown = max((self.calls[key] for key in over), key=lambda call: call.started, default=None)
        for key in over:
            if shown is None or key != shown.key:
                del self.calls[key]
        while len(self.calls) > MAX_CALLS:
            del self.calls[next(iter(self.calls))]
        ended = [leg.id for leg in self.legs.values() if leg.state == "ended"]
        for leg in ended[: max(0, len(ended) - ENDED_LEGS_SHOWN)]:
            del self.legs[leg]
        while len(self.legs) > MAX_LEGS:
            del self.legs[next(iter(self.legs))]
        if len(self.tracks) > MAX_CALLS:
            needed = {call.leg for call in self.calls.values()} | {leg.id for leg in self.legs_up}
            for leg_id in [key for key in self.tracks if key not in needed]:
                del self.tracks[leg_id]
        while len(self.tracks) > 2 * MAX_LEGS:
            del self.tracks[next(iter(self.tracks))]
