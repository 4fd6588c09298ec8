"""SIP and tel URIs, and the name-addr form of From, To, Contact and Route (RFC 3261, 19.1 and 20.10)."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from engine.sip.hop import Target, Transport, bracketed

DEFAULT_PORT = 5060

_UNESCAPED = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/#]")
"""What must be %-escaped in a user part; `#` is left alone, as trunks expect of dialled numbers."""

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What may stand in no header, but escaped in a quoted string (RFC 3261, 25.1)."""


def number(text: str | None, limit: int = 2**32) -> int | None:
    """An unsigned decimal number below `limit`; None for anything else.

    `str.isdigit` and `int` don't do: they disagree on other scripts' digits, and `int` raises for
    very long ones.
    """
    text = (text or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) >= limit:
        return None
    return int(text)


def is_ip(host: str) -> bool:
    """Whether a host is an IPv4 or IPv6 address rather than a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


def escape_user(user: str) -> str:
    """The user part with everything outside RFC 3261's `user` production %-escaped."""
    return _UNESCAPED.sub(lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), user)


@dataclass(frozen=True, slots=True)
class Uri:
    """`user` is kept as it stood on the wire, escapes and all; `params` keep their order and case."""

    scheme: str
    user: str
    host: str
    port: int | None = None
    params: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.user}"
        host = bracketed(self.host)
        text = f"{self.scheme}:{self.user}@{host}" if self.user else f"{self.scheme}:{host}"
        if self.port is not None:
            text += f":{self.port}"
        return text + format_params(self.params) + (f"?{self.headers}" if self.headers else "")

    def param(self, name: str) -> str | None:
        """A parameter's value, "" for one without a value, None where it is absent."""
        return next((v or "" for k, v in self.params if k.lower() == name), None)

    @property
    def address(self) -> tuple[str, int]:
        """Where a request for it goes, without DNS: maddr or host, and the port (RFC 3263 default)."""
        return self.param("maddr") or self.host, self.port or DEFAULT_PORT

    @property
    def target(self) -> Target:
        """Where a request for it goes, for DNS to complete (RFC 3263, 4)."""
        named = (self.param("transport") or "").lower()
        transport: Transport | None = None
        if self.scheme == "sips" or named == "tls":
            transport = "tls"
        elif named in ("udp", "tcp"):
            transport = "udp" if named == "udp" else "tcp"
        return Target(self.param("maddr") or self.host, self.port or 0, transport)

    @property
    def number(self) -> str:
        """The user part unescaped, without its own parameters; the digits of a tel: URI."""
        return unquote(self.user.split(";")[0])

    def without_headers(self) -> Uri:
        return replace(self, headers="")


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A URI with an optional display name and header parameters such as `tag`."""

    uri: Uri
    display: str = ""
    params: tuple[tuple[str, str | None], ...] = field(default=())

    def __str__(self) -> str:
        display = CONTROL.sub("", self.display)  # escaped ones are legal there, and needed by nobody
        name = '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '" ' if display else ""
        return f"{name}<{self.uri}>{format_params(self.params)}"

    @property
    def tag(self) -> str:
        return next((v or "" for k, v in self.params if k.lower() == "tag"), "")

    def param(self, name: str) -> str | None:
        return next((v or "" for k, v in self.params if k.lower() == name), None)

    def with_tag(self, tag: str) -> NameAddr:
        kept = tuple(p for p in self.params if p[0].lower() != "tag")
        return replace(self, params=(*kept, ("tag", tag)) if tag else kept)


def _refuse_controls(text: str) -> None:
    if CONTROL.search(text):
        raise ValueError(f"a control character in an address: {text[:80]!r}")


def format_params(params: tuple[tuple[str, str | None], ...]) -> str:
    return "".join(f";{k}" if v is None else f";{k}={v}" for k, v in params)


def parse_params(text: str) -> tuple[tuple[str, str | None], ...]:
    """`;a=b;c` as ordered pairs; quotes are honoured, blanks around names and values dropped."""
    found: list[tuple[str, str | None]] = []
    for part in split_outside_quotes(text, ";"):
        name, equals, value = part.strip().partition("=")
        if name.strip():
            found.append((name.strip(), value.strip() if equals else None))
    return tuple(found)


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at a character wherever it stands neither in "quotes" nor in <angle brackets>."""
    parts: list[str] = []
    start, quoted, angle, i = 0, False, False, 0
    while i < len(text):
        c = text[i]
        if c == "\\" and quoted:
            i += 1
        elif c == '"' and not angle:
            quoted = not quoted
        elif not quoted:
            if c == "<":
                angle = True
            elif c == ">":
                angle = False
            elif c == separator and not angle:
                parts.append(text[start:i])
                start = i + 1
        i += 1
    parts.append(text[start:])
    return parts


def parse_uri(text: str) -> Uri:
    """Raises ValueError for what is not a URI."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+.\-]*", scheme) or not re.fullmatch(r"\S+", rest):
        raise ValueError(f"not a URI: {text[:80]!r}")
    if scheme not in ("sip", "sips"):
        return Uri(scheme, rest, "")
    user, at, hostpart = rest.rpartition("@")
    hostpart, _, headers = hostpart.partition("?")
    hostport, semi, tail = hostpart.partition(";")
    if hostport.strip().startswith("["):
        match = re.fullmatch(r"\[([0-9A-Fa-f:.%]+)\](?::([0-9]{1,5}))?", hostport.strip())
    else:
        match = re.fullmatch(r"([A-Za-z0-9_.\-]+)(?::([0-9]{1,5}))?", hostport.strip())
    if not match or (at and not user):
        raise ValueError(f"not a SIP URI: {text[:80]!r}")
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        raise ValueError(f"port {port} is out of range")
    return Uri(scheme, user, match[1], port, parse_params(tail) if semi else (), headers)


def parse_name_addr(text: str) -> NameAddr:
    """`"Name" <uri>;params`, `Name <uri>` or a bare URI, whose parameters are then the header's.

    Raises ValueError for anything else.
    """
    text = text.strip()
    if text.startswith('"'):
        match = re.match(r'"((?:[^"\\]|\\.)*)"\s*', text, re.S)
        if not match:
            raise ValueError(f"unterminated quote: {text[:80]!r}")
        display, rest = re.sub(r"\\(.)", r"\1", match[1], flags=re.S), text[match.end() :]
        if not rest.startswith("<"):
            raise ValueError(f"no address after the display name: {text[:80]!r}")
    else:
        before, angle, after = text.partition("<")
        if not angle:
            _refuse_controls(text)
            uri, _, params = text.partition(";")
            return NameAddr(parse_uri(uri), "", parse_params(params))
        display, rest = before.strip(), "<" + after
    _refuse_controls(rest)
    uri, closing, params = rest[1:].partition(">")
    if not closing:
        raise ValueError(f"no closing bracket: {text[:80]!r}")
    return NameAddr(parse_uri(uri), display, parse_params(params))
