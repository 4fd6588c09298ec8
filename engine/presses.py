"""One key press is one digit, whichever ways it came: telephone-event, INFO, or tones in the audio."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

INFO_WITHIN_S = 1.0
"""An INFO may be so much later or earlier than the press in the audio: it waits for the one before it, and
may have to be sent twice."""
AUDIO_WITHIN_S = 0.3
"""Tones may be so much later than the telephone-event: they wait in the jitter buffer. Or earlier: some
gateways let a tone's beginning through before they send the event in its place."""
DOWN_AT_MOST_S = 10.0
KEPT = 32


@dataclass(slots=True)
class _Press:
    digit: str
    ways: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    """By way: when the key went down, and when it came up again; None for not yet."""


class DigitMerge:
    """Tells a press that comes by several ways from several presses.

    Each way tells presses in their order, none of them twice. So what one way tells is the oldest press of
    that digit, within the time that the two ways may be apart, that this way has not told yet and that comes
    after those that it has told.
    """

    def __init__(self) -> None:
        self._presses: deque[_Press] = deque(maxlen=KEPT)

    def is_new(self, digit: str, way: str, at: float, duration_ms: int) -> bool:
        """Whether no other way has told a press. `way` names how it came, `at` when it was told, in
        seconds, `duration_ms` how long the key had been down by then.
        """
        down = at - duration_ms / 1000
        until = at if way == "info" else None
        for press in self._not_told(way):
            if press.digit == digit and any(
                _apart(at, down, until, *times) <= _within(way, other) for other, times in press.ways.items()
            ):
                press.ways[way] = down, until
                return False
        self._presses.append(_Press(digit, {way: (down, until)}))
        return True

    def ended(self, digit: str, way: str, at: float) -> None:
        """The key that `way` told last came up."""
        for press in reversed(self._presses):
            if way in press.ways:
                down, until = press.ways[way]
                if press.digit == digit and until is None:
                    press.ways[way] = down, at
                return

    def _not_told(self, way: str) -> list[_Press]:
        """The presses after the last that a way has told."""
        presses = list(self._presses)
        told = [n for n, press in enumerate(presses) if way in press.ways]
        return presses[told[-1] + 1 :] if told else presses


def _within(one: str, other: str) -> float:
    return INFO_WITHIN_S if "info" in (one, other) else AUDIO_WITHIN_S


def _apart(now: float, down: float, until: float | None, other: float, other_until: float | None) -> float:
    """How far apart two presses are, in seconds; 0 where they overlap."""
    mine = now if until is None else until
    its = min(now, other + DOWN_AT_MOST_S) if other_until is None else other_until
    return max(0.0, down - its, other - mine)
