"""What play-out is told of the delay that is wanted, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the depth, in ms: how long after the fastest packets of late would arrive audio is played."""

    least: int = 20
    first: int = 60
    most: int = 200


@dataclass(frozen=True, slots=True)
class PlayoutFigures:
    """What play-out did so far; see `Playout`."""

    depth_ms: float
    target_ms: float
    late: int
    lost: int
    discarded: int
    resets: int
    concealed_ms: int
    stretched_ms: int
    squeezed_ms: int
