"""Session descriptions: reading the phone's offer or answer, writing ours (RFC 4566, RFC 3264)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.demo.g711 import PAYLOAD_TYPES

_STATIC = {number: name for name, number in PAYLOAD_TYPES.items()}
_ANSWERS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@dataclass(frozen=True, slots=True)
class Description:
    """The one audio stream of a session description. `codecs`: payload type to PCMA or PCMU, best first."""

    host: str
    port: int
    codecs: dict[int, str] = field(default_factory=dict)
    event_payload_type: int | None = None
    direction: str = "sendrecv"

    @property
    def wants_audio(self) -> bool:
        """Whether its author is willing to receive (not on hold, RFC 3264, section 8.4)."""
        return self.direction in ("sendrecv", "recvonly") and self.host != "0.0.0.0" and self.port > 0


def parse(text: str) -> Description:
    """Raises ValueError where there is no RTP/AVP audio stream with a codec of ours."""
    host, port, formats, direction = "", 0, list[int](), "sendrecv"
    names: dict[int, str] = {}
    section = ""
    for line in text.splitlines()[:200]:
        kind, _, value = line.partition("=")
        if kind == "m":
            section = "other"
            words = value.split()
            if not formats and len(words) > 3 and words[0] == "audio" and words[2] == "RTP/AVP":
                section = "audio"
                port = int(words[1].split("/")[0])
                formats = [int(w) for w in words[3:] if w.isdigit()]
        elif kind == "c" and (section == "audio" or (not section and not host)):
            host = value.split()[-1].split("/")[0] if value.split() else ""
        elif kind == "a" and section in ("audio", ""):
            if value in _ANSWERS:
                direction = value
            elif value.startswith("rtpmap:"):
                digits, _, encoding = value[7:].partition(" ")
                if digits.isdigit():
                    names[int(digits)] = encoding.strip().upper()
    codecs: dict[int, str] = {}
    events: int | None = None
    for number in formats:
        encoding = names.get(number) or _STATIC.get(number, "")
        name = encoding.removesuffix("/1").removesuffix("/8000")
        if name in PAYLOAD_TYPES:
            codecs[number] = name
        elif name == "TELEPHONE-EVENT" and events is None:
            events = number
    if not host or not codecs or not 0 <= port <= 65535:
        raise ValueError("no audio stream with PCMA or PCMU")
    return Description(host, port, codecs, events, direction)


def write(
    host: str, port: int, codecs: Sequence[tuple[int, str]], events: int | None, version: int,
    direction: str = "sendrecv",
) -> str:
    """A description with one audio stream. `version` goes up with every change (RFC 3264, section 8)."""
    formats = [number for number, _ in codecs] + ([] if events is None else [events])
    lines = [
        "v=0", f"o=carrier {port} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}",
        *(f"a=rtpmap:{number} {name}/8000" for number, name in codecs),
    ]
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    return "\r\n".join([*lines, "a=ptime:20", f"a={direction}", ""])


def answer_direction(offered: str) -> str:
    """Our direction for theirs (RFC 3264, section 6.1)."""
    return _ANSWERS[offered]
