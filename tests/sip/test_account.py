"""Request-URI, To, From and identity headers as trunks want them (RFC 3261, 19.1; RFC 3325)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charts import TRUNK, Chart

from engine.sip.account import Account
from engine.sip.fields import canonical
from engine.sip.message import Message

ACCOUNT = Account(
    *TRUNK, username="1001", register=False, caller_ids=("+12125550100", "+12125550101"), display_name="Acme"
)


def invite(account: Account, caller_id: str | None = None) -> Message:
    chart = Chart(account)
    chart.phone.dial("+8610555#1", caller_id)
    return chart.last("INVITE")


def test_user_phone_marks_request_uri_and_to() -> None:
    """RFC 3261, 19.1.1."""
    sent = invite(replace(ACCOUNT, user_phone=True))
    assert sent.uri_text == "sip:+8610555#1@192.0.2.10;user=phone"
    assert sent.get("To") == "<sip:+8610555#1@192.0.2.10;user=phone>"
    assert invite(ACCOUNT).uri_text == "sip:+8610555#1@192.0.2.10"


@pytest.mark.parametrize(("identity", "header", "params"), [
    ("p_asserted", "P-Asserted-Identity", ""),
    ("p_preferred", "P-Preferred-Identity", ""),
    ("remote_party", "Remote-Party-ID", ";party=calling;privacy=off;screen=no"),
])  # fmt: skip
def test_the_caller_id_in_a_header_of_its_own(identity: str, header: str, params: str) -> None:
    """RFC 3325, 9.1 and 9.2. With `from_user`, From keeps that; without, it shows the caller ID too."""
    header = canonical(header)
    more = {"identity": identity, "caller_id": "+12125550100", "domain": "acme.example"}
    account = replace(ACCOUNT, **more)  # type: ignore[arg-type]
    default, chosen = invite(account), invite(account, "+12125550101")
    assert default.get(header) == f'"Acme" <sip:+12125550100@acme.example>{params}'
    assert chosen.get(header) == f'"Acme" <sip:+12125550101@acme.example>{params}'
    assert chosen.from_.uri.user == "+12125550101"
    kept = invite(replace(account, from_user="trunk7"), "+12125550101")
    assert kept.from_.uri.user == "trunk7"
    assert kept.get(header) == chosen.get(header)


def test_no_identity_without_a_caller_id_of_the_trunk() -> None:
    sent = invite(replace(ACCOUNT, identity="p_asserted"))
    assert sent.get("P-Asserted-Identity") is None
    assert sent.from_.uri.user == "1001"
    with pytest.raises(ValueError, match="caller_ids"):
        invite(replace(ACCOUNT, identity="p_asserted"), "+19005550100")


def test_the_header_is_on_every_try() -> None:
    chart = Chart(replace(ACCOUNT, identity="p_asserted", caller_id="+12125550100", password="p"))
    chart.phone.dial("1")
    chart.answer(chart.last("INVITE"), 407, headers=['Proxy-Authenticate: Digest realm="r", nonce="1"'])
    assert chart.last("INVITE").get("Proxy-Authorization")
    assert chart.last("INVITE").get("P-Asserted-Identity") == '"Acme" <sip:+12125550100@192.0.2.10>'


@pytest.mark.parametrize(("more", "caller"), [
    ({}, "1001"), ({"from_user": "t7"}, "t7"), ({"username": ""}, "anonymous"),
    ({"from_user": "t7", "caller_id": "+12125550101"}, "+12125550101"),
])  # fmt: skip
def test_who_is_in_from(more: dict[str, str], caller: str) -> None:
    assert invite(replace(ACCOUNT, **more)).from_.uri.user == caller  # type: ignore[arg-type]


def test_names_and_users_that_need_escapes_keep_their_place() -> None:
    """RFC 3261, 25.1: quoted strings, escaped users."""
    sent = invite(replace(ACCOUNT, username='a b"<x>@y', display_name='Ac"me\\ 王'))
    assert sent.from_.uri.user == "a%20b%22%3Cx%3E%40y"
    assert sent.from_.display == 'Ac"me\\ 王'
