"""Every key, by group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.keymap import KEYS, shown
from tui.screens.dialog import Dialog, plain

FIXED = (
    ("0-9 * # A-D", "Send DTMF to the call; with no call up, start a number"),
    ("↑ ↓ PgUp PgDn", "Move in the queue; Home and End go to its ends"),
    ("Esc", "Leave a field; in the queue, follow the calls again"),
    ("Tab", "Go to the next pane"),
    ("^q", "Close the console, also while typing"),
)


class HelpScreen(Dialog[None]):
    """The keys as they are mapped now. Any of Escape, Enter, q and ? leaves."""

    heading = "Keys"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,question_mark,f1", "cancel", show=False)]

    def __init__(self, keys: dict[str, str]) -> None:
        super().__init__()
        self.keys = keys

    def body(self) -> Iterable[Widget]:
        rows: list[Content] = []
        for group in dict.fromkeys(key.group for key in KEYS):
            rows.append(Content.styled(group, "bold $muted"))
            for key in (k for k in KEYS if k.group == group):
                also = "; also while typing" if key.always else ""
                rows.append(_row(shown(self.keys[key.id]), key.help + also, key.id))
            rows.append(Content())
        rows.append(Content.styled("Always", "bold $muted"))
        rows += [_row(keys, words) for keys, words in FIXED]
        yield VerticalScroll(Static(Content("\n").join(rows), markup=False))
        yield plain("Remap any key by its id: [ui.keys] in config.toml.", "hint")


def _row(keys: str, words: str, key_id: str = "") -> Content:
    return Content.assemble((f"{keys:>13}  ", "bold $primary"), (f"{key_id:<12}", "$muted"), words)
