"""What of the network is looked at: datagrams over their rate are dropped before anything is parsed.

A flood must neither delay the audio nor lock out the call that is up. So requests that would begin something
new have a small allowance, and what belongs to calls and transactions (responses, ACK, CANCEL, anything with a
To tag) a large one of its own; what comes from addresses that are not the trunk's is counted apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NEW_RATE, NEW_BURST = 50.0, 100.0
WITHIN_RATE, WITHIN_BURST = 1000.0, 500.0
STRANGER_RATE, STRANGER_BURST = 100.0, 50.0
"""Messages a second (and at once): new requests of the trunk's, the rest of the trunk's, and strangers'."""

MAX_SOURCES = 64
_HEAD = 2048
_TO_TAG = re.compile(rb"\n(?:To|t)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*;\s*tag\s*=", re.I)


class TokenBucket:
    """Lets `rate` a second through, `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._tokens, self._at = rate, burst, burst, 0.0

    def take(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def begins_something(data: bytes) -> bool:
    """Whether a message is a request out of every dialog, by a glance at its octets: no response, ACK or
    CANCEL, and no tag in its To."""
    head = data[:_HEAD]
    return not head.startswith((b"SIP/2.0 ", b"ACK ", b"CANCEL ")) and _TO_TAG.search(head) is None


@dataclass
class Gate:
    """Counts what comes and decides what is looked at. Times are in seconds, of any one clock."""

    received: int = 0
    dropped: int = 0
    _new: TokenBucket = field(default_factory=lambda: TokenBucket(NEW_RATE, NEW_BURST))
    _within: TokenBucket = field(default_factory=lambda: TokenBucket(WITHIN_RATE, WITHIN_BURST))
    _strangers: TokenBucket = field(default_factory=lambda: TokenBucket(STRANGER_RATE, STRANGER_BURST))
    _sources: dict[str, int] = field(default_factory=dict)

    def admits(self, data: bytes, host: str, trusted: bool, now: float) -> bool:
        """Whether a message from an address is looked at; `trusted` for the trunk's own."""
        self.received += 1
        bucket = self._strangers if not trusted else self._new if begins_something(data) else self._within
        if bucket.take(now):
            return True
        self.dropped += 1
        if host in self._sources or len(self._sources) < MAX_SOURCES:
            self._sources[host] = self._sources.get(host, 0) + 1
        return False

    def loudest(self) -> str:
        """The address most was dropped of since the last call; empty where nothing was."""
        most = max(self._sources, key=lambda host: self._sources[host], default="")
        self._sources.clear()
        return most
