"""The media thread: one 20 ms clock for every stream; orders in, facts out.

A tick first sends everything that is generated here, stream after stream, with the octets made in the
slack of the tick before. Only then does it play out, decode, detect, record and measure. Between ticks the
thread wakes for packets of bridged streams, which go on at once, and for orders. Packets of streams
that are not bridged wait in their sockets until the tick: nobody needs them earlier.
"""

from __future__ import annotations

import gc
import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.detect.analyzer import Analyzer
from engine.detect.plans import PlanError, plans
from engine.media import level, orders, udp
from engine.media.clip import Player
from engine.media.clock import PERIOD_NS, Lateness, Waiter
from engine.media.dtmf import EVENTS
from engine.media.loader import ClipLoader, Loaded
from engine.media.orders import SOUND, Fact, Meter, Order
from engine.media.priority import raise_priority
from engine.media.recorder import Recording, RecordingWriter
from engine.media.sound import SoundCard
from engine.media.stream import RtpStream

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0002
"""How long another thread may keep the interpreter once the media thread wants it."""
CATCH_UP_TICKS = 5
"""Ticks missed in a stall that are still sent; after a longer one they are skipped."""
METER_TICKS = 5


@dataclass(slots=True)
class _Adopt:
    stream: RtpStream
    sock: socket.socket


@dataclass(slots=True)
class _Tell:
    """A fact from another thread."""

    fact: Fact


_Item = Order | Loaded | _Adopt | _Tell


class MediaEngine:
    """Owns the media thread. `on_fact` is called in it, and must return at once.

    `start` changes two settings of the whole process: the interpreter's switch interval, and the
    garbage collector's view of what exists already (`gc.freeze`), so that neither costs a tick. The media
    thread takes the highest scheduling priority it is given; `priority` then names it (see priority.py).
    """

    def __init__(self, on_fact: Callable[[Fact], None], *, jitter_ms: int = 60) -> None:
        self._on_fact = on_fact
        self.priority = "normal"
        self._jitter_ms = jitter_ms
        self._streams: dict[str, RtpStream] = {}
        self._named: dict[str, RtpStream] = {}  # the same and those whose order waits; for any thread
        self._by_fd: dict[int, RtpStream] = {}
        self._orders: deque[_Item] = deque()
        self._facts: list[Fact] = []
        self._meters: dict[str, Meter] = {}
        self._lateness = Lateness()
        self._receiver = udp.Receiver()
        self._writer = RecordingWriter()
        self._awaited: dict[str, orders.Play] = {}
        self._sound = SoundCard()
        self._ticks = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._waiter: Waiter | None = None
        self._loader = ClipLoader(self._post)
        self._reported: set[str] = set()
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            orders.SetRemote: self._set_remote,
            orders.CloseStream: self._close, orders.Play: self._play, orders.StopPlay: self._stop_play,
            orders.Bridge: self._bridge, orders.Unbridge: self._unbridge,
            orders.SendDigits: self._send_digits, orders.Mute: self._mute, orders.Record: self._record,
            orders.Detect: self._detect, orders.SetRtpTimeout: self._set_rtp_timeout,
            orders.OpenSound: self._open_sound, orders.CloseSound: self._close_sound,
            Loaded: self._loaded, _Adopt: self._adopted, _Tell: self._tell,
        }

    # --- any thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when it runs already."""
        if self._thread is not None:
            raise RuntimeError("the media engine runs already")
        plans()  # read now: the first Detect must not read a file in the media thread
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.collect()
        gc.freeze()
        self._waiter = Waiter()
        self._loader.start()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every stream, the sound card and the recordings, and end the threads."""
        thread, waiter = self._thread, self._waiter
        if thread is None or waiter is None:
            return
        self._stopping = True
        waiter.wake()
        if threading.current_thread() is not thread:
            thread.join()
        self._thread = self._waiter = None
        waiter.close()

    def order(self, order: Order) -> None:
        """Have the media thread carry out an order, in turn; returns at once."""
        if isinstance(order, orders.OpenStream):
            stream = RtpStream(
                {}, "", 0, "", 0, name=order.stream, jitter_ms=self._jitter_ms, encrypted=order.encrypted
            )
            self.adopt(stream, order.sock)
        else:
            self._post(order)

    def adopt(self, stream: RtpStream, sock: socket.socket) -> None:
        """Serve a stream that a program made itself; as OpenStream otherwise."""
        self._named[stream.name] = stream
        self._post(_Adopt(stream, sock))

    def stream(self, name: str) -> RtpStream | None:
        """A stream by name, from the moment its OpenStream was ordered until it is closed."""
        return self._named.get(name)

    def read(self, stream: str, length: int = 160, blocking: bool = True) -> bytes:
        """Received audio as `RtpStream.read` gives it; silence where there is no such stream."""
        found = self._named.get(stream)
        return found.read(length, blocking) if found is not None else b"\x80" * length

    def write(self, stream: str, data: bytes) -> None:
        """Audio to send as `RtpStream.write` takes it; nothing where there is no such stream."""
        found = self._named.get(stream)
        if found is not None:
            found.write(data)

    def preload(self, source: orders.Source) -> None:
        """Read or synthesise a source now, so that a later `Play` starts in the very next tick."""
        self._loader.preload(source)

    def meters(self) -> dict[str, Meter]:
        """The latest levels of every open stream."""
        return dict(self._meters)

    def late_us(self, percent: float = 99.0) -> int:
        """How late ticks of the last minute began, in microseconds, at a percentile."""
        return self._lateness.percentile(percent)

    @property
    def lateness(self) -> Lateness:
        return self._lateness

    def _post(self, item: _Item) -> None:
        self._orders.append(item)
        waiter = self._waiter
        if waiter is not None:
            try:
                waiter.wake()
            except OSError:
                pass  # stopping: nobody is left to carry it out

    # --- the media thread -----------------------------------------------------------------------

    def _run(self) -> None:
        waiter = self._waiter
        assert waiter is not None
        self.priority = raise_priority()
        next_ns = time.monotonic_ns() + PERIOD_NS
        waiter.deadline(next_ns)
        while not self._stopping:
            ready, _ = waiter.wait()
            now_ns = time.monotonic_ns()
            if now_ns >= next_ns:
                next_ns = self._due(next_ns, now_ns)
                waiter.deadline(next_ns)
            if ready:
                now = time.monotonic()
                for fd in ready:
                    stream = self._by_fd.get(fd)
                    if stream is not None:
                        self._guard(stream, stream.drain, self._receiver, now, self._facts)
            if self._orders:
                self._take_orders()
            if self._facts:
                self._report()
        self._shut_down()

    def _due(self, next_ns: int, now_ns: int) -> int:
        """Serve the ticks that are due; the next deadline."""
        missed = (now_ns - next_ns) // PERIOD_NS
        if missed > CATCH_UP_TICKS:
            for stream in self._streams.values():
                stream.out.advance(missed)
            self._lateness.skipped += missed
            next_ns += missed * PERIOD_NS
        while next_ns <= now_ns:
            self._tick(next_ns)
            next_ns += PERIOD_NS
        return next_ns

    def _tick(self, deadline_ns: int) -> None:
        now = deadline_ns / 1e9
        facts = self._facts
        streams = self._streams.values()
        self._lateness.add(time.monotonic_ns() - deadline_ns)
        self._sound.begin_tick(now)
        for stream in streams:
            try:
                stream.send_tick(now, facts)
            except Exception:
                self._broken(stream)
        for stream in streams:
            try:
                stream.receive_tick(self._receiver, now, facts)
            except Exception:
                self._broken(stream)
        for stream in streams:
            if stream.recording is not None:
                self._record_tick(stream, stream.recording)
            if stream.peer is self._sound:
                self._sound.speaker(stream.heard())
        self._sound.end_tick(now, facts)
        for stream in streams:
            stream.prepare()
        self._ticks += 1
        if self._ticks % METER_TICKS == 0:
            self._measure()
        while self._writer.finished:
            done = self._writer.finished.popleft()
            facts.append(orders.RecordingEnded(done.stream, now, done.path, done.error))

    def _guard(self, stream: RtpStream, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception:
            self._broken(stream)

    def _broken(self, stream: RtpStream) -> None:
        """A fault of ours on one stream must not silence the others; logged once a stream."""
        if stream.name not in self._reported:
            self._reported.add(stream.name)
            log.exception("media: a fault while serving stream %s", stream.name)

    def _report(self) -> None:
        facts, self._facts = self._facts, []
        for fact in facts:
            try:
                self._on_fact(fact)
            except Exception:
                log.exception("media: the receiver of facts failed")

    def _measure(self) -> None:
        for name, stream in self._streams.items():
            received = level.dbm0(stream.rx_power / METER_TICKS)
            stream.rx_power = 0.0
            tone = stream.analyzer.current if stream.analyzer is not None else ""
            self._meters[name] = Meter(received, level.dbm0(level.power(stream.sent())), tone)
        if self._sound.active:
            self._meters[SOUND] = self._sound.meter()
        else:
            self._meters.pop(SOUND, None)

    def _record_tick(self, stream: RtpStream, recording: Recording) -> None:
        chunk = recording.add(stream.rx, stream.sent())
        if chunk is not None:
            self._writer.write(recording, chunk)
        if recording.failed:
            stream.recording = None
            self._writer.finish(recording)

    def _shut_down(self) -> None:
        now = time.monotonic()
        if self._orders:
            self._take_orders()
        for name in list(self._streams):
            self._close(orders.CloseStream(name), now)
        self._sound.close()
        self._writer.close()
        while self._writer.finished:
            done = self._writer.finished.popleft()
            self._facts.append(orders.RecordingEnded(done.stream, now, done.path, done.error))
        self._loader.stop()
        while self._orders:  # what came meanwhile: only sockets need care
            self._drop(self._orders.popleft())
        self._report()

    @staticmethod
    def _drop(item: _Item) -> None:
        if isinstance(item, _Adopt):
            item.sock.close()

    # --- orders -----------------------------------------------------------------------------------

    def _take_orders(self) -> None:
        now = time.monotonic()
        for _ in range(len(self._orders)):
            item = self._orders.popleft()
            try:
                self._handlers[type(item)](item, now)
            except Exception:
                log.exception("media: the order %s failed", type(item).__name__)

    def _adopted(self, item: _Adopt, now: float) -> None:
        stream = item.stream
        if stream.name in self._streams:
            self._close(orders.CloseStream(stream.name), now)
        item.sock.setblocking(False)
        stream.open(item.sock, now)
        self._streams[stream.name] = stream
        self._by_fd[item.sock.fileno()] = stream

    def _set_remote(self, order: orders.SetRemote, now: float) -> None:
        if (stream := self._streams.get(order.stream)) is not None:
            stream.set_remote(order, now)

    def _close(self, order: orders.CloseStream, now: float) -> None:
        stream = self._streams.get(order.stream)
        if stream is None:
            return
        self._part(stream)
        self._end_recording(stream)
        del self._streams[order.stream]
        if self._named.get(order.stream) is stream:
            del self._named[order.stream]
        self._by_fd.pop(stream.out.fd, None)
        self._awaited.pop(order.stream, None)
        self._meters.pop(order.stream, None)
        self._reported.discard(order.stream)
        self._facts.append(orders.StreamClosed(order.stream, now, stream.close()))

    def _play(self, order: orders.Play, now: float) -> None:
        if order.stream != SOUND and order.stream not in self._streams:
            self._facts.append(orders.PlaybackEnded(order.stream, now, order.tag, "The call is over."))
            return
        self._awaited[order.stream] = order
        found = self._loader.kept(order.source)
        if found is not None:
            self._loaded(Loaded(order, found, ""), now)
        else:
            self._loader.load(order)

    def _loaded(self, item: Loaded, now: float) -> None:
        order = item.order
        if self._awaited.get(order.stream) is not order:
            return  # stopped, replaced or bridged while it was read
        del self._awaited[order.stream]
        if item.clip is None:
            self._facts.append(orders.PlaybackEnded(order.stream, now, order.tag, item.error))
            return
        player = Player(item.clip, order.loop, order.tag)
        if order.stream == SOUND:
            self._sound.play(player)
        elif (stream := self._streams.get(order.stream)) is not None:
            self._part(stream)
            stream.play(player)

    def _stop_play(self, order: orders.StopPlay, now: float) -> None:
        self._awaited.pop(order.stream, None)
        if order.stream == SOUND:
            self._sound.play(None)
        elif (stream := self._streams.get(order.stream)) is not None:
            stream.play(None)

    def _bridge(self, order: orders.Bridge, now: float) -> None:
        ends: list[RtpStream | SoundCard] = []
        for name in (order.a, order.b):
            end = self._sound if name == SOUND else self._streams.get(name)
            if end is None:
                return
            ends.append(end)
        a, b = ends
        if a is b:
            return
        for name, end in zip((order.a, order.b), ends, strict=True):
            self._awaited.pop(name, None)
            self._part(end)
            end.play(None)
        a.join(b)
        b.join(a)
        if isinstance(a, RtpStream) and isinstance(b, RtpStream) and self._waiter is not None:
            self._waiter.watch(a.out.fd)
            self._waiter.watch(b.out.fd)

    def _part(self, end: RtpStream | SoundCard) -> None:
        """End the bridge that a stream or the headset is in, if any."""
        other = end.peer
        if other is None:
            return
        for each in (end, other):
            if isinstance(each, RtpStream) and self._waiter is not None:
                self._waiter.unwatch(each.out.fd)
            each.join(None)

    def _unbridge(self, order: orders.Unbridge, now: float) -> None:
        end = self._sound if order.stream == SOUND else self._streams.get(order.stream)
        if end is not None:
            self._part(end)

    def _send_digits(self, order: orders.SendDigits, now: float) -> None:
        stream = self._streams.get(order.stream)
        digits = "".join(c for c in order.digits.upper() if c in EVENTS)
        if stream is None or not digits:
            self._facts.append(orders.DigitsSent(order.stream, now, ""))
        else:
            stream.send_digits(digits, order.duration_ms, order.gap_ms, order.inband)

    def _mute(self, order: orders.Mute, now: float) -> None:
        if order.stream == SOUND:
            self._sound.muted = order.muted
        elif (stream := self._streams.get(order.stream)) is not None:
            stream.muted = order.muted

    def _record(self, order: orders.Record, now: float) -> None:
        stream = self._streams.get(order.stream)
        if stream is None:
            if order.path is not None:
                self._facts.append(orders.RecordingEnded(order.stream, now, order.path, "The call is over."))
            return
        self._end_recording(stream)
        if order.path is not None:
            stream.recording = Recording(order.stream, order.path)
            self._writer.start(stream.recording)

    def _end_recording(self, stream: RtpStream) -> None:
        recording, stream.recording = stream.recording, None
        if recording is not None:
            self._writer.finish(recording)

    def _detect(self, order: orders.Detect, now: float) -> None:
        stream = self._streams.get(order.stream)
        if stream is None:
            return
        if stream.analyzer is not None:
            self._facts += [orders.Detected(order.stream, now, d) for d in stream.analyzer.finish()]
            stream.analyzer = None
        if order.on:
            try:
                stream.analyzer = Analyzer(order.country)
            except PlanError:
                stream.analyzer = Analyzer(None)

    def _set_rtp_timeout(self, order: orders.SetRtpTimeout, now: float) -> None:
        if (stream := self._streams.get(order.stream)) is not None:
            stream.timeout_s = order.seconds
            stream.timeout_from = now

    def _open_sound(self, order: orders.OpenSound, now: float) -> None:
        self._sound.open(order.input, order.output, self._post_fact)

    def _close_sound(self, order: orders.CloseSound, now: float) -> None:
        self._part(self._sound)
        self._sound.open("none", "none", self._post_fact)

    def _post_fact(self, fact: Fact) -> None:
        """For the sound card's opening thread: its fact is told by the media thread."""
        self._post(_Tell(fact))

    def _tell(self, item: _Tell, now: float) -> None:
        self._facts.append(item.fact)
