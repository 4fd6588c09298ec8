"""What the commands share: settings from the command line, JSON lines, signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from engine.config import Config, SetupError, default_path
from engine.config_file import ConfigError, load
from engine.control.messages import Event
from engine.text import SafeFormatter

EXIT_OK, EXIT_USAGE, EXIT_NOT_ANSWERED, EXIT_NO_TRUNK, EXIT_INTERRUPTED = 0, 2, 3, 4, 130


class Usage(Exception):
    """Bad use or configuration; the text is what to print, and the exit status is 2."""


def load_config(path: Path | None, overrides: list[str], *, need_trunk: bool = True) -> Config:
    """The configuration from a file, the user's own where it exists, and overrides. Raises Usage."""
    if path is None and default_path().is_file():
        path = default_path()
    if path is None and not overrides and need_trunk:
        raise Usage(
            f"there is no configuration yet: copy config.example.toml to {default_path()} and set the "
            "trunk's server, username and password there, or give --config FILE (`offhook demo` needs none)"
        )
    try:
        return load(path, overrides, need_trunk=need_trunk)
    except ConfigError as error:
        hint = ""
        if path is None:
            hint = f"\n(no configuration file: write {default_path()} or give --config FILE)"
        raise Usage(f"{error}{hint}") from None


def set_up_logging(config: Config, *, stderr: bool) -> None:
    """The engine's log goes to `log.file` or, where there is none, to standard error at warning level.

    Raises Usage where the file can't be written.
    """
    level = getattr(logging, config.log.level.upper())
    handler: logging.Handler = logging.NullHandler()
    if config.log.file:
        try:
            handler = logging.FileHandler(Path(config.log.file).expanduser(), encoding="utf-8")
        except OSError as error:
            raise Usage(f"log.file: {config.log.file} can't be written: {error.strerror}") from None
    elif stderr:
        handler = logging.StreamHandler(sys.stderr)
        level = max(level, logging.WARNING)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def say(text: str) -> None:
    """Progress: one line on standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(event: Event) -> None:
    """Data: one JSON line on standard output. Where its reader has gone, we end as on a SIGTERM."""
    try:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


def on_signals(action: Callable[[], None]) -> None:
    """Call `action` in the running loop on SIGINT, SIGTERM and SIGHUP; a second one exits at once."""
    loop = asyncio.get_running_loop()
    seen = False

    def once() -> None:
        nonlocal seen
        if seen:
            sys.exit(130)
        seen = True
        action()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, once)


def guarded(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a command's coroutine; what its user can mend is one sentence and status 2."""
    try:
        return asyncio.run(main())
    except (Usage, SetupError) as error:
        say(f"offhook: {error}")
        return EXIT_USAGE
