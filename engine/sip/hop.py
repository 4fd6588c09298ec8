"""Where a message goes or comes from: what a URI says of it, and the address that this leads to."""

from __future__ import annotations

from typing import Literal, NamedTuple

Transport = Literal["udp", "tcp", "tls"]

DEFAULT_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}


def bracketed(host: str) -> str:
    """A host as URIs and Via write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


class Hop(NamedTuple):
    """An IP address, a port and the transport that a message takes there or came by."""

    host: str
    port: int
    transport: Transport = "udp"

    def __str__(self) -> str:
        transport = "" if self.transport == "udp" else f" ({self.transport.upper()})"
        return f"{bracketed(self.host)}:{self.port}{transport}"

    @property
    def reliable(self) -> bool:
        return self.transport != "udp"

    @property
    def target(self) -> Target:
        """The target that leads nowhere but here."""
        return Target(*self)


class Target(NamedTuple):
    """What a URI says of the way to it: port 0 and no transport where DNS shall tell (RFC 3263, 4)."""

    host: str
    port: int = 0
    transport: Transport | None = None

    @property
    def hop(self) -> Hop:
        """The hop without DNS: the transport's default port, UDP by default."""
        transport = self.transport or "udp"
        return Hop(self.host, self.port or DEFAULT_PORTS[transport], transport)
