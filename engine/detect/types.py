"""The detector's vocabulary: tones, and what a detection carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.detect.prints import Sample

FRAME_SAMPLES = 160
"""Samples in a frame: 20 ms at 8 kHz."""

SAMPLE_RATE = 8000


class Tone(IntFlag):
    """mod_da2's eight tones with its bits, then what it has not."""

    BUSY = 0x01
    RINGBACK = 0x02
    COLORRINGBACK = 0x04
    PROMPT = 0x08
    SAMPLE = 0x10
    SILENCE = 0x20
    SINGLE = 0x40  # the seed's `450hz`: a plan's tone that is not yet a cadence
    UNMATCH = 0x80
    CONGESTION = 0x100
    DIAL = 0x200
    SIT = 0x400
    FAX = 0x800
    DTMF = 0x1000
    BEEP = 0x2000
    HUMAN = 0x4000
    MACHINE = 0x8000

    @property
    def label(self) -> str:
        """The name users see: mod_da2's own where it has one."""
        return "450hz" if self is Tone.SINGLE else (self.name or "unknown").lower()


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing heard, placed on the stream's own time axis.

    `begin_ms` and `end_ms` count from the first frame fed. `end_ms` is when the evidence that
    made the verdict ended, not when the sound did. `confidence` runs from 0 to 1. `why` says in
    words what was measured: frequencies in Hz, cadence in ms.
    """

    tone: Tone
    begin_ms: int
    end_ms: int
    confidence: float
    why: str
    plan: str = ""
    """The tone plan whose cadence matched; empty where none did."""
    sample: Sample | None = None
    """The known announcement, for `SAMPLE`."""
    digit: str = ""
    """The key, for `DTMF`."""
