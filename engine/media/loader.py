"""Sources of generated audio, read or synthesised in a thread of their own: the media thread never waits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from engine.media import clip
from engine.media.clip import Clip, SourceError
from engine.media.orders import Play, Source, WavSource

MAX_CLIPS = 64
"""Tones kept."""


@dataclass(slots=True)
class Loaded:
    """A source read in the background: what `Play` waited for. `error` is one sentence where it can't be."""

    order: Play
    clip: Clip | None
    error: str


class ClipLoader:
    """`post` is called in the loader's thread with what was read."""

    def __init__(self, post: Callable[[Loaded], None]) -> None:
        self._post = post
        self._clips: dict[Source, Clip] = {}
        self._thread: ThreadPoolExecutor | None = None

    def start(self) -> None:
        self._thread = ThreadPoolExecutor(1, "media-loader")

    def stop(self) -> None:
        """End the thread once it has read what it is reading; the rest is posted as an error."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None

    def kept(self, source: Source) -> Clip | None:
        """A tone that is ready. Files are read again each time, since they may have changed."""
        return self._clips.get(source)

    def preload(self, source: Source) -> None:
        if self._thread is not None and source not in self._clips:
            self._thread.submit(self._load, source)

    def load(self, order: Play) -> None:
        """Read an order's source; `Loaded` is posted."""
        if self._thread is not None:
            future = self._thread.submit(self._load, order.source)
            future.add_done_callback(lambda done: self._post(_loaded(order, done)))

    def _load(self, source: Source) -> Clip:
        found = self.kept(source)
        if found is None:
            found = clip.load(source)
            if not isinstance(source, WavSource) and len(self._clips) < MAX_CLIPS:
                self._clips[source] = found
        return found


def _loaded(order: Play, done: Future[Clip]) -> Loaded:
    if done.cancelled():
        return Loaded(order, None, "The engine is stopping.")
    error = done.exception()
    if error is None:
        return Loaded(order, done.result(), "")
    text = str(error) if isinstance(error, SourceError) else f"The audio cannot be played: {error}."
    return Loaded(order, None, text)
