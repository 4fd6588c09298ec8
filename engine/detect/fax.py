"""Fax machines: the calling tone CNG and the answering tone CED (ITU-T T.30)."""

from __future__ import annotations

from engine.detect.pure import PureTones, Steady

CNG_HZ, CNG_SLACK_HZ = 1100.0, 48.0
CNG_MS = (410.0, 600.0)
CNG_DROP_DB = 4.0
CNG_REST = 0.4
"""What follows a burst is so much weaker than it, and no line stands out of it by such a share."""
CNG_QUIET_MS = 400.0
"""After a burst of CNG nothing follows for 3 s; so much of it is waited for."""
CED_HZ, CED_SLACK_HZ = 2100.0, 50.0
CED_MS = 900.0
"""So much of 2100 Hz is no beep: longest pause between two phase reversals twice (ITU-T V.8: 450 ms)."""
REVERSAL_MS = 60.0


class FaxTones:
    """Asked every frame; tells a tone once."""

    def __init__(self) -> None:
        self._burst: Steady | None = None
        self._cng = self._ced = False
        self._rest_db = self._rest_share = 0.0
        self._rest = 0

    def look(self, tones: PureTones, level: float, now_ms: float) -> tuple[float, str] | None:
        """When it began, in ms, and what it was; `level` is the frame's in dBm0."""
        return self._answering(tones) or self._calling(tones, level, now_ms)

    def waits(self, tones: PureTones) -> bool:
        """Whether what is heard may turn out to be a fax machine."""
        tone = tones.open
        if tone is None or tone.frames < 2:
            return self._burst is not None
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

    def _calling(self, tones: PureTones, level: float, now_ms: float) -> tuple[float, str] | None:
        closed = tones.closed
        if closed is not None:
            right = abs(closed.hz - CNG_HZ) <= CNG_SLACK_HZ and CNG_MS[0] <= closed.ms <= CNG_MS[1]
            self._burst = closed if right else None
            self._rest_db = self._rest_share = 0.0
            self._rest = 0
        burst = self._burst
        if burst is None or self._cng:
            return None
        if tones.open is not None:
            self._burst = None
            return None
        self._rest += 1
        self._rest_db += (level - self._rest_db) / self._rest
        self._rest_share += (tones.share - self._rest_share) / self._rest
        if now_ms - burst.end_ms < CNG_QUIET_MS:
            return None
        self._burst = None
        if self._rest_db > burst.dbm0 - CNG_DROP_DB or (self._rest_share > CNG_REST and self._rest_db > -50):
            return None
        self._cng = True
        return (
            burst.begin_ms,
            f"{burst.hz:.0f} Hz for {burst.ms:.0f} ms, then nothing: a fax machine calls (CNG)",
        )
