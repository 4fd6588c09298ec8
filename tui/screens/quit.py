"""Closing with calls up: hang up, leave them running, or think again."""

from __future__ import annotations

from tui.screens.choice import Choice, ChoiceScreen

HANG_UP, LEAVE, CANCEL = "hang-up", "leave", "cancel"


def quit_screen(up: str, working: bool, attached: bool) -> ChoiceScreen:
    """The question; `up` says in words what is up, `working` that the queue is being dialled."""
    said = [f"{up}."] if up else []
    said += ["The queue is running."] if working else []
    end = "Hang up, pause the queue and close" if attached else "Hang up and end the engine"
    choices = (
        Choice(HANG_UP, "h", end),
        Choice(LEAVE, "l", "Leave them running; `offhook attach` shows them again"),
        Choice(CANCEL, "c", "Cancel"),
    )
    return ChoiceScreen("Close the console?", " ".join(said), choices, default=2)
