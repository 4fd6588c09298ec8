"""A SIP trace file: every message with its time and direction, credentials masked."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from engine.sip.hop import Hop
from engine.sip.sdp.crypto import mask_keys

_SECRET = re.compile(
    rb"^((?:Proxy-)?Authorization[ \t]*:[ \t]*(?:Digest\b)?)(.*(?:\r?\n[ \t].*)*)", re.I | re.M
)
"""A header with its folded lines."""
_KEEP = re.compile(rb'\b(realm|algorithm|qop|nc|uri)\s*=\s*("[^"]*"|[^,\s]+)', re.I)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAX_BYTES = 64 * 1024 * 1024


def mask(data: bytes) -> bytes:
    """The message with user, nonce, cnonce and response of its credentials replaced by stars, and the keys
    of SRTP.
    """

    def line(match: re.Match[bytes]) -> bytes:
        kept = b"".join(b", " + k + b"=" + v for k, v in _KEEP.findall(match[2]))
        return match[1] + b" ***" + kept

    return _SECRET.sub(line, mask_keys(data))


class Trace:
    """Appends to a file, created readable by its owner alone; stops at 64 MiB or when the disk is full."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "a", encoding="utf-8")
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)  # one that was there already, too
        self._left = MAX_BYTES - self._file.tell()

    def write(self, data: bytes, peer: Hop, sent: bool) -> None:
        if self._left <= 0 or not data.strip():
            return
        text = _CONTROL.sub(
            "\N{REPLACEMENT CHARACTER}", mask(data).decode("utf-8", "replace").replace("\r\n", "\n")
        )
        arrow = "sent to" if sent else "received from"
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = f"--- {at} {arrow} {peer}\n{text}\n"
        self._left -= len(entry.encode())
        try:
            self._file.write(entry)
            self._file.flush()
        except OSError:
            self._left = 0

    def close(self) -> None:
        self._left = 0
        with contextlib.suppress(OSError):  # what a full disk would not take
            self._file.close()
