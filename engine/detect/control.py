"""When listening begins and ends: mod_da2's parameters around the analyzer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.detect.analyzer import FRAME_MS, Analyzer
from engine.detect.answering import AmdSettings
from engine.detect.categories import corrected
from engine.detect.dtmf import KeyPress
from engine.detect.front import Look
from engine.detect.outcome import SEED_TONES, FinishCause, Outcome
from engine.detect.rules import ToneRules
from engine.detect.types import Detection, Tone

STOP_TONES = (
    "busy",
    "ringback",
    "colorringback",
    "prompt",
    "sample",
    "silence",
    "450hz",
    "unmatch",
    "congestion",
    "dial",
    "sit",
    "fax",
    "dtmf",
)
"""What may end listening: mod_da2's eight, and what it has not; `all` is any of them."""
ACCURATE = "ACCURACY"
_RANG = Tone.RINGBACK | Tone.COLORRINGBACK


@dataclass(frozen=True)
class Settings:
    """Times in seconds. Each one's name in mod_da2 stands behind it."""

    stop_on: frozenset[str] = frozenset({"sample", "busy"})  # stoptone
    hang_up: bool = True  # autohangup
    hang_up_on: frozenset[str] = frozenset()  # hangupcondition
    ignored: frozenset[str] = frozenset()  # ignoresamples: aliases
    unmatched_limit: int = 2  # unmatchthreshold
    matched_limit: int = 0  # matchthreshold
    stop_at_answer: bool = True  # answerautostop
    max_time: float = 60.0  # maxdetecttime
    max_sound: float = 60.0  # maxanalysistime
    max_silence: float = 30.0  # maxsilencetime
    max_after_answer: float = 10.0  # answer_after_maxanalysistime
    max_prompt: float = 10.0  # ptd_maxanalysistime
    wait_for_result: float = 0.5  # wait_result_timeout
    max_calls: int = 0  # the concurrency that its licence allows; 0: no limit
    amd: AmdSettings = field(default_factory=AmdSettings)
    rules: ToneRules = field(default_factory=ToneRules)  # tone_busy_rule and its like


class Listening:
    """One call's. `finished` tells why it ended, None while it goes on; the analyzer may be fed further, for
    what comes after the answer. `began_s` is how long the call had lasted when the first frame came.
    """

    def __init__(self, analyzer: Analyzer, settings: Settings, began_s: float = 0.0) -> None:
        self.analyzer = analyzer
        self._set = settings
        self.began_s = began_s
        self._first_sound_ms: int | None = None
        self._answered_ms: int | None = None
        self._quiet_ms = 0
        self._unmatched = self._matched = 0
        self._all = Tone(0)
        self._last = ""
        self._category = self._correction = 0
        self._alias = self._stop_tone = self._sample = ""
        self.finished: FinishCause | None = None

    @property
    def now_ms(self) -> int:
        return self.analyzer.now_ms

    @property
    def current(self) -> str:
        """The label of what is heard now; empty for nothing in particular."""
        return self.analyzer.current

    def skip(self) -> None:
        """A frame that nobody had the time to listen to."""
        self.analyzer.skip()

    def hears_keys(self, itself: bool) -> None:
        """Whether keys are listened for here, or told by `key`."""
        if itself is not (self.analyzer.presses is None):
            self.analyzer.presses = None if itself else []

    def key(self, press: KeyPress) -> None:
        """A key that another listener heard in the same audio."""
        if self.analyzer.presses is not None:
            self.analyzer.presses.append(press)

    @property
    def hangs_up(self) -> bool:
        """Whether the call is to be ended for what was heard."""
        cause = self.finished
        if cause is None:
            return False
        if self._set.hang_up and cause in (FinishCause.STOPTONE, FinishCause.MATCH):
            return True
        return bool(self._set.hang_up_on & {"all", cause.value})

    def feed(self, frame: npt.NDArray[np.int16]) -> list[Detection]:
        """One frame of 160 samples; what became certain with it. Samples whose alias is ignored are left
        out."""
        return self._watched(self.analyzer.feed(frame))

    def look(self, frames: npt.NDArray[np.int16]) -> list[Look]:
        """The figures of the next frames, [frames, 160], of which `hear` is to get one by one."""
        return self.analyzer.look(frames)

    def hear(self, look: Look) -> list[Detection]:
        """The same as `feed` for a frame that was looked at."""
        return self._watched(self.analyzer.hear(look))

    def end_frame(self) -> list[Detection]:
        """The same for a frame that the `analyzer` was to `begin` with."""
        return self._watched(self.analyzer.end())

    def _watched(self, heard: list[Detection]) -> list[Detection]:
        found = [d for d in heard if not self._is_ignored(d)]
        for detection in found:
            self._note(detection)
        if self.finished is None:
            self._watch(self.analyzer.quiet)
        return found

    def answered(self) -> None:
        """The call was answered: from the next frame on a person is told from a machine."""
        self._answered_ms = self.now_ms
        self.analyzer.answered()
        if self._set.stop_at_answer:
            self._finish(FinishCause.ANSWER)

    def end(self, cause: FinishCause = FinishCause.BUS_CLOSE) -> list[Detection]:
        """The call is over, or a command stops the listening: what an unfinished sound still says."""
        found = [d for d in self.analyzer.finish() if not self._is_ignored(d)]
        for detection in found:
            self._note(detection)
        self._finish(cause)
        return found

    @property
    def outcome(self) -> Outcome:
        """As it stands; `unknown` while listening goes on."""
        return Outcome(
            self.finished or FinishCause.UNKNOWN, int(self._all & SEED_TONES), self._last, self._stop_tone,
            self._category, self._correction, self._alias, self._sample,
        )  # fmt: skip

    def _is_ignored(self, detection: Detection) -> bool:
        return detection.sample is not None and detection.sample.alias.lower() in self._set.ignored

    def _note(self, detection: Detection) -> None:
        if self.finished is not None:
            return
        tone, sample = detection.tone, detection.sample
        call_s = self.began_s + self.now_ms / 1000
        if sample is not None and sample.accuracy == ACCURATE:
            self._matched += 1
            self._category, self._alias, self._sample = sample.category, sample.alias, sample.uniqueid
            self._correction = corrected(sample.category, bool(self._all & _RANG), call_s)
        self._all |= Tone.BUSY if tone is Tone.CONGESTION else tone  # both are busy tones to mod_da2
        self._last = tone.label
        if tone is Tone.UNMATCH:
            self._unmatched += 1
        elif sample is not None:
            self._unmatched = 0  # in a row: of what was said, whatever was to be heard in between
        if self._stops(detection):
            self._stop_tone = tone.label
            self._finish(FinishCause.STOPTONE)
        elif self._set.matched_limit and self._matched >= self._set.matched_limit:
            self._finish(FinishCause.MATCH)

    def _stops(self, detection: Detection) -> bool:
        label, chosen = detection.tone.label, self._set.stop_on
        named = {"all", label} | ({"busy"} if detection.tone is Tone.CONGESTION else set())
        if label not in STOP_TONES or not chosen & named:
            return False
        if detection.tone is Tone.UNMATCH:
            return self._unmatched >= self._set.unmatched_limit
        return detection.sample is None or detection.sample.accuracy == ACCURATE

    def _watch(self, quiet: bool) -> None:
        """The time limits."""
        now, s = self.now_ms, self._set
        if quiet:
            self._quiet_ms += FRAME_MS
        else:
            self._quiet_ms = 0
            if self._first_sound_ms is None:
                self._first_sound_ms = now
        over = (
            now >= s.max_time * 1000
            or self._quiet_ms >= s.max_silence * 1000
            or (self._first_sound_ms is not None and now - self._first_sound_ms >= s.max_sound * 1000)
            or (self._answered_ms is not None and now - self._answered_ms >= s.max_after_answer * 1000)
        )
        if over:
            self._finish(FinishCause.TIMEOUT)

    def _finish(self, cause: FinishCause) -> None:
        if self.finished is None:
            self.finished = cause
