"""Levels in dBm0 (ITU-T G.711: the digital milliwatt is 0 dBm0)."""

from __future__ import annotations

import math

import numpy as np

from engine.media.codec import Pcm

FLOOR_DBM0 = -90.0
"""What silence reads."""

MILLIWATT_POWER = (32768 / math.sqrt(2) / 10 ** (3.17 / 20)) ** 2
"""Mean square of an int16 sine at 0 dBm0: 3.17 dB below full scale."""


def power(pcm: Pcm) -> float:
    """Mean square of int16 samples about their mean, which A-law's silence (+8) has; 0.0 for none."""
    count = len(pcm)
    if not count:
        return 0.0
    x = pcm.astype(np.float32)
    mean = float(x.sum()) / count
    return max(0.0, float(x.dot(x)) / count - mean * mean)


def dbm0(mean_square: float) -> float:
    """Mean square of int16 samples as dBm0, no less than `FLOOR_DBM0`."""
    if mean_square <= 0.0:
        return FLOOR_DBM0
    return max(FLOOR_DBM0, 10 * math.log10(mean_square / MILLIWATT_POWER))
