"""A microphone that is muted or opened does so without a click."""

from __future__ import annotations

import numpy as np

from engine.media.sound.gate import RAMP, Gate


def test_it_closes_and_opens_within_five_milliseconds_without_a_jump():
    gate = Gate()
    frame = np.full(160, 16000, np.int16)
    states = [True, True, False, False, True, True]
    out = np.concatenate([gate.pass_through(frame, is_open) for is_open in states]).astype(int)
    assert np.abs(np.diff(out)).max() <= 16000 / RAMP + 1
    assert (out[:320] == 16000).all()
    assert (out[320 + RAMP : 640] == 0).all()
    assert (out[640 + RAMP :] == 16000).all()
