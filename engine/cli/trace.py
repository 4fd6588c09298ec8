"""`offhook trace`: a call's SIP messages as a ladder, in full, as JSON or as a pcap file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.cli.common import EXIT_OK, Usage, guarded, load_config, say
from engine.config import control_socket
from engine.control import messages
from engine.control.client import ControlClient, ControlError
from engine.sip.hop import Hop
from engine.sip.journal import Passed
from engine.sip.ladder import describe, in_full, ladder
from engine.sip.pcap import write_pcap
from engine.text import safe

EXIT_REFUSED = 1


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What the command line asks for; `call` is a leg, number or Call-ID, `last`, `trunk` or `strangers`."""

    call: str
    full: bool
    as_json: bool
    pcap: Path | None


def run_trace(options: TraceOptions, path: Path | None, overrides: list[str]) -> int:
    async def main() -> int:
        config = load_config(path, overrides, need_trunk=False)
        try:
            client = await ControlClient.connect(control_socket(config))
            try:
                reply = await client.send(messages.Trace(call=options.call))
            finally:
                await client.close()
        except ControlError as error:
            say(f"offhook: {error}")
            return EXIT_REFUSED
        if not reply.ok or reply.trace is None:
            say(f"offhook: {reply.error or 'the engine is of an older version and keeps no traces'}")
            return EXIT_REFUSED
        _show(reply.trace, options)
        return EXIT_OK

    return guarded(main)


def _show(traced: messages.Traced, options: TraceOptions) -> None:
    passed = [
        Passed(m.at, m.sent, Hop(*m.local, m.transport), Hop(*m.remote, m.transport), m.data)
        for m in traced.messages
    ]
    if traced.lost:
        say(f"offhook: {traced.lost} older messages are not kept")
    if options.pcap is not None:
        save_pcap(options.pcap, passed)
        say(f"{len(passed)} messages written to {options.pcap}")
        if not options.full and not options.as_json:
            return
    if options.as_json:
        for message in passed:
            print(json.dumps(_as_json(message), ensure_ascii=True))
        return
    print(safe(traced.title))
    print("\n".join(ladder(passed)) or "no messages")
    if options.full:
        print("\n".join(["", *in_full(passed)]))


def _as_json(message: Passed) -> dict[str, object]:
    label, note = describe(message.data)
    return {
        "at": message.at, "sent": message.sent, "transport": message.remote.transport,
        "local": list(message.local[:2]), "remote": list(message.remote[:2]), "message": safe(label),
        "audio": note, "text": message.data.decode("utf-8", "replace"),
    }  # fmt: skip


def unwritable(path: Path) -> str:
    """Why a file can't be written, found out without changing one; empty where it can."""
    if path.is_dir():
        return os.strerror(errno.EISDIR)
    if not path.absolute().parent.is_dir():
        return os.strerror(errno.ENOENT)
    written = path if path.exists() else path.absolute().parent
    return "" if os.access(written, os.W_OK) else os.strerror(errno.EACCES)


def save_pcap(path: Path, passed: Sequence[Passed]) -> None:
    """Raises Usage where the file can't be written."""
    try:
        write_pcap(path, passed)
    except OSError as error:
        raise Usage(f"--pcap: {path} can't be written: {error.strerror}") from None


def save_text(path: Path, passed: Sequence[Passed]) -> None:
    """The ladder and every message in full, readable by the owner alone. Raises Usage."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with contextlib.closing(os.fdopen(descriptor, "w", encoding="utf-8")) as file:
            file.write("\n".join([*ladder(passed), "", *in_full(passed), ""]))
    except OSError as error:
        raise Usage(f"--trace: {path} can't be written: {error.strerror}") from None
