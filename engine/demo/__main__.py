"""`python -m engine.demo`: run the carrier until SIGTERM, or until the parent goes away.

The first line on stdout is {"event": "ready", "sip": "127.0.0.1:PORT"}; then comes an event a line, on
stdout or in the file given with --log. With --with-parent, stdin takes orders, one JSON object a line:

    {"cmd": "call", "from": "5550199", "to": "1001"}    call a registered user
    {"cmd": "hangup", "number": "5550199"}              hang up a number's calls; without a number, all
    {"cmd": "quit"}                                     end

and the end of stdin ends the carrier.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import NoReturn, TextIO

from engine.demo import directory
from engine.demo.events import EventLog


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT",
                        help="loopback address and UDP port; port 0 takes a free one (default %(default)s)")
    parser.add_argument("--directory", type=Path, default=directory.DEFAULT, metavar="FILE.toml",
                        help="what each number does (default: the sample directory)")
    parser.add_argument("--record-dir", type=Path, metavar="DIR",
                        help="write what each call sent and received as WAV")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write events there instead of on stdout")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write every SIP message there")
    parser.add_argument("--with-parent", action="store_true",
                        help="take orders on stdin, and end when it closes")
    return parser.parse_args()


def _fail(sentence: str) -> NoReturn:
    print(f"demo carrier: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        if ipaddress.IPv4Address(host).is_loopback and port.isdigit() and int(port) < 65536:
            return host, int(port)
    except ValueError:
        pass
    _fail(f"--listen {text!r}: a loopback IPv4 address and a port are allowed, such as 127.0.0.1:15060")


def _open(path: Path | None, option: str) -> TextIO | None:
    if path is None:
        return None
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        _fail(f"{option} {path}: {error.strerror}")


def main() -> None:
    options = _arguments()
    host, port = _listen(options.listen)
    log_file, trace = _open(options.log, "--log"), _open(options.trace, "--trace")
    if options.record_dir is not None:
        try:
            options.record_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _fail(f"--record-dir {options.record_dir}: {error.strerror}")
    try:
        numbers = directory.load(options.directory)
    except directory.DirectoryError as error:
        _fail(str(error))

    # Sippy prints its troubles to stdout, which is for events alone here: it gets a stdout of its own.
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        from sippy.Core.EventDispatcher import ED2

        from engine.demo.carrier import Carrier, CarrierError
    except ImportError as error:
        _fail(f"the package {error.name} is missing; install offhook[demo]")

    events = EventLog(log_file or stdout)
    try:
        carrier = Carrier(host, port, numbers, events, base=options.directory.parent,
                          record_dir=options.record_dir, trace=trace)
    except CarrierError as error:
        _fail(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        ED2.regSignal(number, ED2.breakLoop)
    if options.with_parent:
        Thread(target=_orders, args=(carrier, ED2, events), daemon=True).start()
    EventLog(stdout).write("ready", sip=f"{host}:{carrier.port}")
    ED2.loop()
    if carrier.close():
        ED2.loop(0.1)
    events.write("stopped")
    os._exit(0)  # sippy's socket threads would wait for ever


def _orders(carrier: object, dispatcher: object, events: EventLog) -> None:
    """Pass the orders on stdin to the carrier's loop; its end ends the carrier."""
    from engine.demo.carrier import Carrier

    assert isinstance(carrier, Carrier)
    loop = dispatcher  # sippy has no types
    for line in sys.stdin:
        try:
            order = json.loads(line)
            command = order["cmd"]
            if command == "call":
                loop.callFromThread(carrier.guard, carrier.call, str(order["from"]), str(order["to"]))  # type: ignore[attr-defined]
            elif command == "hangup":
                loop.callFromThread(carrier.guard, carrier.hang_up, str(order.get("number", "")))  # type: ignore[attr-defined]
            elif command == "quit":
                break
            else:
                raise ValueError(command)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            events.write("bad_order", line=line.strip()[:200], error=str(error))
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
