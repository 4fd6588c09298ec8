"""Dialogs (RFC 3261, section 12): tags, CSeq, route set and remote target, and requests within them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import msgspec

from engine.sip.hop import Target, Transport
from engine.sip.message import Message, build
from engine.sip.uri import NameAddr, Uri, parse_name_addr, parse_uri

DialogId = tuple[str, str, str]
"""What names a dialog (RFC 3261, 12): Call-ID, local tag, remote tag."""


def new_branch() -> str:
    return f"z9hG4bK{secrets.token_hex(12)}"


def new_tag() -> str:
    return secrets.token_hex(8)


def new_call_id() -> str:
    return secrets.token_hex(16)


class SavedInvite(msgspec.Struct, frozen=True, tag="invite"):
    """An INVITE that has no final answer yet, and where it was sent: enough for its CANCEL."""

    invite: str
    host: str
    port: int
    transport: Transport = "udp"
    trunk: str = ""

    @property
    def number(self) -> str:
        """Who is called. Raises ValueError where this is no INVITE."""
        return parse_uri(self.invite.split(" ", 2)[1]).number


class SavedDialog(msgspec.Struct, frozen=True, tag="dialog"):
    """What must survive a crash for the other side to get its BYE."""

    call_id: str
    local: str
    remote: str
    remote_target: str
    route_set: list[str]
    local_cseq: int
    source: str
    trunk: str = ""

    @property
    def number(self) -> str:
        """Who is at the far end. Raises ValueError for what `Dialog.save` did not write."""
        return parse_name_addr(self.remote).uri.number


@dataclass(slots=True)
class Dialog:
    """One side of a dialog. `local` and `remote` carry their tags."""

    call_id: str
    local: NameAddr
    remote: NameAddr
    remote_target: Uri
    route_set: list[NameAddr] = field(default_factory=list)
    local_cseq: int = 0
    remote_cseq: int = -1

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local.tag, self.remote.tag

    @classmethod
    def as_caller(cls, request: Message, response: Message) -> Dialog:
        """From our INVITE and a response with a To tag (12.1.2): Record-Route reversed."""
        contact = response.contact
        return cls(
            request.call_id,
            request.from_,
            response.to,
            contact.uri if contact else request.uri,
            _routes(reversed(response.all("Record-Route"))),
            request.cseq,
        )

    @classmethod
    def as_callee(cls, request: Message, local_tag: str) -> Dialog:
        """From a received INVITE (12.1.1): Record-Route in its order."""
        contact = request.contact
        return cls(
            request.call_id,
            request.to.with_tag(local_tag),
            request.from_,
            contact.uri if contact else request.from_.uri,
            _routes(request.all("Record-Route")),
            secrets.randbits(16),
            request.cseq,
        )

    def refresh_target(self, message: Message) -> None:
        """A target refresh: re-INVITE or its 2xx move the remote target (12.2.1.2)."""
        if contact := message.contact:
            self.remote_target = contact.uri

    def confirm(self, response: Message) -> None:
        """The 2xx of our INVITE fixes the route set, which an early response may have had otherwise
        (13.2.2.4), and moves the target."""
        self.route_set = _routes(reversed(response.all("Record-Route")))
        self.refresh_target(response)

    def request_line(self) -> tuple[Uri, list[NameAddr]]:
        """Request-URI and Route headers of 12.2.1.1, strict first routers included."""
        if not self.route_set or self.route_set[0].uri.param("lr") is not None:
            return self.remote_target, self.route_set
        strict = self.route_set[0].uri.without_headers()
        return strict, [*self.route_set[1:], NameAddr(self.remote_target)]

    def next_hop(self) -> Target:
        uri, routes = self.request_line()
        loose = routes and self.route_set[0].uri.param("lr") is not None
        return routes[0].uri.target if loose else uri.target

    def request(
        self,
        method: str,
        via: str,
        extra: list[tuple[str, str]] | None = None,
        content: bytes = b"",
        cseq: int | None = None,
    ) -> Message:
        """A request within the dialog; CSeq counts up unless given (ACK takes the INVITE's)."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.request_line()
        fields = [
            ("Via", via),
            ("Max-Forwards", "70"),
            *(("Route", str(r)) for r in routes),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            *(extra or []),
        ]
        return build(f"{method} {uri} SIP/2.0", fields, content)

    def save(self, source: tuple[str, int], trunk: str = "") -> SavedDialog:
        return SavedDialog(
            self.call_id,
            str(self.local),
            str(self.remote),
            str(self.remote_target),
            [str(r) for r in self.route_set],
            self.local_cseq,
            f"{source[0]}:{source[1]}",
            trunk,
        )

    @classmethod
    def restore(cls, saved: SavedDialog) -> Dialog:
        """Raises ValueError for what `save` did not write."""
        return cls(
            saved.call_id,
            parse_name_addr(saved.local),
            parse_name_addr(saved.remote),
            parse_uri(saved.remote_target),
            _routes(saved.route_set),
            saved.local_cseq,
        )


def _routes(values: object) -> list[NameAddr]:
    routes = []
    for value in values:  # type: ignore[attr-defined]
        try:
            routes.append(parse_name_addr(value))
        except ValueError:
            continue
    return routes
