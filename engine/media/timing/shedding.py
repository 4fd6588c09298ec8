"""What gives way when the machine can't keep up: detection first, then the meters, audio never.

Detection may use a share of each tick. Frames that it had no time for wait, some 200 ms of each stream; after
that the oldest are shed, and the detector is told of the gap.
"""

from __future__ import annotations

from engine.media.orders import Overload

SHARE_NS = 9_000_000
"""Of 20 ms, for detection. With the audio of a hundred legs it must stay well below 95 % of a core, where
Linux takes the processor away from real-time threads for 50 ms (sched_rt_runtime_us)."""
WAITING = 10
"""Frames of a stream that may wait for the detector."""
WORTH_TELLING = 5
"""Frames, 100 ms: fewer are what one late tick costs, and nobody needs to act on it."""
CALM_S = 5.0
"""After so long without anything shed, the overload is over."""


class Budget:
    """The time that detection has, and what it cost to keep to it."""

    def __init__(self) -> None:
        self.frames_shed = 0
        """Of 20 ms, over all streams."""
        self.meters_shed = 0
        """Rounds of measuring left out."""
        self._left_ns = SHARE_NS
        self._told_frames = 0
        self._since: float | None = None
        self._last = 0.0

    @property
    def allows(self) -> bool:
        return self._left_ns > 0

    def spend(self, ns: int) -> None:
        """What took longer than there was is missing in the ticks to come."""
        self._left_ns -= ns

    def shed(self, now: float) -> None:
        """A frame that was not heard."""
        self.frames_shed += 1
        self._last = now

    def tick(self, now: float) -> Overload | None:
        """A new tick; what there is to be told: that an overload began, or that it is over."""
        self._left_ns = min(SHARE_NS, self._left_ns + SHARE_NS)
        if self._since is None:
            if self.frames_shed - self._told_frames < WORTH_TELLING:
                if now - self._last >= CALM_S:
                    self._told_frames = self.frames_shed
                return None
            self._since = now
            return Overload(now, True, self.frames_shed - self._told_frames)
        if now - self._last < CALM_S:
            return None
        shed, self._told_frames, self._since = self.frames_shed - self._told_frames, self.frames_shed, None
        return Overload(now, False, shed)
