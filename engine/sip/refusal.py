"""The answer to a request that does not parse, made of its octets without state (RFC 3261, 8.2.7, 21.4.1)."""

from __future__ import annotations

import hashlib
import re
import secrets

from engine.sip.message import MAX_HEADERS, MAX_LINE

_START = re.compile(rb"(\S+)[ \t].*[ \t](SIP/[0-9.]+)[ \t]*", re.S)
_COPIED = re.compile(rb"(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[^\r\n]*", re.I)
_TO = re.compile(rb"(?:to|t)[ \t]*:", re.I)
_TAG = re.compile(rb";[ \t]*tag[ \t]*=", re.I)
_KEY = secrets.token_bytes(16)
MAX_REASON = 100


def steady_tag(request: bytes) -> str:
    """A To tag that is the same for each repetition of a request, and that nobody can guess."""
    return hashlib.blake2b(request, key=_KEY, digest_size=8).hexdigest()


def refusal_of_malformed(data: bytes, why: str = "") -> bytes | None:
    """505 for another version of SIP, else 400 with `why` in its reason phrase, and what can be copied of
    the request (8.2.6.2). None for what is no request, and for ACK.

    The To tag is the same for each repetition of the request, as it must be where no state is kept (8.2.7).
    """
    head = re.split(rb"\r?\n\r?\n", data.lstrip(b"\r\n"), maxsplit=1)[0]
    start, *lines = re.sub(rb"\r?\n[ \t]+", b" ", head).splitlines() or [b""]
    request = _START.fullmatch(start[:MAX_LINE])
    if request is None or request[1] == b"ACK":
        return None
    copied = [line[:MAX_LINE] for line in lines[:MAX_HEADERS] if _COPIED.fullmatch(line)]
    if not any(line[:1] in b"vV" for line in copied):
        return None  # nothing says whose it is
    tag = steady_tag(head).encode()
    copied = [line + b";tag=" + tag if _TO.match(line) and not _TAG.search(line) else line for line in copied]
    if request[2] == b"SIP/2.0":
        detail = re.sub(r"[^ -~]", "?", why)[:MAX_REASON]
        status = b"400 Bad Request" + (f" ({detail})".encode() if detail else b"")
    else:
        status = b"505 SIP Version Not Supported"
    return b"\r\n".join([b"SIP/2.0 " + status, *copied, b"Content-Length: 0", b"", b""])
