"""Our user agent and Kamailio: registrar, proxy with 407 and Record-Route, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from charts import FakeMedia
from kamailio import PASSWORD, Kamailio
from peers import LIMIT_S, Sipp, offhook

from engine.cli.check import run_check
from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.call import Call
from engine.sip.hop import Target, Transport
from engine.sip.phone import Phone
from engine.sip.registration import RegistrationState
from engine.sip.tls import TlsTerms

TRANSPORTS: list[Transport] = ["udp", "tcp", "tls"]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    made = Kamailio(tmp_path_factory.mktemp("kamailio"))
    made.start()
    yield made
    made.stop()


class User:
    """A phone of ours at the proxy, and a wait for what becomes of it."""

    def __init__(self, at: Kamailio, transport: Transport, user: str, **more: object) -> None:
        port = at.tls_port if transport == "tls" else at.port
        fields = {
            "host": "127.0.0.1", "port": port, "username": user, "password": PASSWORD,
            "domain": "offhook.test", "transport": transport,
            "tls": TlsTerms(str(at.authority.ca)), **more,
        }  # fmt: skip
        account = Account(**fields)  # type: ignore[arg-type]
        self.phone = Phone("", 0, user, "", "127.0.0.1", None, 0, account=account, media=FakeMedia())
        self.changed = asyncio.Event()
        self.inbound: list[Call] = []
        self.phone.on_registration = self.changed.set
        self.phone.on_call_change = lambda call: self.changed.set()
        self.phone.on_inbound = self._ring

    def _ring(self, call: Call) -> None:
        self.inbound.append(call)
        self.changed.set()

    @property
    def state(self) -> RegistrationState:
        assert self.phone.agent is not None
        return self.phone.agent.registration.state

    @property
    def detail(self) -> str:
        assert self.phone.agent is not None
        return self.phone.agent.registration.detail

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def user() -> AsyncIterator[Callable[..., Awaitable[User]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def make(*args: object, **more: object) -> User:
            made = User(*args, **more)  # type: ignore[arg-type]
            await made.phone.open()
            stack.push_async_callback(made.phone.close)
            return made

        yield make


Make = Callable[..., Awaitable[User]]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_registered_and_unregistered(proxy: Kamailio, user: Make, transport: Transport) -> None:
    """RFC 3261, 10.2 and 18.1; RFC 5630 for TLS: the same binding over every transport."""
    one = await user(proxy, transport, "1001")
    await one.until(lambda: one.state is RegistrationState.REGISTERED)
    await one.phone.close()
    assert one.state is RegistrationState.OFF


async def test_refreshes_answer_the_last_challenge_in_advance(proxy: Kamailio, user: Make) -> None:
    """RFC 7616, 3.4 and 3.6. Kamailio checks that the nonce count rises, and challenges no refresh."""
    one = await user(proxy, "tcp", "1001")
    heard: list[str] = []
    assert one.phone.agent is not None
    one.phone.agent.on_message = lambda message, sent: None if sent else heard.append(message.summary_line)
    await one.until(lambda: one.state is RegistrationState.REGISTERED)
    one.phone.agent.registration.renew()
    await one.until(lambda: len(heard) >= 3)
    assert [line[:3] for line in heard] == ["401", "200", "200"]


async def test_a_wrong_password_is_refused_once_and_told(proxy: Kamailio, user: Make) -> None:
    """RFC 3261, 22.1: a second challenge to the same credentials is a refusal."""
    one = await user(proxy, "tcp", "1001", password="wrong")
    await one.until(lambda: one.state is RegistrationState.FAILED)
    assert one.detail.startswith("401")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_through_the_proxy(
    proxy: Kamailio, user: Make, tmp_path: Path, transport: Transport
) -> None:
    """RFC 3261, 22.3 and 16.12: 407 is answered; ACK and BYE follow the recorded route."""
    far = Sipp(tmp_path)
    far.port = proxy.far
    far.start("proxied")
    try:
        one = await user(proxy, transport, "1001", register=False)
        call = one.phone.dial("5551234")
        await one.until(lambda: call.progress in (LegState.ANSWERED, LegState.ENDED))
        call.hangup_leg()
        await asyncio.to_thread(far.wait)
        assert call.cause == HangupCause("normal", "us")
    finally:
        far.close()


async def test_an_outbound_proxy_gets_everything(proxy: Kamailio, user: Make) -> None:
    """RFC 3261, 8.1.2: the trunk's own name leads nowhere; the proxy's URI says where and how to go."""
    edge = Target("127.0.0.1", proxy.port, "tcp")
    one = await user(proxy, "udp", "1001", host="offhook.test", port=0, proxy=edge)
    await one.until(lambda: one.state is RegistrationState.REGISTERED)
    assert one.phone.agent is not None
    assert one.phone.agent.flow == edge


def test_offhook_call_over_tls(proxy: Kamailio, tmp_path: Path) -> None:
    """RFC 3261, 26.2.1: registered, challenged, routed and hung up over one verified connection."""
    far = Sipp(tmp_path)
    far.port = proxy.far
    far.start("proxied")
    try:
        settings = [f"trunk.server=localhost:{proxy.tls_port}", "trunk.transport=tls",
                    f"trunk.tls_ca={proxy.authority.ca}", "trunk.domain=offhook.test"]  # fmt: skip
        given = [word for setting in settings for word in ("--set", setting)]
        status, events = offhook("call 5551234 --hangup-after 0.3", 0, *given, register=True)
        far.wait()
        assert (status, events[-1]["answered"]) == (0, True)
    finally:
        far.close()


@pytest.mark.parametrize(("here", "there"), [("udp", "tcp"), ("tcp", "tls"), ("tls", "udp")])
async def test_two_phones_of_ours_call_each_other(
    proxy: Kamailio, user: Make, here: Transport, there: Transport
) -> None:
    """RFC 3261, 16.6 and 18.2: the proxy goes between transports; each side keeps to its own."""
    one, other = await user(proxy, here, "1001"), await user(proxy, there, "1002")
    await one.until(lambda: one.state is RegistrationState.REGISTERED)
    await other.until(lambda: other.state is RegistrationState.REGISTERED)
    call = one.phone.dial("1002")
    await other.until(lambda: bool(other.inbound))
    answered = other.inbound[0]
    answered.accept()
    await one.until(lambda: call.progress is LegState.ANSWERED)
    call.hold(True)
    await other.until(lambda: answered.far_held)
    answered.hangup_leg()
    await one.until(lambda: call.progress is LegState.ENDED)
    assert call.cause is not None
    assert (call.cause.name, call.cause.by) == ("normal", "far")


async def test_a_large_invite_goes_by_tcp(proxy: Kamailio, user: Make, tmp_path: Path) -> None:
    """RFC 3261, 18.1.1: above 1,300 bytes a request leaves by a congestion-controlled transport."""
    far = Sipp(tmp_path)
    far.port = proxy.far
    far.start("proxied")
    try:
        one = await user(proxy, "udp", "1001", register=False, display_name="x" * 1000)
        sent: list[tuple[str, str]] = []
        assert one.phone._network is not None
        one.phone._network.on_traffic = lambda data, hop, out: sent.append(
            (data.split(b" ")[0].decode(), hop.transport)
        )
        call = one.phone.dial("5551234")
        await one.until(lambda: call.progress in (LegState.ANSWERED, LegState.ENDED))
        assert call.progress is LegState.ANSWERED
        call.hangup_leg()
        await asyncio.to_thread(far.wait)
        assert {transport for what, transport in sent if what == "INVITE"} == {"tcp"}
    finally:
        far.close()


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        (TlsTerms(), "was issued by nobody who is trusted here: name the file .* trunk.tls_ca"),
        (TlsTerms("CA", server_name="other.example"), "is not for other.example: check trunk.server"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_told_in_a_sentence(
    proxy: Kamailio, user: Make, tls: TlsTerms, why: str
) -> None:
    """RFC 3261, 26.3.1; RFC 5922, 7: no name or chain that fits, no registration."""
    terms = TlsTerms(str(proxy.authority.ca), server_name=tls.server_name) if tls.ca else tls
    one = await user(proxy, "tls", "1001", tls=terms)
    await one.until(lambda: one.state is RegistrationState.FAILED)
    assert re.search(why, one.detail), one.detail


def test_offhook_check_says_what_is_wrong_with_a_certificate(
    proxy: Kamailio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"trunk.server=127.0.0.1:{proxy.tls_port}", "trunk.transport=tls", "trunk.username=1001",
                "trunk.password=x", "sip.listen=127.0.0.1:0"]  # fmt: skip
    monkeypatch.setattr("engine.cli.check.check_devices", lambda *args: True)
    assert run_check(None, settings) == 4
    assert re.search(r"trunk: NOT OK: the certificate of .* name the file", capsys.readouterr().out)


def test_offhook_check_says_where_the_trunk_is(
    proxy: Kamailio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"trunk.server=localhost:{proxy.tls_port}", "trunk.transport=tls", "trunk.username=1001",
                f"trunk.tls_ca={proxy.authority.ca}", f"trunk.password={PASSWORD}",
                "trunk.domain=offhook.test", "sip.listen=127.0.0.1:0"]  # fmt: skip
    monkeypatch.setattr("engine.cli.check.check_devices", lambda *args: True)
    assert run_check(None, settings) == 0
    at = f"localhost:{proxy.tls_port}, 127.0.0.1:{proxy.tls_port} (TLS),"
    assert f"trunk: OK: registered as 1001 at {at} for " in capsys.readouterr().out


async def test_a_certificate_may_be_for_another_name_or_unverified_where_set_so(
    proxy: Kamailio, user: Make, tmp_path: Path
) -> None:
    named = await user(proxy, "tls", "1001", tls=TlsTerms(str(proxy.authority.ca), server_name="localhost"))
    await named.until(lambda: named.state is RegistrationState.REGISTERED)
    stranger = Authority(tmp_path, "another CA")
    open_to_all = await user(proxy, "tls", "1001", tls=TlsTerms(str(stranger.ca), verify=False))
    await open_to_all.until(lambda: open_to_all.state is RegistrationState.REGISTERED)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_registration_is_lost_with_its_connection_and_regained(
    tmp_path: Path, user: Make, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5626, 4.4 and 4.5: a connection that dies takes the binding with it; registered anew at once."""
    monkeypatch.setattr("engine.sip.registration.FIRST_RETRY", 0.2)
    proxy = Kamailio(tmp_path)
    proxy.start()
    try:
        one = await user(proxy, transport, "1001")
        await one.until(lambda: one.state is RegistrationState.REGISTERED)
        proxy.stop()
        await one.until(lambda: one.state is RegistrationState.LOST)
        assert "refuses connections" in one.detail
        await asyncio.to_thread(proxy.start)
        await one.until(lambda: one.state is RegistrationState.REGISTERED)
    finally:
        proxy.stop()
