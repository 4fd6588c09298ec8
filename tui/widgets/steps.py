"""The call's steps as a rail: what was passed and when, where it is, what is to come."""

from __future__ import annotations

from tui.calls import STEP_NAMES, Call, Step
from tui.draw import Canvas, Row
from tui.text import clip, duration, span, until, width

SHORT_NAMES = {Step.ANSWER: "Answer", Step.WAIT_TONE: "Tone", Step.WRAP_UP: "Wrap"}
ROOMY = 60
"""Cells from which the steps go by their full names."""
PASSED, PRESENT, AHEAD, MISSED, BROKEN = "●", "◉", "○", "◌", "✕"


def draw_steps(call: Call, now: float, cells: int, *, times: bool = True) -> list[Row]:
    """The rail, its labels and, with `times`, when each step began, counted from the start of the call."""
    roomy = cells >= ROOMY
    last_name = 7 if roomy else 4
    pitch = (cells - last_name) / Step.WRAP_UP
    rail, labels, clock = Canvas(cells), Canvas(cells), Canvas(cells)
    last = max((step for step in call.reached), default=Step.DIAL)
    broken = not call.up and last < Step.BRIDGE
    for step in Step:
        column = round(step * pitch)
        following = min(cells + 1, round((step + 1) * pitch))
        glyph, role = _node(call, step, last, broken)
        if step < Step.WRAP_UP:
            on = step < last
            rail.put(
                column + 1, ("━" if on else "╌") * (following - column - 1), "rail" if on else "rail-off"
            )
        rail.put(column, glyph, role)
        name = STEP_NAMES[step] if roomy else SHORT_NAMES.get(step, STEP_NAMES[step])
        present = call.up and step == call.step
        labels.put(column, clip(name, following - column - 1), "strong" if present else _label_role(role))
        if step in call.reached:
            began = span(call.reached[step] - call.started)
            clock.put(column, clip(began, following - column - 1), "dim")
    rows = [rail.row(), labels.row()]
    return [*rows, clock.row()] if times else rows


def _node(call: Call, step: Step, last: Step, broken: bool) -> tuple[str, str]:
    if call.up and step == call.step:
        return PRESENT, "rail-now"
    if step in call.reached:
        return (BROKEN, "bad") if broken and step == last else (PASSED, "rail")
    if step < last:  # not seen: dialling and ringing must have been, a wait tone may have been left out
        return (PASSED, "rail") if step < Step.ANSWER else (MISSED, "rail-off")
    return AHEAD, "rail-off"


def _label_role(node: str) -> str:
    return {"rail": "text", "bad": "bad"}.get(node, "dim")


def draw_present(call: Call, now: float, cells: int) -> Row:
    """The present step in words: how long it has lasted, and what is left until its deadline."""
    if not call.up or call.step is None:
        lasted = duration((call.over_at or now) - call.started)
        return [("Ended ", "strong"), ("after ", "dim"), (lasted, "text")]
    name = STEP_NAMES[call.step]
    elapsed = max(0.0, now - call.since)
    row: Row = [(f"{name} ", "strong"), (duration(elapsed), "text")]
    deadline = call.deadline
    if deadline is None or deadline <= call.since:
        return row
    words = f" {until(deadline - now)} left of {duration(round(deadline - call.since))}"
    room = cells - sum(width(text) for text, _ in row) - width(words) - 1
    if room >= 8:
        length = min(24, room)
        done = round(min(1.0, elapsed / (deadline - call.since)) * length)
        row += [(" ", "text"), ("━" * done, "rail-now"), ("─" * (length - done), "faint")]
    late = deadline - now < 5
    return [*row, (words, "warn" if late else "dim")]
