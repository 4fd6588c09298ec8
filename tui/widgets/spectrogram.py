"""What a call sounds like: received frequencies upwards, time to the right, on the timeline's scale.

Two bands a row, by half blocks. The louder one is the ink and the other one the ground, so that the picture
holds where there are no colours; and the colours go from the ground's brightness to its opposite, so that it
holds in grey and for any eye.
"""

from __future__ import annotations

from tui.draw import ON, Row
from tui.tracks import BANDS, Spectra

TOP_KHZ = 4
HEATS = 6
LEAST = 3
"""Levels below this, -58 dBm0, are the line's own noise."""


def heat(level: int) -> int:
    """The colour's number of a level from 0 to 15: 0 for none."""
    return 0 if level < LEAST else min(HEATS, 1 + (level - LEAST) * HEATS // (16 - LEAST))


def cell(upper: int, lower: int) -> tuple[str, str]:
    """The character and role for two halves, by their colours' numbers."""
    if not upper and not lower:
        return " ", "text"
    if upper == lower:
        return "█", f"heat-{upper}"
    glyph, ink, ground = ("▀", upper, lower) if upper > lower else ("▄", lower, upper)
    return glyph, f"heat-{ink}{ON}heat-{ground}" if ground else f"heat-{ink}"


def halves(bands: list[int], count: int) -> list[int]:
    """The bands' levels brought into `count` halves of rows, the lowest frequencies first."""
    return [max(bands[BANDS * half // count : -(-BANDS * (half + 1) // count)]) for half in range(count)]


def draw_spectrum(spectra: Spectra, start: float, step: float, columns: int, rows: int) -> list[Row]:
    """`rows` rows, the highest frequencies first. `start` is UNIX seconds, `step` seconds a column."""
    out: list[Row] = [[] for _ in range(rows)]
    for bands in spectra.loudest(start, step, columns):
        heats = [heat(level) for level in halves(bands, 2 * rows)] if bands is not None else [0] * (2 * rows)
        for row in range(rows):
            low = 2 * (rows - 1 - row)
            text, role = cell(heats[low + 1], heats[low])
            line = out[row]
            if line and line[-1][1] == role:
                line[-1] = (line[-1][0] + text, role)
            else:
                line.append((text, role))
    return out


def scale(rows: int) -> list[str]:
    """What stands left of each row: the frequency at its upper edge in kHz, where that is whole."""
    marks = [TOP_KHZ * (rows - row) / rows for row in range(rows)]
    texts = [f"{mark:.0f}" if mark.is_integer() else "" for mark in marks]
    return [f"{texts[0]} kHz", *texts[1:]]
