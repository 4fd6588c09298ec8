"""What the media thread serves, and every order carried out on it: streams, headset, bridges, recordings."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.detect.outcome import FinishCause
from engine.media import orders, strip
from engine.media.clip import Player
from engine.media.dtmf import EVENTS
from engine.media.ears import Ears, Ready
from engine.media.ending import Ending
from engine.media.hearing import Hearing, limited
from engine.media.loader import ClipLoader, Loaded
from engine.media.mixer import Room
from engine.media.network.control import ControlPorts
from engine.media.orders import RING, SOUND, Fact, Meter, Order
from engine.media.recorder import Recording, RecordingWriter
from engine.media.sound.card import SoundCard
from engine.media.stream import RtpStream
from engine.media.timing.clock import Waiter
from engine.media.warming import Warming

MAX_QUALITIES = 512
"""Streams, those that have ended too, whose last quality is kept."""


@dataclass(slots=True)
class Adopt:
    stream: RtpStream
    sock: socket.socket
    control: socket.socket | None = None


@dataclass(slots=True)
class Tell:
    """A fact from another thread."""

    fact: Fact


HOLD = "hold"
"""The tag of what a stream on hold is played."""

Item = Order | Loaded | Ready | Adopt | Tell


def _named(item: Item) -> list[str]:
    """The streams that an order is of."""
    if isinstance(item, orders.Bridge):
        return [item.a, item.b]
    if isinstance(item, orders.Conference):
        return [member.stream for member in item.members]
    if isinstance(item, Loaded):
        return [item.order.stream]
    name = getattr(item, "stream", None)
    return [name] if isinstance(name, str) else []


class Board:
    """Belongs to the media thread, but for `named`, `meters` and `quality`, which any thread may read. `post`
    brings an item back to that thread.
    """

    def __init__(self, post: Callable[[Item], None]) -> None:
        self._post = post
        self.streams: dict[str, RtpStream] = {}
        self.named: dict[str, RtpStream] = {}  # the same and those whose order waits
        self.by_fd: dict[int, RtpStream] = {}
        self.facts: list[Fact] = []
        self.meters: dict[str, Meter] = {}
        self.quality: dict[str, orders.Quality] = {}
        self.writer = RecordingWriter()
        self.loader = ClipLoader(post)
        self.ears = Ears(post)
        self.sound = SoundCard()
        self.control = ControlPorts()
        self.waiter: Waiter | None = None
        self.reported: set[str] = set()
        """Streams whose fault was logged."""
        self.awaited: dict[str, orders.Play] = {}
        self.rooms: dict[str, Room] = {}
        """Conferences by name."""
        self.endings: list[Ending] = []
        """Streams that are closed, and heard to their end."""
        self.warming = Warming(self._warmed)
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            orders.SetRemote: self._set_remote,
            orders.CloseStream: self._close, orders.Play: self._play, orders.StopPlay: self._stop_play,
            orders.Bridge: self._bridge, orders.Unbridge: self._unbridge,
            orders.Conference: self._conference, orders.Gain: self._gain, orders.Hold: self._hold,
            orders.SendDigits: self._send_digits, orders.Mute: self._mute, orders.Record: self._record,
            orders.PauseRecording: self._pause_recording,
            orders.Detect: self._detect, orders.Answered: self._answered,
            orders.Look: self._look, orders.SetRtpTimeout: self._set_rtp_timeout,
            orders.OpenSound: self._open_sound, orders.CloseSound: self._close_sound,
            Loaded: self._loaded, Ready: self._ready, Adopt: self._adopted, Tell: self._tell,
        }

    def carry_out(self, item: Item, now: float) -> None:
        if self.warming:
            self.warming.finish(_named(item), item.name if isinstance(item, orders.Conference) else "")
        self._handlers[type(item)](item, now)

    def interrupts(self, item: Item) -> bool:
        """Whether an order is of a stream whose packets are passed on at this moment. (Muting takes effect at
        once.)
        """
        if isinstance(item, orders.Mute):
            return False
        streams = map(self.streams.get, _named(item))
        return any(stream is not None and stream.passes_untouched for stream in streams)

    def close(self, name: str, now: float) -> None:
        """Close a stream."""
        self._close(orders.CloseStream(name), now)

    def _adopted(self, item: Adopt, now: float) -> None:
        stream = item.stream
        if stream.name in self.streams:
            self._close(orders.CloseStream(stream.name), now)
        item.sock.setblocking(False)
        stream.open(item.sock, now)
        if item.control is not None:
            self.control.adopt(stream, item.control)
        self.streams[stream.name] = stream
        self.by_fd[item.sock.fileno()] = stream

    def _set_remote(self, order: orders.SetRemote, now: float) -> None:
        if (stream := self.streams.get(order.stream)) is not None:
            stream.set_remote(order, now)

    def _close(self, order: orders.CloseStream, now: float) -> None:
        stream = self.streams.get(order.stream)
        if stream is None:
            return
        self._part(stream)
        self._end_recording(stream)
        if (ending := stream.last_heard(now, self.facts)) is not None:
            self.endings.append(ending)
        del self.streams[order.stream]
        if self.named.get(order.stream) is stream:
            del self.named[order.stream]
        self.by_fd.pop(stream.out.fd, None)
        if self.waiter is not None:
            self.waiter.unwatch(stream.out.fd)
        self.awaited.pop(order.stream, None)
        self.meters.pop(order.stream, None)
        self.reported.discard(order.stream)
        self.control.drop(stream)
        stats = stream.close(now)
        if stats.quality is not None:
            self.note_quality(order.stream, stats.quality)
        self.facts.append(orders.StreamClosed(order.stream, now, stats))

    def note_quality(self, name: str, quality: orders.Quality) -> None:
        """The latest of a stream; kept for some time after its end."""
        self.quality.pop(name, None)
        self.quality[name] = quality
        if len(self.quality) > MAX_QUALITIES:
            del self.quality[next(iter(self.quality))]

    def _play(self, order: orders.Play, now: float) -> None:
        if order.stream not in (SOUND, RING) and order.stream not in self.streams:
            self.facts.append(orders.PlaybackEnded(order.stream, now, order.tag, "The call is over."))
            return
        self.awaited[order.stream] = order
        found = self.loader.kept(order.source)
        if found is not None:
            self._loaded(Loaded(order, found, ""), now)
        else:
            self.loader.load(order)

    def _loaded(self, item: Loaded, now: float) -> None:
        order = item.order
        if self.awaited.get(order.stream) is not order:
            return  # stopped, replaced or bridged while it was read
        del self.awaited[order.stream]
        if item.clip is None:
            self.facts.append(orders.PlaybackEnded(order.stream, now, order.tag, item.error))
            return
        player = Player(item.clip, order.loop, order.tag)
        if order.stream == SOUND:
            self.sound.play(player)
        elif order.stream == RING:
            self.sound.ring(player)
        elif (stream := self.streams.get(order.stream)) is not None:
            self._part(stream)
            stream.play(player)
            stream.begin(now, self.facts)

    def _stop_play(self, order: orders.StopPlay, now: float) -> None:
        self.awaited.pop(order.stream, None)
        if order.stream == SOUND:
            self.sound.play(None)
        elif order.stream == RING:
            self.sound.ring(None)
        elif (stream := self.streams.get(order.stream)) is not None:
            stream.play(None)

    def _bridge(self, order: orders.Bridge, now: float) -> None:
        ends: list[RtpStream | SoundCard] = []
        for name in (order.a, order.b):
            end = self._end(name)
            if end is None:
                return
            ends.append(end)
        a, b = ends
        if a is b:
            return
        for name, end in zip((order.a, order.b), ends, strict=True):
            self.awaited.pop(name, None)
            self._part(end)
        if self.sound in ends:
            self.sound.play(None)
        a.join(b)
        b.join(a)
        if isinstance(a, RtpStream) and isinstance(b, RtpStream) and self.waiter is not None:
            self.waiter.watch(a.out.fd)
            self.waiter.watch(b.out.fd)

    def _end(self, name: str) -> RtpStream | SoundCard | None:
        return self.sound if name == SOUND else self.streams.get(name)

    def _part(self, end: RtpStream | SoundCard) -> None:
        """End the bridge that a stream or the headset is in, or its part in a conference."""
        if end.room is not None:
            end.room.leave(SOUND if isinstance(end, SoundCard) else end.name)
            end.enter(None)
            self.rooms = {name: room for name, room in self.rooms.items() if room.places}
            return
        other = end.peer
        if other is None:
            return
        for each in (end, other):
            if isinstance(each, RtpStream) and self.waiter is not None:
                self.waiter.unwatch(each.out.fd)
            each.join(None)

    def _unbridge(self, order: orders.Unbridge, now: float) -> None:
        end = self._end(order.stream)
        if end is not None:
            self._part(end)

    def _conference(self, order: orders.Conference, now: float) -> None:
        names = (member.stream for member in order.members)
        self.warming.add(order, [s for name in names if (s := self.streams.get(name)) is not None], now)

    def _warmed(self, order: orders.Conference | orders.Gain) -> None:
        if isinstance(order, orders.Conference):
            self._form(order)
        elif (end := self._end(order.stream)) is not None:
            end.set_gain(order.received_db, order.sent_db)

    def _form(self, order: orders.Conference) -> None:
        room = self.rooms.setdefault(order.name, Room(self.sound))
        ends = {m.stream: end for m in order.members if (end := self._end(m.stream)) is not None}
        for name in [name for name in room.places if name not in ends]:
            if (end := self._end(name)) is not None and end.room is room:
                end.enter(None)
        for name, end in ends.items():
            self.awaited.pop(name, None)
            if end.room is not room:
                self._part(end)
        if self.sound in ends.values():
            self.sound.play(None)
        room.seat(dict(ends), {m.stream: m.hears for m in order.members})
        for end in ends.values():
            end.enter(room)
        room.gather()
        if not ends:
            del self.rooms[order.name]

    def _gain(self, order: orders.Gain, now: float) -> None:
        stream = self.streams.get(order.stream)
        ends = (stream, stream.peer) if stream is not None else ()
        self.warming.add(order, [end for end in ends if isinstance(end, RtpStream)], now)

    def _hold(self, order: orders.Hold, now: float) -> None:
        end = self._end(order.stream)
        if end is None:
            return
        self._part(end)
        self._stop_play(orders.StopPlay(order.stream), now)
        if order.source is not None:
            self._play(orders.Play(order.stream, order.source, loop=True, tag=HOLD), now)

    def _send_digits(self, order: orders.SendDigits, now: float) -> None:
        stream = self.streams.get(order.stream)
        digits = "".join(c for c in order.digits.upper() if c in EVENTS)
        if stream is None or not digits:
            self.facts.append(orders.DigitsSent(order.stream, now, ""))
        else:
            stream.send_digits(digits, order.duration_ms, order.gap_ms, order.inband)

    def _mute(self, order: orders.Mute, now: float) -> None:
        if order.stream == SOUND:
            self.sound.muted = order.muted
        elif (stream := self.streams.get(order.stream)) is not None:
            stream.mute(order.muted)

    def _record(self, order: orders.Record, now: float) -> None:
        stream = self.streams.get(order.stream)
        if stream is None:
            if order.path is not None:
                over = "The call is over."
                self.facts.append(orders.RecordingEnded(order.stream, now, order.path, over, order.tag))
            return
        self._end_recording(stream)
        if order.path is not None:
            stream.recording = Recording(order)
            if not order.analysed:
                self.writer.start(stream.recording)

    def _pause_recording(self, order: orders.PauseRecording, now: float) -> None:
        stream = self.streams.get(order.stream)
        if stream is not None and stream.recording is not None:
            stream.recording.paused = order.paused

    def _end_recording(self, stream: RtpStream) -> None:
        recording, stream.recording = stream.recording, None
        if recording is None:
            return
        if recording.begun:
            self.writer.finish(recording)
        else:
            now = time.monotonic()
            self.facts.append(orders.RecordingEnded(stream.name, now, "", "", recording.order.tag))

    def _detect(self, order: orders.Detect, now: float) -> None:
        stream = self.streams.get(order.stream)
        if stream is None:
            return
        stream.end_hearing(now, self.facts, FinishCause.BREAK)
        if not order.on:
            return
        listening = sum(each.hearing is not None for each in self.streams.values())
        if order.settings.max_calls and listening >= order.settings.max_calls:
            self.facts.append(limited(order, now))
            return
        stream.hearing = Hearing(order, now)
        self.ears.make(order)

    def _ready(self, item: Ready, now: float) -> None:
        stream = self.streams.get(item.order.stream)
        if stream is not None and stream.hearing is not None and stream.hearing.order is item.order:
            stream.hearing.begin(item.listening)
            return
        for ending in self.endings:
            if ending.hearing.order is item.order:
                ending.hearing.begin(item.listening)
                return

    def _answered(self, order: orders.Answered, now: float) -> None:
        stream = self.streams.get(order.stream)
        if stream is not None and stream.hearing is not None:
            stream.hearing.answered(now, self.facts)

    def _look(self, order: orders.Look, now: float) -> None:
        if (stream := self.streams.get(order.stream)) is not None:
            stream.view = strip.view() if order.on else None

    def _set_rtp_timeout(self, order: orders.SetRtpTimeout, now: float) -> None:
        if (stream := self.streams.get(order.stream)) is not None:
            stream.timeout_s = order.seconds
            stream.timeout_from = now

    def _open_sound(self, order: orders.OpenSound, now: float) -> None:
        self.sound.open(order, self._post_fact)

    def _close_sound(self, order: orders.CloseSound, now: float) -> None:
        self._part(self.sound)
        self.sound.open(orders.OpenSound("none", "none"), self._post_fact)

    def _post_fact(self, fact: Fact) -> None:
        """For the sound card's opening thread: its fact is told by the media thread."""
        self._post(Tell(fact))

    def _tell(self, item: Tell, now: float) -> None:
        self.facts.append(item.fact)
