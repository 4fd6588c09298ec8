"""A call's messages as a ladder: a column for us, one for each far end, an arrow a message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.SIP import SIPParseError

from engine.sip.hop import Hop, bracketed
from engine.sip.journal import Passed
from engine.sip.message import Message
from engine.sip.sdp import SdpError, parse
from engine.text import safe

MAX_FAR_ENDS = 4
"""Columns; later far ends share the last one."""
_TIME, _GAP = 10, 30


def ladder(messages: Sequence[Passed]) -> list[str]:
    """Lines fit for a terminal, whatever the network sent. Times in seconds from the first message."""
    if not messages:
        return []
    far: list[Hop] = []
    for passed in messages:
        if passed.remote not in far and len(far) < MAX_FAR_ENDS:
            far.append(passed.remote)
    names = [_name(messages[0].local), *(_name(hop) for hop in far)]
    lines = [" " * _TIME + "".join(f"{name:<{_GAP}}" for name in names).rstrip()]
    seen: set[tuple[bool, Hop, bytes]] = set()
    for passed in messages:
        column = far.index(passed.remote) if passed.remote in far else len(far) - 1
        label, note = describe(passed.data)
        key = (passed.sent, passed.remote, passed.data)
        note = "repeated" if key in seen else note
        seen.add(key)
        lines.append(
            f"{passed.at - messages[0].at:8.3f}  "
            + _arrow(label, column, len(far), passed.sent)
            + (f"  {note}" if note else "")
        )
    return lines


def _name(hop: Hop) -> str:
    name = f"{bracketed(hop.host)}:{hop.port}"
    return safe(name if hop.transport == "udp" else f"{name} {hop.transport}", _GAP - 2)


def _arrow(label: str, column: int, columns: int, sent: bool) -> str:
    """`|--- INVITE --->|`, the further columns' lines behind it."""
    room = (column + 1) * _GAP - 1
    text = f" {safe(label, room - 6)} ".center(room - 1, "-")
    bar = "|" + (text + ">" if sent else "<" + text)
    return bar + "|" + (" " * (_GAP - 1) + "|") * (columns - column - 1)


def describe(data: bytes) -> tuple[str, str]:
    """A message's label (`INVITE`, `180 Ringing`, `200 OK (BYE)`) and its audio in words."""
    try:
        message = Message(data)
    except SIPParseError:
        start = data.lstrip(b"\r\n")[:60].split(b"\r\n")[0].decode("utf-8", "replace")
        return start, "malformed"
    label = message.summary_line
    if not message.is_request and message.cseq_method != "INVITE":
        label += f" ({message.cseq_method})"
    return label, _audio(message.sdp)


def _audio(sdp: bytes) -> str:
    if not sdp:
        return ""
    try:
        audio = parse(sdp).audio
    except SdpError as error:
        return safe(f"audio: {error}", 80)
    if audio is None:
        return "no audio"
    formats = (audio.format(payload_type) for payload_type in audio.formats)
    names = " ".join(found.name for found in formats if found and found.name != "telephone-event")
    direction = "" if audio.direction == "sendrecv" else f" {audio.direction}"
    return safe(f"audio {audio.host}:{audio.port} {names}{direction}", 80)


def in_full(messages: Iterable[Passed]) -> list[str]:
    """Every message whole, its lines fit for a terminal, under a line with time, way and peer."""
    lines = []
    for passed in messages:
        at = datetime.fromtimestamp(passed.at, UTC).isoformat(timespec="milliseconds")
        way = "sent to" if passed.sent else "received from"
        lines += [f"--- {at} {way} {_name(passed.remote)}"]
        text = passed.data.decode("utf-8", "replace").replace("\r\n", "\n")
        lines += [safe(line, 8192) for line in text.split("\n")]
    return lines
