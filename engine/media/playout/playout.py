"""Play-out: packets in as the network brings them, 20 ms of audio out at each tick, whatever happened.

Packets are kept by timestamp, in samples at 8 kHz whatever the codec's clock, so reordering, packets of any
length and wraps need no special care. How long a packet waits follows what the network does (arrivals.py),
between two bounds: the delay grows and shrinks by whole pitch periods (adaptation.py), so neither jitter that
changes nor a far end whose clock is wrong is heard. Missing audio is made up (conceal.py); a pause that the
far end announced is filled with its noise (comfort.py). Everything kept is bounded.

Terms: a packet's *transit* is its arrival less its timestamp. The *lead* is the same of the moment at which a
timestamp is fetched to be played: a packet whose transit is above the lead is late. What is fetched and not
played yet, `_ready`, adds to the delay; so with ticks of 20 ms the delay, the *depth* if counted from the
fastest packets' transit, can be up to 20 ms more than the lead must be.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from engine.media import codec
from engine.media.codec import FRAME, Pcm
from engine.media.coders import duration, scale
from engine.media.comfort import ComfortNoise
from engine.media.network.rtp import Packet
from engine.media.playout.adaptation import WARM, Adaptation
from engine.media.playout.arrivals import Arrivals
from engine.media.playout.conceal import BEYOND, HISTORY, REACH, Concealment
from engine.media.playout.figures import Bounds, PlayoutFigures
from engine.media.playout.timeaxis import TimeAxis

MAX_PACKETS = 100
IDLE = 1600
"""So many samples made up, with no packet there, end a talkspurt."""
LATE_RUN = 5
"""So many packets in a row too late mean that the path has become longer."""
_TOO_MUCH = 320
"""What is so far above the greatest depth is not squeezed but dropped."""
_FADE = 40
_LOUD = 300
"""A talkspurt that begins with more than this is faded in."""
_NOTHING: Pcm = np.zeros(0, np.int16)

_FALLING = 1 - (np.arange(_FADE, dtype=np.float32) + 0.5) / _FADE


class Playout:
    """`put` packets as they come, `get` 20 ms of audio every 20 ms. Times are monotonic seconds.

    `decode(codec's name, payload)` makes audio of a payload; it is called in the order of playing. The counts
    are of packets: `late` came after they were needed, `lost` had not come when what follows them was played,
    `discarded` were given up since the buffer held too much; `resets` are breaks of the time axis.
    `concealed` are samples made up.
    """

    def __init__(
        self, bounds: Bounds | None = None, decode: Callable[[str, bytes], Pcm] = codec.decode
    ) -> None:
        bounds = bounds or Bounds()
        self._decode = decode
        self._delay = Adaptation(bounds)
        self._most = bounds.most * 8
        self._arrivals = Arrivals()
        self._packets: dict[int, tuple[bytes, str]] = {}
        self._ready: Pcm = _NOTHING
        self._played: deque[Pcm] = deque((codec.SILENT_PCM,) * (HISTORY // FRAME), HISTORY // FRAME)
        self._hole: Concealment | None = None
        self._axis = TimeAxis(self._most)
        self._next: int | None = None
        """Timestamp of what is fetched next; None while nothing is played."""
        self._start_at = 0.0
        self._phases = FRAME  # `_ready` can be so many samples apart when packets are fetched
        self._late_run = 0
        self._tick = 0.0
        self._noise: ComfortNoise | None = None
        self._noise_from: tuple[int, bytes] | None = None
        self._paused = self._fresh = False
        self.late = self.lost = self.discarded = self.resets = 0
        self.concealed = 0

    @property
    def playing(self) -> bool:
        """Whether what the far end says is played, rather than silence or noise while it says nothing."""
        return self._next is not None

    @property
    def holds(self) -> bool:
        """Whether audio has come that was not played yet."""
        return bool(self._packets) or len(self._ready) >= FRAME

    @property
    def noise(self) -> bool:
        """Whether comfort noise is played."""
        return self._noise is not None

    def figures(self) -> PlayoutFigures:
        """The counts, and how deep the buffer was at the last tick and means to be, in ms."""
        depth = 0.0
        if self._next is not None:
            tick = self._tick
            depth = tick - self._next + len(self._ready) + FRAME - self._arrivals.fastest_at(tick)
        return PlayoutFigures(
            max(0.0, depth / 8), self._wanted() / 8, self.late, self.lost, self.discarded, self.resets,
            self.concealed // 8, self._delay.stretched // 8, self._delay.squeezed // 8,
        )

    def flush(self) -> None:
        """Forget what waits and what was learnt of the network; the counts stay."""
        self._arrivals = Arrivals()
        self._packets.clear()
        self._ready = _NOTHING
        self._played.extend((codec.SILENT_PCM,) * (HISTORY // FRAME))
        self._hole = self._noise = self._noise_from = None
        self._axis = TimeAxis(self._most)
        self._next = None
        self._late_run = 0
        self._delay.forget_losses()
        self._paused = False

    # --- in -----------------------------------------------------------------------------------------

    def put(self, packet: Packet, law: str, now: float) -> bool:
        """Take one packet of a codec; False where it is of no use: damaged, late, there already, too much."""
        length = duration(law, packet.payload)
        if not length:
            return False
        if self._axis.breaks(packet, scale(law), length, now * 8000, self._may_be_off()):
            at = self._move_axis(packet, scale(law), length, now * 8000)
        else:
            at = self._axis.place(packet, length, now * 8000)
        self._arrivals.add(now * 8000 - at, now * 8000)
        if self._next is None:
            if not self._packets:
                self._start_at = now * 8000 + self._delay.start
        elif at + length <= self._next:
            self.late += 1
            self._late_run += 1
            if self._late_run < LATE_RUN:
                return False
            at = self._move_axis(packet, scale(law), length, now * 8000)
        if at in self._packets:
            return False
        if len(self._packets) >= MAX_PACKETS:
            self.discarded += 1
            return False
        self._late_run = 0
        self._paused = False
        self._packets[at] = (packet.payload, law)
        return True

    def put_noise(self, packet: Packet) -> None:
        """Take a packet of comfort noise (RFC 3389): what the pause that begins with it sounds like."""
        if self._next is None:
            self._begin_noise(packet.payload)
        else:
            self._noise_from = (self._axis.pass_over(packet, self._next), packet.payload)

    def pass_over(self, packet: Packet) -> None:
        """A packet of the stream without audio (a telephone-event): until audio comes there is silence."""
        self._axis.pass_over(packet, 0)
        self._paused = True

    def _may_be_off(self) -> float | None:
        """After a pause: the transit that a packet's must not be too far from."""
        return self._arrivals.fastest if self._next is None and not self._packets else None

    def _move_axis(self, packet: Packet, units: int, length: int, now: float) -> int:
        """Let a packet follow what we have, or come in time, whatever its timestamp says."""
        if self._axis.ssrc is None:
            return self._axis.begin(packet, units, length, now, packet.timestamp)
        self.resets += 1
        at = int(max(self._axis.end, now - self._arrivals.fastest, self._next or 0))
        return self._axis.begin(packet, units, length, now, at)

    # --- out ----------------------------------------------------------------------------------------

    def get(self, now: float) -> Pcm:
        """The next 160 samples."""
        tick = self._tick = now * 8000
        if self._next is None:
            self._begin(tick)
        if self._next is None:
            out = self._noise.frame() if self._noise is not None else codec.SILENT_PCM
            self._played.append(out)
            return out
        assert self._next is not None
        if self._hole is None and tick - self._next - self._arrivals.fastest > self._most + _TOO_MUCH:
            self._catch_up(tick)
        ready = self._ready
        if len(ready) < FRAME:
            ready = self._fetch(ready)
        if self._hole is None and self._next is not None:
            ready = self._adapt(ready, tick)
        if len(ready) == FRAME:
            self._ready = _NOTHING
            self._played.append(ready)
            return ready
        out, self._ready = ready[:FRAME], ready[FRAME:]
        self._played.append(out)
        return out

    def _begin(self, tick: float) -> None:
        """Begin to play, if it is time."""
        if not self._packets:
            return
        first = min(self._packets)
        if self._arrivals.count < WARM:
            if tick < self._start_at:
                return
        elif tick - first - self._arrivals.fastest < self._wanted():
            return
        self._next = first
        self._ready = _NOTHING
        self._hole = self._noise = self._noise_from = None
        self._fresh = True

    def _fetch(self, ready: Pcm) -> Pcm:
        """Make it a frame at least, out of packets and, where they are missing, out of what was played."""
        while len(ready) < FRAME:
            assert self._next is not None
            if (found := self._packets.pop(self._next, None) or self._overlapping()) is not None:
                more = self._decoded(found)
            elif self._pause():
                more = self._fade_out(ready, FRAME - len(ready))
            else:
                more = self._fill(ready, FRAME - len(ready))
            ready = np.concatenate((ready, more)) if len(ready) else more
        return ready

    def _decoded(self, found: tuple[bytes, str]) -> Pcm:
        assert self._next is not None
        pcm = self._decode(found[1], found[0])
        self._next += len(pcm)
        if len(pcm) != FRAME or self._phases != FRAME:
            self._phases = math.gcd(len(pcm), FRAME)
        if self._hole is not None:
            pcm = self._hole.join(pcm)
            self._hole = None
        elif self._fresh and abs(int(pcm[0])) > _LOUD:
            pcm = pcm.copy()
            short = min(len(pcm), _FADE)
            pcm[:short] = pcm[:short] * _FALLING[short - 1 :: -1]
        self._fresh = False
        return pcm

    def _overlapping(self) -> tuple[bytes, str] | None:
        """A packet that began before what is due and reaches beyond it; only its later octets are new."""
        assert self._next is not None
        for at in sorted(at for at in self._packets if at < self._next):
            payload, law = self._packets.pop(at)
            over = at + duration(law, payload) - self._next
            if over > 0:
                if law != "opus":
                    return payload[-over:], law
                self._next = at  # a frame of Opus can't be cut: a little is heard twice
                return payload, law
        return None

    def _pause(self) -> bool:
        """Whether nothing more is to be expected now, which nothing needs to be made up for."""
        assert self._next is not None
        if self._packets:
            return False
        made = self._hole.made if self._hole is not None else 0
        noise = self._noise_from
        if noise is not None and noise[0] <= self._next + made + FRAME:
            self._begin_noise(noise[1])
            return True
        return self._paused or made >= IDLE

    def _fade_out(self, ready: Pcm, count: int) -> Pcm:
        """The talkspurt's end, in place of a click."""
        hole = self._hole or self._concealment(ready)
        tail = self._noise.frame()[:count].copy() if self._noise is not None else np.zeros(count, np.int16)
        short = min(count, _FADE)
        tail[:short] += (hole.take(short) * _FALLING[:short]).astype(np.int16)
        self._next = self._hole = None
        return tail

    def _concealment(self, ready: Pcm) -> Concealment:
        return Concealment(np.concatenate((*self._played, ready)))

    def _fill(self, ready: Pcm, count: int) -> Pcm:
        """Samples for a hole, `count` or up to its end; none where it has ended."""
        assert self._next is not None
        hole = self._hole
        if self._packets:
            first = min(self._packets)
            left = first - self._next - (hole.made if hole is not None else 0)
            if left <= 0:
                self._lose(first)
                return _NOTHING
            if left <= REACH:
                return self._bridge(hole or self._concealment(ready), first, left)
            count = min(count, left)
        if hole is None:
            hole = self._hole = self._concealment(ready)
        self.concealed += count
        return hole.take(count)

    def _bridge(self, hole: Concealment, first: int, left: int) -> Pcm:
        """The rest of a hole, `left` samples, of which the other side is here, and that."""
        self._hole = None
        self._lose(first)
        beyond = self._decoded(self._packets.pop(first))
        self.concealed += left
        return hole.bridge(left, self._more(beyond, BEYOND))

    def _more(self, pcm: Pcm, wanted: int) -> Pcm:
        """So many samples, as far as what follows is here."""
        while len(pcm) < wanted and self._next in self._packets:
            pcm = np.concatenate((pcm, self._decoded(self._packets.pop(self._next))))
        return pcm

    def _lose(self, first: int) -> None:
        """Give up what has not come before `first`, which is here."""
        assert self._next is not None
        payload, law = self._packets[first]
        self.lost += -(-(first - self._next) // duration(law, payload))
        self._delay.lost(first)
        self._next = first

    def _begin_noise(self, payload: bytes) -> None:
        self._noise = ComfortNoise(payload)
        self._noise_from = None

    # --- delay --------------------------------------------------------------------------------------

    def _wanted(self) -> float:
        """The depth that the network asks for, counted from the fastest packets' transit, in samples."""
        return self._delay.wanted(self._arrivals, self._next)

    def _adapt(self, ready: Pcm, tick: float) -> Pcm:
        """Lengthen or shorten what is about to be played, where the delay should be another."""
        assert self._next is not None
        depth = tick - self._next + len(ready) - self._arrivals.fastest_at(tick)
        ready = self._delay.adapt(
            ready, self._played[-1], depth, self._phases, self._arrivals, self._next, self._more
        )
        return self._fetch(ready) if len(ready) < FRAME else ready

    def _catch_up(self, tick: float) -> None:
        """Far too much is held (a path that stalled came back to life): go on where we should be."""
        if not self._packets:
            return
        due = tick - self._arrivals.fastest - self._wanted()
        last = max(self._packets)
        for at in [at for at in self._packets if at < due and at != last]:
            del self._packets[at]
            self.discarded += 1
        self._hole = self._hole or self._concealment(self._ready)
        self._ready = _NOTHING
        self._next = min(self._packets)
