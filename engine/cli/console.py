"""`offhook`, `offhook engine`, `offhook attach`: an engine in its own process, the console by exec."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from engine.cli.common import (
    EXIT_OK,
    EXIT_USAGE,
    Usage,
    guarded,
    load_config,
    on_signals,
    say,
    set_up_logging,
)
from engine.config import Config, control_socket
from engine.control.endpoint import EndpointError

READY = "ready"
PASSWORD = re.compile(r"\s*(trunk|trunks\.([^.=]+))\.password\s*=(?=.)")
PASSWORD_VARIABLE = "OFFHOOK_PASSWORD_GIVEN"


def run_engine(path: Path | None, overrides: list[str], queue: Path | None, fresh: bool) -> int:
    """Run an engine until it is told to end; its first line on standard output says that it is ready."""

    async def main() -> int:
        from engine.dialer.ports import StoreError
        from engine.dialer.queue_csv import QueueError
        from engine.service import Engine

        config = load_config(path, overrides)
        set_up_logging(config, stderr=True)
        engine = Engine(config)
        try:
            await engine.start(queue, fresh=fresh)
        except (EndpointError, StoreError, QueueError) as error:
            await engine.close()
            raise Usage(str(error)) from None
        except BaseException:
            await engine.close()
            raise
        on_signals(engine.stopping.set)
        print(f"{READY} {engine.socket}", flush=True)
        try:
            await engine.stopping.wait()
        finally:
            await engine.close()
        return EXIT_OK

    return guarded(main)


def spawn_engine(path: Path | None, overrides: list[str], *more: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start an engine in a session of its own and wait until it listens.

    Returns the process and its socket's path. Raises Usage with what it said, when it ended instead.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "engine", *passed_on(path, overrides), *more],
            env=environment(overrides),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline().decode().strip()
        if line.startswith(READY):
            return process, line.removeprefix(READY).strip()
        process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip().removeprefix("offhook: ")
        raise Usage(said or f"the engine ended with status {process.returncode} before it was ready")


def check_keys(config: Config) -> None:
    """Ask the console about `ui.keys` before an engine is started for it. Raises Usage with its answer."""
    if not config.ui.keys:
        return
    asked = subprocess.run(
        [sys.executable, "-m", "tui", "--socket", "none", "--check", "--keys", json.dumps(config.ui.keys)],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise Usage(f"ui.keys: {asked.stderr.strip()}")


def show_console(socket: str, config: Config, *, attached: bool) -> NoReturn:
    """Become the console: exec, so that the screen is a process of its own."""
    arguments = ["--socket", socket, "--theme", config.ui.theme]
    if config.ui.keys:
        arguments += ["--keys", json.dumps(config.ui.keys)]
    if attached:
        arguments.append("--attached")
    os.execv(sys.executable, [sys.executable, "-m", "tui", *arguments])


def start_console(path: Path | None, overrides: list[str], queue: Path | None) -> None:
    """`offhook`: start the engine and show the console."""
    try:
        config = load_config(path, overrides)
        need_terminal()
        check_keys(config)
        _, socket = spawn_engine(path, overrides, *(["--queue", str(queue)] if queue else []))
    except Usage as error:
        say(f"offhook: {error}")
        sys.exit(EXIT_USAGE)
    show_console(socket, config, attached=False)


def attach_console(path: Path | None, overrides: list[str]) -> None:
    """`offhook attach`: show the console on the engine that runs."""
    from engine.control.client import ControlClient, ControlError

    async def reachable(socket: Path) -> None:
        client = await ControlClient.connect(socket)
        await client.close()

    try:
        config = load_config(path, overrides, need_trunk=False)
        need_terminal()
        check_keys(config)
        socket = control_socket(config)
        asyncio.run(reachable(socket))
    except (Usage, ControlError) as error:
        say(f"offhook: {error}")
        sys.exit(EXIT_USAGE)
    show_console(str(socket), config, attached=True)


def passed_on(path: Path | None, overrides: list[str]) -> list[str]:
    """The settings as arguments for a process of ours; a password goes by `environment` instead."""
    arguments = ["--config", str(path)] if path else []
    for item in overrides:
        if found := PASSWORD.match(item):
            for emptied in ("password", "password_file"):  # either would go before the environment
                arguments += ["--set", f"{found[1]}.{emptied}="]
            item = f"{found[1]}.password_env={_variable(found)}"
        arguments += ["--set", item]
    return arguments


def environment(overrides: list[str]) -> dict[str, str]:
    """The environment for it: a long-lived process must not show a password in its arguments."""
    given = {_variable(found): item[found.end() :] for item in overrides if (found := PASSWORD.match(item))}
    return {**os.environ, **given}


def _variable(found: re.Match[str]) -> str:
    return f"{PASSWORD_VARIABLE}_{found[2]}" if found[2] else PASSWORD_VARIABLE


def need_terminal() -> None:
    """Raises Usage where there is no terminal to draw on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Usage(
            "the console needs a terminal; `offhook engine` runs without one, and `offhook run` works a queue"
        )
