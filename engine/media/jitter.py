"""A jitter buffer of fixed depth: puts a stream's packets back on its own time axis.

Keyed by RTP timestamp, in samples at 8 kHz whatever the codec's clock, so reordering, duplicates, packets
of any length and wraps of sequence (2**16) and timestamp (2**32) need no special care. Play-out starts
`depth_ms` after the first packet of a talkspurt came, less the 20 ms that the clock's grid may add. It
starts over where the time axis itself breaks: another SSRC or clock, a leap of the timestamp, or packets that
all come too late. Everything kept is bounded by `MAX_PACKETS`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.media import codec
from engine.media.codec import FRAME, Pcm
from engine.media.coders import duration, scale
from engine.media.rtp import Packet

MAX_PACKETS = 100
LEAP = 8000 * 3
"""A timestamp further than this from the last one is another time axis, in samples."""
IDLE_FRAMES = 10
"""So many frames with nothing buffered end a talkspurt."""
LATE_RUN = 5
"""So many packets in a row too late mean that the path has become longer."""
_NOTHING: Pcm = np.zeros(0, np.int16)

_M16, _M32 = 0xFFFF, 0xFFFFFFFF


class JitterBuffer:
    """`put` packets as they come, `get` 20 ms of audio every 20 ms. Times are monotonic seconds.

    `decode(codec's name, payload)` makes audio of a payload; it is called in the order of playing.
    """

    def __init__(self, depth_ms: int, decode: Callable[[str, bytes], Pcm] = codec.decode) -> None:
        self._decode = decode
        self._depth_s = max(0.0, depth_ms / 1000 - 0.02)
        self._max_span = (depth_ms + 120) * 8
        self._keep_span = depth_ms * 8
        self._packets: dict[int, tuple[bytes, str]] = {}
        self._rest: Pcm = _NOTHING
        self._ssrc: int | None = None
        self._next: int | None = None  # extended timestamp of the next sample to play
        self._start_at = 0.0
        self._shift = 0
        self._last_ts = self._last_end = 0
        self._last_raw = 0  # the same as `_last_ts`, as RTP had it
        self._scale = 1
        self._last_arrival = 0.0
        self._empty = self._late_run = 0
        self._base_seq = self._last_seq = 0
        self._seen = 0
        self.received = 0
        self.late = 0
        self.duplicates = 0
        self.dropped = 0
        """Packets given up because the buffer held too much."""
        self.resets = 0
        self._lost_before = 0

    @property
    def lost(self) -> int:
        """Packets whose sequence numbers never came (RFC 3550 appendix A.3)."""
        return self._lost_before + self._lost_now()

    def _lost_now(self) -> int:
        if self._ssrc is None:
            return 0
        return max(0, self._last_seq - self._base_seq + 1 - self._seen)

    def put(self, packet: Packet, law: str, now: float) -> bool:
        """Take one packet of a codec; False for a duplicate, which is forgotten."""
        length = duration(law, packet.payload)
        if not length:
            return True
        if packet.ssrc != self._ssrc or scale(law) != self._scale:
            self._scale = scale(law)
            self._new_axis(packet, length, now)
            timestamp = packet.timestamp
            contiguous = False
        else:
            delta = ((packet.sequence - self._last_seq + 0x8000) & _M16) - 0x8000
            if delta <= 0 and not self._fresh(delta):
                self.duplicates += 1
                return False
            contiguous = delta == 1
            step = (((packet.timestamp - self._last_raw + 0x80000000) & _M32) - 0x80000000) // self._scale
            if abs(step) > LEAP or abs(delta) > 3000:
                self._new_axis(packet, length, now)
                timestamp = packet.timestamp
            else:
                timestamp = self._last_ts + step
                if delta > 0:
                    self._advance(delta)
        self._seen += 1
        self.received += 1
        if timestamp >= self._last_ts:
            self._last_raw = packet.timestamp
        self._insert(timestamp, packet.payload, law, length, contiguous, now)
        return True

    def pass_over(self, packet: Packet) -> None:
        """A packet of the stream that holds no audio (a telephone-event, comfort noise): it is not lost."""
        if packet.ssrc != self._ssrc:
            return
        delta = ((packet.sequence - self._last_seq + 0x8000) & _M16) - 0x8000
        if 0 < delta <= 3000:
            self._advance(delta)
            self._seen += 1
        elif delta <= 0 and self._fresh(delta):
            self._seen += 1

    def flush(self) -> None:
        """Forget what waits; the next packet begins anew."""
        self._packets.clear()
        self._rest = _NOTHING
        self._next = None

    def _new_axis(self, packet: Packet, length: int, now: float) -> None:
        if self._ssrc is not None:
            self.resets += 1
            self._lost_before += self._lost_now()
        self._packets.clear()
        self._rest = _NOTHING
        self._ssrc = packet.ssrc
        self._base_seq = self._last_seq = packet.sequence
        self._window = 1
        self._seen = 0
        self._shift = 0
        self._last_ts, self._last_end = packet.timestamp, packet.timestamp + length
        self._last_raw = packet.timestamp
        self._next = None
        self._last_arrival = now

    _window = 0  # bit n: the sequence number `last - n` came

    def _fresh(self, delta: int) -> bool:
        if -delta >= 256:
            return False
        bit = 1 << -delta
        if self._window & bit:
            return False
        self._window |= bit
        return True

    def _advance(self, delta: int) -> None:
        self._last_seq += delta
        self._window = ((self._window << delta) | 1) & ((1 << 256) - 1)

    def _insert(
        self, timestamp: int, payload: bytes, law: str, length: int, contiguous: bool, now: float
    ) -> None:
        if timestamp >= self._last_ts:
            gap = timestamp - self._last_end
            # A leap of the timestamp with neither loss nor a pause: the sender's own time axis broke.
            if contiguous and gap > 1600 and now - self._last_arrival < 0.1 and self._next is not None:
                self._shift -= gap
            self._last_ts, self._last_end = timestamp, timestamp + length
            self._last_arrival = now
        at = timestamp + self._shift
        if self._next is None:
            if not self._packets:
                self._start_at = now + self._depth_s
        elif at + length <= self._next:
            self.late += 1
            self._late_run += 1
            if self._late_run >= LATE_RUN:
                self._packets.clear()
                self._next = None
                self._start_at = now + self._depth_s
                self._late_run = 0
                self.resets += 1
            else:
                return
        else:
            self._late_run = 0
        if len(self._packets) >= MAX_PACKETS:
            self.dropped += 1
            return
        self._packets[at] = (payload, law)

    def get(self, now: float) -> Pcm | None:
        """The next 160 samples; None before play-out starts and where they are missing."""
        packets = self._packets
        if self._next is None:
            if not packets or now < self._start_at:
                return None
            self._next = min(packets)
            self._empty = 0
        at = self._next
        self._next = at + FRAME
        if not len(self._rest):
            found = packets.pop(at, None)
            if found is not None:
                pcm = self._decode(found[1], found[0])
                if len(pcm) == FRAME:
                    self._empty = 0
                    if self._last_end + self._shift - at > self._max_span:
                        self._catch_up()
                    return pcm
                self._rest = pcm
        return self._compose(at)

    def _catch_up(self) -> None:
        """The sender's clock is faster, or a stalled path came back to life: drop the oldest."""
        if self._next is None:
            return
        target = self._last_end + self._shift - self._keep_span
        target = self._next + (target - self._next) // FRAME * FRAME
        for old in [t for t in self._packets if t < target]:
            del self._packets[old]
            self.dropped += 1
        self._next = max(self._next, target)

    def _compose(self, at: int) -> Pcm | None:
        """A frame out of packets that are not of 20 ms, or not on the grid."""
        pieces, size = [self._rest], len(self._rest)
        whole = size > 0
        self._rest = _NOTHING
        end = at + FRAME
        if not whole and not self._packets:
            self._empty += 1
            if self._empty >= IDLE_FRAMES:
                self._next = None
            return None
        while size < FRAME:
            pcm = self._take(at + size)
            if pcm is None:
                start = min((t for t in self._packets if at + size < t < end), default=end)
                pcm = codec.SILENT_PCM[: start - at - size]
            else:
                whole = True
            pieces.append(pcm)
            size += len(pcm)
        data = np.concatenate(pieces)
        if size > FRAME:
            self._rest = data[FRAME:]
            data = data[:FRAME]
        if whole:
            self._empty = 0
        elif len(self._packets) == 0:
            self._empty += 1
        return data if whole else None

    def _take(self, at: int) -> Pcm | None:
        """What is to be played from a moment on, cut to begin there; never empty."""
        found = self._packets.pop(at, None)
        if found is not None:
            return self._decode(found[1], found[0])
        for start in sorted(self._packets):
            if start >= at:
                return None
            payload, law = self._packets.pop(start)
            if start + duration(law, payload) > at:
                return self._decode(law, payload)[at - start :]
        return None
