"""Conferences: each member hears the sum of those it is to hear, never itself (mix-minus).

All sums of a tick are one product of a matrix (who hears whom) with the members' frames, in int32, limited
softly where they are given out. Members that hear the same in the same G.711 share its encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.media import codec
from engine.media.codec import FRAME, Pcm
from engine.media.gain import FALL, RISE, limit

_Matrix = npt.NDArray[np.int32]


class Feed(Protocol):
    """A bridge's or conference's audio for one stream. Where `fresh`, a frame is whole in its tick only,
    because the microphone is in it; else in the slack of the tick before.
    """

    @property
    def fresh(self) -> bool: ...

    @property
    def ready(self) -> bool:
        """Whether anything is there to be heard yet."""

    def pcm(self) -> Pcm: ...

    def octets(self, law: str) -> bytes:
        """The same in G.711."""


class Party(Protocol):
    """A member: a stream, or the headset."""

    @property
    def ready(self) -> bool: ...

    def heard(self) -> Pcm: ...


@dataclass(frozen=True, slots=True)
class Ear:
    """A bridge's feed: what the other side gives."""

    party: Party
    fresh: bool

    @property
    def ready(self) -> bool:
        return self.party.ready

    def pcm(self) -> Pcm:
        return self.party.heard()

    def octets(self, law: str) -> bytes:
        return codec.encode(law, self.party.heard())


class Mix:
    """One sum of a tick, made and encoded once for all members that hear it."""

    def __init__(self, total: _Matrix, microphone: Party | None) -> None:
        self._total = total
        self._microphone = microphone
        self._pcm: Pcm | None = None
        self._encoded: dict[str, bytes] = {}

    def pcm(self) -> Pcm:
        if self._pcm is None:
            total = self._total if self._microphone is None else self._total + self._microphone.heard()
            self._pcm = limit(total)
        return self._pcm

    def octets(self, law: str) -> bytes:
        if law not in self._encoded:
            self._encoded[law] = codec.encode(law, self.pcm())
        return self._encoded[law]


_SILENCE = Mix(np.zeros(FRAME, np.int32), None)


class Place:
    """One member's ear."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.row: frozenset[Party] = frozenset()
        self.fresh = False
        self.mix = _SILENCE

    @property
    def ready(self) -> bool:
        return not self.row or any(party.ready for party in self.row)

    def pcm(self) -> Pcm:
        return self.mix.pcm()

    def octets(self, law: str) -> bytes:
        return self.mix.octets(law)


class Room:
    """One conference. `seat` the members, then in each tick `gather` once their frames are there.

    The microphone, where it is a member, comes to a mix in the tick after: as it does in a bridge.
    """

    def __init__(self, microphone: Party) -> None:
        self.places: dict[str, Place] = {}
        self._microphone = microphone
        self._speakers: list[Party] = []
        self._rows: list[frozenset[Party]] = []
        self._weights: _Matrix = np.zeros((0, 0), np.int32)
        self._before: dict[Party, frozenset[Party]] = {}
        self._row_of: list[int] = []

    def seat(self, parties: dict[str, Party], hears: dict[str, Sequence[str] | None]) -> None:
        """Who is there, and whom each is to hear (None: everybody else)."""
        self._before = self._hearing()
        kept = self.places
        self.places = {n: kept[n] if n in kept else Place(p) for n, p in parties.items()}
        for name, place in self.places.items():
            if place.party is not parties[name]:
                self.places[name] = Place(parties[name])
        wanted = []
        for name in parties:
            ears = hears.get(name)
            names = parties if ears is None else ears
            wanted.append(frozenset(parties[n] for n in names if n in parties and n != name))
        self._rows = list(dict.fromkeys(wanted))
        self._row_of = [self._rows.index(row) for row in wanted]
        for place, row in zip(self.places.values(), wanted, strict=True):
            place.row, place.fresh = row, self._microphone in row
        self._speakers = [p for p in parties.values() if any(p in row for row in self._rows)]
        self._weights = self._matrix(self._rows, self._speakers)

    def leave(self, name: str) -> None:
        """Take one member out; what the others hear of the rest stays as it is."""
        if name not in self.places:
            return
        heard = {n: tuple(m for m, p in self.places.items() if p.party in row)
                 for n, row in zip(self.places, map(self._rows.__getitem__, self._row_of), strict=True)}
        parties = {n: place.party for n, place in self.places.items() if n != name}
        self.seat(parties, {n: heard[n] for n in parties})

    def listeners(self, party: Party) -> list[Party]:
        """Who hears one of the members."""
        return [other for other, row in self._hearing().items() if party in row]

    def _hearing(self) -> dict[Party, frozenset[Party]]:
        rows = map(self._rows.__getitem__, self._row_of)
        return {place.party: row for place, row in zip(self.places.values(), rows, strict=True)}

    def _matrix(self, rows: Sequence[frozenset[Party]], speakers: Sequence[Party]) -> _Matrix:
        """Without the microphone, whose frame is added later."""
        return np.array([[p in row and p is not self._microphone for p in speakers] for row in rows],
                        np.int32).reshape(len(rows), len(speakers))

    def gather(self) -> None:
        """Sum this tick's frames for everyone."""
        if self._before:
            self._change_over()
            return
        frames = np.array([p.heard() for p in self._speakers], np.int32).reshape(-1, FRAME)
        totals = self._weights @ frames
        mixes = [Mix(total, self._microphone if self._microphone in row else None)
                 for total, row in zip(totals, self._rows, strict=True)]
        for place, row in zip(self.places.values(), self._row_of, strict=True):
            place.mix = mixes[row]

    def _change_over(self) -> None:
        """The first frame with other members: from what each heard to what it hears now, within 20 ms."""
        before, self._before = self._before, {}
        now = [self._rows[row] for row in self._row_of]
        then = [before.get(place.party, row) for place, row in zip(self.places.values(), now, strict=True)]
        speakers = list({p: None for row in (*now, *then) for p in row})
        frames = np.array([p.heard() for p in speakers], np.int32).reshape(-1, FRAME)
        rising = (self._matrix(now, speakers) @ frames) * RISE
        falling = (self._matrix(then, speakers) @ frames) * FALL
        totals = np.rint(rising + falling).astype(np.int32)
        for place, total, row in zip(self.places.values(), totals, now, strict=True):
            place.mix = Mix(total, self._microphone if self._microphone in row else None)
