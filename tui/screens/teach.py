"""What an announcement that nothing matched means."""

from __future__ import annotations

from tui.screens.choice import Choice, ChoiceScreen

CANCEL = "cancel"
MEANINGS = (
    "Switched off", "No such number", "Out of service", "In a call", "Declined", "Out of coverage",
    "Suspended for a while", "Busy", "Dialled wrongly: a prefix is missing", "Incoming calls are barred",
    "A secretary, call reminder or mailbox", "Forwarded, in vain", "The network is overloaded",
    "Nobody answers", "A bill was not paid", "The call can't be taken", "The number has changed",
    "This line can't place calls", "Try again later",
)  # fmt: skip
"""mod_da2's categories 2 to 20 in order."""
CATEGORIES = tuple(
    Choice(str(number), "abdefghijklmnopqrst"[number - 2], f"{words} ({number})")
    for number, words in enumerate(MEANINGS, 2)
)


def teach_screen(number: str) -> ChoiceScreen:
    """The question; a category's id as text, or CANCEL, comes back."""
    words = f"{number} said something unknown. It means:"
    choices = *CATEGORIES, Choice(CANCEL, "c", "Nothing: leave it")
    return ChoiceScreen("Teach an announcement", words, choices)
