"""What a stream had received and nobody had listened to yet when it was closed is heard after its end."""

from __future__ import annotations

from collections import deque

from engine.detect.outcome import FinishCause
from engine.media.codec import Pcm
from engine.media.hearing import Hearing
from engine.media.orders import Fact

MOST = 25
"""Frames that the jitter buffer may give beyond those that wait, half a second."""


class Ending:
    """One stream's last frames and its detector, which hears them as it has time, within the settings'
    `wait_for_result` and no longer."""

    def __init__(self, hearing: Hearing, frames: deque[Pcm], now: float) -> None:
        self.name = hearing.order.stream
        self.hearing = hearing
        self._frames = frames if hearing.order.settings.wait_for_result else deque[Pcm]()
        self._until = now + hearing.order.settings.wait_for_result

    @property
    def waits(self) -> bool:
        """Whether there is a frame that can be heard now."""
        return bool(self._frames) and self.hearing.ready and not self.hearing.over

    def over(self, now: float) -> bool:
        """Whether nothing more is to be heard."""
        return not self._frames or self.hearing.over or now >= self._until

    def hear(self, now: float, facts: list[Fact]) -> None:
        """The next frame."""
        self.hearing.feed(self._frames.popleft(), now, facts)

    def close(self, now: float, facts: list[Fact]) -> None:
        """Tell what came of it."""
        self.hearing.end(deque(), now, facts, FinishCause.BUS_CLOSE)
