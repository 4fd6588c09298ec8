"""Where a 3xx sends a call on to (RFC 3261, 8.1.3.4 and 13.2.2.3), without ever leaving the trunk."""

from __future__ import annotations

from engine.sip.account import Account
from engine.sip.message import Message, build
from engine.sip.uri import NameAddr, Uri, parse_name_addr

MAX_TARGETS = 5
"""Contacts of a 3xx that are tried, in the order of their q."""


def targets(response: Message, account: Account, tried: Uri) -> list[Uri]:
    """The Request-URIs to try, the most wanted first. A Contact at another host than the trunk's own
    has its number dialled at the trunk: nobody may send our calls to a third party."""
    contacts: list[NameAddr] = []
    for value in response.all("Contact")[: 2 * MAX_TARGETS]:
        try:
            contacts.append(parse_name_addr(value))
        except ValueError:
            continue
    found: list[Uri] = []
    for contact in sorted(contacts, key=_q, reverse=True):
        uri = contact.uri.without_headers()
        if not uri.user or uri.scheme not in ("sip", "sips", "tel"):
            continue
        if uri.scheme != "sip" or uri.host not in (account.host, account.domain):
            uri = account.target(uri.number)
        if uri not in (tried, *found):
            found.append(uri)
    return found[:MAX_TARGETS]


def sent_to(invite: Message, uri: Uri) -> Message:
    """An INVITE with another Request-URI; To stays (8.1.3.4)."""
    fields = [field for field in invite.fields if field[0] != "Content-Length"]
    return build(f"INVITE {uri} SIP/2.0", fields, invite.content)


def _q(contact: NameAddr) -> float:
    """A Contact's preference, 0 to 1; 1 where none is given (20.10)."""
    try:
        return min(1.0, max(0.0, float(contact.param("q") or 1.0)))
    except ValueError:
        return 0.0
