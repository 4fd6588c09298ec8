"""Registration and digest, as RFC 3261 and RFC 7616 have them."""

from __future__ import annotations

import re

import pytest
from rawphone import Phone

from engine.demo.process import CarrierProcess


@pytest.fixture(scope="module")
def carrier(tmp_path_factory):
    path = tmp_path_factory.mktemp("carrier") / "directory.toml"
    path.write_text("".join(f'[[users]]\nname = "{user}"\npassword = "{password}"\n'
                            for user, password in (("1001", "demo pass"), ("1002", "other"))), "utf-8")
    with CarrierProcess(directory=path) as running:
        yield running


@pytest.fixture
def phone(carrier):
    made = Phone(carrier.sip)
    yield made
    made.register("Expires: 0\r\n", contact="*")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_right_credentials_register_the_contact(carrier, phone, algorithm):
    response = phone.register("Expires: 60\r\n", algorithm)
    assert response.code == 200
    assert re.fullmatch(rf"<{re.escape(phone.contact)}>;expires=(60|59)", response.header("Contact"))
    assert carrier.wait("registered", contacts=[phone.contact])["user"] == "1001"


def test_a_challenge_offers_the_algorithms_in_order_with_qop(phone):
    response = phone.ask("REGISTER")
    assert response.code == 401
    offered = response.headers("WWW-Authenticate")
    assert [re.search(r"algorithm=([\w-]+)", h)[1] for h in offered] == ["SHA-256", "MD5"]
    assert all('qop="auth"' in h and "stale" not in h for h in offered)


def test_a_wrong_password_is_forbidden(carrier, phone):
    challenge = phone.ask("REGISTER")
    answer = phone.credentials(challenge, "REGISTER", password="guess")
    assert phone.ask("REGISTER", extra=answer).code == 403
    carrier.wait("forbidden", user="1001")


def test_an_unknown_user_is_forbidden(carrier):
    stranger = Phone(carrier.sip, user="6666")
    assert stranger.register().code == 403


def test_one_user_does_not_register_for_another(carrier, phone):
    other = Phone(carrier.sip, user="1002", password="other")
    answer = other.credentials(other.ask("REGISTER"), "REGISTER")
    # 1002's good credentials in a request whose To is 1001
    assert phone.ask("REGISTER", extra=answer).code == 403


def test_a_replayed_nonce_count_is_stale_and_the_next_count_is_good(phone):
    challenge = phone.ask("REGISTER")
    assert phone.ask("REGISTER", extra=phone.credentials(challenge, "REGISTER", count=1)).code == 200
    replay = phone.ask("REGISTER", extra=phone.credentials(challenge, "REGISTER", count=1))
    assert replay.code == 401
    assert "stale=true" in replay.header("WWW-Authenticate")
    assert phone.ask("REGISTER", extra=phone.credentials(challenge, "REGISTER", count=2)).code == 200


def test_credentials_for_another_uri_are_forbidden(phone):
    challenge = phone.ask("REGISTER")
    answer = phone.credentials(challenge, "REGISTER", uri="sip:127.0.0.9")
    assert phone.ask("REGISTER", extra=answer).code == 403


def test_the_expiry_granted_is_bounded_both_ways(line):
    _, phone = line("answer_after = 0", settings="max_expires = 90\nmin_expires = 30")
    assert re.search(r"expires=(90|89)", phone.register("Expires: 3600\r\n").header("Contact"))
    brief = phone.register("Expires: 10\r\n")
    assert (brief.code, brief.header("Min-Expires")) == (423, "30")


def test_expires_zero_and_the_asterisk_deregister(carrier, phone):
    phone.register()
    response = phone.register("Expires: 0\r\n")
    assert (response.code, response.headers("Contact")) == (200, [])
    carrier.wait("deregistered", user="1001")
    phone.register()
    assert phone.register("Expires: 0\r\n", contact="*").headers("Contact") == []


def test_a_contact_parameter_wins_over_the_expires_header(phone):
    response = phone.register("Expires: 100\r\n", contact=f"<{phone.contact}>;expires=20")
    assert re.search(r"expires=(20|19)", response.header("Contact"))


def test_credentials_that_make_no_sense_get_400_and_do_no_harm(phone):
    realm = re.search(r'realm="([^"]+)"', phone.ask("REGISTER").header("WWW-Authenticate"))[1]
    for nonsense in ("Digest", "Digest realm", f'Digest realm="{realm}", username="1001", nc=zz, qop=auth',
                     f'Digest realm="{realm}", uri="::::", nonce="é", response="0", username="1001"'):
        assert phone.ask("REGISTER", extra=f"Authorization: {nonsense}\r\n").code in (400, 401, 403)
    assert phone.register().code == 200
