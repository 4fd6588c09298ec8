"""SIP messages: tolerant in, strict out (RFC 3261, 7).

`Message` is pyVoIP's `SIPMessage` with the parser replaced. pyVoIP's fields (`headers`, `body`,
`status`, `method`, `authentication`) are filled as pyVoIP fills them, so code written for pyVoIP
reads ours; the engine itself uses `fields`, `get`, `all` and `content`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import pyVoIP.VoIP  # noqa: F401  first: `import pyVoIP.SIP` alone is a circular import
from pyVoIP.SIP import SIPMessage, SIPMessageType, SIPParseError, SIPStatus

from engine.sip.fields import LISTS, TOKEN, Via, canonical
from engine.sip.sdp import pyvoip_body
from engine.sip.uri import (
    CONTROL,
    NameAddr,
    Uri,
    number,
    parse_name_addr,
    parse_uri,
    split_outside_quotes,
)

MAX_MESSAGE = 65535
MAX_HEADERS = 128
MAX_LINE = 8192
"""Longest start line or header, in characters; more is no trunk's."""
MAX_VALUES = 512
"""Header values, lists taken apart."""
MAX_VIAS = 71
"""One more than the hops that Max-Forwards: 70 allows."""
MAX_ROUTES = 32
MAX_CONTACTS = 64
MAX_CALL_ID = 1024

_AUTH_PARAM = re.compile(r'(?<!\w)(\w++)\s*+=\s*+("[^"]*"|[^,\s]+)')


class Message(SIPMessage):  # type: ignore[misc]
    """One SIP request or response.

    `fields` holds (canonical name, value) in order of arrival, comma lists split where the header
    is a list. `code` and `reason` are a response's own, also where pyVoIP's enum knows no such
    status. Raises SIPParseError for anything that is not a SIP message.
    """

    fields: list[tuple[str, str]]
    content: bytes
    code: int
    reason: str
    method: str
    uri_text: str
    bounded = True

    def parse(self, data: bytes) -> None:
        """Fill the message from a datagram; pyVoIP's constructor calls this."""
        if self.bounded and len(data) > MAX_MESSAGE:
            raise SIPParseError(f"message of {len(data)} bytes is too long")
        self.fields, self.content = [], b""
        self.code, self.reason, self.method, self.uri_text = 0, "", "", ""
        data = data.lstrip(b"\r\n")
        blank = re.search(rb"\r?\n\r?\n", data)  # bare LF too, as some devices send
        head, content = (data[: blank.start()], data[blank.end() :]) if blank else (data, b"")
        text = re.sub(r"\r?\n[ \t]+", " ", head.decode("utf-8", "replace"))  # line folding, 7.3.1
        start, *lines = (line.replace("\r", " ") for line in re.split(r"\r?\n", text))
        self.heading = start.encode()
        self._parse_start(start)
        if self.bounded and len(lines) > MAX_HEADERS:
            raise SIPParseError(f"{len(lines)} headers are too many")
        for line in lines:
            if line.strip():
                self._parse_field(line)
        if self.bounded and len(self.fields) > MAX_VALUES:
            raise SIPParseError(f"{len(self.fields)} header values are too many")
        self._cut_content(content)
        self._check()
        self._fill_pyvoip()

    def _parse_start(self, start: str) -> None:
        if self.bounded and len(start) > MAX_LINE:
            raise SIPParseError("start line is too long")
        if match := re.match(r"(SIP/[0-9]+\.[0-9]+)[ \t]+([0-9]{3})(?:[ \t](.*))?$", start, re.I | re.S):
            self.type = SIPMessageType.RESPONSE
            self.version = match[1].upper()
            self.code, self.reason = int(match[2]), (match[3] or "").strip()
            if not 100 <= self.code <= 699:
                raise SIPParseError(f"status {self.code} is out of range")
        elif match := re.match(r"(\S+)[ \t]+(\S+)[ \t]+(SIP/[0-9]+\.[0-9]+)[ \t]*$", start, re.I):
            self.type = SIPMessageType.MESSAGE
            self.method, self.uri_text, self.version = match[1], match[2], match[3].upper()
            if not TOKEN.fullmatch(self.method):
                raise SIPParseError(f"not a method: {self.method[:40]!r}")
        else:
            raise SIPParseError(f"not a SIP start line: {start[:80]!r}")

    def _parse_field(self, line: str) -> None:
        if self.bounded and len(line) > MAX_LINE:
            raise SIPParseError(f"a header of {len(line)} characters is too long")
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name.strip()):
            raise SIPParseError(f"not a header: {line[:80]!r}")
        name, value = canonical(name), value.strip()
        if name.lower() in LISTS:
            parts = [v.strip() for v in split_outside_quotes(value, ",")]
            self.fields += [(name, v) for v in parts if v]
        else:
            self.fields.append((name, value))

    def _cut_content(self, content: bytes) -> None:
        lengths = set(self.all("Content-Length"))
        if not lengths:
            self.content = content
            return
        if len(lengths) > 1:
            raise SIPParseError("Content-Length values that differ")
        length = lengths.pop()
        size = number(length)
        if size is None:
            raise SIPParseError(f"Content-Length {length[:40]!r} is not a number")
        if size > len(content):
            raise SIPParseError(f"Content-Length {size} but {len(content)} bytes came")
        self.content = content[:size]

    def _check(self) -> None:
        """What every message needs before anything can be done with it (RFC 3261, 8.1.1)."""
        needed = ("Via", "From", "To", "Call-ID", "CSeq")
        if missing := [name for name in needed if not self.all(name)]:
            raise SIPParseError(f"no {', '.join(missing)}")
        for name in (*needed[1:], "Max-Forwards"):
            if len(self.all(name)) > 1:
                raise SIPParseError(f"{len(self.all(name))} of {name}")
        for name, limit in (("Via", MAX_VIAS), ("Record-Route", MAX_ROUTES), ("Contact", MAX_CONTACTS)):
            if len(self.all(name)) > limit:
                raise SIPParseError(f"{len(self.all(name))} of {name} are too many")
        if len(self.call_id) > MAX_CALL_ID:
            raise SIPParseError(f"a Call-ID of {len(self.call_id)} characters is too long")
        if CONTROL.search(self.call_id):
            raise SIPParseError("a control character in Call-ID")
        cseq = re.fullmatch(r"([0-9]{1,10})\s+(\S+)", self.get("CSeq") or "")
        if not cseq or int(cseq[1]) >= 2**32:
            raise SIPParseError(f"not a CSeq: {(self.get('CSeq') or '')[:40]!r}")
        self.cseq, self.cseq_method = int(cseq[1]), cseq[2]
        if self.is_request and self.cseq_method != self.method:
            raise SIPParseError(f"CSeq is for {self.cseq_method[:20]!r}, the request is {self.method[:20]!r}")
        self.via = Via(self.get("Via") or "")
        try:
            self.from_ = parse_name_addr(self.get("From") or "")
            self.to = parse_name_addr(self.get("To") or "")
        except ValueError as error:
            raise SIPParseError(str(error)) from None

    def _fill_pyvoip(self) -> None:
        if not self.is_request:
            self.status = pyvoip_status(self.code)
        headers: dict[str, Any] = {"Via": []}
        for name, value in self.fields:
            if name == "Via":
                via = Via(value)
                entry: dict[str, Any] = {
                    "type": f"SIP/2.0/{via.transport}",
                    "address": (via.host, str(via.port or 5060)),
                }
                headers["Via"].append(via.params | entry)
            elif name not in headers:
                headers[name] = self._pyvoip_header(name, value)
        self.headers = headers
        for name in ("WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Proxy-Authorization"):
            if isinstance(headers.get(name), dict):
                self.authentication = headers[name]
                break
        self.body = pyvoip_body(self.sdp) if self.sdp else {}

    def _pyvoip_header(self, name: str, value: str) -> Any:
        if name in ("From", "To"):
            addr = self.from_ if name == "From" else self.to
            raw = value.split(";tag=")[0]
            return {
                "raw": raw,
                "tag": addr.tag,
                "address": str(addr.uri).partition(":")[2],
                "number": addr.uri.user or None,
                "caller": addr.display,
                "host": addr.uri.host,
            }
        if name == "CSeq":
            return {"check": str(self.cseq), "method": self.cseq_method}
        if name in ("Allow", "Supported"):
            return list(self.all(name))
        if name == "Content-Length":
            return int(value)
        if name in ("WWW-Authenticate", "Authorization"):
            return {k: v.strip('"') for k, v in _AUTH_PARAM.findall(value)}
        return value

    @property
    def is_request(self) -> bool:
        return bool(self.type == SIPMessageType.MESSAGE)

    @property
    def uri(self) -> Uri:
        """A request's Request-URI. Raises ValueError where it is not one."""
        return parse_uri(self.uri_text.strip("<>"))

    @property
    def call_id(self) -> str:
        return self.get("Call-ID") or ""

    def get(self, name: str) -> str | None:
        """The first value of a header, None where it is absent."""
        return next((v for k, v in self.fields if k == name), None)

    def all(self, name: str) -> list[str]:
        return [v for k, v in self.fields if k == name]

    def names(self, header: str, tag: str) -> bool:
        """Whether a list of option tags (Supported, Require) holds one, which is given in lower case."""
        return any(value.lower() == tag for value in self.all(header))

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, None where it is absent, `*` or malformed."""
        value = self.get("Contact")
        try:
            return parse_name_addr(value) if value and value != "*" else None
        except ValueError:
            return None

    @property
    def sdp(self) -> bytes:
        """The session description, also out of a multipart body; empty where there is none."""
        kind = (self.get("Content-Type") or "").lower()
        if kind.startswith("application/sdp"):
            return self.content
        if kind.startswith("multipart/") and (boundary := re.search(r'boundary="?([^";]{1,70})"?', kind)):
            original = re.search(r'boundary="?([^";]{1,70})"?', self.get("Content-Type") or "", re.I)
            mark = b"--" + (original or boundary)[1].encode()
            for part in self.content.split(mark)[1:20]:
                head, _, content = part.partition(b"\r\n\r\n")
                if b"application/sdp" in head.lower():
                    return content.removesuffix(b"\r\n")
        return b""

    @property
    def body_is_optional(self) -> bool:
        """Whether a body that we can't read may be ignored (20.11)."""
        return bool(
            re.search(r";\s*handling\s*=\s*optional\b", self.get("Content-Disposition") or "", re.I)
        )

    def accepts(self, kind: str) -> bool:
        """Whether the sender takes bodies of this type in a response; yes where it does not say (20.1)."""
        ranges = [v.split(";")[0].strip().lower() for v in self.all("Accept")]
        return not ranges or any(r in (kind, kind.split("/")[0] + "/*", "*/*") for r in ranges)

    @property
    def summary_line(self) -> str:
        """`INVITE` or `180 Ringing`, for a timeline."""
        return self.method if self.is_request else f"{self.code} {self.reason}".strip()


class Composed(Message):
    """A message of ours. What it copies was bounded as it came in, and an answer is longer than that: without
    limits of its own no call is kept from being answered, refused or ended."""

    bounded = False


def pyvoip_status(code: int) -> SIPStatus:
    """pyVoIP's enum member, or its class's x00 for a status that it does not know (8.1.3.2)."""
    try:
        return SIPStatus(code)
    except ValueError:
        return SIPStatus({1: 183, 2: 200, 3: 300, 4: 400, 5: 500, 6: 600}[code // 100])


def build(
    start: str, fields: Iterable[tuple[str, str]], content: bytes = b"", *, copied: Collection[str] = ()
) -> Message:
    """A message from its start line and headers; Content-Length is added. Raises SIPParseError.

    Control characters in values are refused, so no text from outside can add a header; not in the
    headers that are `copied` octet for octet from a message that parsed.
    """
    lines = [start]
    for name, value in fields:
        if name not in copied:
            _refuse_controls(name, value)
        lines.append(f"{name}: {value}")
    return _compose(lines, content)


def _refuse_controls(name: str, value: str) -> None:
    if CONTROL.search(value):
        raise SIPParseError(f"a control character in {name}")


def _compose(lines: list[str], content: bytes) -> Message:
    if any("\r" in line or "\n" in line for line in lines):
        raise SIPParseError("a line break in a header")
    lines = [*lines, f"Content-Length: {len(content)}"]
    return Composed("\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + content)


def response_to(
    request: Message,
    code: int,
    reason: str = "",
    *,
    to_tag: str = "",
    extra: Iterable[tuple[str, str]] = (),
    content: bytes = b"",
) -> Message:
    """A response with what RFC 3261, 8.2.6.2 has copied from the request, octet for octet.

    Raises SIPParseError for a control character in what is added.
    """
    to = request.get("To") or ""
    if to_tag and not request.to.tag:
        to = f"{to};tag={to_tag}"
    added = list(extra)
    for name, value in [("the reason", reason), ("To", to_tag), *added]:
        _refuse_controls(name, value)
    fields = [("Via", v) for v in request.all("Via")]
    if 100 < code < 300:
        fields += [("Record-Route", v) for v in request.all("Record-Route")]
    fields += [
        ("From", request.get("From") or ""),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", request.get("CSeq") or ""),
    ]
    lines = [f"SIP/2.0 {code} {reason or pyvoip_status(code).phrase}"]
    return _compose(lines + [f"{name}: {value}" for name, value in [*fields, *added]], content)
