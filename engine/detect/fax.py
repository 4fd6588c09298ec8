"""Fax machines: the calling tone CNG and the answering tone CED (ITU-T T.30)."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.detect.pure import BIN_HZ, PureTones, Spectrum, dbm0, line_of, stands_out

CNG_HZ, CNG_SLACK_HZ = 1100.0, 48.0
CNG_MS = (410.0, 600.0)
CNG_SHARE, CNG_STANDS_OUT = 0.2, 8.0
"""Of all the power, and by that of the bins around it: so much of the tone is left in noise."""
ONE_HZ, HELD = 20.0, 0.6
"""So much of a burst lies so near to its middle height; lost packets that are made up for turn its phase."""
DROPOUT_MS = 90.0
"""So much may be missing inside one burst: a lost packet smears into two frames, and two may be lost."""
CNG_DROP_DB = 4.0
"""What follows a burst is so much weaker than it,"""
CNG_REST, FAINT_DB = 0.4, 25.0
"""and no line stands out of it by such a share, unless it is all so much weaker;"""
OTHER_MS, OTHER_DB = 70.0, 10.0
"""nor is there a tone that lasts longer and is not so much weaker: noise has lines too, but short ones."""
WAITS_MS = 200.0
"""So long a burst may become CNG."""
CNG_QUIET_MS = 400.0
"""After a burst of CNG nothing follows for 3 s; so much of it is waited for."""
CED_HZ, CED_SLACK_HZ = 2100.0, 50.0
CED_MS = 900.0
"""So much of 2100 Hz is no beep: longest pause between two phase reversals twice (ITU-T V.8: 450 ms)."""
REVERSAL_MS = 60.0


@dataclass(slots=True)
class _Burst:
    begin_ms: float
    end_ms: float
    power: float = 0.0
    heights: list[float] = field(default_factory=list)
    rest_power: float = 0.0
    rest_share: float = 0.0
    rest: int = 0

    @property
    def ms(self) -> float:
        return self.end_ms - self.begin_ms

    @property
    def hz(self) -> float:
        return sorted(self.heights)[len(self.heights) // 2]

    @property
    def level(self) -> float:
        """The line's mean power."""
        return self.power / len(self.heights)

    def hear(self, hz: float, power: float, end_ms: float) -> None:
        self.end_ms = end_ms
        if self.ms <= CNG_MS[1]:
            self.heights.append(hz)
            self.power += power
        self.rest, self.rest_power, self.rest_share = 0, 0.0, 0.0

    def ended(self, at_ms: float) -> bool:
        return at_ms - 10 - self.end_ms > DROPOUT_MS

    def is_held(self) -> bool:
        """Whether it was heard for most of its time, and at one height."""
        middle = self.hz
        near = sum(abs(hz - middle) <= ONE_HZ for hz in self.heights)
        return near >= HELD * len(self.heights) and 20 * len(self.heights) >= HELD * self.ms


class FaxTones:
    """Asked every frame; tells a tone once."""

    def __init__(self) -> None:
        self._burst: _Burst | None = None
        self._cng = self._ced = False

    def look(self, tones: PureTones, line: Spectrum, now_ms: float) -> tuple[float, str] | None:
        """When it began, in ms, and what it was; `line` is the frame's, `tones` were fed with it."""
        return self._answering(tones) or self._calling(tones, line, now_ms)

    def waits(self, tones: PureTones) -> bool:
        """Whether what is heard may turn out to be a fax machine."""
        tone = tones.open
        burst = self._burst
        if burst is not None and burst.ms >= WAITS_MS and burst.is_held():
            return burst.ms <= CNG_MS[1]
        if tone is None or tone.frames < 2:
            return False
        slack = min(abs(tone.hz - CNG_HZ) - CNG_SLACK_HZ, abs(tone.hz - CED_HZ) - CED_SLACK_HZ)
        return slack <= 0 and tone.ms < CED_MS

    def _answering(self, tones: PureTones) -> tuple[float, str] | None:
        tone = tones.open
        if self._ced or tone is None or abs(tone.hz - CED_HZ) > CED_SLACK_HZ:
            return None
        begin = tone.begin_ms
        for earlier in reversed(tones.ended):
            if abs(earlier.hz - CED_HZ) > CED_SLACK_HZ or begin - earlier.end_ms > REVERSAL_MS:
                break
            begin = earlier.begin_ms
        if tone.end_ms - begin < CED_MS:
            return None
        self._ced = True
        return begin, f"{tone.hz:.0f} Hz for {tone.end_ms - begin:.0f} ms: a fax machine answers (CED)"

    def _calling(self, tones: PureTones, line: Spectrum, now_ms: float) -> tuple[float, str] | None:
        if self._cng:
            return None
        burst, at_ms = self._burst, now_ms - 500 / BIN_HZ
        hz = _calling_line(line)
        if hz is not None and (burst is None or not burst.ended(at_ms) or burst.ms < CNG_MS[0]):
            if burst is None or burst.ended(at_ms):
                burst = self._burst = _Burst(at_ms - 10, at_ms + 10)
            burst.hear(hz, line.tone, at_ms + 10)
        elif burst is not None:
            burst.rest += 1
            burst.rest_power += float(tones.power.sum())
            burst.rest_share += tones.share
        if burst is None or not burst.ended(at_ms):
            return None
        other = tones.open
        if other is not None and other.ms > OTHER_MS and other.dbm0 > dbm0(burst.level) - OTHER_DB:
            self._burst = None
            return None
        if now_ms - burst.end_ms < CNG_QUIET_MS:
            return None
        self._burst = None
        return self._judged(burst)

    def _judged(self, burst: _Burst) -> tuple[float, str] | None:
        """A burst after which it was quiet."""
        rest, share = burst.rest_power / burst.rest, burst.rest_share / burst.rest
        if not CNG_MS[0] <= burst.ms <= CNG_MS[1] or not burst.is_held():
            return None
        drop = dbm0(burst.level) - dbm0(rest)
        if drop < CNG_DROP_DB or (share > CNG_REST and drop < FAINT_DB):
            return None
        self._cng = True
        why = f"{burst.hz:.0f} Hz for {burst.ms:.0f} ms, then nothing: a fax machine calls (CNG)"
        return burst.begin_ms, why


def _calling_line(line: Spectrum) -> float | None:
    """How high a frame's strongest line is, if it may be of the calling tone."""
    if line.share < CNG_SHARE or abs(line.bin * BIN_HZ - CNG_HZ) > CNG_SLACK_HZ + BIN_HZ:
        return None
    hz = line_of(line)
    return hz if abs(hz - CNG_HZ) <= CNG_SLACK_HZ and stands_out(line, CNG_STANDS_OUT) else None
