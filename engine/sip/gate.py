"""What of the network is looked at: datagrams over their rate are dropped before anything is parsed.

A flood must neither delay the audio nor lock out the call that is up. So whatever names a Call-ID of ours has
an allowance of its own, large; requests that would begin something new have a small one; and what comes
from addresses that are not the trunk's is counted apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

OURS_RATE, OURS_BURST = 2000.0, 500.0
WITHIN_RATE, WITHIN_BURST = 500.0, 500.0
NEW_RATE, NEW_BURST = 20.0, 60.0
STRANGER_RATE, STRANGER_BURST = 100.0, 50.0
"""Messages a second (and at once): of our calls and registration; then of the trunk's others those within
some transaction or dialog, and those that begin something; then strangers'."""

REPORT_EVERY = 60.0
MAX_SOURCES = 64
_HEAD = 2048
_CALL_ID = re.compile(rb"\n(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]+)", re.I)
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
    on_flood: Callable[[str], None] = lambda text: None
    """Called with one sentence when messages begin to be dropped, then once a minute while they are."""
    knows: Callable[[str], bool] = lambda call_id: False
    """Whether a Call-ID is that of a call or registration of ours."""
    _ours: TokenBucket = field(default_factory=lambda: TokenBucket(OURS_RATE, OURS_BURST))
    _new: TokenBucket = field(default_factory=lambda: TokenBucket(NEW_RATE, NEW_BURST))
    _within: TokenBucket = field(default_factory=lambda: TokenBucket(WITHIN_RATE, WITHIN_BURST))
    _strangers: TokenBucket = field(default_factory=lambda: TokenBucket(STRANGER_RATE, STRANGER_BURST))
    _sources: dict[str, int] = field(default_factory=dict)
    _report_at: float = float("-inf")
    _reported: int = 0

    def admits(self, data: bytes, host: str, trusted: bool, now: float) -> bool:
        """Whether a message from an address is looked at; `trusted` for the trunk's own."""
        self.received += 1
        if self._bucket(data, trusted).take(now):
            return True
        self.dropped += 1
        if host in self._sources or len(self._sources) < MAX_SOURCES:
            self._sources[host] = self._sources.get(host, 0) + 1
        if now >= self._report_at:
            self._report(now)
        return False

    def _bucket(self, data: bytes, trusted: bool) -> TokenBucket:
        named = _CALL_ID.search(data, 0, _HEAD)
        if named and self.knows(named[1].decode("utf-8", "replace").strip()):
            return self._ours
        if not trusted:
            return self._strangers
        return self._new if begins_something(data) else self._within

    def _report(self, now: float) -> None:
        count, self._reported = self.dropped - self._reported, self.dropped
        loudest = max(self._sources, key=lambda host: self._sources[host], default="?")
        self._sources.clear()
        self._report_at = now + REPORT_EVERY
        self.on_flood(
            f"SIP messages come faster than they are looked at: {count:,} dropped, most from {loudest}"
        )
