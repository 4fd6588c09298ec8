"""Options that commands share, and how a command fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXIT_USAGE = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file; without it the user's config.toml."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one key; may be given again."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print events as JSON lines on standard output.")]


def fail(sentence: str, status: int = EXIT_USAGE) -> None:
    """Print one sentence on standard error and exit."""
    print(f"offhook: {sentence}", file=sys.stderr)
    raise typer.Exit(status)
