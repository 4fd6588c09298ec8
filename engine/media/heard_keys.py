"""Keys heard in a stream's audio, as facts."""

from __future__ import annotations

from engine.detect.dtmf import DtmfDetector, KeyPress
from engine.media.orders import DigitEnded, DigitReceived

ECHO_S = 0.6
"""A key heard so soon after the same one was sent there as tones is its echo."""


class HeardKeys:
    """One stream's: `detector` is fed its frames, `fact` makes something of what it tells."""

    def __init__(self) -> None:
        self.detector = DtmfDetector()
        self._echo = False

    def fact(
        self, stream: str, press: KeyPress, now: float, sent: dict[str, float]
    ) -> DigitReceived | DigitEnded | None:
        """As with telephone-event a press is told when it begins and when it is over. `sent` says when keys
        were last sent to the same far end as tones, in monotonic seconds: what comes back is no press.
        """
        if press.over:
            length = press.end_ms - press.begin_ms
            return None if self._echo else DigitEnded(stream, now, press.digit, length, "inband")
        self._echo = now - sent.get(press.digit, float("-inf")) < ECHO_S
        down = self.detector.now_ms - press.begin_ms
        return None if self._echo else DigitReceived(stream, now, press.digit, down, "inband")
