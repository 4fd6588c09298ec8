"""The E-model (ITU-T G.107, 06/2015): how good a call sounds, from its delay and its losses.

Every parameter that isn't measured has the recommendation's default (its table 3), so an ideal call has the
rating 93.2, a mean opinion score of 4.4.
"""

from __future__ import annotations

import math

_RO = 94.77
"""Signal to noise ratio (7.2)."""
_IS = 1.42
"""What comes with the voice: loudness, sidetone, quantizing (7.3)."""
_NO_LESS_RLR = -63.18
_TELR, _WEPL = 65.0, 110.0
"""Loss in dB of the talker's echo, and of the echo's echo."""
_CONCEALED = (0.0, 25.1)
"""Of G.711 with its Appendix I's concealment: impairment Ie and robustness Bpl (G.113, appendix I)."""
_EQUIPMENT = {
    "PCMA": _CONCEALED,
    "PCMU": _CONCEALED,
    "G722": _CONCEALED,
    "opus": _CONCEALED,
}
"""No figures for narrow-band use of G.722 and Opus are published: they are taken for G.711's."""


def rating(delay_ms: float, loss: float, burst_ratio: float = 1.0, codec: str = "PCMA") -> float:
    """R, 0 to 100, of what is heard with a mouth-to-ear delay of `delay_ms`, and `loss` (0 to 1) of its
    packets not played; `burst_ratio` is 1 for random loss, more where it comes in bursts.
    """
    impairment, robustness = _EQUIPMENT.get(codec, _CONCEALED)
    percent = 100 * min(1.0, max(0.0, loss))
    effective = impairment + (95 - impairment) * percent / (percent / max(1.0, burst_ratio) + robustness)
    return min(100.0, max(0.0, _RO - _IS - _delay(max(0.0, delay_ms)) - effective))


def _delay(ms: float) -> float:
    """Id (7.4): talker's echo, listener's echo, and too long a delay without any."""
    terv = _TELR - 40 * math.log10((1 + ms / 10) / (1 + ms / 150)) + 6 * math.exp(-0.3 * ms * ms)
    below = -1.5 * _NO_LESS_RLR - (80 + 2.5 * (terv - 14))
    talker = (below / 2 + math.sqrt(below * below / 4 + 100) - 1) * (1 - math.exp(-ms))
    below = _RO - 10.5 * (_WEPL + 7) / math.sqrt(math.sqrt(2 * ms + 1))
    listener = below / 2 + math.sqrt(below * below / 4 + 169)
    if ms <= 100:
        return talker + listener
    x = math.log2(ms / 100)
    return talker + listener + 25 * (_root(1 + x**6) - 3 * _root(1 + (x / 3) ** 6) + 2)


def _root(x: float) -> float:
    return math.pow(x, 1 / 6)


def opinion(rating: float) -> float:
    """The mean opinion score of a rating, 1 to 4.5 (G.107, annex B)."""
    if rating <= 6.5:  # below it the polynomial rises again
        return 1.0
    return 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
