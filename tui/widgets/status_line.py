"""The top line: trunk, flow, operator, sound, clock; and under it whatever needs to be said aloud."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.control.messages import Flow, Sound, Trunk
from tui.draw import Row, crop, justify, row_width
from tui.keymap import shown
from tui.state import ConsoleState
from tui.text import clip, until
from tui.widgets.pane import Pane

TRUNK_WORDS = {
    "off": ("●", "no registration needed", "good"),
    "registering": ("◌", "registering", "warn"),
    "registered": ("●", "registered", "good"),
    "failed": ("✕", "registration failed", "bad"),
    "lost": ("✕", "registration lost", "bad"),
}
OPERATOR_WORDS = {"headset": "headset", "standing": "agent, standing", "cold": "agent, cold"}
AGENT_WORDS = {
    "dialing": ("calling", "warn"),
    "ready": ("ready", "good"),
    "busy": ("busy", "warn"),
    "failed": ("failed", "bad"),
}


def draw_trunk(trunk: Trunk | None, now: float, full: bool) -> Row:
    if trunk is None:
        return [("◌ connecting", "warn")]
    mark, word, role = TRUNK_WORDS[trunk.state]
    row: Row = [(f"{mark} ", role), (word if full or trunk.state != "off" else "trunk", "text")]
    if full:
        row.append(
            (
                f" {clip(trunk.user, 20)}@{clip(trunk.server, 28)}"
                if trunk.user
                else f" {clip(trunk.server, 28)}",
                "dim",
            )
        )
    if trunk.expires_at is not None and trunk.state == "registered":
        left = trunk.expires_at - now
        row.append((f" {until(left)}", "warn" if left < 10 else "dim"))
    return row


def draw_flow(flow: Flow | None) -> Row:
    if flow is None:
        return []
    return [("▶ running", "good")] if flow.running else [("‖ paused", "warn")]


def draw_operator(flow: Flow | None, full: bool) -> Row:
    if flow is None:
        return []
    row: Row = [("operator ", "dim")] if full else []
    row.append((OPERATOR_WORDS[flow.operator], "text"))
    if flow.operator != "headset" and flow.agent_state in AGENT_WORDS:
        word, role = AGENT_WORDS[flow.agent_state]
        row += [(" · ", "faint"), (word, role)]
    if flow.muted:
        row.append((" ⊘ muted", "bad"))
    return row


def draw_sound(sound: Sound | None, full: bool) -> Row:
    if sound is None:
        return []
    if sound.problem:
        return [("♪ no sound", "bad")]
    if sound.input == sound.output == "none":
        return [("♪ off", "dim")]
    if not full:
        return [("♪ ", "good"), ("sound", "text")]
    if sound.input == sound.output:
        return [("♪ ", "good"), (clip(sound.input, 24), "dim")]
    return [("♪ ", "good"), (f"{clip(sound.input, 16)} → {clip(sound.output, 16)}", "dim")]


def draw_status(state: ConsoleState, now: float, cells: int) -> Row:
    """The status line, in full words where they fit."""
    clock: Row = [(time.strftime("%H:%M:%S ", time.localtime(now)), "text")]
    for full in (True, False):
        parts = [
            draw_trunk(state.trunk, now, full),
            draw_flow(state.flow),
            draw_operator(state.flow, full),
            draw_sound(state.sound, full),
        ]
        row: Row = [(" OFFHOOK ", "brand")] if full or cells >= 70 else []
        for part in (p for p in parts if p):
            row += [("  ", "text") if row_width(row) < 10 else (" │ ", "faint"), *part]
        if row_width(row) + row_width(clock) + 1 <= cells:
            break
    return justify(row, clock, cells)


def draw_notices(state: ConsoleState, cells: int, operator_key: str) -> list[Row]:
    """Guards that are off, no sound, a trunk's trouble, the dialer's own words: a line each."""
    rows: list[Row] = []
    flow, sound, trunk = state.flow, state.sound, state.trunk
    if trunk is not None and trunk.detail and trunk.state in ("failed", "lost", "registering"):
        role = "notice-warn" if trunk.state == "registering" else "notice-bad"
        rows.append([(" ! ", role), (f" Trunk: {trunk.detail}", "text")])
    if sound is not None and sound.problem:
        tail: Row = [(" Press ", "text"), (operator_key, "key"), (" to bridge to an agent's phone.", "text")]
        if flow is not None and flow.operator != "headset":
            tail = []
        text = clip(f" No sound: {sound.problem.rstrip('.')}.", max(10, cells - 4 - row_width(tail)))
        rows.append([(" ♪ ", "notice-bad"), (text, "text"), *tail])
    if flow is not None and flow.exemptions:
        rows.append([(" ! ", "notice-warn"), (" " + "; ".join(flow.exemptions), "warn")])
    if flow is not None and flow.notice:
        rows.append([(" i ", "notice"), (f" {flow.notice}", "text")])
    return [crop(row, cells) for row in rows[:3]]


class StatusLine(Pane):
    """One line of status and up to three of notices; it is as tall as they need."""

    def __init__(
        self, state: ConsoleState, clock: Callable[[], float], keys: dict[str, str], **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.clock = clock
        self.keys = keys
        self._height = 0

    def draw(self, cells: int, rows: int) -> list[Row]:
        notices = draw_notices(self.state, cells, shown(self.keys["operator"]))
        return [draw_status(self.state, self.clock(), cells), *notices]

    def redraw(self) -> None:
        height = 1 + len(draw_notices(self.state, self.size.width or 80, shown(self.keys["operator"])))
        if height != self._height:
            self._height = height
            self.styles.height = height
        super().redraw()
