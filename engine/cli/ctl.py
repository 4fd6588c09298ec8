"""`offhook ctl`: one command to a running engine, or its events as JSON lines."""

from __future__ import annotations

import asyncio
import difflib
import math
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from engine.cli.common import EXIT_OK, Usage, emit, guarded, load_config, say
from engine.config import control_socket
from engine.control import messages
from engine.control.client import ControlClient, ControlError

EXIT_REFUSED = 1

COMMANDS: dict[str, type[msgspec.Struct]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(messages.Command)
}


ALIASES = {"attend": "transfer_to_leg"}
SWITCH = {"on": "true", "off": "false"}


def parse_command(name: str, arguments: list[str]) -> messages.Command:
    """A command from its name and its values, in order or as key=value. Raises Usage with what is allowed."""
    kind = COMMANDS.get(ALIASES.get(name, name.replace("-", "_")))
    if kind is None:
        known = {"events", "list", *COMMANDS, *ALIASES}
        close = difflib.get_close_matches(name.replace("-", "_"), known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise Usage(f"ctl: {name!r} is not a command; {hint}`offhook ctl list` shows them all")
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {"type": kind.__struct_config__.tag}
    in_order = iter(fields)
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals:
            key, text = next((each for each in in_order if each not in values), ""), argument
        if key not in fields:
            raise Usage(f"ctl {name}: found {argument!r}; it takes {_takes(kind) or 'nothing'}")
        if fields[key].type is bool:
            text = SWITCH.get(text, text)
        values[key] = text.split(",") if fields[key].type == list[str] else text
        if problem := _misfit(fields[key].type, text):
            raise Usage(f"ctl {name}: found {key}={text}; {problem}")
    for field in fields.values():
        if field.required and field.name not in values:
            missing = f"{field.name}=... is missing; it takes {_takes(kind)}"
            raise Usage(f"ctl {name}: {missing}{_where(field.name)}")
    try:
        command: messages.Command = msgspec.convert(values, messages.Command, strict=False)
    except msgspec.ValidationError as error:
        raise Usage(f"ctl {name}: {error}") from None
    return command


def _takes(kind: type[msgspec.Struct]) -> str:
    """What a command takes, in order; what can be left out in brackets."""
    fields = msgspec.structs.fields(kind)
    return " ".join(f"{f.name}=..." if f.required else f"[{f.name}=...]" for f in fields)


def _misfit(kind: object, text: str) -> str:
    """Why a text can't be a value of this type, in words; empty where it can."""
    if kind is bool and text.lower() not in ("true", "false", "1", "0"):
        return "on or off is allowed"
    if get_origin(kind) is Literal and text not in get_args(kind):
        return f"{', '.join(get_args(kind))} is allowed"
    if kind in (float, float | None) and not _is_number(text):
        return "a number is allowed"
    if kind is int and not text.removeprefix("-").isdecimal():
        return "a whole number is allowed"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _where(field: str) -> str:
    names_leg = field in ("leg", "other", "of")
    return " (`offhook ctl get-snapshot` shows the legs' ids)" if names_leg else ""


def _list() -> int:
    named = COMMANDS | {alias: COMMANDS[name] for alias, name in ALIASES.items()}
    for name, kind in sorted(named.items()):
        first = (kind.__doc__ or "").strip().split("\n\n")[0]
        print(f"{name} {_takes(kind)}".strip().ljust(44), " ".join(first.split()))
    return EXIT_OK


def run_ctl(name: str, arguments: list[str], path: Path | None, overrides: list[str]) -> int:
    if name == "list":
        return _list()

    async def main() -> int:
        config = load_config(path, overrides, need_trunk=False)
        command = None if name == "events" else parse_command(name, arguments)
        if command is None and arguments:
            raise Usage("ctl events takes nothing")
        try:
            client = await ControlClient.connect(control_socket(config))
        except ControlError as error:
            say(f"offhook: {error}")
            return EXIT_REFUSED
        try:
            return await (_stream(client) if command is None else _send(client, command))
        except ControlError as error:
            say(f"offhook: {error}")
            return EXIT_REFUSED
        finally:
            await client.close()

    return guarded(main)


async def _stream(client: ControlClient) -> int:
    try:
        async for event in client.events():
            emit(event)
    except (asyncio.CancelledError, BrokenPipeError):
        sys.stdout = None  # nobody reads: don't flush at exit
    return EXIT_OK


async def _send(client: ControlClient, command: messages.Command) -> int:
    reply = await client.send(command)
    if isinstance(command, messages.GetSnapshot):
        latest = None
        async for event in client.events():
            if isinstance(event, messages.Snapshot):
                latest = event
                break
        if latest is not None:
            emit(latest)
            return EXIT_OK
    if reply.ok:
        emit(reply)
        return EXIT_OK
    say(f"offhook: {reply.error}")
    return EXIT_REFUSED
