"""Session descriptions: reading what trunks send, and the offer and answer that we make (RFC 8866, 3264)."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.RTP import RTPProtocol, TransmitType

from engine.sip.uri import number

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
REVERSED: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
STATIC = {
    0: ("PCMU", 8000),
    8: ("PCMA", 8000),
    13: ("CN", 8000),
    9: ("G722", 8000),
    18: ("G729", 8000),
    3: ("GSM", 8000),
}
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}
MAX_LINES = 512
MAX_FORMATS = 64
"""Formats of one m= line that are looked at."""


@dataclass(frozen=True, slots=True)
class Format:
    payload_type: int
    name: str
    rate: int


@dataclass(slots=True)
class Media:
    kind: str
    port: int
    protocol: str
    formats: list[int]
    host: str = ""
    direction: str = ""
    rtpmap: dict[int, tuple[str, int]] = field(default_factory=dict)
    fmtp: dict[int, str] = field(default_factory=dict)
    ptime: int = 20

    def format(self, payload_type: int) -> Format | None:
        """The named format of a payload type listed in `m=`; None where no rtpmap explains it."""
        known = self.rtpmap.get(payload_type) or STATIC.get(payload_type)
        return Format(payload_type, known[0], known[1]) if known else None


@dataclass(slots=True)
class Session:
    """A parsed description. `version` is the o= line's, which tells a changed one from a repeat."""

    origin: str = ""
    version: int = 0
    host: str = ""
    direction: str = ""
    media: list[Media] = field(default_factory=list)

    @property
    def audio(self) -> Media | None:
        """The first audio stream that is not refused (port 0)."""
        return next((m for m in self.media if m.kind == "audio" and m.port and "AVP" in m.protocol), None)


class SdpError(Exception):
    """A description that can't be used; the text says why in one sentence."""


def parse(data: bytes) -> Session:
    """Tolerant: unknown lines are skipped, bare LF accepted. Raises SdpError without a usable m= line."""
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
    for media in session.media:
        media.host = media.host or session.host
        media.direction = media.direction or session.direction or "sendrecv"
    return session


def _line(session: Session, kind: str, value: str) -> None:
    words = value.split()
    media = session.media[-1] if session.media else None
    if kind == "o" and len(words) >= 6:
        session.origin = value
        session.version = number(words[2]) or 0
    elif kind == "c" and len(words) >= 3:
        host = words[2].split("/")[0]
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        if media is None:
            session.host = host
        else:
            media.host = host
    elif kind == "m" and len(words) >= 4:
        port = number(words[1].split("/")[0], 65536)
        if port is not None:
            found = dict.fromkeys(number(w, 128) for w in words[3 : 3 + MAX_FORMATS])
            formats = [payload_type for payload_type in found if payload_type is not None]
            session.media.append(Media(words[0].lower(), port, words[2].upper(), formats))
    elif kind == "a":
        _attribute(session, media, value)


def _attribute(session: Session, media: Media | None, value: str) -> None:
    name, _, rest = value.partition(":")
    if name in DIRECTIONS:
        if media is None:
            session.direction = name
        else:
            media.direction = name
    elif media is not None and name in ("rtpmap", "fmtp"):
        which, _, detail = rest.strip().partition(" ")
        payload_type = number(which, 128)
        if payload_type in media.formats and payload_type is not None:
            if name == "fmtp":
                media.fmtp[payload_type] = detail.strip()
            else:
                codec, _, rate = detail.strip().partition("/")
                media.rtpmap[payload_type] = (codec.strip(), number(rate.split("/")[0]) or 8000)
    elif media is not None and name == "ptime":
        media.ptime = number(rest, 1000) or media.ptime


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on for the audio stream. `direction` is ours.

    `codecs` are (name, payload type) that may arrive, the one to send first. `on_hold` is true
    when the far end does not want to hear us (sendonly, inactive, or the old 0.0.0.0).
    """

    host: str
    port: int
    codecs: tuple[tuple[str, int], ...]
    event_payload_type: int | None
    direction: Direction
    on_hold: bool = False


def negotiate(session: Session, codecs: list[str], local_direction: Direction = "sendrecv") -> Negotiated:
    """Match a remote description with our codecs, its order first. Raises SdpError without one in common."""
    audio = session.audio
    if audio is None:
        raise SdpError("the far end offers no audio stream")
    if not audio.host:
        raise SdpError("the session description names no address for the audio")
    found: list[tuple[str, int]] = []
    event: int | None = None
    for payload_type in audio.formats:
        known = audio.format(payload_type)
        if known is None or known.rate != 8000:
            continue
        if known.name.upper() in codecs:
            found.append((known.name.upper(), payload_type))
        elif known.name.lower() == "telephone-event" and event is None:
            event = payload_type
    if not found:
        raise SdpError(f"the far end speaks none of {', '.join(codecs)}")
    old_hold = audio.host in ("0.0.0.0", "::")
    remote = "inactive" if old_hold and audio.direction == "sendrecv" else audio.direction
    ours = REVERSED.get(remote, "sendrecv")
    may_send = ours in ("sendrecv", "sendonly") and local_direction in ("sendrecv", "sendonly")
    may_receive = ours in ("sendrecv", "recvonly") and local_direction in ("sendrecv", "recvonly")
    direction = {
        (True, True): "sendrecv",
        (True, False): "sendonly",
        (False, True): "recvonly",
        (False, False): "inactive",
    }[may_send, may_receive]
    return Negotiated(
        audio.host,
        audio.port,
        tuple(found),
        event,
        cast(Direction, direction),
        on_hold=remote in ("sendonly", "inactive"),
    )


@dataclass(frozen=True, slots=True)
class LocalDescription:
    """What we say of our end; `with_direction` makes the next version of the same session."""

    host: str
    port: int
    codecs: tuple[tuple[str, int], ...]
    event_payload_type: int | None
    session_id: int
    version: int = 1
    direction: Direction = "sendrecv"

    @classmethod
    def offer(cls, host: str, port: int, codecs: list[str], event_payload_type: int) -> LocalDescription:
        chosen = tuple((name, PAYLOAD_TYPES[name]) for name in codecs)
        return cls(host, port, chosen, event_payload_type, secrets.randbits(31))

    def answering(self, negotiated: Negotiated) -> LocalDescription:
        """Our answer: only what the offer had, with its payload types (RFC 3264, 6.1)."""
        return replace(
            self,
            codecs=negotiated.codecs,
            event_payload_type=negotiated.event_payload_type,
            direction=negotiated.direction,
            version=self.version + 1,
        )

    def with_direction(self, direction: Direction) -> LocalDescription:
        return replace(self, direction=direction, version=self.version + 1)

    def encode(self, refused: tuple[str, ...] = ()) -> bytes:
        """The description as sent; `refused` are m= lines of an offer answered with port 0."""
        family = "IP6" if ":" in self.host else "IP4"
        numbers = [pt for _, pt in self.codecs]
        if self.event_payload_type is not None:
            numbers.append(self.event_payload_type)
        lines = [
            "v=0",
            f"o=- {self.session_id} {self.version} IN {family} {self.host}",
            "s=-",
            f"c=IN {family} {self.host}",
            "t=0 0",
            f"m=audio {self.port} RTP/AVP {' '.join(map(str, numbers))}",
            *(f"a=rtpmap:{pt} {name}/8000" for name, pt in self.codecs),
        ]
        if self.event_payload_type is not None:
            lines += [
                f"a=rtpmap:{self.event_payload_type} telephone-event/8000",
                f"a=fmtp:{self.event_payload_type} 0-15",
            ]
        lines += ["a=ptime:20", f"a={self.direction}", *refused]
        return "".join(f"{line}\r\n" for line in lines).encode()


def refused_lines(session: Session) -> tuple[str, ...]:
    """m= lines with port 0 for every stream of an offer but the audio we take (RFC 3264, 6)."""
    return tuple(
        f"m={m.kind} 0 {m.protocol} {' '.join(map(str, m.formats)) or '0'}"
        for m in session.media
        if m is not session.audio
    )


def pyvoip_body(data: bytes) -> dict[str, Any]:
    """The dict that pyVoIP's parser makes of a description; empty where it can't be read."""
    try:
        session = parse(data)
    except SdpError:
        return {}
    body: dict[str, Any] = {"v": 0, "c": [], "m": [], "a": {}}
    for media in session.media:
        try:
            protocol = RTPProtocol(media.protocol)
        except ValueError:
            continue
        attributes: dict[str, Any] = {str(pt): {} for pt in media.formats}
        for pt, (name, rate) in media.rtpmap.items():
            attributes[str(pt)]["rtpmap"] = {
                "id": str(pt),
                "name": name,
                "frequency": str(rate),
                "encoding": None,
            }
        for pt, settings in media.fmtp.items():
            attributes[str(pt)]["fmtp"] = {"id": str(pt), "settings": settings.split(" ")}
        body["m"].append(
            {
                "type": media.kind,
                "port": media.port,
                "port_count": 1,
                "protocol": protocol,
                "methods": [str(pt) for pt in media.formats],
                "attributes": attributes,
            }
        )
    if host := (session.host or (session.media[0].host if session.media else "")):
        body["c"].append(
            {
                "network_type": "IN",
                "address_type": "IP6" if ":" in host else "IP4",
                "address": host,
                "ttl": None,
                "address_count": 1,
            }
        )
    if session.media:
        body["a"]["transmit_type"] = TransmitType(session.media[0].direction)
    return body
