"""A description as the far end wrote it (RFC 8866): tolerant in reading, bounded in what is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.sip.uri import is_ip, number

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
STATIC = {
    0: ("PCMU", 8000),
    8: ("PCMA", 8000),
    13: ("CN", 8000),
    9: ("G722", 8000),
    18: ("G729", 8000),
    3: ("GSM", 8000),
}
"""Payload types that need no rtpmap (RFC 3551, 6). G.722's RTP clock is 8 kHz by an old mistake (4.5.2)."""
_NAME = re.compile(r"(?=.{1,253}\.?$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z][A-Za-z0-9-]{0,62}\.?")
"""A host name (RFC 1123, 2.1); its last label begins with a letter."""
MAX_LINES = 512
MAX_MEDIA = 32
MAX_FORMATS = 64
"""Formats of one m= line that are looked at."""
MAX_CRYPTO = 16


@dataclass(frozen=True, slots=True)
class Format:
    """A codec by its payload type. `rate` is its RTP clock in Hz."""

    payload_type: int
    name: str
    rate: int


@dataclass(slots=True)
class Media:
    """One m= line with its attributes. Times in ms, 0 where nothing is said."""

    kind: str
    port: int
    protocol: str
    formats: list[int]
    rest: str = ""
    """The line after its port, as it came."""
    host: str = ""
    direction: str = ""
    rtpmap: dict[int, tuple[str, int]] = field(default_factory=dict)
    fmtp: dict[int, str] = field(default_factory=dict)
    ptime: int = 0
    maxptime: int = 0
    rtcp_mux: bool = False
    rtcp: tuple[str, int] = ("", 0)
    """Where it takes RTCP (RFC 3605): host, empty for its audio's, and port, 0 for the one after."""
    no_rtcp: set[str] = field(default_factory=set)
    """RS and RR where no bandwidth is given to reports of senders and receivers (RFC 3556)."""
    crypto: list[str] = field(default_factory=list)

    def format(self, payload_type: int) -> Format | None:
        """The named format of a payload type listed in `m=`; None where no rtpmap explains it."""
        known = self.rtpmap.get(payload_type) or STATIC.get(payload_type)
        return Format(payload_type, known[0], known[1]) if known else None

    @property
    def usable(self) -> bool:
        """Whether it is an RTP audio stream that is not refused (port 0)."""
        return (
            self.kind == "audio"
            and self.port > 0
            and self.protocol in ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
        )


@dataclass(slots=True)
class Session:
    """A parsed description. `origin` is the o= line, which changes with every change (RFC 3264, 8)."""

    origin: str = ""
    host: str = ""
    direction: str = ""
    media: list[Media] = field(default_factory=list)

    @property
    def version(self) -> int:
        """The o= line's; it may be longer than 64 bits, and is 0 where it can't be read."""
        words = self.origin.split()
        text = words[2] if len(words) > 2 else ""
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 64 else 0

    @property
    def audio(self) -> Media | None:
        """The first audio stream that is not refused."""
        return next((m for m in self.media if m.usable), None)


class SdpError(Exception):
    """A description that can't be used; the text says why in one sentence."""


def parse(data: bytes) -> Session:
    """Tolerant: unknown lines are skipped, bare LF accepted. Raises SdpError without a m= line."""
    session = Session()
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError("the session description has too many lines")
    for line in lines:
        kind, equals, value = line.strip().partition("=")
        if equals and len(kind) == 1:
            _line(session, kind, value.strip())
    if not session.media:
        raise SdpError("the session description has no media line")
    if len(session.media) > MAX_MEDIA:
        raise SdpError("the session description has too many media lines")
    for media in session.media:
        media.host = media.host or session.host
        media.direction = media.direction or session.direction or "sendrecv"
    return session


def _line(session: Session, kind: str, value: str) -> None:
    words = value.split()
    media = session.media[-1] if session.media else None
    if kind == "o":
        session.origin = value
    elif kind == "c" and len(words) >= 3:
        host = words[2].split("/")[0]
        if not is_ip(host) and not _NAME.fullmatch(host):
            return
        if media is None:
            session.host = host
        else:
            media.host = host
    elif kind == "b" and media is not None and value.replace(" ", "").upper() in ("RS:0", "RR:0"):
        media.no_rtcp.add(value[:2].upper())
    elif kind == "m" and len(words) >= 3:
        # A line whose port can't be read keeps its place: an answer has one line for each (RFC 3264, 6).
        port = number(words[1].split("/")[0], 65536) or 0
        shown = words[3 : 3 + MAX_FORMATS]
        found = dict.fromkeys(number(w, 128) for w in shown)
        formats = [payload_type for payload_type in found if payload_type is not None]
        rest = " ".join([words[2], *shown])
        session.media.append(Media(words[0].lower(), port, words[2].upper(), formats, rest))
    elif kind == "a":
        _attribute(session, media, value)


def _attribute(session: Session, media: Media | None, value: str) -> None:
    name, _, rest = value.partition(":")
    name, rest = name.strip().lower(), rest.strip()
    if name in DIRECTIONS:
        if media is None:
            session.direction = name
        else:
            media.direction = name
    elif media is None:
        return
    elif name in ("rtpmap", "fmtp"):
        which, _, detail = rest.partition(" ")
        payload_type = number(which, 128)
        if payload_type in media.formats and payload_type is not None:
            if name == "fmtp":
                media.fmtp[payload_type] = detail.strip()
            else:
                codec, _, rate = detail.strip().partition("/")
                media.rtpmap[payload_type] = (codec.strip(), number(rate.split("/")[0]) or 8000)
    elif name == "ptime":
        media.ptime = _milliseconds(rest) or media.ptime
    elif name == "maxptime":
        media.maxptime = _milliseconds(rest) or media.maxptime
    elif name == "rtcp-mux":
        media.rtcp_mux = True
    elif name == "rtcp":
        words = rest.split()
        if words and (port := number(words[0], 65536)):
            media.rtcp = (words[3] if len(words) > 3 and is_ip(words[3]) else "", port)
    elif name == "crypto" and len(media.crypto) < MAX_CRYPTO:
        media.crypto.append(rest)


def _milliseconds(text: str) -> int:
    """Whole milliseconds below a second; some write 20.0."""
    return number(text.split(".")[0], 1000) or 0
