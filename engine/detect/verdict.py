"""One word for a whole recording: the first verdict, or else the state that it ended in."""

from __future__ import annotations

from engine.detect.types import Detection, Tone

VERDICTS = {
    Tone.BUSY: "busy", Tone.CONGESTION: "congestion", Tone.SIT: "sit", Tone.SAMPLE: "announcement",
    Tone.FAX: "fax", Tone.DTMF: "dtmf", Tone.HUMAN: "human", Tone.MACHINE: "machine",
}  # fmt: skip
"""What settles a call; the first of them is the recording's label."""
STATES = {
    Tone.RINGBACK: "ringback", Tone.COLORRINGBACK: "music", Tone.PROMPT: "speech", Tone.SILENCE: "silence",
    Tone.DIAL: "dialtone",
}  # fmt: skip
"""What may go on; the last of them is the label where there was no verdict."""
PAUSE_S = 4.0
"""A state that was followed by no more silence than this is the last one still."""


class Summary:
    """Fed every detection with the stream time, in s, at which it was made."""

    def __init__(self) -> None:
        self.label = ""
        self.verdict_at_s: float | None = None
        self.first_sample: Detection | None = None
        self.digits = ""
        self.beep_at_s: float | None = None
        self._state: tuple[str, float] | None = None
        self._state_before_silence: tuple[str, float] | None = None

    def add(self, detection: Detection, at_s: float) -> None:
        tone = detection.tone
        self.digits += detection.digit
        if tone is Tone.BEEP and self.beep_at_s is None:
            self.beep_at_s = at_s
        if tone is Tone.SAMPLE and self.first_sample is None:
            self.first_sample = detection
        if tone in VERDICTS and self.verdict_at_s is None:
            self.label, self.verdict_at_s = VERDICTS[tone], at_s
        elif tone in STATES:
            if tone is Tone.SILENCE and self._state is not None and self._state[0] != "silence":
                self._state_before_silence = self._state
            elif tone is not Tone.SILENCE:
                self._state_before_silence = None
            if self._state is None or self._state[0] != STATES[tone]:
                self._state = STATES[tone], at_s

    def end(self, at_s: float) -> None:
        """The recording is over."""
        if self.verdict_at_s is not None or self._state is None:
            return
        state = self._state
        before = self._state_before_silence
        if before is not None and at_s - state[1] < PAUSE_S - 2.0:  # silence is told after two seconds of it
            state = before
        self.label, self.verdict_at_s = state
