"""The engine's end of `host.py`: begins the process of a stream, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.media.sound import host

OPEN_S = 15.0
"""Seconds that PortAudio may take to look for devices and open one."""
RATES = "8000,0,48000,44100"
"""Rates that a device is asked for, in Hz, in order; 0 is its own default."""
MAX_LINE = 1 << 20
"""Octets of one line that are kept."""

Side = Literal["input", "output"]


class SoundError(Exception):
    """A device that is missing or does not open; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A device as it was opened: `rate` in Hz, `latency` its own in seconds, as PortAudio tells it."""

    name: str
    rate: int
    channels: int
    latency: float


def _spawn(args: list[str], *fds: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", str(Path(host.__file__)), *args]
    ours = str(Path(__file__).parents[3])
    environment = {
        **os.environ, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), ours))),
    }  # fmt: skip
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            pass_fds=fds, env=environment, start_new_session=True,
        )
    except OSError as error:
        raise SoundError(f"There is no sound: its process can't be started ({error.strerror}).") from None


class _Process:
    """A child, what it says line by line, and its end."""

    def __init__(self, args: list[str], *fds: int) -> None:
        self._child = _spawn(args, *fds)
        self._said = b""

    def fileno(self) -> int:
        """Readable when the process has something to say or has ended."""
        assert self._child.stdout is not None
        return self._child.stdout.fileno()

    def line(self, within: float) -> dict[str, Any] | None:
        """The next thing it says; None if that takes longer than `within` seconds. Raises EOFError.

        A library of the sound system may write there too, which is passed over.
        """
        end = time.monotonic() + within
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self.fileno(), select.POLLIN)
        while True:
            while b"\n" not in self._said:
                if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                    return None
                data = os.read(self.fileno(), 65536)
                if not data:
                    raise EOFError
                self._said = self._said[-MAX_LINE:] + data
            line, _, self._said = self._said.partition(b"\n")
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    return said

    def answer(self) -> dict[str, Any]:
        """The first line. Raises SoundError where it is an error or there is none."""
        try:
            said = self.line(OPEN_S)
        except EOFError:
            self.close()
            raise SoundError(
                "There is no sound: PortAudio crashes here, as it does where ALSA is broken."
            ) from None
        if said is None:
            self.close()
            raise SoundError(f"There is no sound: PortAudio does not answer within {OPEN_S:g} s.")
        if "error" in said:
            self.close()
            raise SoundError(said["error"])
        return said

    def close(self) -> None:
        """End it; a matter of milliseconds."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class SoundProcess(_Process):
    """One stream. `sock` carries its audio; see host.py for the packets."""

    def __init__(self, side: Side, wanted: str) -> None:
        """Begin the process. Raises SoundError."""
        try:
            self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SoundError(f"There is no sound: no socket for its process ({error.strerror}).") from None
        self.sock.setblocking(False)
        try:
            with theirs:
                super().__init__(["open", side, wanted, RATES, str(theirs.fileno())], theirs.fileno())
        except SoundError:
            self.sock.close()
            raise

    def open(self) -> Opened:
        """Wait until the device runs. Raises SoundError, and is closed then."""
        try:
            said = self.answer()
        except SoundError:
            self.sock.close()
            raise
        return Opened(said["opened"], said["rate"], said["channels"], said["latency"])

    def kill(self) -> None:
        """From another thread: whoever waits for it waits no longer."""
        self._child.kill()


def ask(*args: str) -> dict[str, Any]:
    """What `host.py` says to a question. Raises SoundError."""
    process = _Process(list(args))
    try:
        return process.answer()
    finally:
        process.close()
