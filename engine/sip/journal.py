"""The last messages of every call, kept in memory within bounds, credentials masked as they are stored."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from engine.sip.hop import Hop
from engine.sip.trace import mask

MAX_MESSAGES, MAX_BYTES = 200, 256 * 1024
"""Of one call, and of the trunk's own messages; the oldest go first."""
MAX_ENDED = 64
"""Calls that have ended and are still known."""

_CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]+)", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Passed:
    """One message as it passed. `at` in seconds of UNIX time."""

    at: float
    sent: bool
    local: Hop
    remote: Hop
    data: bytes


@dataclass(slots=True)
class Ring:
    """Messages in order, within MAX_MESSAGES and MAX_BYTES; `lost` older ones went."""

    title: str = ""
    lost: int = 0
    _kept: deque[Passed] = field(default_factory=deque)
    _bytes: int = 0

    def add(self, message: Passed) -> None:
        self._kept.append(message)
        self._bytes += len(message.data)
        while len(self._kept) > MAX_MESSAGES or (self._bytes > MAX_BYTES and len(self._kept) > 1):
            self._bytes -= len(self._kept.popleft().data)
            self.lost += 1

    def take(self, wanted: Callable[[Passed], bool]) -> list[Passed]:
        """Remove and return the messages that pass a test."""
        found = [message for message in self._kept if wanted(message)]
        if found:
            self._kept = deque(message for message in self._kept if not wanted(message))
            self._bytes = sum(len(message.data) for message in self._kept)
        return found

    def __iter__(self) -> Iterator[Passed]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(slots=True)
class CallRing(Ring):
    call_id: str = ""
    leg: str = ""
    number: str = ""


class Journal:
    """Rings by call. What belongs to no call is in `trunk`, or in `strangers` where others sent it."""

    def __init__(self) -> None:
        self.trunk = Ring("the trunk's own messages")
        self.strangers = Ring("messages from addresses that are not the trunk's")
        self._calls: dict[str, CallRing] = {}
        self._ended: OrderedDict[str, CallRing] = OrderedDict()

    def add(self, message: Passed, *, trusted: bool = True) -> None:
        """Keep a message; `trusted` false for one that came from a stranger."""
        call_id = call_id_of(message.data)
        stored = Passed(message.at, message.sent, message.local, message.remote, mask(message.data))
        outside = self.trunk if trusted else self.strangers
        self._calls.get(call_id, self._ended.get(call_id, outside)).add(stored)

    def open(self, call_id: str, leg: str, number: str) -> None:
        """A call begins; the message that began it is taken over."""
        ring = CallRing(f"leg {leg}, {number}", call_id=call_id, leg=leg, number=number)
        for message in self.trunk.take(lambda m: call_id_of(m.data) == call_id):
            ring.add(message)
        self._ended.pop(call_id, None)
        self._calls[call_id] = ring

    def close(self, call_id: str) -> None:
        """A call has ended; it stays known until MAX_ENDED later ones have."""
        ring = self._calls.pop(call_id, None)
        if ring is not None:
            self._ended[call_id] = ring
            while len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)

    def find(self, what: str) -> Ring | None:
        """The ring of a call by leg, number or Call-ID, the latest where several fit; or `last`, `trunk`,
        `strangers`."""
        if what in ("trunk", "strangers"):
            return self.trunk if what == "trunk" else self.strangers
        calls = [*self._ended.values(), *self._calls.values()]
        fitting = [c for c in calls if what in (c.leg, c.number, c.call_id)]
        if what == "last":
            fitting = calls
        return fitting[-1] if fitting else None


def call_id_of(data: bytes) -> str:
    """A message's Call-ID by a glance at its octets; empty where it has none."""
    found = _CALL_ID.search(data, 0, 4096)
    return found[1].decode("utf-8", "replace").strip() if found else ""
