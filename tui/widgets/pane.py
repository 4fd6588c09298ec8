"""What every pane shares: rows of (text, role) turned into cached strips in the theme's styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.draw import ON, ROLES, Row, crop
from tui.text import clean, width


class Palette(Widget):
    """Holds what every role looks like, for all the panes of a screen. Never shown."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"pane--{role}" for role in ROLES}
    DEFAULT_CSS = "Palette { display: none; }"


class Painter(Widget):
    """Turns rows into strips. A last check here keeps control characters off the terminal."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._styles: dict[str, Style] = {}

    def notify_style_update(self) -> None:
        self.forget()
        super().notify_style_update()

    def forget(self) -> None:
        """Drop what was drawn in old styles."""
        self._styles = {}

    def style_of(self, role: str) -> Style:
        """The role's style on this pane's own ground, or on another role's colour."""
        style = self._styles.get(role)
        if style is None:
            palette = self.screen.query_one(Palette)
            ink, _, ground = role.partition(ON)
            style = self.rich_style + palette.get_component_rich_style(f"pane--{ink}", partial=True)
            if ground:
                other = palette.get_component_rich_style(f"pane--{ground}", partial=True)
                style += Style(bgcolor=other.color)
            self._styles[role] = style
        return style

    @property
    def cells(self) -> int:
        """Width that is drawn in, scrollbar left out."""
        return self.scrollable_content_region.width

    def paint(self, row: Row, cells: int, ground: str = "text") -> Strip:
        """One row as a strip of exactly `cells`; what is over is cut."""
        segments: list[Segment] = []
        used = 0
        for text, role in crop(row, cells):
            text = clean(text)
            segments.append(Segment(text, self.style_of(role)))
            used += width(text)
        if used < cells:
            segments.append(Segment(" " * (cells - used), self.style_of(ground)))
        return Strip(segments, cells)


class Pane(Painter):
    """A pane drawn whole by `draw`, again only after `redraw`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._strips: list[Strip] | None = None
        self._drawn_for = (0, 0)

    def draw(self, cells: int, rows: int) -> list[Row]:
        """The pane's rows, at most `rows` of them, none wider than `cells`."""
        raise NotImplementedError

    def redraw(self) -> None:
        """The state behind the pane changed."""
        self._strips = None
        self.refresh()

    def forget(self) -> None:
        super().forget()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        cells, rows = self.size
        if self._strips is None or self._drawn_for != (cells, rows):
            self._strips = [self.paint(row, cells) for row in self.draw(cells, rows)[:rows]]
            self._drawn_for = (cells, rows)
        return self._strips[y] if y < len(self._strips) else Strip.blank(cells, self.style_of("text"))


def heading(title: str, info: Row, cells: int) -> Row:
    """A pane's top line: its title, a rule, and a few figures at the right."""
    used = len(title) + 2
    right = crop(info, max(0, cells - used - 4))
    taken = sum(width(text) for text, _ in right)
    rule = cells - used - (taken + 2 if taken else 0)
    row: Row = [(f" {title} ", "title"), ("─" * max(0, rule - (1 if taken else 0)), "faint")]
    if taken:
        row += [(" ", "text"), *right, (" ─", "faint")]
    return row


class Heading(Pane):
    """The heading of a pane that scrolls. `info` gives the figures at its right."""

    def __init__(self, title: str, info: Callable[[], Row], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.title = title
        self.info = info

    def draw(self, cells: int, rows: int) -> list[Row]:
        return [heading(self.title, self.info(), cells)]


class Label(Pane):
    """A fixed word in a role."""

    def __init__(self, text: str, role: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.role = role

    def draw(self, cells: int, rows: int) -> list[Row]:
        return [[(self.text, self.role)]]
