"""Themes: TOML files, validated, turned into Textual themes.

A file has `name`, `dark` and a table `[colors]`; `[instrument]` may colour the meters and the timeline
where the colours derived from `[colors]` won't do. Colours are #rrggbb.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import msgspec
import tomli
from msgspec import Meta
from textual.color import Color as Colour
from textual.theme import Theme

DEFAULT = "offhook"
MAX_BYTES = 64 * 1024

Color = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")]
Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]


class ThemeError(Exception):
    """A theme that can't be used; `str()` is one clear sentence."""


class Colors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The palette. `panel` is the ground of bars and titles, `muted` that of secondary text."""

    background: Color
    surface: Color
    panel: Color
    foreground: Color
    muted: Color
    faint: Color
    primary: Color
    accent: Color
    good: Color
    warning: Color
    error: Color


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Meters and timeline; empty values follow the palette."""

    level: Color | None = None
    level_low: Color | None = None
    level_hot: Color | None = None
    level_clip: Color | None = None
    level_off: Color | None = None
    tone_ring: Color | None = None
    tone_voice: Color | None = None
    tone_bad: Color | None = None
    tone_other: Color | None = None
    flow: Color | None = None


class ThemeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    dark: bool
    colors: Colors
    instrument: Instrument = Instrument()


def heats(colors: Colors, instrument: Instrument) -> dict[str, str]:
    """Six colours from the ground to the text's, by way of a tone's and a level's: ever brighter on a dark
    ground, ever darker on a light one, so that their order shows in grey too."""
    way = (
        colors.background, instrument.tone_ring or colors.primary, instrument.level or colors.good,
        colors.foreground,
    )  # fmt: skip
    stops = [Colour.parse(stop) for stop in way]
    found = {}
    for number in range(1, 7):
        at = number / 2
        before = min(int(at), len(stops) - 2)
        found[f"heat-{number}"] = stops[before].blend(stops[before + 1], at - before).hex6
    return found


def variables(colors: Colors, instrument: Instrument) -> dict[str, str]:
    """The theme variables that the stylesheets use beyond Textual's own."""
    return {
        "muted": colors.muted,
        "faint": colors.faint,
        "level": instrument.level or colors.good,
        "level-low": instrument.level_low or colors.muted,
        "level-hot": instrument.level_hot or colors.warning,
        "level-clip": instrument.level_clip or colors.error,
        "level-off": instrument.level_off or colors.panel,
        "tone-ring": instrument.tone_ring or colors.primary,
        "tone-voice": instrument.tone_voice or colors.good,
        "tone-bad": instrument.tone_bad or colors.error,
        "tone-other": instrument.tone_other or colors.warning,
        "flow": instrument.flow or colors.muted,
        **heats(colors, instrument),
        "border": colors.faint,
        "scrollbar": colors.faint,
        "scrollbar-background": colors.background,
        "scrollbar-corner-color": colors.background,
        "scrollbar-hover": colors.muted,
        "scrollbar-active": colors.primary,
        "scrollbar-background-hover": colors.background,
        "scrollbar-background-active": colors.background,
    }


def parse(text: str, source: str) -> Theme:
    """A theme file's text as a Textual theme. Raises ThemeError."""
    try:
        file = msgspec.convert(tomli.loads(text), ThemeFile)
    except tomli.TOMLDecodeError as error:
        raise ThemeError(f"The theme {source} is not valid TOML ({error}).") from None
    except msgspec.ValidationError as error:
        raise ThemeError(f"The theme {source} can't be used: {_where(str(error))}.") from None
    c = file.colors
    return Theme(
        name=file.name,
        dark=file.dark,
        primary=c.primary,
        secondary=c.accent,
        accent=c.accent,
        foreground=c.foreground,
        background=c.background,
        surface=c.surface,
        panel=c.panel,
        boost=c.panel,
        success=c.good,
        warning=c.warning,
        error=c.error,
        variables=variables(c, file.instrument),
    )


def _where(error: str) -> str:
    """msgspec's message with the key in front: `colors.primary: ...`."""
    what, _, path = error.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    if "matching regex" in what:
        what = (
            "a colour is written #rrggbb" if "{6}" in what else "lower-case letters, digits and - are allowed"
        )
    return f"{key}: {what}" if key else what


def load(path: Path | Traversable) -> Theme:
    """Read one theme file. Raises ThemeError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ThemeError(f"The theme {path} is longer than {MAX_BYTES // 1024} KiB.")
        return parse(data.decode("utf-8-sig"), str(path))
    except OSError as error:
        raise ThemeError(f"The theme {path} can't be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ThemeError(f"The theme {path} is not UTF-8 text.") from None


def shipped() -> dict[str, Theme]:
    """The themes that come with Offhook, by name; raises ThemeError if one of them is damaged."""
    files = [f for f in resources.files("themes").iterdir() if f.name.endswith(".toml")]
    themes = {theme.name: theme for theme in (load(f) for f in sorted(files, key=lambda f: f.name))}
    return {DEFAULT: themes.pop(DEFAULT), **themes}


def choose(name: str, themes: dict[str, Theme]) -> tuple[Theme, str]:
    """The theme of that name or .toml file, and a sentence where it had to be the default instead."""
    fallback = themes[DEFAULT]
    if name in themes:
        return themes[name], ""
    if name.endswith(".toml"):
        try:
            return load(Path(name).expanduser()), ""
        except ThemeError as error:
            return fallback, f"{error} Using {DEFAULT} instead."
    return fallback, f"There is no theme {name!r}, only {', '.join(themes)} or a .toml file. Using {DEFAULT}."
