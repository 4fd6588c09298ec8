"""Special information tones: three rising tones, whose heights and lengths say why the call failed.

ITU-T E.180 has 950, 1400 and 1800 Hz, 330 ms each; North America's (Telcordia GR-1162) differ in height and
length to tell the reason. Told apart by their ratios to the third, which a line's speed does not change.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.detect.pure import BIN_HZ, Spectrum, line_of, stands_out

RANGES = ((870.0, 1030.0), (1315.0, 1485.0), (1700.0, 1855.0))
"""Hz that each tone may have: E.180's +-50 Hz, and 2 % of a line's speed error."""
STANDS_OUT = 6.0
"""A tone's power by that of the bins around it: voices have more lines there."""
LEAST_SHARE = 0.12
"""Of all the power; so much is left of a tone in noise three times as strong."""
ONE_HZ, HELD = 20.0, 0.6
"""So much of a tone lies so near to its middle height; lost packets that are made up for turn its phase."""
DROPOUT_MS = 90.0
"""So much may be missing inside one tone: a lost packet smears into two frames, and two may be lost."""
TONE_MS = (190.0, 440.0)
GAP_MS = 80.0
FIRST_MS = 60.0
"""A first tone that was joined in the middle may be as short as this."""
KEPT = 30
THIRD_MS = 100.0
"""So much of the third tone is enough."""
LONG_MS = 327.0
"""Between the short, 274 ms, and the long, 380 ms, of the North American tones."""
LOW_FIRST, ITU_FIRST, HIGH_FIRST = 913.8 / 1776.7, 950 / 1800, 985.2 / 1776.7
LOW_SECOND, HIGH_SECOND = 1370.6 / 1776.7, 1428.5 / 1776.7
_MEANINGS = {
    # first high?, second high?, second long?
    (False, False, False): "intercept: the number has changed or is out of service",
    (False, False, True): "no circuit: all circuits of another network are busy",
    (True, False, False): "vacant code: there is no such number",
    (False, True, True): "reorder: all trunks of this network are busy",
    (True, True, False): "reorder: all trunks of another network are busy",
    (True, True, True): "no circuit: all circuits of this network are busy",
}
PLAIN = "special information tones"


@dataclass(slots=True)
class _Tone:
    place: int
    heights: list[float]
    begin_ms: float
    end_ms: float

    @property
    def ms(self) -> float:
        return self.end_ms - self.begin_ms

    @property
    def hz(self) -> float:
        return sorted(self.heights)[len(self.heights) // 2]

    def is_held(self) -> bool:
        """Whether it was heard for most of its time, and at one height."""
        middle = self.hz
        near = sum(abs(hz - middle) <= ONE_HZ for hz in self.heights)
        return near >= HELD * len(self.heights) and 20 * len(self.heights) >= self.ms / 2


class SpecialInformation:
    """Fed every frame; tells a sequence once."""

    def __init__(self) -> None:
        self._tones: list[_Tone] = []
        self._told = False

    def feed(self, spectrum: Spectrum, now_ms: float) -> tuple[float, str] | None:
        """When it began, in ms, and what it was, once the third tone is certain."""
        line = _line(spectrum)
        if line is None:
            if self._tones and now_ms - self._tones[-1].end_ms > DROPOUT_MS + GAP_MS:
                self._tones.clear()
            return None
        self._hear(*line, now_ms - 1000 * 0.5 * BIN_PERIOD)
        return self._sequence()

    def _hear(self, place: int, hz: float, at_ms: float) -> None:
        tones = self._tones
        if tones and tones[-1].place != place and len(tones[-1].heights) < 2:
            tones.pop()
        if tones and tones[-1].place == place and at_ms - tones[-1].end_ms <= DROPOUT_MS:
            tones[-1].heights = [*tones[-1].heights[-KEPT:], hz]
            tones[-1].end_ms = at_ms + 10
            return
        tones.append(_Tone(place, [hz], at_ms - 10, at_ms + 10))
        del tones[:-3]
        self._told = False

    def _sequence(self) -> tuple[float, str] | None:
        if self._told or [t.place for t in self._tones] != [0, 1, 2]:
            return None
        first, second, third = self._tones
        if third.ms < THIRD_MS or not all(t.is_held() for t in self._tones):
            return None
        if second.begin_ms - first.end_ms > GAP_MS or third.begin_ms - second.end_ms > GAP_MS:
            return None
        if not (FIRST_MS <= first.ms <= TONE_MS[1] and TONE_MS[0] <= second.ms <= TONE_MS[1]):
            return None
        self._told = True
        heard = "/".join(f"{t.hz:.0f}" for t in self._tones)
        meaning = _meaning(first.hz / third.hz, second.hz / third.hz, second.ms > LONG_MS)
        return first.begin_ms, f"{heard} Hz, {first.ms:.0f}/{second.ms:.0f} ms: {meaning}"


BIN_PERIOD = 1 / BIN_HZ
"""A spectrum's length in s: its middle is when a tone is heard."""


def _line(spectrum: Spectrum) -> tuple[int, float] | None:
    """Which of the three tones a frame has, and how high it is."""
    k = spectrum.bin
    hz = k * BIN_HZ
    if spectrum.share < LEAST_SHARE or not RANGES[0][0] - BIN_HZ < hz < RANGES[2][1] + BIN_HZ:
        return None
    if not stands_out(spectrum, STANDS_OUT):
        return None
    hz = line_of(spectrum)
    for place, (low, high) in enumerate(RANGES):
        if low <= hz <= high:
            return place, hz
    return None


def _meaning(first: float, second: float, long: bool) -> str:
    """By both tones' heights over the third's, and the second's length."""
    if abs(first - ITU_FIRST) < min(ITU_FIRST - LOW_FIRST, HIGH_FIRST - ITU_FIRST) / 2:
        return PLAIN
    high = first > ITU_FIRST, second > (LOW_SECOND + HIGH_SECOND) / 2
    if high == (False, True):
        long = True  # the only one of these heights, as the next
    elif high == (True, False):
        long = False
    return _MEANINGS[*high, long]
