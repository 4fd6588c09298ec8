"""`offhook samples`: the announcements that are recognised, listed and changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import ConfigOption, SetOption

app = typer.Typer(
    name="samples", help="Known announcements: list, add, import, remove, test and export them.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
)  # fmt: skip

FolderOption = Annotated[
    Path | None,
    typer.Option("--samples", metavar="DIR", help="The sample folder; without it the configuration's."),
]
ListedOption = Annotated[bool, typer.Option("--json", help="Print a JSON object for each sample.")]
MatchesOption = Annotated[bool, typer.Option("--json", help="Print a JSON object for each match.")]


@app.command("list")
def list_(
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
    as_json: ListedOption = False,
) -> None:
    """Show every sample, and what is wrong in the folder."""
    from engine.cli.samples_work import Where, run_list

    raise typer.Exit(run_list(Where(samples, config, override), as_json))


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of the announcement.")],
    category: Annotated[
        str, typer.Option("--category", help="2 to 20, or an alias such as `does not exist`; 0: none.")
    ] = "0",
    uniqueid: Annotated[str, typer.Option("--id", help="Its uniqueid; else made from the file's name.")] = "",
    name: Annotated[str, typer.Option("--name", help="Its name; else the category's.")] = "",
    alias: Annotated[str, typer.Option("--alias", help="Its alias; else the category's.")] = "",
    brief: Annotated[str, typer.Option("--brief", help="What it says.")] = "",
    detail: Annotated[str, typer.Option("--detail", help="More about it.")] = "",
    language: Annotated[str, typer.Option("--language", help="Such as zh or en.")] = "",
    source: Annotated[str, typer.Option("--source", help="Whose it is: a carrier.")] = "",
    number: Annotated[str, typer.Option("--number", help="The number that was called.")] = "",
    accuracy: Annotated[
        str, typer.Option("--accuracy", help="LOOSE, INACCURACY or ACCURACY; only the last acts.")
    ] = "ACCURACY",
    begin: Annotated[float, typer.Option("--begin", metavar="S", min=0, help="Where in the file.")] = 0,
    end: Annotated[float | None, typer.Option("--end", metavar="S", min=0, help="Until where.")] = None,
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Add a recording's announcement."""
    from engine.cli.samples_work import Where, run_add
    from engine.detect.prints import Sample

    said = Sample(uniqueid, name, alias, brief, detail, language, source, number, accuracy=accuracy)
    raise typer.Exit(run_add(Where(samples, config, override), file, category, said, begin, end))


@app.command("import")
def import_(
    pack: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of recordings, or a ZIP of one.")],
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Add a folder of recordings; Asterisk's and FreeSWITCH's sound packages with what their prompts say."""
    from engine.cli.samples_work import Where, run_import

    raise typer.Exit(run_import(Where(samples, config, override), pack))


@app.command()
def remove(
    uniqueid: Annotated[list[str], typer.Argument(metavar="ID...", help="Samples' uniqueids.")],
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Delete samples."""
    from engine.cli.samples_work import Where, run_remove

    raise typer.Exit(run_remove(Where(samples, config, override), uniqueid))


@app.command("test")
def try_(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Recordings.")] = None,
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
    as_json: MatchesOption = False,
) -> None:
    """Tell which samples a recording matches, when, and how well; without one, which samples can't be told
    from one another or used. Exit status 1 where a recording matches none, or samples clash."""
    from engine.cli.samples_work import Where, run_test

    raise typer.Exit(run_test(Where(samples, config, override), files or [], as_json))


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder, or a new .zip file.")],
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Copy every sample into a folder or an archive, for another machine."""
    from engine.cli.samples_work import Where, run_export

    raise typer.Exit(run_export(Where(samples, config, override), target))


@app.command()
def starter(
    samples: FolderOption = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Add announcements in Chinese and English for every category, spoken by espeak-ng on this machine.

    They show how it works: what your carrier says must be taught, with `add` or from the console.
    """
    from engine.cli.samples_work import Where, run_starter

    raise typer.Exit(run_starter(Where(samples, config, override)))
