"""What consoles look at: spectrogram columns of those legs, and of no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from engine import wire
from engine.control import messages
from engine.line import TrunkLine
from engine.media import orders
from engine.media.engine import MediaEngine
from engine.media.strip import COLUMN_S, Strip


@dataclass(slots=True)
class _Look:
    stream: str
    strip: Strip = field(default_factory=Strip)


class Looking:
    """`tick` is called some times a second, with the legs that consoles look at now."""

    def __init__(
        self, line: TrunkLine, media: MediaEngine, publish: Callable[[messages.Spectrum], None]
    ) -> None:
        self._line = line
        self._media = media
        self._publish = publish
        self._looks: dict[str, _Look] = {}

    def tick(self, wanted: Iterable[str]) -> None:
        """Begin and end to look as is wanted, and tell what has come since the last time."""
        streams = {leg: found.stream for leg in wanted if (found := self._line.legs.get(leg)) is not None}
        for leg, look in list(self._looks.items()):
            if streams.get(leg) != look.stream:
                del self._looks[leg]
                self._media.order(orders.Look(look.stream, False))
        for leg, stream in streams.items():
            if leg not in self._looks:
                self._looks[leg] = _Look(stream)
                self._media.order(orders.Look(stream, True))
            self._tell(leg, self._looks[leg])

    def _tell(self, leg: str, look: _Look) -> None:
        columns = [
            column for at, frame in self._media.looked_at(look.stream)
            if (column := look.strip.feed(at, frame)) is not None
        ]  # fmt: skip
        for column in columns:
            at = wire.wall(column.at)
            self._publish(messages.Spectrum(at=at, leg=leg, step_s=COLUMN_S, columns=[column.levels]))
