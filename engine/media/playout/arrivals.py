"""How long packets take, compared with the fastest of late: what a play-out depth is chosen from.

A packet's transit is its arrival less its timestamp, in samples at 8 kHz: a number without meaning of its
own, since the two clocks share no zero, but its differences are jitter, and its trend is the clocks' drift.
"""

from __future__ import annotations

from collections import deque

import numpy as np

WINDOW = 400
"""Packets that are remembered: 8 s of 20 ms."""
EVERY = 20
"""Packets between two measurements."""
LATE_SHARE = 0.01
"""Of the packets, so many may come after what `needed` allows for."""
MAX_DRIFT = 0.01
_LONGEST = 3200
"""Samples, 400 ms, after which the next packet has them measured in any case."""
_OUTLIER = 160
"""A transit so far above what was needed is looked at at once."""
_BLOCK_S = 2.5
_BLOCKS = 12
_STILL = 0.0004
"""A drift below this is not told from none: it moves 1 ms in 2.5 s."""


class Arrivals:
    """`add` each packet's transit. `fastest` and `needed` are transits: the least of late, and one that but
    for `LATE_SHARE` all packets keep within. `drift` is how much slower than ours the far end's clock is, as
    a share of 1: transits grow by it. All three are seen as of the last measurement, trend removed;
    `fastest_at` follows the trend on from there.
    """

    def __init__(self) -> None:
        self._transit = np.zeros(WINDOW)
        self._at = np.zeros(WINDOW)
        self._minima: deque[tuple[float, float]] = deque(maxlen=_BLOCKS)
        self.count = 0
        self.drift = 0.0
        self.fastest = self.needed = 0.0
        self._measured_at = 0.0
        self._block_min: float | None = None
        self._block_end = 0.0

    def add(self, transit: float, at: float) -> None:
        """`at` is the arrival, in samples."""
        index = self.count % WINDOW
        self._transit[index] = transit
        self._at[index] = at
        self.count += 1
        if self._block_min is None or at > self._block_end:
            self._end_block(at)
            self._block_min = transit
        elif transit < self._block_min:
            self._block_min = transit
        if (
            self.count % EVERY == 0 or self.count < EVERY or transit > self.needed + _OUTLIER
            or at - self._measured_at > _LONGEST
        ):
            self.measure(at)

    def measure(self, at: float) -> None:
        """Look at the window as of now."""
        size = min(self.count, WINDOW)
        seen = self._transit[:size]
        if self.drift:
            seen = seen + self.drift * (at - self._at[:size])
        place = size - 1 - int(size * LATE_SHARE)
        self._measured_at = at
        self.fastest = float(seen.min())
        self.needed = float(np.partition(seen, place)[place])

    def fastest_at(self, at: float) -> float:
        return self.fastest + self.drift * (at - self._measured_at)

    def _end_block(self, at: float) -> None:
        if self._block_min is not None:
            self._minima.append((self._block_end - _BLOCK_S * 4000, self._block_min))
            self._trend()
        self._block_end = at + _BLOCK_S * 8000

    def _trend(self) -> None:
        """The median of the slopes between all pairs of blocks' minima (Theil and Sen): jitter above the
        minimum and single blocks without a fast packet leave it alone.
        """
        if len(self._minima) < 5:
            return
        at, least = np.array(self._minima).T
        one, other = np.triu_indices(len(at), 2)
        slope = float(np.median((least[other] - least[one]) / (at[other] - at[one])))
        self.drift = 0.0 if abs(slope) < _STILL else max(-MAX_DRIFT, min(MAX_DRIFT, slope))
