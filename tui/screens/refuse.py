"""What a call that rings is refused as."""

from __future__ import annotations

from tui.screens.choice import Choice, ChoiceScreen

CANCEL = "cancel"
CODES = (
    Choice("486", "b", "Busy (486)"),
    Choice("480", "u", "Not available just now (480)"),
    Choice("603", "d", "Declined: it is not wanted anywhere (603)"),
    Choice("404", "n", "No such number (404)"),
    Choice(CANCEL, "c", "Let it ring"),
)


def refuse_screen(number: str) -> ChoiceScreen:
    """The question; a code as text, or CANCEL, comes back."""
    return ChoiceScreen("Refuse the call", f"{number} is calling. They will be told:", CODES)
