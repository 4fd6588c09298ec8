"""Detectors, made in a thread of their own: the first reads the voice model's weights, and the media thread
never waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening
from engine.detect.plans import PlanError
from engine.detect.prints import Library
from engine.detect.voice import voice_model
from engine.media.orders import Detect

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ready:
    """What a `Detect` waited for."""

    order: Detect
    listening: Listening


class Ears:
    """`post` is called in the thread with what was made. `library` holds the known announcements; another one
    counts for whoever begins to listen from then on."""

    def __init__(self, post: Callable[[Ready], None]) -> None:
        self._post = post
        self._thread: ThreadPoolExecutor | None = None
        self.known: Library | None = None

    def start(self) -> None:
        self._thread = ThreadPoolExecutor(1, "media-ears")

    def stop(self) -> None:
        """End the thread once it has made what it is making."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None

    def make(self, order: Detect) -> None:
        """`Ready` is posted."""
        if self._thread is not None:
            self._thread.submit(self._make, order)

    def _make(self, order: Detect) -> None:
        try:
            self._post(Ready(order, Listening(self._analyzer(order), order.settings)))
        except Exception:
            log.exception("media: no detector could be made for stream %s", order.stream)

    def _analyzer(self, order: Detect) -> Analyzer:
        model = voice_model()
        amd, compared = order.settings.amd, order.settings.max_prompt
        rules = order.settings.rules
        try:
            return Analyzer(order.country, model, self.known, amd, compared, rules)
        except PlanError:
            return Analyzer(None, model, self.known, amd, compared, rules)
