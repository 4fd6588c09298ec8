"""After the answer: a person or a machine, by how the greeting goes. Asterisk's AMD parameters, by their
names."""

from __future__ import annotations

from dataclasses import dataclass

from engine.detect.types import Detection, Tone

BEHIND_DB = 16.0
"""A voice so much under the one who answers is somebody's in the background."""
TAIL_MS = 100.0
"""A voice model hears the last word end so much later than it does."""
BEFORE_DB = 12.0
"""A voice so much over those before is the one who answers."""
FADE_DB = 1.0
"""A voice's level is that of its loud frames: it falls by so much a frame."""


@dataclass(frozen=True)
class AmdSettings:
    """Milliseconds, as Asterisk's amd.conf has them, but for the count of words."""

    initial_silence: int = 2500
    greeting: int = 1500
    after_greeting_silence: int = 800
    total_analysis_time: int = 5000
    min_word_length: int = 100
    between_words_silence: int = 50
    maximum_number_of_words: int = 2
    maximum_word_length: int = 5000


class Answering:
    """Fed every frame from the answer on, until it has told."""

    def __init__(self, settings: AmdSettings, answered_ms: float) -> None:
        self._set = settings
        self._answered_ms = answered_ms
        self._greeting_ms: float | None = None
        self._voice_ms = self._word_ms = self._still_ms = 0.0
        self._words = 0
        self._in_word = False
        self._loud = self._loudest = -90.0
        self.over = False

    def feed(
        self, speech: bool, now_ms: float, dbm0: float = 0.0, voiced: bool = False, tone: bool = False
    ) -> Detection | None:
        """Whether the frame just heard is speech, its level, whether it may be the end of a word still, and
        whether a network's tone sounds: nobody has answered yet then."""
        step_ms = 20.0
        if self.over:
            return None
        s = self._set
        if tone:
            self._answered_ms += step_ms
        since = now_ms - self._answered_ms
        if speech and self._is_near(dbm0):
            self._hear(now_ms, step_ms)
            if self._word_ms > s.maximum_word_length:
                return self._tell(Tone.MACHINE, now_ms, f"a word of {self._word_ms:.0f} ms")
            if self._voice_ms - TAIL_MS >= s.greeting:
                return self._tell(Tone.MACHINE, now_ms, f"a greeting of {self._voice_ms:.0f} ms")
            if self._words > s.maximum_number_of_words:
                return self._tell(Tone.MACHINE, now_ms, f"{self._words} words")
        elif speech or not voiced:
            self._still_ms += step_ms
            if self._still_ms >= s.between_words_silence:
                self._in_word = False
                self._word_ms = 0.0
            if self._greeting_ms is None:
                if since >= s.initial_silence:
                    return self._tell(Tone.MACHINE, now_ms, f"nothing said for {since:.0f} ms")
            elif self._still_ms >= s.after_greeting_silence:
                why = f"a greeting of {self._voice_ms:.0f} ms, then {self._still_ms:.0f} ms of silence"
                return self._tell(Tone.HUMAN, now_ms, why)
        if since >= s.total_analysis_time:
            self.over = True
        return None

    def _is_near(self, dbm0: float) -> bool:
        """Whether a voice is not somebody's in the background. One that is so much louder than what was heard
        before is the one who answers: the greeting begins with it."""
        self._loud = max(dbm0, self._loud - FADE_DB)
        if self._loud < self._loudest - BEHIND_DB:
            return False
        if self._loudest < self._loud - BEFORE_DB:
            self._greeting_ms = None
            self._voice_ms = self._word_ms = 0.0
            self._words = 0
            self._in_word = False
        self._loudest = max(self._loudest, self._loud)
        return True

    def _hear(self, now_ms: float, step_ms: float) -> None:
        self._still_ms = 0.0
        self._word_ms += step_ms
        if self._word_ms >= self._set.min_word_length:
            if not self._in_word:
                self._in_word = True
                self._words += 1
                self._voice_ms += self._word_ms - step_ms
            self._voice_ms += step_ms
            if self._greeting_ms is None:
                self._greeting_ms = now_ms - self._word_ms

    def _tell(self, tone: Tone, now_ms: float, why: str) -> Detection:
        self.over = True
        begin = self._greeting_ms if self._greeting_ms is not None else self._answered_ms
        return Detection(tone, round(begin), round(now_ms), 0.9, why)
