"""The media thread: one 20 ms clock for every stream; orders in, facts out.

A tick first sends everything that is generated here, stream after stream, with the octets made in the
slack of the tick before. Only then does it play out, decode, detect, record and measure. Between ticks the
thread wakes for packets of bridged streams, which go on at once, and for orders. Packets of streams
that are not bridged wait in their sockets until the tick: nobody needs them earlier.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from engine.detect.plans import plans
from engine.detect.prints import Library
from engine.media import orders
from engine.media.board import Adopt, Board, Item
from engine.media.network import udp
from engine.media.orders import Fact, Meter, Order
from engine.media.playout import Bounds
from engine.media.stream import RtpStream
from engine.media.strip import Seen
from engine.media.timing.clock import PERIOD_NS, Lateness, Waiter
from engine.media.timing.neighbours import Neighbours
from engine.media.timing.priority import raise_priority
from engine.media.timing.rubbish import Collector
from engine.media.timing.shedding import Budget
from engine.media.work import Work

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0002
"""How long another thread may keep the interpreter once the media thread wants it."""
CATCH_UP_TICKS = 5
"""Ticks missed in a stall that are still sent; after a longer one they are skipped."""
MANY = 32
"""Bridged streams, beyond which packets are gathered."""
GATHER_S = 0.0003
"""For so long: to wake for each packet of many costs a third more than to take several at a time."""
SLICE_NS = 200_000
"""Work of the tick done at a stretch, while bridged packets may wait."""


class MediaEngine:
    """Owns the media thread. `on_fact` is called in it, and must return at once.

    `start` changes two settings of the whole process: the interpreter's switch interval, and the
    garbage collector's view of what exists already (`gc.freeze`), so that neither costs a tick. The media
    thread takes the highest scheduling priority it is given; `priority` then names it (see priority.py).
    """

    def __init__(
        self, on_fact: Callable[[Fact], None], *, depth: Bounds | None = None,
        latch: orders.Latch | None = None,
    ) -> None:
        self._on_fact = on_fact
        self.priority = "normal"
        self.neighbours = Neighbours()
        """A thread that runs beside the media thread for long should join them."""
        self._depth = depth
        self._latch = latch
        self._orders: deque[Item] = deque()
        self._lateness = Lateness()
        self._inbox = udp.Inbox()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._board = Board(self._post)
        self._collector = Collector()
        self._work = Work(self._board, self._inbox, self.neighbours, self._collector)
        self._flooded: list[RtpStream] = []

    # --- any thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when it runs already."""
        if self._thread is not None:
            raise RuntimeError("the media engine runs already")
        plans()  # read now: the first Detect must not read a file in the media thread
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._collector.start()
        self._board.waiter = Waiter()
        self._board.loader.start()
        self._board.ears.start()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every stream, the sound card and the recordings, and end the threads."""
        thread, waiter = self._thread, self._board.waiter
        if thread is None or waiter is None:
            return
        self._stopping = True
        waiter.wake()
        if threading.current_thread() is not thread:
            thread.join()
        self.neighbours.dismiss()
        self._collector.stop()
        self._thread = self._board.waiter = None
        waiter.close()

    def order(self, order: Order) -> None:
        """Have the media thread carry out an order, in turn; returns at once."""
        if isinstance(order, orders.OpenStream):
            stream = RtpStream(
                {}, "", 0, "", 0, name=order.stream, depth=self._depth, encrypted=order.encrypted,
                latch=self._latch,
            )
            self.adopt(stream, order.sock, order.control)
        else:
            self._post(order)

    def adopt(
        self, stream: RtpStream, sock: socket.socket, control: socket.socket | None = None
    ) -> None:
        """Serve a stream that a program made itself; as OpenStream otherwise."""
        self._board.named[stream.name] = stream
        self._post(Adopt(stream, sock, control))

    def stream(self, name: str) -> RtpStream | None:
        """A stream by name, from the moment its OpenStream was ordered until it is closed."""
        return self._board.named.get(name)

    def read(self, stream: str, length: int = 160, blocking: bool = True) -> bytes:
        """Received audio as `RtpStream.read` gives it; silence where there is no such stream."""
        found = self._board.named.get(stream)
        return found.read(length, blocking) if found is not None else b"\x80" * length

    def write(self, stream: str, data: bytes) -> None:
        """Audio to send as `RtpStream.write` takes it; nothing where there is no such stream."""
        found = self._board.named.get(stream)
        if found is not None:
            found.write(data)

    def preload(self, source: orders.Source) -> None:
        """Read or synthesise a source now, so that a later `Play` starts in the very next tick."""
        self._board.loader.preload(source)

    def know(self, library: Library) -> None:
        """The announcements that whoever is listened to from now on is compared with."""
        self._board.ears.known = library

    def meters(self) -> dict[str, Meter]:
        """The latest levels of every open stream."""
        return dict(self._board.meters)

    def quality(self, stream: str) -> orders.Quality | None:
        """How a stream sounds, measured once a second; its last one for some time after its end."""
        return self._board.quality.get(stream)

    def looked_at(self, stream: str) -> list[Seen]:
        """The frames that a stream has received since the last time, where an order `Look` asks for them."""
        found = self._board.named.get(stream)
        view = found.view if found is not None else None
        return [view.popleft() for _ in range(len(view))] if view is not None else []

    def late_us(self, percent: float = 99.0) -> int:
        """How late ticks of the last minute began, in microseconds, at a percentile."""
        return self._lateness.percentile(percent)

    @property
    def lateness(self) -> Lateness:
        return self._lateness

    @property
    def shed(self) -> Budget:
        """What was left out for want of time."""
        return self._work.budget

    def _post(self, item: Item) -> None:
        self._orders.append(item)
        waiter = self._board.waiter
        if waiter is not None:
            try:
                waiter.wake()
            except OSError:
                pass  # stopping: nobody is left to carry it out

    # --- the media thread -----------------------------------------------------------------------

    def _run(self) -> None:
        waiter = self._board.waiter
        assert waiter is not None
        self.priority = raise_priority()
        next_ns = time.monotonic_ns() + PERIOD_NS
        waiter.deadline(next_ns)
        while not self._stopping:
            ready = self._look(waiter)
            now_ns = time.monotonic_ns()
            if now_ns >= next_ns:
                next_ns = self._due(next_ns, now_ns)
                waiter.deadline(next_ns)
            if ready:
                self._take_packets(ready, waiter)
            if self._orders:
                self._take_orders(time.monotonic(), tick=False)
            if self._board.facts:
                self._report()
            if self._work.pending:
                end_ns = time.monotonic_ns() + SLICE_NS
                while self._work.step() and time.monotonic_ns() < end_ns:
                    pass
        self._shut_down()

    def _look(self, waiter: Waiter) -> list[int]:
        """The sockets that have packets; waits for them or for the tick where nothing else is to be done."""
        if self._work.pending:
            return waiter.peek()[0]
        if len(waiter.watched) > MANY:
            time.sleep(GATHER_S)
            return waiter.peek()[0]
        return waiter.wait()[0]

    def _due(self, next_ns: int, now_ns: int) -> int:
        """Serve the ticks that are due; the next deadline."""
        missed = (now_ns - next_ns) // PERIOD_NS
        if missed > CATCH_UP_TICKS:
            for stream in self._board.streams.values():
                stream.out.advance(missed)
            self._lateness.skipped += missed
            next_ns += missed * PERIOD_NS
        while next_ns <= now_ns:
            self._tick(next_ns)
            next_ns += PERIOD_NS
        return next_ns

    def _tick(self, deadline_ns: int) -> None:
        now = deadline_ns / 1e9
        self._work.finish()
        if self._orders:
            self._take_orders(now, tick=True)
        self._work.guard_all(self._board.warming.tick, now)
        facts = self._board.facts
        self._lateness.add(time.monotonic_ns() - deadline_ns)
        sound = self._board.sound
        heard_here = []
        for stream in self._board.streams.values():
            if stream.peer is sound or stream.room is not None:
                heard_here.append(stream)  # the microphone takes 0.3 ms, which the others need not wait for
            else:
                self._work.guard(stream, stream.send_tick, now, facts)
        self._work.guard_all(sound.begin_tick, now)
        for stream in heard_here:
            self._work.guard(stream, stream.send_tick, now, facts)
        self._work.begin(now)
        if self._flooded:
            self._listen_again()

    def _take_packets(self, ready: list[int], waiter: Waiter) -> None:
        """One from each bridged stream that has any: where more wait, the next look finds them."""
        now = time.monotonic()
        for fd in ready:
            stream = self._board.by_fd.get(fd)
            if stream is None:
                continue
            if stream.flooded:
                waiter.unwatch(fd)
                self._flooded.append(stream)
            else:
                self._work.guard(stream, stream.arrive, self._inbox, now, self._board.facts)

    def _listen_again(self) -> None:
        """A new tick: streams that were flooded are heard again."""
        flooded, self._flooded = self._flooded, []
        for stream in flooded:
            if isinstance(stream.peer, RtpStream) and self._board.waiter is not None:
                self._board.waiter.watch(stream.out.fd)

    def _report(self) -> None:
        facts, self._board.facts = self._board.facts, []
        for fact in facts:
            try:
                self._on_fact(fact)
            except Exception:
                log.exception("media: the receiver of facts failed")

    def _shut_down(self) -> None:
        now = time.monotonic()
        if self._orders:
            self._take_orders(now, tick=True)
        for name in list(self._board.streams):
            self._board.close(name, now)
        for ending in self._board.endings:  # heard to the end at once, each by itself
            while ending.waits:
                self._work.guard(ending, ending.hear, now, self._board.facts)
            self._work.guard(ending, ending.close, now, self._board.facts)
        self._board.sound.close()
        self._board.control.close()
        self._board.writer.close()
        self._board.facts += self._board.writer.facts
        self._board.loader.stop()
        self._board.ears.stop()
        while self._orders:  # what came meanwhile: only sockets need care
            self._drop(self._orders.popleft())
        self._report()

    @staticmethod
    def _drop(item: Item) -> None:
        if isinstance(item, Adopt):
            item.sock.close()
            if item.control is not None:
                item.control.close()

    # --- orders -----------------------------------------------------------------------------------

    def _take_orders(self, now: float, tick: bool) -> None:
        """Carry out what was ordered. What interrupts a bridge's packets waits for the tick, whose own frame
        then follows them without a gap; and so does all that was ordered after it.
        """
        for _ in range(len(self._orders)):
            if not tick and self._board.interrupts(self._orders[0]):
                return
            item = self._orders.popleft()
            try:
                self._board.carry_out(item, now)
            except Exception:
                log.exception("media: the order %s failed", type(item).__name__)
