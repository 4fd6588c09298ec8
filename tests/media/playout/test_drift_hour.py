"""A far end whose clock is wrong, for a long call: the delay stays, and nothing clicks."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from engine.media import codec
from engine.media.network.rtp import Packet
from engine.media.playout import Bounds, Playout

DRIFT = 0.005
"""A far end 0.5 % slow; a clock that is within its specification is fifty times better."""
DEPTH_MS = 90.0
"""Bound of the delay that play-out adds: 60 ms to begin with, at most 20 for the grid of ticks, and the
jitter given here."""
CLICK = 1.35
"""Bound of the greatest step between two samples, as a multiple of the greatest in what was sent."""


def sine_frames() -> Iterator[codec.Pcm]:
    """437.3 Hz: no whole number of samples in a period."""
    n = 0
    step = 2 * math.pi * 437.3 / 8000
    while True:
        yield np.rint(8000 * np.sin(step * np.arange(n, n + 160))).astype(np.int16)
        n += 160


def speech_frames() -> Iterator[codec.Pcm]:
    """Like speech to a pitch search: syllables with a gliding pitch, hiss, and pauses; seeded."""
    rng = np.random.default_rng(7)
    while True:
        syllables = []
        for _ in range(8):
            size = int(rng.integers(1200, 2400))
            hz = np.linspace(*rng.uniform(90, 220, 2), size)
            phase = 2 * np.pi * np.cumsum(hz) / 8000
            voice = sum(np.sin(k * phase + k * k) / k for k in range(1, 12))
            syllables.append(voice * np.hanning(size) * 4000)
            syllables.append(rng.standard_normal(400) * np.hanning(400) * 600)
            syllables.append(np.zeros(int(rng.integers(400, 2400))))
        audio = np.rint(np.concatenate(syllables)).astype(np.int16)
        for at in range(0, len(audio) - 159, 160):
            yield audio[at : at + 160]


class Call:
    """One bridged call's receiving leg, minute after minute on an injected clock."""

    def __init__(self, frames: Iterator[codec.Pcm], drift: float, jitter_s: float = 0.0) -> None:
        self.playout = Playout(Bounds())
        self._frames = frames
        self._interval = 0.02 * (1 + drift)
        self._jitter = jitter_s
        self._rng = random.Random(5)
        self._sent = 0
        self._coming: list[tuple[float, Packet]] = []
        self._tick = 0
        self._last = 0
        self.depths: list[float] = []
        self.step = self.own_step = 0
        self._own_last = 0

    def _send(self, now: float) -> None:
        while (due := 0.0071 + self._sent * self._interval) <= now + 0.1:
            pcm = next(self._frames)
            self.own_step = max(self.own_step, self._step(pcm, self._own_last))
            self._own_last = int(pcm[-1])
            packet = Packet(8, self._sent & 0xFFFF, (2**32 - 90000 + self._sent * 160) & 0xFFFFFFFF, 1,
                            codec.encode("PCMA", pcm))
            self._coming.append((due + self._rng.random() * self._jitter, packet))
            self._sent += 1
        self._coming.sort(key=lambda each: each[0])

    @staticmethod
    def _step(pcm: codec.Pcm, before: int) -> int:
        return max(abs(int(pcm[0]) - before), int(np.abs(np.diff(pcm.astype(np.int32))).max()))

    def run(self, seconds: float) -> Iterator[codec.Pcm]:
        for _ in range(int(seconds / 0.02)):
            now = self._tick * 0.02
            self._send(now)
            while self._coming and self._coming[0][0] <= now:
                arrival, packet = self._coming.pop(0)
                self.playout.put(packet, "PCMA", arrival)
            frame = self.playout.get(now)
            self.step = max(self.step, self._step(frame, self._last))
            self._last = int(frame[-1])
            self.depths.append(self.playout.figures().depth_ms)
            self._tick += 1
            yield frame

    def check(self) -> None:
        playout, seconds = self.playout, self._tick * 0.02
        assert max(self.depths) <= DEPTH_MS
        assert self.step <= CLICK * self.own_step
        assert playout.late + playout.lost + playout.discarded + playout.resets == 0
        assert playout.concealed <= seconds * 8  # a thousandth
        figures = playout.figures()
        changed = (figures.stretched_ms - figures.squeezed_ms) / 1000
        drifted = (self._interval / 0.02 - 1) * seconds
        assert changed == pytest.approx(drifted, abs=0.1 + abs(drifted) * 0.02)


@pytest.mark.parametrize("frames", [sine_frames, speech_frames])
@pytest.mark.parametrize("drift", [DRIFT, -DRIFT])
def test_five_minutes_of_a_far_end_half_a_percent_off(frames, drift):
    call = Call(frames(), drift, 0.01)
    for _ in call.run(300):
        pass
    call.check()


@pytest.mark.slow
@pytest.mark.parametrize("drift", [DRIFT, -DRIFT])
def test_sixty_minutes_of_a_far_end_half_a_percent_off(drift):
    call = Call(speech_frames(), drift, 0.01)
    for _ in call.run(3600):
        pass
    call.check()


def stretched(call: Call) -> tuple[int, int]:
    figures = call.playout.figures()
    return figures.stretched_ms, figures.squeezed_ms


def test_without_drift_nothing_is_put_in_or_taken_out_once_the_depth_has_settled():
    call = Call(speech_frames(), 0.0)
    for _ in call.run(20):
        pass
    before = stretched(call)
    for _ in call.run(60):
        pass
    assert stretched(call) == before
    assert max(call.depths[-1000:]) <= 40
