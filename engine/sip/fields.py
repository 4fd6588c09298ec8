"""Header fields: their names, which of them are lists, and the parts of a Via (RFC 3261, 7.3, 20)."""

from __future__ import annotations

import re

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.SIP import SIPParseError

from engine.sip.uri import number, parse_params

COMPACT = {
    "i": "Call-ID",
    "m": "Contact",
    "e": "Content-Encoding",
    "l": "Content-Length",
    "c": "Content-Type",
    "f": "From",
    "s": "Subject",
    "k": "Supported",
    "t": "To",
    "v": "Via",
    "r": "Refer-To",
    "b": "Referred-By",
    "o": "Event",
    "u": "Allow-Events",
    "x": "Session-Expires",
    "a": "Accept-Contact",
    "j": "Reject-Contact",
    "d": "Request-Disposition",
}
_CANONICAL = {
    name.lower(): name
    for name in (
        *COMPACT.values(),
        "CSeq",
        "Max-Forwards",
        "Record-Route",
        "Service-Route",
        "Route",
        "WWW-Authenticate",
        "Authorization",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Expires",
        "Min-Expires",
        "Allow",
        "User-Agent",
        "Server",
        "Reason",
        "Retry-After",
        "Require",
        "Proxy-Require",
        "Unsupported",
        "Accept",
        "Warning",
        "P-Asserted-Identity",
        "RSeq",
        "RAck",
        "Min-SE",
        "P-Preferred-Identity",
        "Privacy",
        "Date",
    )
}
LISTS = {
    "via",
    "contact",
    "route",
    "record-route",
    "service-route",
    "allow",
    "supported",
    "require",
    "proxy-require",
    "unsupported",
    "accept",
    "allow-events",
}
TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_VIA = re.compile(
    r"SIP\s*+/\s*+2\.0\s*+/\s*+([A-Za-z0-9\-]++)\s++(\[[0-9A-Fa-f:.]++\]|[^\s:;\[\]]++)"
    r"\s*+(?::\s*+([0-9]{1,5}+))?\s*+(;.*)?$",
    re.I | re.S,
)
"""Possessive throughout: a run of blanks must not make matching quadratic."""


def canonical(name: str) -> str:
    """A header name in its usual long form and case."""
    name = name.strip()
    return (
        COMPACT.get(name.lower())
        or _CANONICAL.get(name.lower())
        or "-".join(part.capitalize() for part in name.split("-"))
    )


def delta_seconds(text: str | None) -> int | None:
    """The seconds that a header begins with, as in `Retry-After: 18 (busy);duration=60` (RFC 3261, 20.33);
    None for anything else."""
    return number((text or "").split("(")[0].split(";")[0])


class Via:
    """The parts of one Via value (RFC 3261, 20.42)."""

    __slots__ = ("host", "params", "port", "transport")

    def __init__(self, text: str) -> None:
        match = _VIA.match(text.strip())
        if not match:
            raise SIPParseError(f"not a Via: {text[:80]!r}")
        self.transport = match[1].upper()
        self.host = match[2].strip("[]")
        self.port = int(match[3]) if match[3] else None
        if self.port is not None and self.port > 65535:
            raise SIPParseError(f"a Via with port {self.port}")
        self.params: dict[str, str | None] = {k.lower(): v for k, v in parse_params((match[4] or "")[1:])}

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> tuple[str, int]:
        return self.host.lower(), self.port or 5060
