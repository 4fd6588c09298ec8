"""Concealment on its own: what is made of a hole when one side or both are known."""

from __future__ import annotations

import numpy as np
import pytest
from media_rig import sine

from engine.media.playout.conceal import BEYOND, HISTORY, LONGEST, Concealment, pitch

PERIOD = 80  # of 100 Hz


def voice(samples: int, start: int = 0, hz: float = 100.0) -> np.ndarray:
    """A tone with harmonics, as voiced speech has them."""
    t = np.arange(start, start + samples) / 8000
    return sum(6000 / n * np.sin(2 * np.pi * hz * n * t + n) for n in (1, 2, 3, 5)).astype(np.int16)


def rms(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@pytest.mark.parametrize("hz", [70, 100, 125, 180])
def test_the_pitch_period_is_found(hz):
    found = pitch(voice(HISTORY, hz=hz).astype(np.float32))
    turns = found * hz / 8000
    assert turns == pytest.approx(round(turns), abs=0.03)
    assert round(turns) >= 1


def test_a_periodic_signal_goes_on_in_phase():
    made = Concealment(voice(HISTORY)).take(80)
    assert rms(made - voice(80, HISTORY)) < 0.02 * rms(made)


def test_it_begins_without_a_step():
    history = voice(HISTORY)
    made = Concealment(history).take(160).astype(int)
    steps = np.abs(np.diff(np.concatenate((history[-80:].astype(int), made))))
    assert steps[79] <= np.abs(np.diff(voice(8000).astype(int))).max()


def test_it_weakens_by_a_fifth_each_ten_milliseconds_after_the_first_and_ends_in_silence():
    made = Concealment(voice(HISTORY)).take(LONGEST + 160)
    loud = [rms(made[at : at + PERIOD]) / rms(voice(PERIOD)) for at in range(0, LONGEST, PERIOD)]
    assert loud == pytest.approx([1.0, 0.9, 0.7, 0.5, 0.3, 0.12], abs=0.06)
    assert not made[LONGEST:].any()


def test_pieces_are_the_same_as_the_whole():
    whole, pieces = Concealment(voice(HISTORY)), Concealment(voice(HISTORY))
    sizes = (160, 1, 79, 160, 100)
    assert (np.concatenate([pieces.take(n) for n in sizes]) == whole.take(sum(sizes))).all()
    assert pieces.made == whole.made == sum(sizes)


def test_what_comes_next_is_led_into_and_then_untouched():
    hole = Concealment(voice(HISTORY))
    last = int(hole.take(160)[-1])
    after = voice(160, HISTORY + 200)  # out of phase
    joined = hole.join(after)
    assert abs(int(joined[0]) - last) < abs(int(after[0]) - last)
    assert (joined[80:] == after[80:]).all()
    assert np.abs(np.diff(joined.astype(int))).max() < 2 * np.abs(np.diff(after.astype(int))).max()


def test_after_silence_nothing_is_mixed_into_what_comes_next():
    hole = Concealment(voice(HISTORY))
    hole.take(LONGEST)
    after = voice(160)
    assert (hole.join(after) == after).all()


@pytest.mark.parametrize("gap", [1, 80, 160, 320, LONGEST])
def test_a_hole_of_a_periodic_signal_is_bridged_from_both_sides(gap):
    bridged = Concealment(voice(HISTORY)).bridge(gap, voice(BEYOND, HISTORY + gap))
    assert len(bridged) == gap + BEYOND
    assert (bridged[gap:] == voice(BEYOND, HISTORY + gap)).all()
    end = bridged[max(0, gap - 80) : gap]  # known by the far side however long the hole is
    assert rms(end - voice(len(end), HISTORY + gap - len(end))) < 0.15 * rms(voice(80))


def test_too_little_beyond_is_joined_instead():
    both, one = Concealment(voice(HISTORY)), Concealment(voice(HISTORY))
    beyond = voice(40, HISTORY + 160)
    assert (both.bridge(160, beyond) == np.concatenate((one.take(160), one.join(beyond)))).all()


def test_a_hole_longer_than_its_reach_ends_in_silence_before_what_follows():
    bridged = Concealment(voice(HISTORY)).bridge(LONGEST + 80, voice(BEYOND))
    assert not bridged[LONGEST : LONGEST + 80].any()


@pytest.mark.parametrize("history", [np.zeros(0, np.int16), np.zeros(HISTORY, np.int16), voice(160)])
def test_little_or_silent_history_is_no_harm(history):
    hole = Concealment(history)
    assert len(hole.take(320)) == 320
    assert len(hole.bridge(100, voice(BEYOND))) == 100 + BEYOND


def test_full_scale_is_clipped_not_wrapped():
    square = np.where(sine(100, HISTORY) >= 0, 32767, -32768).astype(np.int16)
    hole = Concealment(square)
    made = np.concatenate((hole.take(80), hole.bridge(80, square[:BEYOND])))
    assert np.abs(made[:40].astype(int)).min() > 20000
