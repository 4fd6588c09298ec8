"""Registration as sequence charts on a virtual clock (RFC 3261, 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from charts import LOCAL, TRUNK, Chart, answer
from pyVoIP.VoIP import PhoneStatus

from engine.sip.account import Account
from engine.sip.message import Message
from engine.sip.phone import Phone
from engine.sip.registration import RegistrationState

ACCOUNT = Account(*TRUNK, username="1001", password="demo pass", expires=300)


OURS = "sip:1001@198.51.100.7:5070"


def challenge(nonce: str) -> str:
    return f'WWW-Authenticate: Digest realm="r", nonce="{nonce}", algorithm=MD5, qop="auth"'


class Registrar:
    """The far end of a phone that registers."""

    def __init__(self, account: Account = ACCOUNT) -> None:
        self.changes: list[RegistrationState] = []
        self.chart = Chart(account)
        self.registration = self.chart.agent.registration
        self.chart.phone.on_registration = lambda: self.changes.append(self.registration.state)

    @property
    def last(self) -> Message:
        return self.chart.last("REGISTER")

    @property
    def credentials(self) -> str:
        return self.last.get("Authorization") or ""

    @property
    def count(self) -> int:
        return len({sent.message.cseq for sent in self.chart.sent if sent.message.method == "REGISTER"})

    def reply(self, code: int, *headers: str) -> None:
        self.chart.answer(self.last, code, headers=headers)

    def grant(self, *headers: str) -> None:
        self.reply(200, *(headers or ("Expires: 300",)))

    def until_next(self) -> float:
        """Seconds until another REGISTER leaves; the answer to it is the test's."""
        before = self.count
        for tenth in range(1, 40000):
            self.chart.clock.advance(0.1)
            if self.count > before:
                return tenth / 10
        raise AssertionError("no REGISTER came")


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


class TestRegistering:
    def test_the_register_names_registrar_binding_and_expiry(self, registrar: Registrar) -> None:
        register = registrar.last
        assert registrar.chart.last_sent().to == TRUNK
        assert register.uri_text == "sip:192.0.2.10"
        assert str(register.to.uri) == str(register.from_.uri) == "sip:1001@192.0.2.10"
        assert register.contact is not None
        assert register.contact.uri.address == LOCAL
        assert register.get("Expires") == "300"

    @pytest.mark.parametrize(("code", "asks", "answers"), [
        (401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ])  # fmt: skip
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    def test_a_challenge_is_answered(
        self, registrar: Registrar, code: int, asks: str, answers: str, algorithm: str
    ) -> None:
        first = registrar.last
        registrar.reply(code, f'{asks}: Digest realm="r", nonce="n", algorithm={algorithm}, qop="auth"')
        again = registrar.last
        assert again.cseq == first.cseq + 1
        assert again.call_id == first.call_id
        value = again.get(answers) or ""
        assert f"algorithm={algorithm}" in value
        assert 'uri="sip:192.0.2.10"' in value
        registrar.grant()
        assert registrar.registration.state is RegistrationState.REGISTERED
        assert registrar.chart.phone.get_status() is PhoneStatus.REGISTERED

    def test_refused_credentials_are_told_and_not_tried_again_at_once(self, registrar: Registrar) -> None:
        for nonce in ("n1", "n2"):
            registrar.reply(401, f'WWW-Authenticate: Digest realm="r", nonce="{nonce}"')
        registration = registrar.registration
        assert registration.state is RegistrationState.FAILED
        assert registration.rejected
        assert registration.code == 401
        assert registrar.chart.phone.get_status() is PhoneStatus.FAILED
        assert 240 <= registrar.until_next() <= 360

    def test_403_is_final_for_a_while_too(self, registrar: Registrar) -> None:
        registrar.reply(403)
        assert registrar.registration.rejected
        assert registrar.registration.detail == "403 Reason"
        assert registrar.until_next() >= 240

    def test_423_raises_the_expiry(self, registrar: Registrar) -> None:
        registrar.reply(423, "Min-Expires: 1800")
        assert registrar.last.get("Expires") == "1800"
        registrar.grant("Expires: 1800")
        assert registrar.until_next() == pytest.approx(1768, abs=0.2)

    def test_423_after_a_challenge_is_answered_with_the_same_nonce(self, registrar: Registrar) -> None:
        """RFC 3261, 10.2.8; RFC 7616, 3.4: the nonce count goes on."""
        registrar.reply(401, challenge("n1"))
        registrar.reply(423, "Min-Expires: 1800")
        assert registrar.last.get("Expires") == "1800"
        assert 'nonce="n1"' in registrar.credentials
        assert "nc=00000002" in registrar.credentials
        registrar.reply(401, challenge("n2"))  # one that wants a nonce of its own for each request
        assert 'nonce="n2"' in registrar.credentials
        registrar.grant("Expires: 1800")
        assert registrar.registration.state is RegistrationState.REGISTERED

    def test_423_that_asks_for_ever_more_ends(self, registrar: Registrar) -> None:
        for least in range(1000, 1020):
            registrar.reply(423, f"Min-Expires: {least}")
        assert registrar.count == 4
        assert registrar.registration.state is RegistrationState.FAILED

    def test_stale_nonces_are_no_word_on_the_password(self, registrar: Registrar) -> None:
        """RFC 7616, 3.3: stale; tried again soon, where a refused password waits for minutes."""
        for n in range(6):
            registrar.reply(401, challenge(f"n{n}") + ", stale=true")
        assert registrar.count == 5
        registration = registrar.registration
        assert registration.state is RegistrationState.FAILED
        assert not registration.rejected
        assert "stale" in registration.detail
        assert registrar.until_next() < 3

    @pytest.mark.parametrize(("asked", "said"), [
        (challenge("n").replace("MD5", "AKAv1-MD5"), "digest by AKAv1-MD5, which is not known"),
        ('WWW-Authenticate: Basic realm="r"', "401 Reason"),
    ])  # fmt: skip
    def test_a_challenge_that_cant_be_answered_is_told(
        self, registrar: Registrar, asked: str, said: str
    ) -> None:
        registrar.reply(401, asked)
        assert said in registrar.registration.detail
        assert registrar.until_next() >= 240

    def test_a_missing_password_is_told(self) -> None:
        registrar = Registrar(replace(ACCOUNT, password=""))
        registrar.reply(401, challenge("n"))
        assert registrar.registration.detail.endswith("the registrar asks for a password, and none is set")

    def test_the_stronger_of_two_challenges_by_setting(self) -> None:
        """RFC 8760, 2.4: else the topmost."""
        both = [challenge("weak"), challenge("strong").replace("MD5", "SHA-256")]
        for wish, nonce in (("first", "weak"), ("strongest", "strong")):
            registrar = Registrar(replace(ACCOUNT, digest=wish))  # type: ignore[arg-type]
            registrar.reply(401, *both)
            assert f'nonce="{nonce}"' in registrar.credentials

    def test_a_redirection_is_reported_and_not_followed(self, registrar: Registrar) -> None:
        """RFC 3261, 8.1.3.4: following one is the user's choice; credentials go to the trunk's own server."""
        registrar.reply(302, "Contact: <sip:elsewhere.example.net>")
        assert registrar.count == 1
        assert "302" in registrar.registration.detail
        assert "sip:elsewhere.example.net" in registrar.registration.detail

    @pytest.mark.parametrize("minimum", ["Min-Expires: 60", "Min-Expires: x", "X-None: 1"])
    def test_423_without_a_longer_one_does_not_loop(self, registrar: Registrar, minimum: str) -> None:
        registrar.reply(423, minimum)
        assert registrar.registration.state is RegistrationState.FAILED
        assert registrar.count == 1

    def test_a_trunk_that_knows_us_by_address_is_not_registered_at(self) -> None:
        registrar = Registrar(replace(ACCOUNT, register=False))
        registrar.chart.clock.advance(600)
        assert registrar.chart.take() == []
        assert registrar.registration.state is RegistrationState.OFF
        assert registrar.chart.phone.get_status() is PhoneStatus.REGISTERED


class TestRefreshing:
    def test_the_last_challenge_is_answered_in_advance(self, registrar: Registrar) -> None:
        """RFC 7616, 3.6; the count goes up with each use of the nonce."""
        registrar.reply(401, challenge("n1"))
        for count in (2, 3):
            registrar.grant()
            registrar.until_next()
            assert f"nc={count:08x}" in registrar.credentials
            assert 'nonce="n1"' in registrar.credentials
            assert f'uri="{registrar.last.uri_text}"' in registrar.credentials
        registrar.grant()
        assert registrar.changes[0] is registrar.changes[-1] is RegistrationState.REGISTERED

    @pytest.mark.parametrize("stale", ["", ", stale=TRUE"])
    def test_a_nonce_that_has_run_out_is_replaced(self, registrar: Registrar, stale: str) -> None:
        """RFC 7616, 3.3; also where the registrar does not say that it is stale."""
        registrar.reply(401, challenge("n1"))
        registrar.grant()
        registrar.until_next()
        registrar.reply(401, challenge("n2") + stale)
        assert 'nonce="n2"' in registrar.credentials
        assert "nc=00000001" in registrar.credentials
        registrar.grant()
        assert set(registrar.changes) == {RegistrationState.REGISTERED}
        registrar.until_next()
        assert 'nonce="n2"' in registrar.credentials
        assert "nc=00000002" in registrar.credentials

    def test_the_nonce_told_in_a_success_is_used_next(self, registrar: Registrar) -> None:
        """RFC 7616, 3.5: nextnonce in Authentication-Info."""
        registrar.reply(401, challenge("n1"))
        registrar.grant("Expires: 300", 'Authentication-Info: qop=auth, NextNonce="n\\"2"')
        registrar.until_next()
        assert r'nonce="n\"2"' in registrar.credentials
        assert "nc=00000001" in registrar.credentials

    def test_a_registrar_that_dislikes_credentials_unasked_gets_none(self, registrar: Registrar) -> None:
        registrar.reply(401, challenge("n1"))
        registrar.grant()
        registrar.until_next()
        registrar.reply(400)
        assert not registrar.credentials
        registrar.reply(401, challenge("n2"))
        registrar.grant()
        assert set(registrar.changes) == {RegistrationState.REGISTERED}

    def test_a_password_changed_meanwhile_is_refused_once(self, registrar: Registrar) -> None:
        registrar.reply(401, challenge("n1"))
        registrar.grant()
        registrar.until_next()
        for nonce in ("n2", "n3"):
            registrar.reply(401, challenge(nonce))
        assert registrar.registration.state is RegistrationState.LOST
        assert registrar.registration.rejected
        assert registrar.until_next() >= 240
        assert not registrar.credentials

    @pytest.mark.parametrize("granted", ["1", "2"])
    def test_a_tiny_grant_makes_no_flood(self, registrar: Registrar, granted: str) -> None:
        for _ in range(5):
            registrar.grant(f"Expires: {granted}")
            assert registrar.until_next() >= 1


class TestGrantedExpiry:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            (["Expires: 120"], 120 - 32),
            (["Contact: <sip:1001@198.51.100.7:5070>;expires=90", "Expires: 3600"], 90 - 32),
            (["Contact: <sip:1001@10.0.0.1>;expires=3600, <sip:1001@198.51.100.7:5070>;expires=60"], 30),
            (["Contact: <sip:1001@10.0.0.1>;expires=7, <sip:1001@198.51.100.7:5070>;expires=200"], 168),
            (["Contact: <sip:%31001@198.51.100.7:5070;ob>;q=1;Expires=100"], 68),
            (["Contact: <sip:1001@203.0.113.5:40000>;expires=80"], 48),
            (["m: <sip:1001@198.51.100.7>;expires=9, <sip:1001@198.51.100.7:5070;lr>;expires=70"], 38),
            (["Contact: <sip:1002@198.51.100.7:5070>;expires=9", f"m: {OURS};expires=66"], 34),
            ([f"Contact: <{OURS};transport=udp>;+sip.instance=\"<urn:a,b>\";EXPIRES=100;q=0.5"], 68),
            (["Contact: <sip:1001@10.0.0.8>;expires=80, <sip:1001@10.0.0.9>;expires=9", "Expires: 100"], 68),
            (["Contact: <<bad>>;expires=9, <sip:1001@198.51.100.7:5070>;expires=64"], 32),
            (["X-Nothing: 1"], 300 - 32),
            (["Expires: 10"], 5),
        ],
    )
    def test_refresh_comes_before_the_end_of_our_own_binding(
        self, registrar: Registrar, headers: Sequence[str], expected: float
    ) -> None:
        registrar.grant(*headers)
        assert registrar.until_next() == pytest.approx(expected, abs=0.2)

    def test_an_absurd_expiry_neither_loops_nor_raises(self, registrar: Registrar) -> None:
        for value in ("0", "²", "9" * 5000, "-5"):
            registrar.grant(f"Expires: {value}")
            assert registrar.registration.state is RegistrationState.REGISTERED
            assert registrar.until_next() > 100

    def test_the_expiry_is_known_to_the_second(self, registrar: Registrar) -> None:
        registrar.grant("Expires: 120")
        expires_at = registrar.registration.expires_at
        assert expires_at is not None
        assert expires_at - registrar.chart.clock.time() == 120


class TestTrouble:
    def test_silence_is_tried_again_with_growing_pauses(self, registrar: Registrar) -> None:
        assert registrar.registration.state is RegistrationState.REGISTERING
        registrar.chart.clock.advance(32.1)
        assert registrar.registration.state is RegistrationState.FAILED
        assert not registrar.registration.answered
        registrar.chart.clock.advance(900)
        begun = {}
        for sent in registrar.chart.sent:
            begun.setdefault(sent.message.cseq, sent.at)
        pauses = [later - earlier - 32 for earlier, later in pairwise(begun.values())]
        for pause, nominal in zip(pauses, [2, 4, 8, 16, 32, 60, 60], strict=False):
            assert nominal * 0.8 <= pause <= nominal * 1.2

    def test_retry_after_is_kept(self, registrar: Registrar) -> None:
        registrar.reply(503, "Retry-After: 18 (overloaded);duration=60")
        assert registrar.until_next() == pytest.approx(18, abs=0.2)

    @pytest.mark.parametrize("date", ["Sun, 22 Nov 2026 12:00:00 GMT", "-3", "soon"])
    def test_retry_after_of_no_seconds_is_left_out(self, registrar: Registrar, date: str) -> None:
        """RFC 3261, 20.33: delta-seconds; HTTP's date form is none."""
        registrar.reply(503, f"Retry-After: {date}")
        assert registrar.until_next() < 3

    @pytest.mark.parametrize("code", [404, 408, 480, 500, 504, 600])
    def test_retry_after_holds_for_any_failure(self, registrar: Registrar, code: int) -> None:
        registrar.reply(code, "Retry-After: 40")
        assert registrar.until_next() == pytest.approx(40, abs=0.2)
        registrar.reply(code, "Retry-After: 99999999")
        assert registrar.until_next() == pytest.approx(3600, abs=0.2)

    def test_when_it_was_lost_is_known(self, registrar: Registrar) -> None:
        registrar.grant()
        registrar.until_next()
        registrar.reply(503, "Retry-After: 20")
        lost_at = registrar.chart.clock.time()
        registrar.until_next()
        registrar.reply(503, "Retry-After: 20")
        assert registrar.registration.since == lost_at

    def test_a_trunk_heard_again_is_asked_at_once(self, registrar: Registrar) -> None:
        registrar.reply(503, "Retry-After: 3000")
        before = registrar.count
        registrar.registration.hurry()
        registrar.registration.hurry()
        assert registrar.count == before + 1
        registrar.grant()
        registrar.registration.hurry()
        assert registrar.count == before + 1

    def test_but_not_with_credentials_that_it_refused(self, registrar: Registrar) -> None:
        registrar.reply(403)
        before = registrar.count
        registrar.registration.hurry()
        assert registrar.count == before

    def test_lost_and_regained(self, registrar: Registrar) -> None:
        registrar.grant()
        registrar.until_next()
        registrar.reply(503)
        assert registrar.registration.state is RegistrationState.LOST
        assert registrar.registration.expires_at is None
        assert registrar.until_next() < 3
        registrar.grant()
        assert registrar.registration.state is RegistrationState.REGISTERED
        assert registrar.registration.detail == ""
        states = [RegistrationState.REGISTERED, RegistrationState.LOST, RegistrationState.REGISTERED]
        assert registrar.changes == states

    def test_success_makes_the_next_pause_short_again(self, registrar: Registrar) -> None:
        for _ in range(5):
            registrar.reply(500)
            registrar.until_next()
        registrar.grant()
        registrar.until_next()
        registrar.reply(500)
        assert registrar.until_next() < 3


class TestAddress:
    def answer_from(self, registrar: Registrar, received: str, rport: str) -> None:
        request = registrar.last
        via = request.get("Via") or ""
        seen = via.replace(";rport", f";received={received};rport={rport}")
        registrar.chart.receive(
            f"SIP/2.0 200 OK\r\nVia: {seen}\r\nFrom: {request.get('From')}\r\n"
            f"To: {request.get('To')};tag=t\r\nCall-ID: {request.call_id}\r\n"
            f"CSeq: {request.get('CSeq')}\r\nExpires: 300\r\n\r\n".encode()
        )

    def test_the_address_that_the_registrar_saw_becomes_our_contact_at_once(
        self, registrar: Registrar
    ) -> None:
        self.answer_from(registrar, "203.0.113.77", "40001")
        registrar.until_next()
        contact = registrar.last.contact
        assert contact is not None
        assert contact.uri.address == ("203.0.113.77", 40001)
        registrar.chart.phone.dial("1")
        invite = registrar.chart.last("INVITE")
        assert invite.contact is not None
        assert invite.contact.uri.address == ("203.0.113.77", 40001)
        assert invite.via.sent_by == LOCAL

    def test_an_address_that_changes_each_time_does_not_make_us_register_in_a_loop(
        self, registrar: Registrar
    ) -> None:
        for port in range(40000, 40020):
            self.answer_from(registrar, "203.0.113.77", str(port))
            registrar.chart.clock.advance(0.01)
        assert registrar.count == 2

    def contacts(self, registrar: Registrar) -> list[str]:
        return registrar.last.all("Contact")

    def test_the_binding_at_the_old_address_is_taken_away(self, registrar: Registrar) -> None:
        """RFC 3261, 10.2.2: expires=0 for the old Contact, beside the new one."""
        self.answer_from(registrar, "203.0.113.77", "40001")
        registrar.until_next()
        new, old = "<sip:1001@203.0.113.77:40001>", "<sip:1001@198.51.100.7:5070>"
        assert self.contacts(registrar) == [f"{new};expires=300", f"{old};expires=0"]
        self.answer_from(registrar, "203.0.113.77", "40001")
        registrar.until_next()
        assert self.contacts(registrar) == [f"{new};expires=300"]

    def test_an_address_learned_from_the_challenge_was_never_bound(self, registrar: Registrar) -> None:
        via = (registrar.last.get("Via") or "").replace(";rport", ";received=203.0.113.77;rport=40001")
        data = answer(registrar.last, 401, headers=[challenge("n1")]).decode()
        registrar.chart.receive(data.replace(registrar.last.get("Via") or "", via).encode())
        assert self.contacts(registrar) == ["<sip:1001@203.0.113.77:40001>;expires=300"]
        registrar.grant()
        registrar.until_next()
        assert self.contacts(registrar) == ["<sip:1001@203.0.113.77:40001>;expires=300"]

    def test_a_registrar_that_takes_one_contact_only_gets_one(self, registrar: Registrar) -> None:
        self.answer_from(registrar, "203.0.113.77", "40001")
        registrar.until_next()
        registrar.reply(400)
        assert self.contacts(registrar) == ["<sip:1001@203.0.113.77:40001>;expires=300"]
        registrar.reply(400)
        assert registrar.registration.state is RegistrationState.LOST

    def test_an_address_that_changes_with_each_refusal_does_not_loop(self, registrar: Registrar) -> None:
        self.answer_from(registrar, "203.0.113.77", "40001")
        registrar.until_next()
        before = registrar.count
        for port in range(40002, 40020):
            via = registrar.last.get("Via") or ""
            data = answer(registrar.last, 400).decode()
            seen = via.replace(";rport", f";received=203.0.113.77;rport={port}")
            registrar.chart.receive(data.replace(via, seen).encode())
        assert registrar.count == before + 1

    @pytest.mark.parametrize(("received", "rport"), [
        ("evil>x", "5070"), ("203.0.113.77", "²"), ("203.0.113.77", "0"), ("203.0.113.77", "99999"),
    ])  # fmt: skip
    def test_nonsense_is_not_believed(self, registrar: Registrar, received: str, rport: str) -> None:
        self.answer_from(registrar, received, rport)
        assert registrar.chart.agent.public == LOCAL
        assert registrar.registration.state is RegistrationState.REGISTERED


class TestLeaving:
    def leave(self, registrar: Registrar) -> list[bool]:
        done: list[bool] = []
        registrar.chart.phone.leave(lambda: done.append(True))
        return done

    def test_the_binding_is_given_back_and_a_challenge_to_that_answered(self, registrar: Registrar) -> None:
        registrar.grant()
        done = self.leave(registrar)
        assert registrar.last.get("Expires") == "0"
        assert ";expires=0" in (registrar.last.get("Contact") or "")
        registrar.reply(401, 'WWW-Authenticate: Digest realm="r", nonce="n"')
        assert done == []
        assert registrar.last.get("Authorization")
        registrar.reply(200)
        assert done == [True]
        registrar.chart.sent.clear()
        registrar.chart.clock.advance(1000)
        assert registrar.chart.take() == []

    def test_without_a_binding_there_is_nothing_to_wait_for(self, registrar: Registrar) -> None:
        registrar.reply(403)
        assert self.leave(registrar) == [True]

    def test_a_binding_that_may_have_been_made_is_given_back_too(self, registrar: Registrar) -> None:
        register = registrar.last
        done = self.leave(registrar)
        assert registrar.last.get("Expires") == "0"
        registrar.chart.answer(register, 200, headers=["Expires: 300"])
        assert registrar.registration.state is not RegistrationState.REGISTERED
        registrar.reply(200)
        assert done == [True]

    def test_a_challenge_to_an_older_register_does_not_bind_again(self, registrar: Registrar) -> None:
        registrar.grant()
        registrar.until_next()
        refresh = registrar.last
        self.leave(registrar)
        registrar.reply(200)
        before = registrar.count
        registrar.chart.answer(refresh, 401, headers=['WWW-Authenticate: Digest realm="r", nonce="n"'])
        assert registrar.count == before

    def test_calls_are_hung_up_first(self, registrar: Registrar) -> None:
        registrar.grant()
        registrar.chart.answered()
        self.leave(registrar)
        assert registrar.chart.take() == ["BYE", "REGISTER"]

    def test_a_phone_that_was_never_opened_has_nothing_to_leave(self) -> None:
        done: list[bool] = []
        Phone("192.0.2.10", 5060, "1001", "x").leave(lambda: done.append(True))
        assert done == [True]
