"""What a line says, frame by frame: the door to the detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.detect.band import Band
from engine.detect.plans import plan, plans
from engine.detect.progress import ProgressTones
from engine.detect.silence import SILENCE_MS, SilenceTimer, level_dbm0
from engine.detect.types import Detection, Tone

FRAME_MS = 20


class Analyzer:
    """Listens to one stream. `country` picks the tone plan, None listens for all of them.

    Raises PlanError for a country without a plan. Times in detections count from the first frame.
    """

    def __init__(self, country: str | None) -> None:
        self._band = Band()
        self._tones = ProgressTones([plan(country)] if country else list(plans().values()))
        self._silence = SilenceTimer()
        self._said_silence = False
        self.now_ms = 0

    @property
    def current(self) -> str:
        """The label of what is heard now; empty for nothing in particular."""
        return self._tones.current or (Tone.SILENCE.label if self._said_silence else "")

    def feed(self, frame: npt.NDArray[np.int16]) -> list[Detection]:
        """One frame of 160 samples (20 ms at 8 kHz); what became certain with it."""
        x = frame.astype(np.float32)
        level = level_dbm0(x)
        self._silence.feed(level, self.now_ms)
        self.now_ms += FRAME_MS
        self._band.feed(x)
        found = self._tones.feed(self._band, level, self.now_ms)
        return found + self._still()

    def skip(self) -> None:
        """A frame that nobody had the time to look at: time goes on, and what was heard goes on with it."""
        self._silence.skip()
        self.now_ms += FRAME_MS
        self._band.skip()
        self._tones.skip()

    def _still(self) -> list[Detection]:
        """Silence, unless it is the gap of a cadence."""
        lasted = self._silence.lasted(self.now_ms)
        if lasted < SILENCE_MS:
            self._said_silence = False
            return []
        if self._said_silence or self._tones.expects_more:
            return []
        self._said_silence = True
        why = f"nothing above {self._silence.loudest:.0f} dBm0 for {lasted} ms"
        return [Detection(Tone.SILENCE, self.now_ms - lasted, self.now_ms, 1.0, why)]

    def finish(self) -> list[Detection]:
        """The stream is over: what a burst that was still going on says."""
        return self._tones.finish(self.now_ms)
