"""What is remembered of a leg for the timeline: levels, tones, digits and SIP messages, all bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

from engine.control.messages import Detection, Digit, Meter, Sip, Spectrum

SILENCE_DBM0 = -90.0
MAX_SAMPLES = 6000
"""Ten minutes of levels at ten a second."""
MAX_COLUMNS = 6000
"""Ten minutes of spectrum at ten columns a second."""
BANDS = 16
MAX_MARKS = 400
TONE_GAP_S = 0.4
"""Meter readings further apart than this do not belong to one stretch of tone."""


@dataclass(slots=True)
class Levels:
    """Received levels in dBm0 by UNIX time, oldest first."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at: float, value: float) -> None:
        if self.times and at <= self.times[-1]:
            return
        self.times.append(at)
        self.values.append(max(SILENCE_DBM0, min(value, 3.2)))
        if len(self.times) > MAX_SAMPLES:
            del self.times[: MAX_SAMPLES // 10], self.values[: MAX_SAMPLES // 10]

    def peaks(self, start: float, step: float, columns: int) -> list[float | None]:
        """The highest level in each of `columns` stretches of `step` seconds; None where none was read."""
        out: list[float | None] = []
        low = bisect_left(self.times, start)
        for column in range(columns):
            high = bisect_left(self.times, start + (column + 1) * step, low)
            out.append(max(self.values[low:high]) if high > low else None)
            low = high
        return out

    def peak_since(self, at: float) -> float:
        """The highest level since `at`; silence where none was read."""
        return max(self.values[bisect_left(self.times, at) :], default=SILENCE_DBM0)


@dataclass(slots=True)
class Spectra:
    """Columns of a spectrum by UNIX time, oldest first: a level from 0 to 15 for each of `BANDS`."""

    times: list[float] = field(default_factory=list)
    columns: list[bytes] = field(default_factory=list)

    def add(self, event: Spectrum) -> None:
        """Columns that make no sense, or come out of order, are left out."""
        for place, digits in enumerate(event.columns[:MAX_COLUMNS]):
            at = event.at + place * event.step_s
            if len(digits) != BANDS or (self.times and at <= self.times[-1]):
                continue
            try:
                column = bytes(int(digit, 16) for digit in digits)
            except ValueError:
                continue
            self.times.append(at)
            self.columns.append(column)
        if len(self.times) > MAX_COLUMNS:
            del self.times[: MAX_COLUMNS // 10], self.columns[: MAX_COLUMNS // 10]

    def loudest(self, start: float, step: float, columns: int) -> list[list[int] | None]:
        """Each band's highest level in each of `columns` stretches of `step` seconds; None where nothing was
        heard."""
        out: list[list[int] | None] = []
        low = bisect_left(self.times, start)
        for column in range(columns):
            high = bisect_left(self.times, start + (column + 1) * step, low)
            out.append([max(band) for band in zip(*self.columns[low:high], strict=True)] or None)
            low = high
        return out


@dataclass(slots=True)
class Stretch:
    """Something that lasted: `label` from `start` to `end`, UNIX seconds. `said` is what an announcement
    means."""

    start: float
    end: float
    label: str
    said: str = ""


@dataclass(slots=True)
class Track:
    """One leg's memory. `heard` holds verdicts, `tones` what the meters named from moment to moment."""

    received: Levels = field(default_factory=Levels)
    sent: Levels = field(default_factory=Levels)
    spectra: Spectra = field(default_factory=Spectra)
    tones: deque[Stretch] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))
    heard: deque[Stretch] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))
    digits: deque[Digit] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))
    sip: deque[Sip] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))

    def meter(self, at: float, meter: Meter) -> None:
        self.received.add(at, meter.received)
        self.sent.add(at, meter.sent)
        if not meter.tone:
            return
        last = self.tones[-1] if self.tones else None
        if last is not None and last.label == meter.tone and 0 <= at - last.end <= TONE_GAP_S:
            last.end = at
        elif last is None or at >= last.end:
            self.tones.append(Stretch(at, at, meter.tone))

    def detection(self, detection: Detection) -> None:
        """Place a verdict on the clock: it is told as its evidence ends."""
        length = max(0, detection.end_ms - detection.begin_ms) / 1000
        start = detection.at - length
        last = self.heard[-1] if self.heard else None
        sample = detection.sample
        said = "" if sample is None else sample.alias or sample.uniqueid
        same = last is not None and (last.label, last.said) == (detection.tone, said)
        if last is not None and same and start - last.end < TONE_GAP_S:
            last.start, last.end = min(last.start, start), max(last.end, detection.at)
        else:
            self.heard.append(Stretch(start, detection.at, detection.tone, said))
