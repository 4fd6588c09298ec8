"""Silence suppression (RFC 3389, 4): in pauses of the operator's speech their noise is described, not sent.

Never what might be speech: only what has been near the quietest of the last seconds for half a second, and is
weak anyway, is a pause.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.media import level
from engine.media.codec import Pcm
from engine.media.comfort import describe

HANGOVER = 25
"""Frames without speech that are still sent: 500 ms."""
UPDATE = 50
"""Frames after which a pause is described again: 1 s, so that nobody takes us for gone."""
_SOONEST = 10
"""Frames after which it may be, where the noise changed by more than `_CHANGE_DB`."""
_CHANGE_DB = 3
_NEAR = 4.0
"""Above the quietest frame, 6 dB: no longer background, whose frames of 20 ms differ by half of it."""
_LOUDEST = 32768.0**2 * 10**-4
"""Mean square of a background so loud, -40 dBov, that it may be somebody's voice."""
_BLOCK = 250
"""Frames over which the quietest is found: 5 s, and the block before."""
_BACKGROUND = 10


class Pauses:
    """Fed with each frame that is to be sent."""

    def __init__(self) -> None:
        self._quietest = [float("inf"), float("inf")]
        self._seen = 0
        self._hang = HANGOVER
        self._since = 0
        self._told = -1
        self._recent: deque[Pcm] = deque(maxlen=_BACKGROUND)

    def feed(self, pcm: Pcm) -> bytes | None:
        """None: send it. Else send nothing, but comfort noise of this payload where it is not empty."""
        power = level.power(pcm)
        if self._seen % _BLOCK == 0:
            self._quietest = [self._quietest[1], float("inf")]
        self._seen += 1
        self._quietest[1] = min(self._quietest[1], power)
        background = min(self._quietest)
        self._recent.append(pcm)
        if self._seen < _BLOCK or background > _LOUDEST or power > background * _NEAR + 4:
            self._hang, self._told = HANGOVER, -1
            return None
        if self._hang:
            self._hang -= 1
            return None
        return self._describe()

    def _describe(self) -> bytes:
        self._since += 1
        if self._told >= 0 and self._since < _SOONEST:
            return b""
        told = describe(np.concatenate(self._recent))
        if self._told >= 0 and self._since < UPDATE and abs(told[0] - self._told) < _CHANGE_DB:
            return b""
        self._told, self._since = told[0], 0
        return told
