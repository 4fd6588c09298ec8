"""DTMF in the audio itself (ITU-T Q.23, Q.24): frames in, key presses out.

Two steps. Every frame is screened: is a tone of each group there, and do the two stand out of all else? That
costs a product with a fixed matrix. Only what passes is measured (see `keytone`): frequencies, levels,
beginning and end, and what is left once the two tones are taken away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.detect.keytone import HIGH, LOW, SHORTEST, KeyTone, measure
from engine.detect.types import FRAME_SAMPLES, SAMPLE_RATE

Floats = npt.NDArray[np.float32]

HALF = FRAME_SAMPLES // 2
"""Screened are windows of 20 ms, 10 ms apart."""
_WINDOWS = FRAME_SAMPLES + HALF  # samples that the two windows of a frame span
SHARE = 0.2
"""The least share of a window's energy that the two tones hold: it is half at a signal-to-noise ratio of
0 dB, and a third less for frequencies 1.5 % off."""
_WEAKER = 10 ** (-16 / 10)  # the weaker tone, in a window
_FLOOR = 160.0  # mean square below which nothing is a key: -44 dBm0
KEPT_FRAMES = 6
"""Frames kept: a window to judge with what is around it."""
LONGEST = 60 * SAMPLE_RATE // 1000
"""Of a tone that is not yet a key no more than this is kept in view."""
DECIDED = 40 * SAMPLE_RATE // 1000
"""A tone is judged once it seems to have lasted so long, and when it has ended."""
MAX_WAIT = 16 * DECIDED
"""One that goes on and is no key is judged again after `DECIDED`, and then ever more seldom, up to this."""
_DROPPED, _NOISE_SHARE = 0.03, 0.25
"""The power, of the tone's, under which it is interrupted; more where noise would hide the interruption: five
times the noise's in the two windows."""
_ECHO, _ECHO_WITHIN = 0.1, 40 * SAMPLE_RATE // 1000
"""The same key again, so much weaker and so soon after its end, is its echo."""


def _projection() -> Floats:
    """Onto the eight tones, in each of the two windows: columns are cosines, sines, for each window."""
    n = np.arange(FRAME_SAMPLES)
    columns = np.zeros((_WINDOWS, 2, 2, 8))
    for k, hz in enumerate((*LOW, *HIGH)):
        angle = 2 * np.pi * hz / SAMPLE_RATE * n
        for window, start in enumerate((0, HALF)):
            columns[start : start + FRAME_SAMPLES, window, 0, k] = np.cos(angle)
            columns[start : start + FRAME_SAMPLES, window, 1, k] = np.sin(angle)
    return columns.reshape(_WINDOWS, 32).astype(np.float32)


PROJECTION = _projection()
_UNIT = 2 / FRAME_SAMPLES  # a tone's power times this is its share of a window's energy


@dataclass(slots=True)
class Screened:
    """The power of the eight tones in each of a frame's two windows, the energies of the three halves that
    the windows are of, and whether two tones may be loud enough in one of them."""

    powers: Floats
    energies: Floats
    loud: bool


def screen(products: Floats, energies: Floats) -> list[Screened]:
    """Of many frames: rows of the products of their last 240 samples with `PROJECTION`, and of energies."""
    squares = products * products
    powers = squares.reshape(-1, 2, 2, 8).sum(axis=2)
    strongest = powers.reshape(-1, 4, 4).max(axis=2).reshape(-1, 2, 2).sum(axis=2) * _UNIT
    loud = (strongest > SHARE * (energies[:, :2] + energies[:, 1:])).any(axis=1).tolist()
    return [Screened(*row) for row in zip(powers, energies, loud, strict=True)]


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A key in the audio, told when it is certain and again when it is `over`.

    Times count from the first frame fed; `end_ms` is as far as it was heard. `why` says what was measured.
    """

    digit: str
    begin_ms: int
    end_ms: int
    over: bool = False
    why: str = ""


@dataclass(slots=True)
class _Run:
    """Windows in a row with the same two tones, from sample `first` to `last`; to be judged at `due`, and if
    they are no key again after `wait`."""

    pair: int
    first: int
    last: int
    due: int
    wait: int = DECIDED


class DtmfDetector:
    """Listens to one stream for keys. `feed` takes its frames one by one; see also `feed_many`."""

    def __init__(self) -> None:
        self._sound = deque([np.zeros(FRAME_SAMPLES, np.float32)] * KEPT_FRAMES, KEPT_FRAMES)
        self._samples = 0
        self._run: _Run | None = None
        self._held: KeyTone | None = None
        self._held_power = self._dropped = 0.0
        self._told: KeyTone | None = None
        self._faded = 0.0
        self._last_on = 0
        self.measured = 0
        """How often the screening let something pass."""

    @property
    def now_ms(self) -> int:
        """How much has been fed."""
        return self._samples // (SAMPLE_RATE // 1000)

    def feed(self, frame: npt.NDArray[np.int16]) -> list[KeyPress]:
        """One frame of 160 samples (20 ms at 8 kHz); what became certain with it."""
        return [press for _, press in feed_many((self,), frame[None])]

    def hear(self, frame: Floats, screened: Screened, quiet: bool) -> list[KeyPress]:
        """The same for a frame that was screened. `quiet`: this frame and the one before are too weak for a
        key to begin."""
        self._keep(frame)
        listens = self._run is not None or self._held is not None
        if listens or (screened.loud and not quiet):
            return self._take(screened.powers, screened.energies)
        return []

    def _keep(self, frame: Floats) -> None:
        self._sound.append(frame)
        self._samples += FRAME_SAMPLES

    def _take(self, powers: Floats, energies: Floats) -> list[KeyPress]:
        found: list[KeyPress] = []
        first, second, third = energies.tolist()
        rows = powers.tolist()
        at = self._samples - _WINDOWS
        for row, energy in ((rows[0], first + second), (rows[1], second + third)):
            self._window(row, energy, at, found)
            at += HALF
        if self._run is not None and self._run.last >= self._run.due:
            self._judge(found)
        return found

    def _window(self, row: list[float], energy: float, at: int, found: list[KeyPress]) -> None:
        low, high = max(row[:4]), max(row[4:])
        pair = -1
        if (
            energy > _FLOOR * FRAME_SAMPLES and (low + high) * _UNIT > SHARE * energy
            and low > _WEAKER * high and high > _WEAKER * low
        ):
            pair = row.index(low) * 4 + row.index(high, 4) - 4
        if self._held is not None and self._still_held(row, at, pair, found):
            return
        run = self._run
        if run is not None and pair != run.pair:
            self._judge(found)
            self._run = run = None
        if pair >= 0 and (self._held is None or pair != self._held.pair):
            if run is None:
                self._run = _Run(pair, at, at + FRAME_SAMPLES, at + DECIDED)
            else:
                run.last = at + FRAME_SAMPLES

    def _still_held(self, row: list[float], at: int, pair: int, found: list[KeyPress]) -> bool:
        """Whether a window still belongs to the key that was told."""
        held = self._held
        assert held is not None
        power = (row[held.pair // 4] + row[4 + held.pair % 4]) / self._held_power
        if power + self._faded < 2 * self._dropped:
            self._release(found)
            return False
        self._faded = power
        if power > 0.5:
            self._last_on = at + FRAME_SAMPLES
            self._held_power *= 0.9 + 0.1 * power
        return pair == held.pair

    def _release(self, found: list[KeyPress]) -> None:
        held, self._held = self._held, None
        if held is not None:
            end = max(held.end, self._last_on)
            found.append(KeyPress(held.digit, held.begin // 8, end // 8, True, held.why))

    def _judge(self, found: list[KeyPress]) -> None:
        run = self._run
        if run is None or run.last - run.first < FRAME_SAMPLES + HALF:
            return
        self.measured += 1
        kept = np.concatenate(self._sound)
        tone = measure(kept, self._samples - len(kept), run.pair, run.first, run.last)
        if tone is None:
            run.first = max(run.first, run.last - LONGEST)
            run.due = run.last + run.wait
            run.wait = min(2 * run.wait, MAX_WAIT)
            return
        if tone.end - tone.begin < SHORTEST or self._is_echo(tone):
            return
        self._release(found)
        self._held, self._told, self._run = tone, tone, None
        self._dropped = max(_DROPPED, min(0.12, _NOISE_SHARE * tone.noise / tone.power))
        self._held_power = tone.power * (FRAME_SAMPLES / 2) ** 2
        self._faded = 1.0
        self._last_on = tone.end
        found.append(KeyPress(tone.digit, tone.begin // 8, tone.end // 8, False, tone.why))

    def _is_echo(self, tone: KeyTone) -> bool:
        before = self._told
        return (
            before is not None and tone.pair == before.pair and tone.power < _ECHO * before.power
            and tone.begin - self._last_on < _ECHO_WITHIN
        )


def feed_many(
    detectors: Sequence[DtmfDetector], frames: npt.NDArray[np.int16]
) -> list[tuple[int, KeyPress]]:
    """One frame of each stream, `frames` of shape [streams, 160]; what became certain, and which stream's."""
    recent = np.empty((len(detectors), _WINDOWS), np.float32)
    for row, detector, frame in zip(recent, detectors, frames, strict=True):
        row[:HALF] = detector._sound[-1][HALF:]
        row[HALF:] = frame
        detector._keep(row[HALF:])
    energies = (recent * recent).reshape(-1, 3, HALF).sum(axis=2)
    found: list[tuple[int, KeyPress]] = []
    for n, (detector, each) in enumerate(zip(detectors, screen(recent @ PROJECTION, energies), strict=True)):
        if each.loud or detector._held is not None or detector._run is not None:
            found += [(n, press) for press in detector._take(each.powers, each.energies)]
    return found
