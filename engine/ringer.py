"""What rings at this desk: a call that comes in, and the wait tone while a callee waits for the operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.config import RINGBACK, Config
from engine.legs import LegState
from engine.media import orders
from engine.media.orders import RING
from engine.trunk_leg import TrunkLeg


class Ringer:
    """Told of each change, it has the media thread begin and end the ring."""

    def __init__(self, config: Config, order: Callable[[orders.Order], None], country: str) -> None:
        ring = orders.ToneSource(country or "us", "ringback")
        tone = config.dialer.wait_tone
        self._ring: orders.Source = ring
        self._wait_tone = ring if tone == RINGBACK else orders.WavSource(str(Path(tone).expanduser()))
        self._order = order
        self._calling: set[str] = set()
        self._waiting: set[int] = set()
        self._playing: orders.Source | None = None

    def leg(self, leg: TrunkLeg) -> None:
        """A leg changed."""
        if leg.role == "inbound" and not leg.forwarded_to:
            self._calling.discard(leg.id)
            if leg.state is LegState.RINGING:
                self._calling.add(leg.id)
            self._update()

    def attempt(self, attempt: int, waits: bool) -> None:
        """An attempt changed: whether its callee waits for whoever sits here."""
        self._waiting.discard(attempt)
        if waits:
            self._waiting.add(attempt)
        self._update()

    def _update(self) -> None:
        wanted = self._ring if self._calling else self._wait_tone if self._waiting else None
        if wanted == self._playing:
            return
        self._playing = wanted
        self._order(orders.StopPlay(RING) if wanted is None else orders.Play(RING, wanted, loop=True))
