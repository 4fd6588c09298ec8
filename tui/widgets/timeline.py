"""The call on one time axis: its spectrogram, what was heard, DTMF, SIP messages, the flow's steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from tui.calls import STEP_NAMES, Call, Step
from tui.draw import Canvas, Row
from tui.state import ConsoleState
from tui.text import clean, clip, count, duration, width
from tui.tracks import Track
from tui.widgets.meter import HIGH, LOW, zone
from tui.widgets.pane import Pane, heading
from tui.widgets.spectrogram import draw_spectrum
from tui.widgets.spectrogram import scale as frequencies

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds a column."""
AUTO_LIMIT = 0.5
LABEL = 7
STRIP_ROWS = 8
"""The spectrogram's rows, where there is room."""
BARS = "▁▂▃▄▅▆▇█"
MAX_SHIFT = 30
"""Columns that a SIP message may stand to the right of its time."""
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800)
TONE_ROLES = {
    "ringback": "span-ring",
    "colorringback": "span-ring",
    "dial": "span-tone",
    "busy": "span-bad",
    "congestion": "span-bad",
    "sit": "span-bad",
    "silence": "span-quiet",
    "prompt": "span-voice",
    "sample": "span-voice",
    "speech": "span-voice",
    "voice": "span-voice",
    "human": "span-voice",
    "unmatch": "span-voice",
    "fax": "span-bad",
}
STEP_ROLES = dict.fromkeys(Step, "span-flow") | {Step.BRIDGE: "span-voice", Step.WAIT_TONE: "span-ring"}


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time on show: `columns` of `step` seconds from `start` (UNIX seconds)."""

    origin: float
    start: float
    step: float
    columns: int

    def column(self, at: float) -> int:
        return math.floor((at - self.start) / self.step + 1e-6)


def window(call: Call, now: float, columns: int, zoom: int = 0) -> Window:
    """Fit the whole call while it is short, then follow its end. `zoom` steps away from that."""
    end = max(now if call.over_at is None else call.over_at, call.started)
    elapsed = end - call.started
    limit = SCALES.index(AUTO_LIMIT)
    auto = next((i for i, s in enumerate(SCALES[: limit + 1]) if elapsed / s < columns), limit)
    step = SCALES[min(max(auto - zoom, 0), len(SCALES) - 1)]
    beyond = max(0, int(elapsed / step) - columns + 1)
    return Window(call.started, call.started + beyond * step, step, columns)


def draw_levels(track: Track, view: Window, rows: int) -> list[Row]:
    """The received level as bars `rows` tall."""
    lanes = [Canvas(view.columns) for _ in range(rows)]
    for column, level in enumerate(track.received.peaks(view.start, view.step, view.columns)):
        if level is None:
            continue
        eighths = round((min(max(level, LOW), HIGH) - LOW) / (HIGH - LOW) * rows * 8)
        for lane in range(rows):
            part = eighths - (rows - 1 - lane) * 8
            if part > 0:
                lanes[lane].put(column, BARS[min(part, 8) - 1], zone(level))
            elif lane == rows - 1:
                lanes[lane].put(column, "▁", "level-off")
    return [lane.row() for lane in lanes]


def put_span(canvas: Canvas, column: int, size: int, label: str, role: str) -> None:
    """A bar in its role's ground, its label at the start."""
    text = clip(label, size - 1) if size > 2 else ""
    canvas.put(column, "▎" + text + " " * (size - 1 - width(text)), role)


def draw_heard(track: Track, view: Window) -> Row:
    """Verdicts where there are any, elsewhere what the meters named from moment to moment."""
    labels: list[tuple[str, str]] = [("", "")] * view.columns
    for stretch in (*track.tones, *track.heard):
        first, last = view.column(stretch.start), view.column(stretch.end)
        for column in range(max(first, 0), min(last, view.columns - 1) + 1):
            labels[column] = stretch.label, stretch.said
    canvas = Canvas(view.columns)
    column = 0
    for (label, said), run in groupby(labels):
        size = len(list(run))
        if label:
            put_span(canvas, column, size, said or label, TONE_ROLES.get(label, "span-tone"))
        column += size
    return canvas.row()


def last_heard(call: Call, track: Track) -> str:
    """The last verdict with its begin and end, in the axis's seconds; empty while there is none."""
    if not track.heard:
        return ""
    last = track.heard[-1]
    what = f"{last.label}: {last.said}" if last.said else last.label
    begin, end = (max(0.0, at - call.started) for at in (last.start, last.end))
    return f"{clip(what, 32)} {begin:.1f}-{end:.1f} s"


def draw_digits(track: Track, view: Window) -> Row:
    """Received digits as they are, sent ones after ▸; a digit that finds its place taken moves right."""
    canvas = Canvas(view.columns)
    for event in track.digits:
        text = clip(event.digit, 2) if event.received else "▸" + clip(event.digit, 2)
        column = view.column(event.at)
        if column < 0:
            continue
        while column < view.columns and not canvas.free(column, column + len(text)):
            column += 1
        canvas.put(column, text, "digit" if event.received else "sip-sent")
    return canvas.row()


def draw_sip(track: Track, view: Window, rows: int) -> list[Row]:
    """Messages where they happened, ▸ sent and ◂ received.

    Those that came close together are shortened, share the rows and move right, a few columns at most.
    """
    lanes = [Canvas(view.columns) for _ in range(rows)]
    taken = [0] * rows
    events = [(view.column(event.at), event) for event in track.sip]
    for place, (column, event) in enumerate(events):
        if not 0 <= column < view.columns:
            continue
        lane = min(range(rows), key=lambda index: (max(taken[index] - column, 0), index))
        start = max(column, taken[lane])
        if start - column > MAX_SHIFT:
            continue
        arrow, role = ("▸", "sip-sent") if event.sent else ("◂", "sip-received")
        text = arrow + clip(event.text, 24)
        following = events[place + rows][0] if place + rows < len(events) else view.columns
        if start + width(text) >= following:
            text = arrow + clip(clean(event.text).split(" ")[0], 12)
        if start + width(text) > view.columns:
            start = max(taken[lane], view.columns - width(text))
            text = text if start + width(text) <= view.columns else arrow
        taken[lane] = lanes[lane].put(start, text, role) + 1
    return [lane.row() for lane in lanes]


def draw_flow(call: Call, view: Window, now: float) -> Row:
    """The steps, each until the next began."""
    canvas = Canvas(view.columns)
    reached = sorted(call.reached.items(), key=lambda item: item[1])
    starts = [view.column(at) for _, at in reached]
    ends = [*starts[1:], view.column(call.over_at or now) + 1]
    for (step, _), start, end in zip(reached, starts, ends, strict=True):
        first, last = max(start, 0), min(end, view.columns)
        if first < last:
            put_span(canvas, first, last - first, STEP_NAMES[step].lower(), STEP_ROLES[step])
    return canvas.row()


def draw_axis(view: Window) -> Row:
    """Seconds from the start of the call."""
    canvas = Canvas(view.columns)
    tick = next((t for t in TICKS if t / view.step >= 8), TICKS[-1])
    first = int((view.start - view.origin) // tick) * tick
    for second in range(first, first + int(view.columns * view.step) + 2 * tick, tick):
        column = round((view.origin + second - view.start) / view.step)
        if 0 <= column < view.columns:
            text = f"{second}s" if second < 60 else duration(second)
            canvas.put(column, f"╵{text}", "faint-text")
    return canvas.row()


def draw_timeline(call: Call, track: Track, now: float, cells: int, rows: int, zoom: int = 0) -> list[Row]:
    """The lanes that `rows` has room for, the axis last."""
    view = window(call, now, max(1, cells - LABEL - 1), zoom)
    events = 1 if rows < 8 else 2
    strip = min(STRIP_ROWS, rows - 2 - events)
    spare = rows - 2 - events - STRIP_ROWS
    lanes: list[tuple[str, Row]] = []
    if strip > 1:
        drawn = draw_spectrum(track.spectra, view.start, view.step, view.columns, strip)
        lanes += zip(frequencies(strip), drawn, strict=True)
    lanes.append(("heard", draw_heard(track, view)))
    if events == 2 or track.digits:
        lanes.append(("DTMF", draw_digits(track, view)))
    if events == 2 or not track.digits:
        sip = draw_sip(track, view, 1 + (spare >= 2))
        lanes += zip(("SIP", ""), sip, strict=False)
    if spare >= 1:
        lanes.append(("flow", draw_flow(call, view, now)))
    if spare >= 3:
        levels = draw_levels(track, view, min(3, spare - 2))
        lanes += zip(("",) * (len(levels) - 1) + ("level",), levels, strict=True)
    out: list[Row] = [[(f" {name:<{LABEL - 2}} ", "dim"), *row] for name, row in lanes]
    axis: Row = [(" " * LABEL, "dim"), *draw_axis(view)]
    return [*out[: max(0, rows - 1)], axis]


class Timeline(Pane):
    """The timeline of the call on show."""

    def __init__(self, state: ConsoleState, clock: Callable[[], float], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.clock = clock
        self.zoom = 0

    def zoom_by(self, steps: int) -> None:
        """Show less time (positive) or more; the automatic scale is at 0."""
        self.zoom = min(max(self.zoom + steps, -len(SCALES)), len(SCALES))
        self.redraw()

    def draw(self, cells: int, rows: int) -> list[Row]:
        call = self.state.call
        track = self.state.track_of(call)
        if call is None or track is None:
            quiet: Row = [
                (" Nothing on the line. Its sound, tones, digits and SIP messages appear here.", "dim")
            ]
            return [heading("TIMELINE", [], cells), quiet]
        scale = window(call, self.clock(), max(1, cells - LABEL - 1), self.zoom).step
        info: Row = [(f"{scale:g} s a column", "dim")]
        if (last := last_heard(call, track)) and len(last) < cells - 36:
            info = [(last, "text"), (" · ", "faint"), *info]
        elif track.digits:
            info = [(count(len(track.digits), "digit"), "dim"), (" · ", "faint"), *info]
        return [
            heading("TIMELINE", info, cells),
            *draw_timeline(call, track, self.clock(), cells, rows - 1, self.zoom),
        ]
