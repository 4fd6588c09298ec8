"""Listening to one stream: frames to the detector, what it says as facts, until there is no more to hear."""

from __future__ import annotations

from collections import deque

from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening
from engine.detect.dtmf import KeyPress
from engine.detect.front import Look
from engine.detect.outcome import FinishCause, Outcome
from engine.detect.types import Detection, Tone
from engine.media.codec import Pcm
from engine.media.orders import Detect, Detected, DigitReceived, Fact, Listened, Unmatched

BEEP_S = 60.0
"""A machine's beep is waited for so long after the answer."""
KEPT_FRAMES = 750
"""15 s of what was heard last is kept, in case it is to be learnt."""
LEAD_FRAMES = 25
"""Speech begins a little before it is told as speech."""


class Hearing:
    """What one `Detect` asks for. It is `ready` once `begin` has brought what was made elsewhere; until then
    frames wait."""

    def __init__(self, order: Detect, now: float) -> None:
        self.order = order
        self.over = False
        self._since = now - order.call_s
        self._listening: Listening | None = None
        self._skipped = 0
        self._answered = order.answered
        self._sound: deque[Pcm] = deque(maxlen=KEPT_FRAMES)
        self._answered_ms: int | None = None
        self._own_keys = True
        self._heard = False
        self._begun = False
        self._told = False
        self._machine = self._settled = False

    @property
    def ready(self) -> bool:
        return self._listening is not None

    @property
    def analyzer(self) -> Analyzer | None:
        """None while not `ready`."""
        return self._listening.analyzer if self._listening is not None else None

    @property
    def current(self) -> str:
        """What is heard at this moment."""
        return self._listening.current if self._listening is not None else ""

    @property
    def now_ms(self) -> int:
        """How much was heard or skipped."""
        return self._listening.now_ms if self._listening is not None else 20 * self._skipped

    def begin(self, listening: Listening) -> None:
        """From now on `listening` hears the frames."""
        self._listening = listening
        for _ in range(self._skipped):
            listening.skip()
        if self._answered:
            self._now_answered(listening)

    def hears_keys(self, itself: bool) -> None:
        self._own_keys = itself
        if self._listening is not None:
            self._listening.hears_keys(itself)

    def key(self, press: KeyPress) -> None:
        """A key that was heard in the stream elsewhere."""
        if self._listening is not None:
            self._listening.key(press)

    def skip(self) -> None:
        """A frame that there was no time for."""
        if self._listening is None:
            self._skipped += 1
        else:
            self._listening.skip()

    def feed(self, frame: Pcm, now: float, facts: list[Fact]) -> None:
        """The next frame; nothing while not `ready`."""
        listening = self._listening
        if listening is None:
            return
        self._keep(listening, frame, now)
        self._take(listening, listening.feed(frame), now, facts)

    def begin_frame(self, look: Look, frame: Pcm, now: float) -> None:
        """The first half of `feed` for a frame that was looked at: `end_frame` is to follow."""
        listening = self._listening
        if listening is None:
            return
        self._keep(listening, frame, now)
        listening.analyzer.begin(look)
        self._begun = True

    def end_frame(self, now: float, facts: list[Fact]) -> None:
        """The second half; nothing where none was begun."""
        if self._begun and self._listening is not None:
            self._begun = False
            self._take(self._listening, self._listening.end_frame(), now, facts)

    def _keep(self, listening: Listening, frame: Pcm, now: float) -> None:
        if not self._heard:
            self._heard = True
            listening.began_s = now - self._since
        self._sound.append(frame)

    def _take(
        self, listening: Listening, told: list[Detection], now: float, facts: list[Fact]
    ) -> None:
        for found in told:
            self._note(found.tone)
            facts.append(Detected(self.order.stream, now, found))
            if found.digit and self._own_keys and not self._answered:
                # After the answer tones are keys only where the far end takes no telephone-event.
                lasted = found.end_ms - found.begin_ms
                facts.append(DigitReceived(self.order.stream, now, found.digit, lasted, "inband"))
            if found.tone is Tone.UNMATCH:
                facts.append(self._unmatched(found, now))
        self._tell(listening, now, facts)

    def answered(self, now: float, facts: list[Fact]) -> None:
        """The call was answered."""
        if self._answered:
            return
        self._answered = True
        if self._listening is not None:
            self._now_answered(self._listening)
            self._tell(self._listening, now, facts)

    def end(self, waiting: deque[Pcm], now: float, facts: list[Fact], cause: FinishCause) -> None:
        """It is over: `waiting` frames are heard first."""
        self.end_frame(now, facts)
        listening = self._listening
        if listening is not None:
            if self.order.settings.wait_for_result:
                while waiting and not self.over:
                    self.feed(waiting.popleft(), now, facts)
            facts += [Detected(self.order.stream, now, found) for found in listening.end(cause)]
            self._tell(listening, now, facts)
        if not self._told:
            self._told = True
            why = cause if cause is FinishCause.BREAK else FinishCause.BUG_ADD_FAIL
            facts.append(Listened(self.order.stream, now, Outcome(why)))

    def _unmatched(self, found: Detection, now: float) -> Unmatched:
        frames = (found.end_ms - found.begin_ms) // 20 + LEAD_FRAMES
        pcm = b"".join(frame.tobytes() for frame in list(self._sound)[-frames:])
        return Unmatched(self.order.stream, now, pcm)

    def _now_answered(self, listening: Listening) -> None:
        self._answered_ms = listening.now_ms
        listening.answered()

    def _note(self, tone: Tone) -> None:
        self._machine = self._machine or tone is Tone.MACHINE
        self._settled = self._settled or tone in (Tone.HUMAN, Tone.BEEP)

    def _tell(self, listening: Listening, now: float, facts: list[Fact]) -> None:
        cause = listening.finished
        if cause is None:
            return
        if not self._told:
            self._told = True
            outcome = listening.outcome
            if cause is FinishCause.BUS_CLOSE and not self._heard:
                outcome = Outcome(FinishCause.BUG_ADD_FAIL)
            facts.append(Listened(self.order.stream, now, outcome, listening.hangs_up))
        if self._answered_ms is None:
            self.over = True
            return
        limit = BEEP_S if self._machine else self.order.settings.max_after_answer
        self.over = self._settled or listening.now_ms - self._answered_ms >= limit * 1000


def limited(order: Detect, now: float) -> Listened:
    """As many streams are listened to already as may be."""
    return Listened(order.stream, now, Outcome(FinishCause.LIMIT))
