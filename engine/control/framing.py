"""Lines on the wire: splitting a byte stream, and reading one line as a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import msgspec

from engine.control.messages import MAX_LINE, Event, Request

_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(Request)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class TooLong:
    """Stands for a line longer than MAX_LINE; what it held is gone."""


TOO_LONG = TooLong()


class Lines:
    """Cuts a byte stream into lines, holding at most MAX_LINE bytes of an unfinished one."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | TooLong]:
        """Yields every finished line without its end; `TOO_LONG` once for each line too long."""
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start:end])
            start = end + 1
            if self._skipping:
                self._skipping = False
            elif len(line) > self._limit:
                yield TOO_LONG
            elif line.strip():
                yield line
        del self._buffer[:start]
        if len(self._buffer) > self._limit:
            self._buffer.clear()
            if not self._skipping:
                self._skipping = True
                yield TOO_LONG


class BadRequest(Exception):
    """A line that is no request. `id` is its request id where that could still be read."""

    def __init__(self, request: int | None, error: str) -> None:
        super().__init__(error)
        self.id = request


class _Id(msgspec.Struct):
    id: int | None = None


class _Tag(msgspec.Struct):
    type: str = ""


_tags = {kind.__struct_config__.tag for kind in get_args(Event)}


def encode(message: msgspec.Struct) -> bytes:
    """One message as one line, its newline included."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises BadRequest with one sentence for anything that is not a `Request`."""
    try:
        return _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(_id_of(line), _sentence(error)) from None


def decode_event(line: bytes) -> Event | None:
    """None for an event of a newer engine. Raises ValueError for what is no event at all."""
    try:
        return _events.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            tag = msgspec.json.decode(line, type=_Tag).type
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            tag = ""
        if tag and tag not in _tags:
            return None
        raise ValueError(_sentence(error)) from None


def _id_of(line: bytes) -> int | None:
    try:
        return msgspec.json.decode(line, type=_Id).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _sentence(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        text = re.sub(r" - at `\$\.?(.*)`$", lambda m: f" at {m[1]}" if m[1] else "", str(error))
        return f"The line is JSON but no request of this wire: {text}."
    return f"The line is not valid JSON: {error}."
