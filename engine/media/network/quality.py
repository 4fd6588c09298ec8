"""How good a leg sounds and what it suffers from, out of what its packets, its play-out and RTCP tell."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from engine.media.network import emodel
from engine.media.network.reception import Reception
from engine.media.network.rtcp_session import RtcpSession
from engine.media.orders import Quality
from engine.media.playout import PlayoutFigures

WINDOW = 5
"""Measurements, one a second, that the present quality is of."""
PASSED_ON_MS = 60.0
"""Depth supposed of the far ends' own buffers, where packets are passed on and not played here."""
PACKET_MS = 20.0
"""What a packet waits for its own end before it can leave."""


class _Counts(NamedTuple):
    expected: int = 0
    lost: int = 0
    gaps: int = 0
    late: int = 0


class QualityWatch:
    """One stream's. `measure` once a second."""

    def __init__(self, reception: Reception, session: RtcpSession) -> None:
        self._reception = reception
        self._session = session
        self._before: deque[_Counts] = deque([_Counts()], WINDOW)

    def measure(self, figures: PlayoutFigures | None, law: str) -> Quality | None:
        """What it is like now; None before anything was received. `figures` are play-out's, None while
        packets are only passed on; `law` is the codec.
        """
        reception, session = self._reception, self._session
        if not reception.received:
            return None
        late = figures.late if figures is not None else self._before[-1].late
        now = _Counts(reception.expected, reception.lost, reception.gaps, late)
        depth = figures.depth_ms if figures is not None else None
        round_trip = None if session.round_trip_s is None else session.round_trip_s * 1000
        delay = (round_trip or 0.0) / 2 + (PASSED_ON_MS if depth is None else depth) + PACKET_MS
        present, bursts = _loss(now, self._before[0])
        whole, all_bursts = _loss(now, _Counts())
        self._before.append(now)
        far = session.far_lost
        return Quality(
            mos=round(emodel.opinion(emodel.rating(delay, present, bursts, law)), 2),
            loss=round(100 * present, 2),
            jitter_ms=round(reception.jitter_ms, 1),
            round_trip_ms=None if round_trip is None else round(round_trip, 1),
            far_loss=None if session.far_fraction is None else round(100 * session.far_fraction, 2),
            far_lost=None if far is None else max(0, far),
            far_jitter_ms=None if session.far_jitter_ms is None else round(session.far_jitter_ms, 1),
            depth_ms=None if depth is None else round(depth, 1),
            received=reception.received,
            lost=reception.lost,
            late=late,
            concealed_ms=figures.concealed_ms if figures is not None else 0,
            overall_mos=round(emodel.opinion(emodel.rating(delay, whole, all_bursts, law)), 2),
            overall_loss=round(100 * whole, 2),
        )


def _loss(now: _Counts, then: _Counts) -> tuple[float, float]:
    """Share of the packets between two counts that were not played, and how much they came in bursts (1: by
    chance).
    """
    expected = now.expected - then.expected
    lost = max(0, now.lost - then.lost)
    if expected <= 0:
        return 0.0, 1.0
    share = min(1.0, (lost + max(0, now.late - then.late)) / expected)
    gaps = now.gaps - then.gaps
    return share, max(1.0, lost / gaps * (1 - share)) if gaps > 0 else 1.0
