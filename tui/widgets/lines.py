"""The lines: every leg that is up, and the last that ended."""

from __future__ import annotations

from engine.control.messages import Leg
from tui.draw import Row, crop
from tui.state import ConsoleState
from tui.text import clip, count, fit
from tui.widgets.pane import Pane, heading

STATES = {
    "dialing": ("→", "dim"),
    "trying": ("→", "text"),
    "ringing": ("♪", "warn"),
    "early": ("♪", "warn"),
    "answered": ("●", "good"),
    "ended": ("■", "dim"),
}

ROLES = {"supervisor": "superv.", "forwarded": "forward"}


def draw_leg(leg: Leg, state: ConsoleState, shown: bool, cells: int) -> Row:
    """One leg: role, number, state, then bridge, hold, codec or why it ended."""
    mark, role = STATES[leg.state]
    text = "dim" if leg.state == "ended" else "text"
    row: Row = [
        ("▸" if shown else " ", "accent"),
        (f"{mark} ", role),
        (fit(ROLES.get(leg.role, leg.role), 8), "dim"),
        (fit(leg.number, 14), text),
    ]
    if cells >= 40:
        row.append((" " + fit(leg.state, 8), role))
    tail: list[str] = []
    if leg.state == "ended":
        code = f"{leg.sip_code} " if leg.sip_code else ""
        tail.append(f"{code}{leg.cause or leg.reason}".replace("_", " "))
    if leg.bridged_to and leg.state != "ended":
        other = state.legs.get(leg.bridged_to)
        name = "headset" if leg.bridged_to == "sound" else clip(other.role if other else "leg", 8)
        if other is not None and state.joined(leg):
            name = clip(other.number, 14)
        elif leg.conference:
            name = "conf."
        tail.append(f"⇄ {name}" if cells >= 40 else "⇄")
    if leg.supervision and leg.state != "ended":
        tail.append(f"◉ {leg.supervision}")
    if leg.held:
        tail.append("‖ music" if leg.music else "‖ held")
    if leg.far_held:
        tail.append("‖ far end")
    if leg.recording and leg.state != "ended":
        tail.append("‖ REC" if leg.recording_paused else "● REC")
    return crop([*row, (" ".join(["", *tail]), "dim")], cells)


def draw_lines(state: ConsoleState, cells: int, rows: int) -> list[Row]:
    """The heading and as many legs as fit, those that are up first."""
    legs = sorted(
        state.legs.values(),
        key=lambda leg: (leg.state == "ended", leg.at if leg.state != "ended" else -leg.at),
    )
    call = state.call
    info: Row = [(f"{len(state.legs_up)} up", "dim")] if legs else []
    out = [heading("LINES", info, cells)]
    room = rows - 1
    for leg in legs[:room]:
        out.append(draw_leg(leg, state, call is not None and leg.id == call.leg, cells))
    if len(legs) > room > 0:
        out[-1] = [(f"   and {count(len(legs) - room + 1, 'more line')}", "dim")]
    if not legs:
        out.append([(" No line is up.", "dim")])
    return out


class Lines(Pane):
    """Legs, one a row."""

    def __init__(self, state: ConsoleState, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.state = state

    def draw(self, cells: int, rows: int) -> list[Row]:
        return draw_lines(self.state, cells, rows)
