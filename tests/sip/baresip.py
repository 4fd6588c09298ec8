"""baresip, Debian's softphone in C, as a far end on loopback: commanded over its TCP control port.

It plays back what it hears (its `aubridge` device), so that a tone that comes back has passed its decoder and
its encoder.
"""

from __future__ import annotations

import array
import contextlib
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

START_S = 20.0
EVENT_S = 10.0
_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")
_CONFIG = """\
poll_method epoll
sip_listen {where}:{sip}
call_local_timeout 120
call_max_calls 128
audio_source {source}
{player}
audio_level no
ausrc_channels 1
auplay_channels 1
rtp_tos 184
rtp_ports {rtp_low}-{rtp_high}
rtp_stats no
net_interface {host}
{settings}
module_path {modules}
{loaded}
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class BaresipError(Exception):
    """baresip is missing or did not do what it was told; the text says what."""


def free_port(kind: int, host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


class Baresip:
    """A running baresip. `events` are those that it told of, in order."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], port: int, control: int) -> None:
        self.port = port
        self.events: list[dict[str, Any]] = []
        self._folder = folder
        self._process = process
        self._buffer = b""
        self._link = self._connect(control)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _connect(self, control: int) -> socket.socket:
        end = time.monotonic() + START_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", control), 1)
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise BaresipError(f"baresip did not open its control port; {self._said()}") from None
                time.sleep(0.05)

    def _said(self) -> str:
        said = (self._folder / "log").read_text(errors="replace").splitlines()
        return "it said: " + " / ".join(line for line in said if line and "bit/s" not in line)[-1500:]

    def command(self, command: str, params: str = "") -> dict[str, Any]:
        """Have it do something; its reply. Raises BaresipError where it can't."""
        body = json.dumps({"command": command, "params": params, "token": command})
        self._link.sendall(f"{len(body)}:{body},".encode())  # a netstring
        reply = self._until(lambda m: m.get("response") is True)
        if not reply.get("ok"):
            raise BaresipError(f"baresip refused {command} {params}: {reply.get('data')}")
        return reply

    def event(self, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda e: True) -> dict[str, Any]:
        """The first event of a type, of those that came and those to come; it is gone then. Raises
        BaresipError.
        """

        def fits(message: dict[str, Any]) -> bool:
            return message.get("type") == kind and wanted(message)

        found = next((e for e in self.events if fits(e)), None) or self._until(fits)
        self.events.remove(found)
        return found

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + EVENT_S
        while True:
            while match := re.match(rb"(\d+):", self._buffer):
                start, size = match.end(), int(match[1])
                if len(self._buffer) <= start + size:
                    break
                message: dict[str, Any] = json.loads(self._buffer[start : start + size])
                self._buffer = self._buffer[start + size + 1 :]
                if message.get("event"):
                    self.events.append(message)
                if wanted(message):
                    return message
            left = end - time.monotonic()
            self._link.settimeout(max(0.01, left))
            try:
                data = self._link.recv(65536) if left > 0 else None
            except TimeoutError:
                data = None
            if data is None:
                raise BaresipError(f"baresip did not do what was expected; {self._said()}")
            if not data:
                raise BaresipError(f"baresip has gone; {self._said()}")
            self._buffer += data

    def close(self) -> None:
        self._link.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def write_tone(path: Path, hz: float = 440.0, seconds: int = 120) -> None:
    """A sine at 8 kHz, so that baresip need not resample (its own sine source runs at 48 kHz alone)."""
    second = array.array("h", (int(8000 * math.sin(2 * math.pi * hz * n / 8000)) for n in range(8000)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        for _ in range(seconds):
            file.writeframes(second.tobytes())


def installed() -> bool:
    return shutil.which("baresip") is not None and any(Path(p).is_dir() for p in _MODULES)


@contextlib.contextmanager
def baresip(
    folder: Path,
    account: str,
    *,
    modules: Sequence[str] = ("g711",),
    source: str = "aubridge,loop",
    player: str = "aubridge,loop",
    host: str = "127.0.0.1",
    settings: Sequence[str] = (),
) -> Iterator[Baresip]:
    """Run it with one account, e.g. `<sip:far@127.0.0.1>;regint=0;answermode=auto`. Raises BaresipError."""
    program = shutil.which("baresip")
    found = next((p for p in _MODULES if Path(p).is_dir()), None)
    if program is None or found is None:
        raise BaresipError("baresip is not installed")
    needed = [*modules, *{device.split(",")[0] for device in (source, player) if device}]
    control, sip = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM, host)
    rtp = free_port(socket.SOCK_DGRAM, host) % 20000 + 30000
    home = folder / f"baresip-{sip}"
    home.mkdir()
    (home / "config").write_text(
        _CONFIG.format(
            host=host,
            where=f"[{host}]" if ":" in host else host,
            sip=sip,
            source=source,
            player=f"audio_player {player}" if player else "",
            rtp_low=rtp,
            rtp_high=rtp + 2000,
            modules=found,
            control=control,
            settings="\n".join(settings),
            loaded="\n".join(f"module {name}.so" for name in needed),
        )
    )
    (home / "accounts").write_text(f"{account}\n")
    (home / "contacts").write_text("")
    with (home / "log").open("wb") as log:
        options = ["-6"] if ":" in host else []
        process = subprocess.Popen(
            [program, "-f", str(home), *options], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
        try:
            phone = Baresip(home, process, sip, control)
        except BaresipError:
            process.kill()
            process.wait()
            raise
        try:
            yield phone
        finally:
            phone.close()
