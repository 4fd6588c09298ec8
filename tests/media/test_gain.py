"""Gain that moves without a click, and the soft limit: no sum of voices wraps."""

from __future__ import annotations

import numpy as np
import pytest
from media_rig import sine

from engine.media.gain import KNEE, Fader, limit


def test_what_is_not_too_loud_passes_the_limit_as_it_is():
    quiet = np.arange(-KNEE, KNEE + 1, dtype=np.int32)
    assert (limit(quiet) == quiet).all()


def test_louder_samples_bend_towards_full_scale_in_order_and_never_wrap():
    loud = np.arange(-200_000, 200_001, 7, dtype=np.int32)
    out = limit(loud).astype(int)
    assert (np.diff(out) >= 0).all()
    assert out.max() == 32767
    assert (np.sign(out) == np.sign(loud)).all()


@pytest.mark.parametrize("db", [-30, -6, 6, 20])
def test_a_gain_changes_the_level_by_so_many_decibels(db):
    fader, tone = Fader(), sine(1000, 160, 1000)
    fader.set(db)
    fader.apply(tone)
    louder = fader.apply(tone.copy()).astype(float)
    assert 20 * np.log10(np.std(louder) / np.std(tone)) == pytest.approx(db, abs=0.1)


FACTORS = ((90, 10), (-90, 10**-1.5), (float("nan"), 1), (float("inf"), 10))


@pytest.mark.parametrize(("db", "factor"), FACTORS)
def test_a_gain_out_of_range_is_brought_into_it(db, factor):
    fader, tone = Fader(), np.full(160, 1000, np.int16)
    fader.set(db)
    fader.apply(tone)
    assert fader.apply(tone.copy())[0] == pytest.approx(1000 * factor, abs=1)


def test_a_change_moves_within_one_frame_without_a_jump():
    fader = Fader()
    frames = [np.full(160, 10_000, np.int16) for _ in range(4)]
    fader.set(-20)
    out = np.concatenate([fader.apply(frames[0]), fader.apply(frames[1])])
    fader.set(0)
    out = np.concatenate([out, fader.apply(frames[2]), fader.apply(frames[3])]).astype(int)
    assert np.abs(np.diff(out)).max() < 80
    assert [round(x, -3) for x in (out[0], out[320], out[-1])] == [10_000, 1_000, 10_000]
    assert fader.flat


def test_asked_twice_for_the_same_frame_it_moves_once():
    fader, frame = Fader(), np.full(160, 10_000, np.int16)
    fader.set(-20)
    first = fader.apply(frame)
    assert fader.apply(frame) is first
