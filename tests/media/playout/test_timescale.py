"""Splices on their own: whole periods go in or out, and nothing is heard of it."""

from __future__ import annotations

import numpy as np
import pytest
from media_rig import pitch, sine

from engine.media.playout.timescale import FADE, LONGEST, NEEDED, QUIET_ONLY, SHORTEST, lengthen, shorten

SILENCE = np.zeros(480, np.int16)


def noise(samples: int, amplitude: int = 8000) -> np.ndarray:
    return np.random.default_rng(5).integers(-amplitude, amplitude, samples).astype(np.int16)


def smooth(pcm: np.ndarray, hz: float) -> bool:
    """Whether a tone of 8000 has no step that is not its own."""
    return bool(np.abs(np.diff(pcm.astype(int))).max() <= 8000 * 2 * np.pi * hz / 8000 * 1.1)


@pytest.mark.parametrize("hz", [100, 133, 200, 400])
def test_whole_periods_are_taken_out(hz):
    tone = sine(hz, 480)
    shorter, alike = shorten(tone, LONGEST, 0.85)
    periods = (len(tone) - len(shorter)) * hz / 8000
    assert periods == pytest.approx(round(periods), abs=0.05)
    assert round(periods) >= 1
    assert alike > 0.95
    assert smooth(shorter, hz)
    assert (shorter[FADE:] == tone[len(tone) - len(shorter) + FADE :]).all()


@pytest.mark.parametrize("hz", [100, 133, 200, 400])
def test_whole_periods_are_put_in(hz):
    tone = sine(hz, 640)
    before, after = tone[:160], tone[160:]
    longer, alike = lengthen(before, after, 0.85)
    periods = (len(longer) - len(after)) * hz / 8000
    assert periods == pytest.approx(round(periods), abs=0.05)
    assert round(periods) >= 1
    assert alike > 0.95
    assert smooth(np.concatenate((before, longer)), hz)
    assert (longer[-len(after) + FADE :] == after[FADE:]).all()
    assert pitch(np.concatenate((before, longer))[:640]) == pytest.approx(hz, abs=13)


@pytest.mark.parametrize("most", [SHORTEST, 50, 81, LONGEST, 1000])
def test_no_more_is_taken_out_than_allowed(most):
    for pcm in (sine(200, 480), SILENCE, noise(480)):
        shorter, _ = shorten(pcm, most, -1.0)
        assert SHORTEST <= len(pcm) - len(shorter) <= min(most, LONGEST)


def test_silence_gives_and_takes_the_most():
    assert len(shorten(SILENCE, 70, QUIET_ONLY)[0]) == len(SILENCE) - 70
    assert len(lengthen(SILENCE, SILENCE, QUIET_ONLY)[0]) == len(SILENCE) + LONGEST


def test_sound_stays_whole_where_nothing_but_silence_may_be_touched():
    assert shorten(sine(200, 480), LONGEST, QUIET_ONLY)[0].tolist() == sine(200, 480).tolist()
    assert lengthen(sine(200, 160), sine(200, 160), QUIET_ONLY)[0].tolist() == sine(200, 160).tolist()


def test_what_is_not_alike_enough_stays_whole():
    pcm = noise(480)
    shorter, alike = shorten(pcm, LONGEST, 0.85)
    assert (shorter is pcm, alike < 0.85) == (True, True)
    longer, alike = lengthen(noise(160), pcm, 0.85)
    assert (longer is pcm, alike < 0.85) == (True, True)


def test_too_little_to_look_at_stays_whole():
    assert len(shorten(SILENCE[: NEEDED - 1], LONGEST, -1.0)[0]) == NEEDED - 1
    assert len(shorten(SILENCE, SHORTEST - 1, -1.0)[0]) == len(SILENCE)
    assert len(lengthen(SILENCE[: LONGEST - 1], SILENCE, -1.0)[0]) == len(SILENCE)
    assert len(lengthen(SILENCE, SILENCE[:119], -1.0)[0]) == 119


def test_full_scale_stays_in_range():
    square = np.where(sine(100, 480) >= 0, 32767, -32768).astype(np.int16)
    for out in (shorten(square, LONGEST, -1.0)[0], lengthen(square[:160], square, -1.0)[0]):
        assert out.dtype == np.int16
        assert np.abs(out.astype(int)).min() > 30000
