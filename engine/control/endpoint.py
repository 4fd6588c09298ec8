"""The control socket's place in the file system: found, taken by one engine, given back.

A lock file beside the socket, held with flock for as long as the engine lives, says who has it: the
kernel drops the lock with the process, so a socket file without a locker is a dead engine's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path

MAX_PATH = 107
"""Longest path of a Unix socket, in bytes (unix(7))."""


class EndpointError(Exception):
    """The socket can't be made; one sentence says what is in the way and how to mend it."""


class EngineRunning(EndpointError):
    """Another engine of this user is alive. `pid` is None where it can't be told."""

    def __init__(self, pid: int | None, path: Path) -> None:
        self.pid = pid
        self.path = path
        who = f"with process id {pid} " if pid else ""
        super().__init__(
            f"An engine {who}is running already and listens at {path}: "
            "`offhook attach` shows it, `offhook ctl shutdown` ends it."
        )


class Endpoint:
    """A listening socket at `path`, mode 0600; a directory made for it has mode 0700."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        self._sock: socket.socket | None = None

    @property
    def sock(self) -> socket.socket:
        if self._sock is None:
            raise RuntimeError("the endpoint has not been taken")
        return self._sock

    def take(self) -> None:
        """Lock, clear away a dead engine's socket, bind. Raises EngineRunning or EndpointError."""
        if len(os.fsencode(self.path)) > MAX_PATH:
            raise EndpointError(
                f"The control socket's path {self.path} is longer than {MAX_PATH} bytes: "
                "set control.socket to a shorter one."
            )
        try:
            self._prepare_directory()
            self._take_lock()
            self._clear_stale()
            self._bind()
        except OSError as error:
            self.release()
            raise EndpointError(
                f"The control socket {self.path} can't be made ({error.strerror or error}): "
                "set control.socket to a path in a directory of yours."
            ) from None
        except EndpointError:
            self.release()
            raise

    def release(self) -> None:
        """Close, remove the socket file and let go of the lock. The lock file stays."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self.path.unlink(missing_ok=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _prepare_directory(self) -> None:
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise EndpointError(
                f"Other users can write to {directory}, where the control socket would be: "
                f"run `chmod 700 {directory}` or set control.socket to another path."
            )

    def _take_lock(self) -> None:
        name = self.path.with_name(self.path.name + ".lock")
        self._lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            text = os.pread(self._lock, 32, 0).strip()
            raise EngineRunning(int(text) if text.isdigit() else None, self.path) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _clear_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise EndpointError(
                f"{self.path} is there and is not a socket: "
                "move it away or set control.socket to another path."
            )
        if (pid := _listener(self.path)) is not None:
            raise EngineRunning(pid or None, self.path)
        self.path.unlink()

    def _bind(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before bind, so that there is no moment at which others could connect.
            os.fchmod(sock.fileno(), 0o600)
            sock.bind(str(self.path))
            os.chmod(self.path, 0o600)
            sock.listen(16)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._sock = sock


def _listener(path: Path) -> int | None:
    """The process id of whoever listens at `path`, 0 where it can't be told; None for nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except OSError:
            return 0
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", peer)[0])
