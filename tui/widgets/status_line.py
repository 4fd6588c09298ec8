"""The top line: trunk, flow, operator, sound, clock; and under it whatever needs to be said aloud."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.control.messages import Flow, Sound, Trunk
from tui.commands import pushes_to_talk
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


def is_up(trunk: Trunk) -> bool:
    """Whether calls can be placed there."""
    return trunk.reachable and trunk.state in ("off", "registered")


def trouble_of(trunk: Trunk) -> str:
    """What is wrong with a trunk, in words; empty where nothing is."""
    said = trunk.detail if trunk.state in ("failed", "lost", "registering") else ""
    if not trunk.reachable:
        said = "it does not answer" + (f"; {said}" if said else "")
    if said and trunk.state == "lost" and trunk.since is not None:
        said += time.strftime(", lost at %H:%M:%S", time.localtime(trunk.since))
    return said


def draw_trunks(trunks: list[Trunk], now: float, full: bool) -> Row:
    """The one trunk there is, or how many of several are up."""
    if not trunks:
        return [("◌ connecting", "warn")]
    if len(trunks) == 1:
        return draw_trunk(trunks[0], now, full)
    up = sum(map(is_up, trunks))
    mark, role = ("●", "good") if up == len(trunks) else ("◐", "warn") if up else ("✕", "bad")
    count = f"{up} trunks" if up == len(trunks) else f"{up}/{len(trunks)} trunks"
    return [(f"{mark} ", role), (count, "text"), (" up" if full else "", "dim")]


def draw_trunk(trunk: Trunk, now: float, full: bool) -> Row:
    mark, word, role = TRUNK_WORDS[trunk.state]
    if not trunk.reachable:
        mark, word, role = "✕", "no answer", "bad"
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


def draw_away(flow: Flow | None, full: bool) -> Row:
    """Do-not-disturb, for as long as it is on."""
    if flow is None or not flow.do_not_disturb:
        return []
    return [("⊘ do not disturb" if full else "⊘ DND", "bad")]


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
    elif pushes_to_talk(flow):
        row.append((" ● mic open", "good") if flow.talking else (" ○ mic closed", "dim"))
    return row


def draw_sound(sound: Sound | None, full: bool) -> Row:
    if sound is None:
        return []
    if sound.problem:
        return [("♪ stand-in", "warn")] if _talks(sound) else [("♪ no sound", "bad")]
    if sound.input == sound.output == "none":
        return [("♪ off", "dim")]
    if not full:
        return [("♪ ", "good"), ("sound", "text")]
    if sound.input == sound.output:
        return [("♪ ", "good"), (clip(sound.input, 24), "dim")]
    return [("♪ ", "good"), (f"{clip(sound.input, 16)} → {clip(sound.output, 16)}", "dim")]


def _talks(sound: Sound) -> bool:
    """Whether somebody can talk here, be it with a device that stands in for another."""
    return all(device not in ("", "none") for device in (sound.input, sound.output))


def draw_status(state: ConsoleState, now: float, cells: int) -> Row:
    """The status line, in full words where they fit."""
    clock: Row = [(time.strftime("%H:%M:%S ", time.localtime(now)), "text")]
    for full in (True, False):
        parts = [
            draw_trunks(list(state.trunks.values()), now, full),
            draw_flow(state.flow),
            draw_away(state.flow, full),
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
    flow, sound = state.flow, state.sound
    troubled = [trunk for trunk in state.trunks.values() if trouble_of(trunk)]
    if troubled:
        role = "notice-warn" if all(trunk.state == "registering" for trunk in troubled) else "notice-bad"
        several = len(state.trunks) > 1
        said = "; ".join((f"{trunk.name}: " if several else "") + trouble_of(trunk) for trunk in troubled)
        rows.append([(" ! ", role), (f" Trunk{'s' if len(troubled) > 1 else ''}: {said}", "text")])
    if sound is not None and sound.problem:
        tail: Row = [(" Press ", "text"), (operator_key, "key"), (" to bridge to an agent's phone.", "text")]
        if _talks(sound) or (flow is not None and flow.operator != "headset"):
            tail = []
        head = "Sound" if _talks(sound) else "No sound"
        text = clip(f" {head}: {sound.problem.rstrip('.')}.", max(10, cells - 4 - row_width(tail)))
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
