"""A stream cut into SIP messages by Content-Length (RFC 3261, 18.3), with keep-alives (RFC 5626, 4.4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.sip.message import MAX_MESSAGE

PING = b"\r\n\r\n"
PONG = b"\r\n"

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:(?:[ \t]|\r?\n[ \t])*([0-9]{1,10})[ \t]*\r?$", re.I | re.M
)


class FramingError(Exception):
    """The stream can't be followed any further; the text says why in words."""


class Framing:
    """Feed it what came; it gives whole messages, `PING` and `PONG`, in order.

    `pong_due` is set by whoever has sent a ping: the next single CRLF is then its answer.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._whole = 0  # the length of the message at the front, once its head has come
        self._half_ping = False
        self.pong_due = False

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises FramingError, after what came whole before."""
        self._buffer += data
        while self._buffer:
            if not self._searched:
                if self._buffer == b"\r":
                    return  # the other half is on its way
                if (item := self._between()) is not None:
                    if item:
                        yield item
                    continue
            if not self._measure() or len(self._buffer) < self._whole:
                return
            message = bytes(self._buffer[: self._whole])
            del self._buffer[: self._whole]
            self._searched = self._whole = 0
            yield message

    def _between(self) -> bytes | None:
        """What stands before a message: a keep-alive, nothing (b"") or None where the message begins."""
        buffer = self._buffer
        if buffer[0] not in b"\r\n":
            self._half_ping = False
            return None
        crlf = buffer.startswith(b"\r\n")
        del buffer[: 2 if crlf else 1]
        if not crlf:
            return b""
        if self.pong_due:
            self.pong_due = False
            return PONG
        self._half_ping = not self._half_ping
        return b"" if self._half_ping else PING

    def _measure(self) -> bool:
        """Whether the head of the message at the front is there; its whole length is then known."""
        if self._whole:
            return True
        end = _HEAD_END.search(self._buffer, max(0, self._searched - 3))
        self._searched = len(self._buffer)
        if (end.end() if end else len(self._buffer)) > MAX_MESSAGE:
            raise FramingError("headers without an end")
        if end is None:
            return False
        lengths = set(_LENGTH.findall(self._buffer, 0, end.end()))
        if len(lengths) != 1:
            raise FramingError("a message without one Content-Length")
        self._whole = end.end() + int(lengths.pop())
        if self._whole > MAX_MESSAGE:
            raise FramingError(f"a message of {self._whole} bytes")
        return True
