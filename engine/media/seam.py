"""Where one source of a listener's audio follows another: what was heard last, spliced to what comes."""

from __future__ import annotations

from engine.media import codec
from engine.media.clip import Player
from engine.media.codec import Pcm
from engine.media.pcm import PcmQueue
from engine.media.splice import Splice, mirrored


class Seam:
    """`was` is the present source, None for silence; `last` what was heard of it last: samples, or a law and
    its octets; None where that is long ago.
    """

    def __init__(self) -> None:
        self.was: object = None
        self.last: Pcm | tuple[str, bytes] | None = None
        self._splice = Splice()

    def forget(self) -> None:
        """Nothing is heard."""
        self.was = self.last = None

    def change(self, source: object) -> None:
        """Another source from the next sample on. What is played has a beginning and an end of its own;
        anything else may begin and break off in the middle.
        """
        before, self.was = self.was, source
        tail: Pcm | None = None
        if isinstance(before, Player):
            tail = None if before.ended else before.pcm()
        elif self.last is not None:
            tail = mirrored(codec.decode(*self.last) if isinstance(self.last, tuple) else self.last)
        at_its_beginning = source is None or isinstance(source, PcmQueue) or (
            isinstance(source, Player) and not source.begun
        )
        self._splice.begin(tail, rise=not at_its_beginning)

    @property
    def pending(self) -> bool:
        """Whether what comes has to be given to `apply`."""
        return self._splice.pending

    def apply(self, pcm: Pcm) -> Pcm:
        return self._splice.apply(pcm)
