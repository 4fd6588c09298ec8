"""Networks that lose and delay packets, always in the same way for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

PERIOD_S = 0.02


@dataclass(frozen=True)
class Network:
    """`loss` is a share of 1, in bursts of `burst` packets in the mean (1: each by chance; else Gilbert's
    model); each packet is delayed by up to `jitter_s`, evenly.
    """

    loss: float = 0.0
    burst: float = 1.0
    jitter_s: float = 0.0

    def __str__(self) -> str:
        kind = "" if not self.loss else " random" if self.burst <= 1 else f" bursts of {self.burst:g}"
        return f"{self.loss:4.0%}{kind}, jitter 0-{self.jitter_s * 1000:.0f} ms"

    def arrivals(self, packets: int, seed: int) -> list[tuple[float, int]]:
        """When which packet comes, in seconds from the first one's departure, in the order of coming."""
        rng = random.Random(seed)
        lost = self._lost(packets, rng)
        late = [n * PERIOD_S + rng.random() * self.jitter_s for n in range(packets)]
        return sorted((late[n], n) for n in range(packets) if n not in lost)

    def _lost(self, packets: int, rng: random.Random) -> set[int]:
        if self.burst <= 1:
            return {n for n in range(packets) if rng.random() < self.loss}
        end = 1 / self.burst
        begin = self.loss * end / (1 - self.loss)
        bad, lost = False, set()
        for n in range(packets):
            bad = rng.random() >= end if bad else rng.random() < begin
            if bad:
                lost.add(n)
        return lost


LOSSES = (Network(0), *(Network(loss, burst) for burst in (1, 3) for loss in (0.01, 0.03, 0.05, 0.1)))
"""What is measured: 0, 1, 3, 5 and 10 %, by chance and in bursts."""
