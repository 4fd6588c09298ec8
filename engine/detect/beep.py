"""The beep that ends an answering machine's greeting: any single tone of 400 to 2400 Hz.

A voice makes tones too: in a telephone's band a vowel may be little else than its second harmonic, for a
tenth of a second, mostly under 540 Hz. There a beep must be purer than voices are, or last longer,
or come when nobody has just spoken.
"""

from __future__ import annotations

from engine.detect.lone import LoneLine
from engine.detect.pure import PureTones, Spectrum, Steady

LOW_HZ, HIGH_HZ = 380.0, 2450.0
SURE_MS = 130.0
"""A tone so long, steady and alone is no vowel."""
SHORT_MS = 70.0
"""One that ended by itself may be as short as this."""
SPREAD_HZ, SHARE = 5.0, 0.7
"""What two mobile codecs, or noise 5 dB down, leave of a tone's steadiness and of its share of the power."""
BRIEF_MS, BRIEF_SPREAD_HZ, BRIEF_SHARE = 110.0, 3.5, 0.8
VOICES_HZ = 1000.0
STILL_MS = 60.0
"""Nobody spoke for so long before it."""
NOISY_MS = 150.0
"""A tone under noise is one line of so long, while nobody speaks."""


class Beep:
    """Asked every frame after the answer; tells each tone once."""

    def __init__(self) -> None:
        self._told_ms = -1.0
        self.line = LoneLine()

    def look(
        self, tones: PureTones, spectrum: Spectrum, spoke_ms: float, now_ms: float
    ) -> tuple[float, str] | None:
        """When the beep began, in ms, and what it was. `spoke_ms` is when a voice was heard last."""
        line = self.line
        line.feed(spectrum, now_ms)
        found = self._pure(tones, spoke_ms)
        if (
            found is None and line.ms >= NOISY_MS and spoke_ms < line.begin_ms - STILL_MS
            and LOW_HZ <= line.hz <= HIGH_HZ and line.begin_ms > self._told_ms and line.alone
        ):  # fmt: skip
            found = line.begin_ms, f"{line.hz:.0f} Hz out of noise, steady for {line.ms:.0f} ms"
        if found is not None:
            self._told_ms = now_ms
        return found

    def _pure(self, tones: PureTones, spoke_ms: float) -> tuple[float, str] | None:
        tone = tones.open or tones.closed
        if tone is None or tone.begin_ms <= self._told_ms or not LOW_HZ <= tone.hz <= HIGH_HZ:
            return None
        if tone.ms < (SHORT_MS if tone is tones.closed else SURE_MS) or not _steady(tone):
            return None
        if tone.hz < VOICES_HZ and spoke_ms > tone.begin_ms - STILL_MS and not _no_vowel(tone):
            return None
        return tone.begin_ms, f"{tone.hz:.0f} Hz at {tone.dbm0:.0f} dBm0, steady for {tone.ms:.0f} ms"


def _steady(tone: Steady) -> bool:
    if tone.ms < BRIEF_MS:
        return tone.spread_hz <= BRIEF_SPREAD_HZ and tone.share >= BRIEF_SHARE
    return tone.spread_hz <= SPREAD_HZ and tone.share >= SHARE


def _no_vowel(tone: Steady) -> bool:
    """Recorded talkers' vowels: up to 0.92 of the power, a spread of 0.7 Hz and more, 240 ms at most."""
    if tone.ms >= 260:
        return tone.spread_hz <= 3.5
    if tone.ms < SURE_MS:
        return tone.spread_hz <= 0.5 and tone.share >= 0.92
    return tone.share >= 0.94 or (tone.spread_hz <= 0.6 and tone.share >= 0.88)
