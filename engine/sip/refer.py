"""What REFER and Replaces are written in: Refer-To, sipfrag, Replaces (RFC 3515, 3420, 3891)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from engine.sip.dialog import Dialog, DialogId
from engine.sip.message import Message, pyvoip_status
from engine.sip.uri import CONTROL, NameAddr, Uri, number, parse_name_addr, parse_params

SIPFRAG = "message/sipfrag;version=2.0"
MAX_FRAGMENT = 8192
"""Longest report read, in bytes."""
MAX_REPLACES = 1024
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9]{2})(?!\S)(?:[ \t]+([^\r\n]*))?", re.I)
_CALL_ID = re.compile(r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}@]+")
_TAG = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")


class ReferError(ValueError):
    """A REFER or Replaces that can't be followed; `code` is the response that it gets."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog is to be replaced, as its owner sees it: `to_tag` is the owner's (RFC 3891, 3)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"

    def names(self, dialog: DialogId) -> bool:
        """Whether a dialog of ours is meant. A tag of 0 also stands for none (RFC 3891, 3)."""
        call_id, local_tag, remote_tag = dialog
        return self.call_id == call_id and all(
            asked == tag or (asked == "0" and not tag)
            for asked, tag in ((self.to_tag, local_tag), (self.from_tag, remote_tag))
        )


def parse_replaces(text: str) -> Replaces:
    """A Replaces header's value. Raises ReferError (400) for what RFC 3891, 6.1 does not allow."""
    call_id, _, rest = text.strip().partition(";")
    params = parse_params(rest)
    values = {name.lower(): value or "" for name, value in params}
    tags = [name.lower() for name, _ in params if name.lower() in ("to-tag", "from-tag")]
    to_tag, from_tag = values.get("to-tag", ""), values.get("from-tag", "")
    if (
        len(text) > MAX_REPLACES
        or CONTROL.search(text)
        or sorted(tags) != ["from-tag", "to-tag"]
        or not _CALL_ID.fullmatch(call_id.strip())
        or not _TAG.fullmatch(to_tag)
        or not _TAG.fullmatch(from_tag)
    ):
        raise ReferError(400, f"not a Replaces: {text[:80]!r}")
    return Replaces(call_id.strip(), to_tag, from_tag, "early-only" in values)


def replaces_of(request: Message) -> Replaces | None:
    """What a request is to replace. Raises ReferError (400) for several, or one that does not parse."""
    values = request.all("Replaces")
    if len(values) > 1:
        raise ReferError(400, "more than one Replaces")
    return parse_replaces(values[0]) if values else None


def refer_to(target: Uri, replacing: Dialog | None = None) -> NameAddr:
    """Refer-To for a target, or for whoever is at the other end of a dialog of ours, whose place at that
    end the new call is to take (RFC 3891, 6.1; escaped as RFC 3261, 19.1.1 has it)."""
    if replacing is None:
        return NameAddr(target.without_headers())
    there = Replaces(replacing.call_id, replacing.remote.tag, replacing.local.tag)
    return NameAddr(replace(target, headers=f"Replaces={quote(str(there), safe='')}"))


@dataclass(frozen=True, slots=True)
class Referred:
    """What a REFER asks for: a number to call, and the dialog there that the call replaces."""

    number: str
    replaces: Replaces | None
    referred_by: str
    """Referred-By as received, to be handed on (RFC 3892, 2.2); empty where absent or malformed."""


def parse_refer(request: Message) -> Referred:
    """Raises ReferError: 400 for a REFER without exactly one Refer-To that names somebody (RFC 3515,
    2.4.2), 603 for one that asks for something other than a call."""
    values = request.all("Refer-To")
    if len(values) != 1:
        raise ReferError(400, f"{len(values)} of Refer-To")
    try:
        uri = parse_name_addr(values[0]).uri
    except ValueError as error:
        raise ReferError(400, str(error)) from None
    if uri.scheme not in ("sip", "sips", "tel") or (uri.param("method") or "INVITE").upper() != "INVITE":
        raise ReferError(603, f"it refers to {values[0][:80]!r}, which is nobody to call")
    if not uri.number or not uri.number.isprintable() or len(uri.number) > 64:
        raise ReferError(400, f"Refer-To names no user: {values[0][:80]!r}")
    replaces = None
    for header in uri.headers.split("&") if uri.headers else ():
        name, _, value = header.partition("=")
        if name.lower() == "replaces":  # the only header of a Refer-To that is taken over
            replaces = parse_replaces(unquote(value))
    return Referred(uri.number, replaces, _referred_by(request))


def _referred_by(request: Message) -> str:
    value = request.get("Referred-By") or ""
    try:
        return str(parse_name_addr(value)) if value else ""
    except ValueError:
        return ""


def fragment(code: int, reason: str = "") -> bytes:
    """The sipfrag body that reports a response."""
    return f"SIP/2.0 {code} {reason or pyvoip_status(code).phrase}\r\n".encode()


def parse_fragment(content: bytes) -> tuple[int, str] | None:
    """Code and reason of the response that a sipfrag begins with; None where it holds none."""
    match = _STATUS_LINE.match(content[:MAX_FRAGMENT])
    if match is None:
        return None
    return int(match[1]), (match[2] or b"").decode("utf-8", "replace").strip()[:200]


def expiry(request: Message) -> tuple[str, int | None]:
    """State and `expires` of a Subscription-State header (RFC 6665, 4.1.3); `active` where there is none."""
    state, _, rest = (request.get("Subscription-State") or "active").partition(";")
    return state.strip().lower(), number(dict(parse_params(rest)).get("expires"))
