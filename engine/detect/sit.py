"""Special information tones: three rising tones, whose heights and lengths say why the call failed."""

from __future__ import annotations

from dataclasses import replace

from engine.detect.pure import PureTones, Steady

RANGES = ((870.0, 1030.0), (1315.0, 1485.0), (1700.0, 1855.0))
"""Hz that each tone may have: ITU-T E.180's +-50 Hz, and 2 % of a line's speed error."""
TONE_MS = (190.0, 460.0)
GAP_MS = 80.0
CUT_MS = 90.0
"""Between two pieces of one tone, a lost packet between them."""
ONE_HZ = 45.0
"""Pieces of one tone: a lost packet that is made up for turns its phase, which moves what is measured."""
FIRST_MS = 80.0
"""A first tone that was joined in the middle may be as short as this."""
THIRD_MS = 100.0
"""So much of the third tone is enough."""
LONG_MS = 327.0
"""Between the short, 274 ms, and the long, 380 ms, of the North American tones."""
_MEANINGS = {
    # first high?, first long?, second high?, second long?
    (False, False, False, False): "intercept: the number has changed or is out of service",
    (True, True, False, False): "vacant code: there is no such number",
    (False, False, True, True): "reorder: all trunks of this network are busy",
    (True, False, True, False): "reorder: all trunks of another network are busy",
    (True, True, True, True): "no circuit: all circuits of this network are busy",
    (False, True, False, True): "no circuit: all circuits of another network are busy",
}


class SpecialInformation:
    """Asked every frame; tells a sequence once."""

    def __init__(self) -> None:
        self._told: float = -1.0

    def look(self, tones: PureTones) -> tuple[float, str] | None:
        """When it began, in ms, and what it was, once the third tone is certain."""
        third = tones.open
        if third is None or not _within(third, 2) or third.begin_ms == self._told:
            return None
        rows = _rows([*tones.ended, third])
        if len(rows) < 3 or rows[-1].ms < THIRD_MS:
            return None
        first, second, last = rows[-3:]
        if not (_within(first, 0) and _within(second, 1)):
            return None
        if second.begin_ms - first.end_ms > GAP_MS or last.begin_ms - second.end_ms > GAP_MS:
            return None
        if not (FIRST_MS <= first.ms <= TONE_MS[1] and TONE_MS[0] <= second.ms <= TONE_MS[1]):
            return None
        self._told = third.begin_ms
        heard = "/".join(f"{t.hz:.0f}" for t in (first, second, last))
        return first.begin_ms, f"{heard} Hz, {first.ms:.0f}/{second.ms:.0f} ms: {_meaning(first, second)}"


def _rows(tones: list[Steady]) -> list[Steady]:
    """Tones, with those in one range that a lost packet has cut made whole; single frames are left out."""
    rows: list[Steady] = []
    for tone in tones:
        if tone.frames < 2:
            continue
        last = rows[-1] if rows else None
        if last is not None and abs(last.hz - tone.hz) < ONE_HZ and tone.begin_ms - last.end_ms < CUT_MS:
            frames = last.frames + tone.frames
            hz = (last.hz * last.frames + tone.hz * tone.frames) / frames
            rows[-1] = replace(last, end_ms=tone.end_ms, frames=frames, hz=hz)
        else:
            rows.append(tone)
    return rows


def _within(tone: Steady, place: int) -> bool:
    low, high = RANGES[place]
    return low <= tone.hz <= high


def _meaning(first: Steady, second: Steady) -> str:
    if abs(first.hz - 950) < 17 and abs(second.hz - 1400) < 14:
        return "special information tones"
    key = (first.hz > 950, first.ms > LONG_MS, second.hz > 1400, second.ms > LONG_MS)
    return _MEANINGS.get(key, "special information tones")
