"""An account at a trunk: who we are there, and the addresses and headers that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from engine.sip.digest import Credentials, Preference
from engine.sip.hop import Target, Transport
from engine.sip.sdp import Terms
from engine.sip.sdp.crypto import Srtp
from engine.sip.tls import TlsTerms
from engine.sip.uri import CONTROL, NameAddr, Uri, escape_user

if TYPE_CHECKING:
    from engine.sip.message import Message

USER_AGENT = "Offhook/0.1"
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO"
"""Methods that we answer other than by 405 or 501."""
KNOWN_METHODS = {
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE",
    "REFER", "INFO", "UPDATE", "PRACK",
}  # fmt: skip
"""Methods answered 405 where we don't do them; others are answered 501 (RFC 3261, 21.4.6 and 21.5.2)."""


Identity = Literal["none", "p_asserted", "p_preferred", "remote_party"]
_IDENTITY_HEADERS = {
    "p_asserted": ("P-Asserted-Identity", ""),
    "p_preferred": ("P-Preferred-Identity", ""),
    "remote_party": ("Remote-Party-ID", ";party=calling;privacy=off;screen=no"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """`host` and `port` are the trunk's; `proxy`, where set, gets every request that starts outside
    a dialog. Port 0 and no transport leave both to DNS (RFC 3263). `domain` replaces `host` in From, To
    and the Request-URI. `expires` in seconds; `ring_timeout` too: a call that comes in rings no longer
    (0: for ever); `session_expires` too (RFC 4028; 0 switches session timers off). `accept_transfer`: the
    far end may transfer us (REFER, Replaces). `user_phone` marks numbers as such in Request-URI and To,
    `identity` names the header that carries the caller ID.
    """

    host: str
    port: int = 5060
    username: str = ""
    password: str = field(default="", repr=False)
    auth_username: str = ""
    from_user: str = ""
    display_name: str = ""
    domain: str = ""
    proxy: Target | None = None
    transport: Transport | None = None
    tls: TlsTerms = field(default=TlsTerms())
    register: bool = True
    expires: int = 300
    caller_ids: tuple[str, ...] = ()
    caller_id: str = ""
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    event_payload_type: int = 101
    srtp: Srtp = "off"
    keepalive: float = 25.0
    inbound: bool = True
    rtcp_mux: bool = False
    comfort_noise: bool = False
    digest: Preference = "first"
    user_phone: bool = False
    identity: Identity = "none"
    keepalive_method: Literal["crlf", "options"] = "crlf"
    accept_transfer: bool = False
    ring_timeout: float = 180.0
    reliable: Literal["off", "supported", "required"] = "supported"
    session_expires: int = 1800
    dtmf: Literal["auto", "rtp", "info", "inband"] = "auto"
    redirects: Literal["follow", "report"] = "follow"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The option tags that we understand (RFC 3261, 19.2)."""
        tags = {
            "100rel": self.reliable != "off",
            "timer": self.session_expires > 0,
            "replaces": self.accept_transfer,
            "norefersub": self.accept_transfer,
        }
        return tuple(tag for tag, on in tags.items() if on)

    @property
    def supported(self) -> str:
        return ", ".join(self.extensions)

    def unsupported(self, request: Message) -> str:
        """What a request requires and we lack, for Unsupported; empty where all is well (8.2.2.3)."""
        lacking = [tag for tag in request.all("Require") if tag.lower() not in self.extensions]
        return CONTROL.sub("?", ", ".join(lacking)[:200])  # in a header of ours none may be

    @property
    def allow(self) -> str:
        """The methods that we take, for Allow: REFER only where transfers are accepted."""
        return f"{ALLOW}, NOTIFY" + (", REFER" if self.accept_transfer else "")

    @property
    def next_hop(self) -> Target:
        """Where requests that start outside a dialog go."""
        return self.proxy or Target(self.host, self.port, self.transport)

    @property
    def terms(self) -> Terms:
        """What we offer in session descriptions."""
        return Terms(self.codecs, self.event_payload_type, self.srtp, self.rtcp_mux, self.comfort_noise)

    @property
    def registrar(self) -> Uri:
        """The Request-URI of REGISTER: the domain without a user (10.2)."""
        return self._at("")

    @property
    def address_of_record(self) -> NameAddr:
        return NameAddr(Uri("sip", escape_user(self.username), self.domain or self.host))

    def target(self, number: str) -> Uri:
        """The Request-URI for a dialled number."""
        uri = self._at(escape_user(number))
        return replace(uri, params=(*uri.params, ("user", "phone"))) if self.user_phone else uri

    def caller(self, caller_id: str | None = None) -> NameAddr:
        """The From of a call: the caller ID, or the account where a header of its own carries that.

        Raises ValueError for a caller ID that is not one of the trunk's own.
        """
        shown = self._shown(caller_id)
        if self.identity != "none" and self.from_user:
            shown = self.from_user
        user = shown or self.from_user or self.username or "anonymous"
        return self._known_as(user)

    def identity_headers(self, caller_id: str | None = None) -> list[tuple[str, str]]:
        """The caller ID in P-Asserted-Identity or P-Preferred-Identity (RFC 3325, 9), or in the older
        Remote-Party-ID; nothing where the trunk has none to show. Raises ValueError as `caller` does."""
        shown = self._shown(caller_id)
        if self.identity == "none" or not shown:
            return []
        name, params = _IDENTITY_HEADERS[self.identity]
        return [(name, f"{self._known_as(shown)}{params}")]

    def _shown(self, caller_id: str | None) -> str:
        if caller_id and caller_id not in self.caller_ids:
            raise ValueError(f"caller ID {caller_id!r} is not in trunk.caller_ids")
        return caller_id or self.caller_id

    def _known_as(self, user: str) -> NameAddr:
        return NameAddr(Uri("sip", escape_user(user), self.domain or self.host), self.display_name)

    def credentials(self) -> Credentials | None:
        user = self.auth_username or self.username
        return Credentials(user, self.password, self.digest) if user and self.password else None

    def _at(self, user: str) -> Uri:
        if self.domain:
            return Uri("sip", user, self.domain)
        return Uri("sip", user, self.host, self.port if self.port not in (0, 5060) else None)
