"""What the operator is told before the bridge: a beep or a file, in their ear alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.config import BEEP
from engine.media import orders
from engine.media.engine import MediaEngine

WHISPER = "whisper"
"""The tag of its playback."""
LONGEST = 10.0
"""Seconds after which it is cut: the callee hears the wait tone meanwhile."""


class Whispers:
    """One at a time for each operator's end, a stream of media's."""

    def __init__(self, media: MediaEngine) -> None:
        self._media = media
        self._waiting: dict[str, asyncio.Future[str]] = {}

    async def play(self, stream: str, what: str) -> str:
        """Play `beep` or a WAV file to its end, or as long as it may be; why it could not be, empty where it
        was. Cancelled, it falls silent."""
        ended = self._waiting[stream] = asyncio.get_running_loop().create_future()
        self._media.order(orders.Play(stream, _source(what), tag=WHISPER))
        try:
            async with asyncio.timeout(LONGEST):
                error: str = await ended
                return error
        except TimeoutError:
            self._media.order(orders.StopPlay(stream))
            return ""
        except asyncio.CancelledError:
            self._media.order(orders.StopPlay(stream))
            raise
        finally:
            if self._waiting.get(stream) is ended:
                del self._waiting[stream]

    def ended(self, fact: orders.PlaybackEnded) -> None:
        """Media says that it has come to its end, or could not be played."""
        waiting = self._waiting.get(fact.stream)
        if waiting is not None and not waiting.done():
            waiting.set_result(fact.error)

    def gone(self, stream: str) -> None:
        """A stream is no more."""
        waiting = self._waiting.get(stream)
        if waiting is not None and not waiting.done():
            waiting.set_result("The call is over.")


def _source(what: str) -> orders.Source:
    return orders.BeepSource() if what == BEEP else orders.WavSource(str(Path(what).expanduser()))
