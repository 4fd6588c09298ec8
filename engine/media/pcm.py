"""Audio between the media thread and a program's own threads, for pyVoIP's read and write."""

from __future__ import annotations

import threading

import numpy as np

from engine.media.codec import Pcm

MAX_READ_S = 10
"""Received audio kept for a reader; the oldest goes first."""
MAX_WRITE_S = 300
"""Written audio kept to be sent; what is written beyond is dropped."""


def from_bytes(data: bytes, width: int) -> Pcm:
    """8-bit unsigned linear (`width` 1, pyVoIP's format) or 16-bit signed little-endian as int16."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    return np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)


def to_bytes(pcm: Pcm, width: int) -> bytes:
    """The reverse of `from_bytes`, rounding to 8 bits and limiting."""
    if width == 1:
        rounded = np.minimum((pcm.astype(np.int32) + 0x8080) >> 8, 255)
        eight: bytes = rounded.astype(np.uint8).tobytes()
        return eight
    octets: bytes = pcm.astype("<i2").tobytes()
    return octets


class PcmQueue:
    """Bounded queue of octets between one writer and one reader. `dropped` counts lost octets."""

    def __init__(self, limit: int, *, keep_newest: bool) -> None:
        self._data = bytearray()
        self._limit = limit
        self._keep_newest = keep_newest
        self._ready = threading.Condition(threading.Lock())
        self._closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._data)

    def put(self, data: bytes) -> None:
        """Append; where it gets too long, the oldest or the newest octets are dropped."""
        with self._ready:
            self._data += data
            extra = len(self._data) - self._limit
            if extra > 0:
                self.dropped += extra
                if self._keep_newest:
                    del self._data[:extra]
                else:
                    del self._data[self._limit :]
            self._ready.notify_all()

    def take(self, count: int) -> bytes:
        """Up to `count` octets, without waiting."""
        with self._ready:
            piece = bytes(self._data[:count])
            del self._data[:count]
            return piece

    def take_whole(self, count: int) -> bytes:
        """Exactly `count` octets once they are there; what there is when the queue is closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or len(self._data) >= count)
        return self.take(count)

    def close(self) -> None:
        """End every wait."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()


