"""The beep that ends an answering machine's greeting: any single tone of 400 to 2400 Hz."""

from __future__ import annotations

from engine.detect.pure import PureTones

LOW_HZ, HIGH_HZ = 380.0, 2450.0
SURE_MS = 130.0
"""A tone so long, steady and alone is no vowel."""
SHORT_MS = 70.0
"""One that ended by itself may be as short as this."""
SPREAD_HZ = 3.5
SHARE = 0.72


class Beep:
    """Asked every frame after the answer; tells each tone once."""

    def __init__(self) -> None:
        self._told = -1.0

    def look(self, tones: PureTones) -> tuple[float, str] | None:
        """When the beep began, in ms, and what it was."""
        tone = tones.open or tones.closed
        if tone is None or tone.begin_ms == self._told or not LOW_HZ <= tone.hz <= HIGH_HZ:
            return None
        enough = SHORT_MS if tone is tones.closed else SURE_MS
        if tone.ms < enough or tone.spread_hz > SPREAD_HZ or tone.share < SHARE:
            return None
        self._told = tone.begin_ms
        return tone.begin_ms, f"{tone.hz:.0f} Hz at {tone.dbm0:.0f} dBm0, steady for {tone.ms:.0f} ms"
