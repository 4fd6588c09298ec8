"""The command line: the commands' table. What a command does is imported when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import samples
from engine.cli.options import ConfigOption, JsonOption, SetOption, fail

app = typer.Typer(
    name="offhook",
    help="A terminal softphone and dialer console that registers straight to a SIP trunk.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(samples.app)

@app.callback(invoke_without_command=True)
def console(
    context: typer.Context,
    config: ConfigOption = None,
    override: SetOption = None,
    queue: Annotated[
        Path | None, typer.Option("--queue", "-q", help="A CSV file to load as the queue.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Start the engine and show the console."""
    if version:
        from engine.version import VERSION

        print(f"offhook {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        if config is not None or override or queue is not None:
            fail(
                "give --config, --set and --queue after the command, as in "
                f"offhook {context.invoked_subcommand} --config FILE"
            )
        return
    from engine.cli.console import start_console

    start_console(config, override or [], queue)


@app.command()
def engine(
    config: ConfigOption = None,
    override: SetOption = None,
    queue: Annotated[Path | None, typer.Option("--queue", "-q", help="A CSV file to load.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start the queue's campaign anew.")] = False,
) -> None:
    """Run the engine alone, without a screen; `offhook attach` shows it."""
    from engine.cli.console import run_engine

    raise typer.Exit(run_engine(config, override or [], queue, fresh))


@app.command()
def detect(
    files: Annotated[list[Path] | None, typer.Argument(help="Recordings, or folders of them.")] = None,
    country: Annotated[str | None, typer.Option("--country", help="The tone plan, such as cn or us.")] = None,
    answer_at: Annotated[
        float | None, typer.Option("--answer-at", metavar="S", help="When the call was answered, in seconds.")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="DIR", help="The folder of known announcements.")
    ] = None,
    tasks: Annotated[
        Path | None,
        typer.Option("--tasks", metavar="FILE", help="A JSON-lines list: file, country, answer_at_s."),
    ] = None,
    tone_plans: Annotated[
        Path | None, typer.Option("--tone-plans", metavar="FILE", help="Tone plans of your own (TOML).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="HTML", help="Write a page about one recording.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Tell what recordings say: tones, announcements, keys, people and machines."""
    from engine.cli.common import Usage, load_config
    from engine.cli.detect import run_detect, tasks_of, use_plans
    from engine.config import plans_file, samples_folder
    from engine.hearing import settings

    try:
        found = load_config(config, override or [], need_trunk=False)
        use_plans(tone_plans or plans_file(found))
        chosen = tasks_of(files or [], country, answer_at, tasks)
        folder = samples_folder(found)
        if samples is None and (folder.is_dir() or found.detection.samples):
            samples = folder
        raise typer.Exit(run_detect(chosen, samples, settings(found.detection), as_json, report))
    except Usage as error:
        fail(str(error))


@app.command()
def attach(config: ConfigOption = None, override: SetOption = None) -> None:
    """Show the console on a running engine."""
    from engine.cli.console import attach_console

    attach_console(config, override or [])


@app.command()
def ctl(
    command: Annotated[
        str,
        typer.Argument(metavar="COMMAND", help="A command's name, or `events` to stream them, or `list`."),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE", help="What it takes, in order or as KEY=VALUE (`list` tells)."),
    ] = None,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Send one command to a running engine, or stream its events as JSON lines."""
    from engine.cli.ctl import run_ctl

    raise typer.Exit(run_ctl(command, arguments or [], config, override or []))


@app.command()
def trace(
    call: Annotated[
        str,
        typer.Argument(
            metavar="CALL",
            help="A leg, number or Call-ID; `last`; `trunk` for what belongs to no call; `strangers`.",
        ),
    ] = "last",
    full: Annotated[bool, typer.Option("--full", help="Print every message in full too.")] = False,
    pcap: Annotated[
        Path | None,
        typer.Option("--pcap", metavar="FILE", help="Write a pcap file for Wireshark, tshark or sngrep."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FORMAT", help="`text`, or `json`: one object a message.")
    ] = "text",
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Show the SIP messages of a call of a running engine as a ladder, passwords and keys starred out."""
    from engine.cli.trace import TraceOptions, run_trace

    if output not in ("text", "json"):
        fail(f"--output: found {output!r}; text and json are allowed")
    raise typer.Exit(run_trace(TraceOptions(call, full, output == "json", pcap), config, override or []))


@app.command()
def check(
    sound: Annotated[
        bool,
        typer.Option("--sound", help="Measure the microphone (speak!), play a tone to each loudspeaker."),
    ] = False,
    config: ConfigOption = None,
    override: SetOption = None,
) -> None:
    """Validate the configuration, list the sound devices, register, and say how each step went."""
    from engine.cli.check import run_check

    raise typer.Exit(run_check(config, override or [], sound=sound))


@app.command()
def register(
    seconds: Annotated[
        float,
        typer.Option("--for", metavar="S", min=0, help="Stay registered this long; 0: until stopped."),
    ] = 0,
    config: ConfigOption = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register at the trunk and stay."""
    from engine.cli.register import run_register

    raise typer.Exit(run_register(seconds, config, override or [], as_json))


@app.command()
def call(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The number to dial.")],
    config: ConfigOption = None,
    override: SetOption = None,
    cancel_after: Annotated[
        float | None,
        typer.Option(metavar="S", help="Take the call back S seconds after dialling, unless answered."),
    ] = None,
    hangup_after: Annotated[
        float | None, typer.Option(metavar="S", help="Hang up S seconds after the answer.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="S", help="Give up when not answered within S seconds.")
    ] = None,
    dtmf: Annotated[
        str, typer.Option(metavar="DIGITS", help="Send these after the answer (0-9 * # A-D).")
    ] = "",
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record to a stereo WAV: left received, right sent.")
    ] = None,
    play: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Play a WAV file after the answer.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the call's SIP messages, a ladder and whole.")
    ] = None,
    pcap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the call's SIP messages as a pcap file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Place one call with no queue. Exit status: 0 answered, 3 not, 4 no SIP response or bad credentials."""
    from engine.cli.call import CallOptions, run_call

    options = CallOptions(
        number, cancel_after, hangup_after, timeout, dtmf, record, play, as_json, trace, pcap
    )
    raise typer.Exit(run_call(options, config, override or []))


@app.command()
def dialplan(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The number to be explained.")],
    config: ConfigOption = None,
    override: SetOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output.")
    ] = False,
) -> None:
    """Show what would be dialled for a number: trunk, rules, headers, guards. Calls nobody."""
    from engine.cli.dialplan import run_dialplan

    raise typer.Exit(run_dialplan(number, config, override or [], as_json))


@app.command()
def run(
    queue: Annotated[Path, typer.Argument(metavar="QUEUE.csv", help="The queue: a CSV file.")],
    config: ConfigOption = None,
    override: SetOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start the campaign anew instead of resuming it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Work a queue without a screen; one JSON object per finished attempt with --json."""
    from engine.cli.run import run_queue

    raise typer.Exit(run_queue(queue, config, override or [], fresh, as_json))


@app.command()
def demo(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Another configuration than the demo's own.")
    ] = None,
    override: SetOption = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Run carrier and engine without the console.")
    ] = False,
) -> None:
    """Show it all on this machine: a loopback carrier, the engine, the console and a sample queue."""
    from engine.cli.demo import run_demo

    raise typer.Exit(run_demo(config, override or [], headless))


def main() -> None:
    """The entry point: no traceback for what a user can mend or has interrupted."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a standard stream that came closed: nothing else may get its number
    os.close(spare)
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    try:
        app()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
