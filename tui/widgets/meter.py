"""Level meters on a scale of dBm0."""

from __future__ import annotations

from tui.draw import Canvas, Row
from tui.tracks import SILENCE_DBM0

LOW, HIGH = -60.0, 0.0
"""The scale's ends in dBm0."""
HOT, CLIP = -10.0, -3.0
QUIET = -40.0


def position(level: float, cells: int) -> float:
    """Where `level` (dBm0) falls on a scale of `cells`, from 0.0."""
    return (min(max(level, LOW), HIGH) - LOW) / (HIGH - LOW) * cells


def zone(level: float) -> str:
    """The role of a level: low, normal, hot or clipping."""
    if level >= CLIP:
        return "level-clip"
    if level >= HOT:
        return "level-hot"
    return "level-low" if level < QUIET else "level"


def reading(level: float | None) -> str:
    """A level in words of fixed width: `-18.3 dBm0`, `   silence`, `         -`."""
    if level is None:
        return "-".rjust(10)
    return "silence".rjust(10) if level <= SILENCE_DBM0 else f"{level:5.1f} dBm0"


def draw_meter(label: str, level: float | None, peak: float, cells: int) -> Row:
    """One meter in `cells`: label, bar with its recent peak, reading."""
    head = f"{label} "
    length = max(4, cells - len(head) - 11)
    bar = Canvas(length, "·", "level-off")
    if level is not None:
        whole = round(position(level, length))
        for column in range(whole):
            bar.put(column, "▆", zone(LOW + (column + 1) / length * (HIGH - LOW)))
        mark = min(length - 1, int(position(peak, length)))
        if peak > LOW and mark >= whole:
            bar.put(mark, "│", zone(peak))
    return [
        (head, "dim"),
        *bar.row(),
        (" ", "text"),
        (reading(level), "text" if level is not None else "dim"),
    ]


def draw_scale(label: str, cells: int) -> Row:
    """The scale under the meters, a figure every 10 or 20 dB."""
    head = len(label) + 1
    length = max(4, cells - head - 11)
    step = 10 if length >= 36 else 20
    scale = Canvas(length)
    for level in range(int(LOW), int(HIGH), step):
        scale.put(int(position(level, length)), f"╵{level}", "faint-text")
    scale.put(length - 2, "0╵", "faint-text")
    return [(" " * head, "text"), *scale.row(), ("       dBm0", "faint-text")]
