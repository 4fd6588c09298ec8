"""Sources of generated audio, read or synthesised in a thread of their own: the media thread never waits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from engine.media import clip
from engine.media.clip import Clip, SourceError
from engine.media.codec import SAMPLE_RATE
from engine.media.orders import Play, Source, WavSource

MAX_CLIPS = 64
"""Tones kept."""
MAX_FILES = 8
"""Files kept."""
MAX_KEPT_S = 300
"""A longer file is read each time it is played."""
FRESH_S = 120.0
"""A file is played as it was so long ago; after that it is looked at again."""


@dataclass(slots=True)
class Loaded:
    """A source read in the background: what `Play` waited for. `error` is one sentence where it can't be."""

    order: Play
    clip: Clip | None
    error: str


@dataclass(frozen=True, slots=True)
class _File:
    """A file's audio; it is known to have been the same until `checked`, in monotonic seconds."""

    clip: Clip
    stamp: tuple[int, int, int]
    checked: float


class ClipLoader:
    """`post` is called in the loader's thread with what was read."""

    def __init__(self, post: Callable[[Loaded], None]) -> None:
        self._post = post
        self._clips: dict[Source, Clip] = {}
        self._files: dict[WavSource, _File] = {}
        self._thread: ThreadPoolExecutor | None = None

    def start(self) -> None:
        self._thread = ThreadPoolExecutor(1, "media-loader")

    def stop(self) -> None:
        """End the thread once it has read what it is reading; the rest is posted as an error."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None

    def kept(self, source: Source) -> Clip | None:
        """What can be played at once: a tone, or a file that was asked for lately."""
        if not isinstance(source, WavSource):
            return self._clips.get(source)
        file = self._files.get(source)
        return file.clip if file is not None and time.monotonic() - file.checked < FRESH_S else None

    def preload(self, source: Source) -> None:
        """Have a source ready; a file that has changed is read again."""
        if self._thread is not None and (isinstance(source, WavSource) or source not in self._clips):
            self._thread.submit(self._load, source)

    def load(self, order: Play) -> None:
        """Read an order's source; `Loaded` is posted."""
        if self._thread is not None:
            future = self._thread.submit(self._load, order.source)
            future.add_done_callback(lambda done: self._post(_loaded(order, done)))

    def _load(self, source: Source) -> Clip:
        if isinstance(source, WavSource):
            return self._load_file(source)
        found = self._clips.get(source)
        if found is None:
            found = clip.load(source)
            if len(self._clips) < MAX_CLIPS:
                self._clips[source] = found
        return found

    def _load_file(self, source: WavSource) -> Clip:
        try:
            status = os.stat(source.path)
        except OSError:
            return clip.load(source)  # which says what is wrong
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        kept = self._files.pop(source, None)
        found = kept.clip if kept is not None and kept.stamp == stamp else clip.load(source)
        if len(found.pcm) <= MAX_KEPT_S * SAMPLE_RATE:
            while len(self._files) >= MAX_FILES:
                del self._files[next(iter(self._files))]
            self._files[source] = _File(found, stamp, time.monotonic())
        return found


def _loaded(order: Play, done: Future[Clip]) -> Loaded:
    if done.cancelled():
        return Loaded(order, None, "The engine is stopping.")
    error = done.exception()
    if error is None:
        return Loaded(order, done.result(), "")
    text = str(error) if isinstance(error, SourceError) else f"The audio cannot be played: {error}."
    return Loaded(order, None, text)
