"""From one source of audio to the next without a click: in 20 ms one fades out while the other fades in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.media.codec import FRAME, Pcm
from engine.media.gain import FALL, RISE, limit

QUIET = 100
"""Samples no larger than this make no click where they end: A-law's silence is 8, comfort noise some tens."""


def mirrored(last: Pcm) -> Pcm | None:
    """A continuation for audio that breaks off: its end backwards, which joins on without a jump. None where
    it ended quietly.
    """
    end = last[-FRAME:]
    if not len(end) or np.abs(end[-16:].astype(np.int32)).max() <= QUIET:
        return None
    return end[::-1]


class Splice:
    """`begin` at a change, then `apply` to what comes while it is `pending`."""

    def __init__(self) -> None:
        self._tail: npt.NDArray[np.float32] | None = None
        self._rise = False
        self._at = FRAME

    @property
    def pending(self) -> bool:
        return self._at < FRAME

    def begin(self, tail: Pcm | None, rise: bool) -> None:
        """`tail` continues what was, 20 ms at most, and is faded out. What comes is faded in where it is to
        `rise`: where it begins in the middle of something.
        """
        self._rise = rise
        self._tail = None if tail is None else tail * FALL[: len(tail)]
        self._at = 0 if rise or tail is not None else FRAME

    def apply(self, pcm: Pcm) -> Pcm:
        """What is to be sent for the next samples, one or more, of the source that comes."""
        if self._at == 0 and self._tail is None and abs(int(pcm[0])) <= QUIET:
            self._at = FRAME  # it begins from silence by itself
            return pcm
        count = min(len(pcm), FRAME - self._at)
        span = slice(self._at, self._at + count)
        mixed = pcm.astype(np.float32)
        if self._rise:
            mixed[:count] *= RISE[span]
        if self._tail is not None:
            rest = self._tail[span]
            mixed[: len(rest)] += rest
        self._at += count
        return limit(mixed)
