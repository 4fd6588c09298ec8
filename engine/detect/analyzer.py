"""What a line says, frame by frame: the door to the detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.detect.plans import Plan, plan, plans
from engine.detect.silence import SILENCE_MS, SilenceTimer, level_dbm0
from engine.detect.types import Detection, Tone

FRAME_MS = 20


class Analyzer:
    """Listens to one stream. `country` picks the tone plan, None listens for all of them.

    Raises PlanError for a country without a plan. Times in detections count from the first frame.
    """

    def __init__(self, country: str | None) -> None:
        self.plans: list[Plan] = [plan(country)] if country else list(plans().values())
        self.now_ms = 0
        self._silence = SilenceTimer()
        self._said_silence = False
        self._current = ""

    @property
    def current(self) -> str:
        """The label of what is heard now; empty for nothing in particular."""
        return self._current

    def feed(self, frame: npt.NDArray[np.int16]) -> list[Detection]:
        """One frame of 160 samples (20 ms at 8 kHz); what became certain with it."""
        x = frame.astype(np.float32)
        self._silence.feed(level_dbm0(x), self.now_ms)
        self.now_ms += FRAME_MS
        lasted = self._silence.lasted(self.now_ms)
        if lasted < SILENCE_MS:
            self._said_silence = False
            self._current = ""
            return []
        self._current = Tone.SILENCE.label
        if self._said_silence:
            return []
        self._said_silence = True
        begin = self.now_ms - lasted
        why = f"nothing above {self._silence.loudest:.0f} dBm0 for {lasted} ms"
        return [Detection(Tone.SILENCE, begin, self.now_ms, 1.0, why)]

    def finish(self) -> list[Detection]:
        """The stream is over: what can still be said."""
        return []
