"""Digest credentials against the published examples (RFC 2617, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import re

import pytest
from charts import text
from hypothesis import given
from hypothesis import strategies as st
from server_side import parameters, server_side

from engine.sip.digest import Authenticator, Challenge, Credentials, challenges
from engine.sip.message import Message, build


def response(code: int, *values: str) -> Message:
    header = "Proxy-Authenticate" if code == 407 else "WWW-Authenticate"
    return Message(text(f"SIP/2.0 {code} Unauthorized", [
        "Via: SIP/2.0/UDP a;branch=z9hG4bKa", "From: <sip:a@x>;tag=1", "To: <sip:b@y>;tag=2", "Call-ID: c",
        "CSeq: 1 INVITE", *(f"{header}: {value}" for value in values),
    ]))  # fmt: skip


def invite(uri: str = "sip:x") -> Message:
    return Message(text(f"INVITE {uri} SIP/2.0", [
        "Via: SIP/2.0/UDP a;branch=z9hG4bKa", "From: <sip:a@x>;tag=1", "To: <sip:b@y>", "Call-ID: c",
        "CSeq: 1 INVITE",
    ], "the body"))  # fmt: skip


def only(challenge: str, code: int = 401) -> Challenge:
    return challenges(response(code, challenge))[0]


class TestPublishedExamples:
    def test_rfc_2617_section_3_5(self) -> None:
        challenge = only(
            'Digest realm="testrealm@host.com", qop="auth,auth-int", '
            'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
        header, value = Credentials("Mufasa", "Circle Of Life").answer(
            challenge, "GET", "/dir/index.html", "0a4f113b"
        )
        assert header == "Authorization"
        found = parameters(value)
        assert found["response"] == "6629fae49393a05397450978507c4ef1"
        assert found["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"
        assert found["nc"] == "00000001"
        assert "qop=auth," in value
        assert "nc=00000001," in value

    def test_the_old_form_without_qop(self) -> None:
        """RFC 2069, 2.4, with the response of its erratum 749."""
        challenge = only('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"')
        _, value = Credentials("Mufasa", "CircleOfLife").answer(challenge, "GET", "/dir/index.html")
        found = parameters(value)
        assert found["response"] == "1949323746fe6a43ef61f9606e7febea"
        assert not {"qop", "nc", "cnonce"} & set(found)

    @pytest.mark.parametrize(
        ("algorithm", "expected"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            ("sha-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_rfc_7616_section_3_9_1(self, algorithm: str, expected: str) -> None:
        challenge = only(
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        _, value = Credentials("Mufasa", "Circle of Life").answer(
            challenge, "GET", "/dir/index.html", cnonce
        )
        assert parameters(value)["response"] == expected
        assert f"algorithm={algorithm}" in value


    def test_rfc_7616_section_3_9_2(self) -> None:
        """SHA-512/256 and UTF-8, with the response of erratum 4897."""
        challenge = only(
            'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, charset=UTF-8, '
            'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", userhash=true, '
            'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"'
        )
        _, value = Credentials("J\u00e4s\u00f8n Doe", "Secret, or not?").answer(
            challenge, "GET", "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
        )
        expected = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        assert parameters(value)["response"] == expected


class TestEveryKindOfChallenge:
    @pytest.mark.parametrize("qop", [
        "", "qop=auth", 'qop="auth,auth-int"', 'qop="auth-int, auth"', 'qop="auth-int"', 'qop=""',
    ])  # fmt: skip
    @pytest.mark.parametrize("algorithm", [
        "", "MD5", "MD5-sess", '"MD5"', "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", "md5",
    ])  # fmt: skip
    def test_a_server_computes_the_same(self, algorithm: str, qop: str) -> None:
        """RFC 7616, 3.4; RFC 8760, 2.1: auth is preferred, auth-int done where nothing else is offered."""
        parts = ['Digest realm="trunk"', 'nonce="n+/="', 'opaque=""', qop]
        parts.append(f"algorithm={algorithm}" if algorithm else "")
        auth = Authenticator(Credentials("1001", "demo pass"))
        request = invite()
        [(_, value)] = auth.retry(response(401, ", ".join(p for p in parts if p)), request)
        p = parameters(value)
        assert p["response"] == server_side(value, "INVITE", "demo pass", request.content)
        assert p["opaque"] == ""
        assert p.get("algorithm", "") == algorithm.strip('"')
        offered = [word for word in re.findall(r"auth(?:-int)?", qop) if word]
        assert p.get("qop") == ("auth" if "auth" in offered else (offered or [None])[0])
        assert ("nc" in p) == bool(offered)

    def test_the_key_of_a_session_stays_with_its_first_client_nonce(self) -> None:
        """RFC 7616, 3.4.2."""
        credentials = Credentials("u", "p")
        challenge = only('Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"')
        answers = [credentials.answer(challenge, "INVITE", "sip:x")[1] for _ in range(2)]
        assert len({parameters(a)["cnonce"] for a in answers}) == 1
        assert [parameters(a)["nc"] for a in answers] == ["00000001", "00000002"]
        assert all(parameters(a)["response"] == server_side(a, "INVITE", "p") for a in answers)

    def test_quotes_in_user_and_realm_are_escaped_and_hashed_bare(self) -> None:
        """RFC 3261, 25.1; RFC 7616, 3.4: unq()."""
        challenge = only(r'Digest realm="say \"hi\" ü", nonce="n"')
        _, value = Credentials('u"1\\', "p").answer(challenge, "REGISTER", "sip:x")
        assert r'username="u\"1\\", realm="say \"hi\" ü"' in value
        a1 = hashlib.md5('u"1\\:say "hi" ü:p'.encode()).hexdigest()
        a2 = hashlib.md5(b"REGISTER:sip:x").hexdigest()
        assert hashlib.md5(f"{a1}:n:{a2}".encode()).hexdigest() in value


class TestChallenges:
    def test_several_in_one_header_are_told_apart(self) -> None:
        """RFC 3261, 7.3.1 forbids it, some servers do it."""
        value = (
            'Basic realm="b, Digest x=1", Digest realm="r", nonce="1,2" , algorithm=SHA-256, '
            "digest realm=s, nonce=3"
        )
        found = challenges(response(401, value, 'Digest realm="t", nonce="4"'))
        assert [(c.realm, c.nonce, c.algorithm) for c in found] == [
            ("r", "1,2", "SHA-256"), ("s", "3", ""), ("t", "4", ""),
        ]  # fmt: skip

    @given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=200))
    def test_any_text_is_answered_or_left(self, told: str) -> None:
        """Whatever comes, the next try can be built: nothing of it breaks out of its header."""
        for value in (told, f"Digest {told}", f'Digest realm="{told}", nonce="n", opaque="{told}"'):
            headers = Authenticator(Credentials("u", "p")).retry(response(401, value), invite())
            again = build("INVITE sip:x SIP/2.0", [*invite().fields[:5], *headers])
            assert len(again.fields) == 6 + len(headers)

    def test_an_endless_challenge_costs_little(self) -> None:
        value = "Digest " + '\\"' * 20000
        assert challenges(response(401, value[:8000], *['Digest realm="r", nonce="n"'] * 100)) != []

    def test_other_schemes_and_incomplete_ones_are_left_out(self) -> None:
        found = challenges(response(401, 'Basic realm="x"', 'Digest realm="x"', 'DIGEST realm=y,nonce=n'))
        assert [(c.realm, c.nonce) for c in found] == [("y", "n")]

    def test_what_we_cannot_compute_is_not_supported(self) -> None:
        assert not only('Digest realm="r", nonce="n", algorithm=SHA-1').supported
        assert not only('Digest realm="r", nonce="n", qop="token"').supported
        assert only('Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"').supported

    def test_quotes_and_commas_in_values_survive(self) -> None:
        challenge = only(r'Digest realm="a \"b\", c=d", nonce="n,=x", stale=TRUE')
        assert (challenge.realm, challenge.nonce, challenge.stale) == ('a "b", c=d', "n,=x", True)
        _, value = Credentials("u", "p").answer(challenge, "REGISTER", "sip:x")
        assert r'realm="a \"b\", c=d"' in value

    def test_a_407_is_answered_in_its_own_header(self) -> None:
        header, _ = Credentials("u", "p").answer(
            only('Digest realm="r", nonce="n"', 407), "INVITE", "sip:x"
        )
        assert header == "Proxy-Authorization"

    def test_the_password_is_in_no_representation(self) -> None:
        assert "secret" not in repr(Credentials("u", "secret"))


class TestNonceCount:
    def test_it_counts_up_for_one_nonce_and_starts_anew_for_another(self) -> None:
        credentials = Credentials("u", "p")
        counts = []
        for nonce in ("a", "a", "b", "a"):
            _, value = credentials.answer(
                only(f'Digest realm="r", nonce="{nonce}", qop="auth"'), "INVITE", "sip:x"
            )
            counts.append(parameters(value)["nc"])
        assert counts == ["00000001", "00000002", "00000001", "00000003"]

    def test_nonces_that_change_each_time_do_not_pile_up(self) -> None:
        credentials = Credentials("u", "p")
        for n in range(1000):
            credentials.answer(only(f'Digest realm="r", nonce="{n}", qop="auth"'), "INVITE", "sip:x")
        assert len(credentials._sessions) <= 65


class TestAuthenticator:
    @pytest.fixture
    def auth(self) -> Authenticator:
        return Authenticator(Credentials("u", "p"))

    def retry(self, auth: Authenticator, *values: str, code: int = 407) -> list[tuple[str, str]]:
        return auth.retry(response(code, *values), invite())

    def test_the_same_realm_is_answered_once(self, auth: Authenticator) -> None:
        assert self.retry(auth, 'Digest realm="r", nonce="1"')
        assert self.retry(auth, 'Digest realm="r", nonce="2"') == []
        assert auth.rejected

    def test_and_again_when_the_nonce_was_stale(self, auth: Authenticator) -> None:
        assert self.retry(auth, 'Digest realm="r", nonce="1"')
        [(_, value)] = self.retry(auth, 'Digest realm="r", nonce="2", stale=true')
        assert parameters(value)["nonce"] == "2"
        assert not auth.rejected

    def test_a_stale_nonce_that_comes_back_is_not_answered(self, auth: Authenticator) -> None:
        assert self.retry(auth, 'Digest realm="r", nonce="1"')
        assert self.retry(auth, 'Digest realm="r", nonce="1", stale=true') == []

    def test_stale_for_ever_ends_after_four_tries_and_says_nothing_of_the_password(
        self, auth: Authenticator
    ) -> None:
        tries = [self.retry(auth, f'Digest realm="r", nonce="{n}", stale=true') for n in range(10)]
        assert [bool(t) for t in tries] == [True] * 4 + [False] * 6
        assert not auth.rejected
        assert auth.exhausted

    def test_of_two_algorithms_the_first_that_we_can_do_is_taken(self, auth: Authenticator) -> None:
        [(_, value)] = self.retry(
            auth, 'Digest realm="r", nonce="1", algorithm=SHA-512-224',
            'Digest realm="r", nonce="2", algorithm=SHA-256', 'Digest realm="r", nonce="3", algorithm=MD5',
        )  # fmt: skip
        assert parameters(value)["nonce"] == "2"

    def test_or_the_strongest_where_that_is_wanted(self) -> None:
        """RFC 8760, 2.4: the topmost is the default, the user may decide otherwise."""
        auth = Authenticator(Credentials("u", "p", "strongest"))
        headers = self.retry(
            auth, 'Digest realm="r", nonce="1", algorithm=MD5', 'Digest realm="s", nonce="2"',
            'Digest realm="r", nonce="3", algorithm=SHA-512-256-sess, qop="auth"',
            'Digest realm="r", nonce="4", algorithm=SHA-256',
            'Digest realm="r", nonce="5", algorithm=SHA-1024',
        )  # fmt: skip
        assert [parameters(value)["nonce"] for _, value in headers] == ["3", "2"]

    @pytest.mark.parametrize(("credentials", "challenge", "problem"), [
        (None, 'Digest realm="r", nonce="1"', "asks for a password, and none is set"),
        (Credentials("u", "p"), 'Digest realm="r", nonce="1", algorithm=AKAv1-MD5',
         "asks for digest by AKAv1-MD5, which is not known"),
        (Credentials("u", "p"), 'Basic realm="r"', ""),
    ])  # fmt: skip
    def test_why_there_is_no_further_try_is_told(
        self, credentials: Credentials | None, challenge: str, problem: str
    ) -> None:
        auth = Authenticator(credentials)
        assert self.retry(auth, challenge) == []
        assert auth.problem == problem

    def test_two_realms_are_both_answered(self, auth: Authenticator) -> None:
        headers = self.retry(auth, 'Digest realm="r", nonce="1"', 'Digest realm="s", nonce="2"')
        assert [parameters(value)["realm"] for _, value in headers] == ["r", "s"]

    def test_a_proxy_and_a_server_are_both_answered(self, auth: Authenticator) -> None:
        self.retry(auth, 'Digest realm="proxy", nonce="1"')
        headers = self.retry(auth, 'Digest realm="server", nonce="2"', code=401)
        assert [name for name, _ in headers] == ["Proxy-Authorization", "Authorization"]

    def test_a_crowd_of_realms_is_not(self, auth: Authenticator) -> None:
        assert self.retry(auth, *(f'Digest realm="{n}", nonce="1"' for n in range(50))) == []

    def test_without_credentials_nothing_is_rejected(self) -> None:
        auth = Authenticator(None)
        assert self.retry(auth, 'Digest realm="r", nonce="1"') == []
        assert not auth.rejected
