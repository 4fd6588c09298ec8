"""Orders that wait for audio to be played out here: streams whose packets passed untouched until now, or that
nobody listened to. So what is mixed goes on where a bridge's packets end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from engine.media import orders
from engine.media.stream import RtpStream

WARM_UP_S = 0.3
"""So long an order waits at most."""


@dataclass(slots=True)
class _Waiting:
    order: orders.Conference | orders.Gain
    names: frozenset[str]
    cold: list[RtpStream]
    until: float

    def concerns(self, names: Collection[str], conference: str) -> bool:
        same = isinstance(self.order, orders.Conference) and self.order.name == conference
        return same or not self.names.isdisjoint(names)


class Warming:
    """`carry_out` is called with each order once it need not wait any more."""

    def __init__(self, carry_out: Callable[[orders.Conference | orders.Gain], None]) -> None:
        self._carry_out = carry_out
        self._waiting: list[_Waiting] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(
        self, order: orders.Conference | orders.Gain, streams: Collection[RtpStream], now: float
    ) -> None:
        """Carry an order out, at once where nothing is to be waited for."""
        cold = [stream for stream in streams if stream.unheard(now)]
        for stream in cold:
            stream.wanted = True
        names = frozenset(stream.name for stream in streams)
        self._waiting.append(_Waiting(order, names, cold, now + WARM_UP_S))
        self.tick(now)

    def tick(self, now: float) -> None:
        """Carry out what waited long enough."""
        for each in list(self._waiting):
            if now >= each.until or all(stream.ready for stream in each.cold):
                self._end(each)

    def finish(self, names: Collection[str], conference: str = "") -> None:
        """Another order comes, of these streams or this conference: what waits for them comes first."""
        for each in list(self._waiting):
            if each.concerns(names, conference):
                self._end(each)

    def _end(self, each: _Waiting) -> None:
        self._waiting.remove(each)
        for stream in each.cold:
            stream.wanted = False
        self._carry_out(each.order)
