"""`offhook demo`: a loopback carrier, the engine, the console and a sample queue, all on this machine.

The carrier and the engine run under a supervisor of their own, so that calls outlive the console.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

from engine.cli.common import EXIT_OK, EXIT_USAGE, Usage, load_config, say
from engine.cli.console import (
    READY,
    check_keys,
    environment,
    need_terminal,
    passed_on,
    show_console,
    spawn_engine,
)
from engine.config import state_dir
from engine.demo.process import CarrierFailed, CarrierProcess
from engine.media.sound.devices import SoundError, list_devices

FOLDER = Path(__file__).parents[1] / "demo"
CONFIG = FOLDER / "demo.toml"
QUEUE = FOLDER / "queue.csv"


def run_demo(path: Path | None, overrides: list[str], headless: bool) -> int:
    """Show the demo's console, or with `headless` supervise carrier and engine until they end."""
    config_path = path or CONFIG
    try:
        if importlib.util.find_spec("sippy") is None:
            raise Usage(
                "the demo's carrier needs the package sippy: pip install 'offhook[demo]', or `make setup`"
            )
        config = load_config(config_path, overrides)
        if headless:
            return _supervise(config_path, overrides)
        need_terminal()
        check_keys(config)
        say("starting the demo: a carrier on loopback, the engine, a queue of numbers with different fates")
        socket = _spawn_supervisor(config_path, overrides)
    except Usage as error:
        say(f"offhook: {error}")
        return EXIT_USAGE
    show_console(socket, config, attached=False)


def _spawn_supervisor(config_path: Path, overrides: list[str]) -> str:
    """Start `offhook demo --headless` in a session of its own; the socket once it is ready."""
    log = state_dir() / "demo.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        errors = log.open("wb")
    except OSError as error:
        raise Usage(
            f"the demo's log {log} can't be written ({error.strerror}): set XDG_STATE_HOME to your folder"
        ) from None
    with errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "demo", "--headless", *passed_on(config_path, overrides)],
            env=environment(overrides),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    if not line.startswith(READY):
        process.wait()
        said = log.read_text("utf-8", "replace").strip().removeprefix("offhook: ")
        raise Usage(said or f"the demo ended before it was ready; see {log}")
    return line.removeprefix(READY).strip()


def _supervise(config_path: Path, overrides: list[str]) -> int:
    """Run a carrier, then an engine against it, until the engine ends or a signal comes."""
    try:
        carrier = CarrierProcess()
    except CarrierFailed as error:
        raise Usage(str(error)) from None
    with carrier:
        database = state_dir() / "demo.db"
        database.parent.mkdir(parents=True, exist_ok=True)
        settings = [
            f"trunk.server={carrier.sip}",
            f"store.url=sqlite:///{database}",
            *_operator(),
            *overrides,
        ]
        engine, socket = spawn_engine(config_path, settings, "--queue", str(QUEUE), "--fresh")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: engine.terminate())
        print(f"{READY} {socket}", flush=True)
        engine.wait()
    return EXIT_OK


def _operator() -> list[str]:
    """With a sound card, the operator is whoever sits here; without one, the carrier's agent who talks."""
    try:
        devices = list_devices()
    except SoundError:
        return []
    if any(d.inputs for d in devices) and any(d.outputs for d in devices):
        return ["operator.mode=headset", "audio.input=default", "audio.output=default"]
    return []
