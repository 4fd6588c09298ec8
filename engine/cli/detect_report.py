"""`offhook detect --report`: a page with a recording's spectrogram and what was heard in it, in one file."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

WINDOW = 256
"""Samples of a column's spectrum, 32 ms."""
MAX_COLUMNS = 4000
"""A longer recording's columns are further apart than 10 ms."""
FLOOR_DB, TOP_DB = -75.0, -10.0
PIXELS_PER_S = 60
_COLOURS = np.array(
    [(12, 14, 24), (45, 27, 105), (150, 40, 110), (235, 105, 60), (252, 235, 160)], np.float64
)
_LANES = {
    "busy": "#e5484d", "congestion": "#e5484d", "ringback": "#3e9e6a", "colorringback": "#8e6bd8",
    "prompt": "#3b82c4", "unmatch": "#3b82c4", "sample": "#d97706", "silence": "#6b7280",
}


def spectrogram(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Level in dB under full scale: rows are 31.25 Hz each, from 0 up to 4 kHz, columns are times."""
    step = max(80, -(-len(pcm) // MAX_COLUMNS))
    padded = np.concatenate((pcm.astype(np.float64) / 32768, np.zeros(WINDOW)))
    starts = np.arange(0, max(1, len(pcm)), step)
    frames = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / (WINDOW / 4) ** 2
    return np.asarray(10 * np.log10(power.T + 1e-12))


def png(levels: npt.NDArray[np.float64]) -> bytes:
    """An image of a spectrogram, low frequencies at the bottom."""
    share = np.clip((levels - FLOOR_DB) / (TOP_DB - FLOOR_DB), 0, 1)[::-1]
    at = share * (len(_COLOURS) - 1)
    low = np.minimum(at.astype(int), len(_COLOURS) - 2)
    part = (at - low)[..., None]
    pixels = np.rint(_COLOURS[low] * (1 - part) + _COLOURS[low + 1] * part).astype(np.uint8)
    height, width, _ = pixels.shape
    rows = np.concatenate((np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)), axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)), chunk(b"IEND", b""),
    ))  # fmt: skip


def page(pcm: npt.NDArray[np.int16], lines: list[dict[str, Any]]) -> str:
    """The page of a recording at 8 kHz and of what `offhook detect --json` prints for it."""
    result = lines[-1]
    seconds = max(len(pcm) / 8000, 0.02)
    width = round(max(600, min(20_000, seconds * PIXELS_PER_S)))
    image = base64.b64encode(png(spectrogram(pcm))).decode()
    title = html.escape(str(result["file"]))
    told = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(_shown(result[key]))}</dd>"
        for key in result
        if key not in ("type", "file")
    )
    detections = lines[:-1]
    bars = "".join(_bar(each, n, width / seconds) for n, each in enumerate(detections))
    rows = "".join(_row(each) for each in detections)
    ticks = "".join(
        f'<span style="left:{second * width / seconds:.0f}px">{second} s</span>'
        for second in range(0, int(seconds) + 1, max(1, int(seconds // 60)))
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; color: #1c2024; background: #fff }}
@media (prefers-color-scheme: dark) {{ body {{ color: #e6e8eb; background: #14161a }} }}
.strip {{ overflow-x: auto; position: relative }}
.strip img {{ display: block; width: {width}px; height: 258px; image-rendering: pixelated }}
.ticks, .bars {{ position: relative; width: {width}px; height: 1.6em; font-size: 12px }}
.bars {{ height: 5.4em }}
.ticks span, .bars span {{ position: absolute; white-space: nowrap }}
.bars span {{ color: #fff; border-radius: 3px; padding: 0 4px; min-width: 3px; overflow: hidden }}
dl {{ display: grid; grid-template-columns: max-content auto; gap: 0 1.5em }}
dt {{ font-weight: 600 }} dd {{ margin: 0 }}
td, th {{ text-align: left; padding: .15em 1.2em .15em 0; vertical-align: top }}
</style></head><body>
<h1>{title}</h1><dl>{told}</dl>
<div class="strip"><img alt="spectrogram, 0 to 4 kHz" src="data:image/png;base64,{image}">
<div class="ticks">{ticks}</div><div class="bars">{bars}</div></div>
<table><tr><th>known at</th><th>tone</th><th>from</th><th>to</th><th>what</th><th>why</th></tr>{rows}</table>
</body></html>
"""


def _bar(line: dict[str, Any], place: int, scale: float) -> str:
    left = line["begin_ms"] / 1000 * scale
    wide = max(3.0, (line["end_ms"] - line["begin_ms"]) / 1000 * scale)
    colour = _LANES.get(line["tone"], "#475569")
    word = html.escape(_what(line) or line["tone"])
    top = place % 3 * 1.75
    place_style = f"left:{left:.0f}px;width:{wide:.0f}px;top:{top}em;background:{colour}"
    return f'<span title="{word}" style="{place_style}">{word}</span>'


def _row(line: dict[str, Any]) -> str:
    cells = (
        f"{line['at_s']:.2f} s", line["tone"], f"{line['begin_ms'] / 1000:.2f} s",
        f"{line['end_ms'] / 1000:.2f} s", _what(line), line["why"],
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _what(line: dict[str, Any]) -> str:
    sample = line.get("sample")
    if sample:
        return str(sample["alias"] or sample["uniqueid"])
    return str(line.get("digit", ""))


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)
