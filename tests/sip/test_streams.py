"""TCP and TLS connections on loopback: how they come about, what they bear, how they end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificates import Authority, Certificate
from charts import FakeMedia, sdp, text
from peers import LIMIT_S, Sipp, offhook, phone_to

from engine.legs import HangupCause, LegState
from engine.sip import streams
from engine.sip.account import Account
from engine.sip.framing import PING, PONG
from engine.sip.hop import Hop
from engine.sip.message import Message, response_to
from engine.sip.phone import Phone
from engine.sip.registration import RegistrationState
from engine.sip.streams import Streams
from engine.sip.tls import TlsTerms


class Trunk:
    """A TCP or TLS server that speaks SIP by hand: what comes is in `came`, whole."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.answers = True
        self.connections = 0

    async def open(self, certificate: Certificate | None = None) -> Trunk:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.put_nowait(writer)
        while data := await reader.read(65536):
            self.came.put_nowait(data)
            if self.answers and data.startswith(b"REGISTER"):
                request = Message(data)
                extra = [("Contact", f"<{request.contact and request.contact.uri}>;expires=600")]
                writer.write(response_to(request, 200, to_tag="t", extra=extra).raw)
        writer.close()

    async def until(self, what: bytes) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            while not (data := await self.came.get()).startswith(what):
                pass
            return data

    def close(self) -> None:
        self._server.close()


@pytest.fixture
async def trunk() -> AsyncIterator[Trunk]:
    made = await Trunk().open()
    yield made
    made.close()


class Registered:
    """A phone of ours with its registration."""

    def __init__(self, port: int, transport: str = "tcp", **more: object) -> None:
        account = Account("127.0.0.1", port, **{"username": "1001", "transport": transport, **more})  # type: ignore[arg-type]
        self.phone = Phone("", 0, "1001", "", "127.0.0.1", None, 0, account=account, media=FakeMedia())
        self._changed = asyncio.Event()
        self.phone.on_registration = self._changed.set
        self.phone.on_call_change = lambda call: self._changed.set()

    async def __aenter__(self) -> Registered:
        await self.phone.open()
        return self

    async def __aexit__(self, *why: object) -> None:
        await self.phone.close()

    @property
    def registration(self):  # type: ignore[no-untyped-def]
        assert self.phone.agent is not None
        return self.phone.agent.registration

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def registered(self) -> None:
        await self.until(lambda: self.registration.state is RegistrationState.REGISTERED)

    async def failed(self) -> str:
        await self.until(lambda: self.registration.state is RegistrationState.FAILED)
        return str(self.registration.detail)


class TestSipp:
    def test_a_call_over_tcp(self, sipp: Sipp) -> None:
        """RFC 3261, 18: INVITE to BYE over one connection."""
        sipp.start("far_bye", "-t", "t1")
        status, events = offhook("call 5551234", sipp.port, "--set", "trunk.transport=tcp")
        sipp.wait()
        assert (status, events[-1]["cause"]) == (0, "normal")

    def test_registered_over_tcp(self, sipp: Sipp) -> None:
        sipp.start("register", "-t", "t1")
        status, _ = offhook("register --for 1", sipp.port, "--set", "trunk.transport=tcp", register=True)
        sipp.wait()
        assert status == 0

    async def test_a_trunk_that_does_not_take_tcp_gets_a_large_invite_by_udp(self, sipp: Sipp) -> None:
        """RFC 3261, 18.1.1."""
        sipp.start("far_bye")
        async with phone_to(sipp.port, display_name="x" * 1200) as (phone, until):
            dialled = phone.dial("5551234")
            await until(lambda: dialled.progress is LegState.ENDED)
            await asyncio.to_thread(sipp.wait)
        assert dialled.cause == HangupCause("normal", "far")


class TestIPv6:
    def test_a_call_over_ipv6(self, sipp: Sipp) -> None:
        """RFC 3261, 25.1; RFC 4566, 5.7: brackets in Via, Contact and Request-URI, IP6 in the description."""
        sipp.host = "[::1]"
        sipp.start("ipv6")
        over_6 = ["--set", f"trunk.server=[::1]:{sipp.port}", "--set", "sip.listen=[::1]:0"]
        status, events = offhook("call 5551234", sipp.port, *over_6)
        sipp.wait()
        assert (status, events[-1]["cause"]) == (0, "normal")


class TestConnection:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engine.sip.registration.FIRST_RETRY", 0.05)

    async def test_one_connection_bears_everything(self, trunk: Trunk) -> None:
        """Registration, calls and keep-alives share it; the responses come on it (RFC 3261, 18.2.2)."""
        async with Registered(trunk.port) as one:
            await one.registered()
            call = one.phone.dial("5551234")
            invite = Message(await trunk.until(b"INVITE"))
            writer = await trunk.writers.get()
            ok = response_to(invite, 200, to_tag="t", content=sdp().encode(), extra=[
                ("Contact", f"<sip:callee@127.0.0.1:{trunk.port};transport=tcp>"),
                ("Content-Type", "application/sdp"),
            ])  # fmt: skip
            for octet in ok.raw:  # however slowly it comes
                writer.write(bytes([octet]))
            await trunk.until(b"ACK")
            call.hangup_leg()
            bye = Message(await trunk.until(b"BYE"))
            writer.write(response_to(bye, 200).raw)
            assert (invite.via.transport, bye.via.transport) == ("TCP", "TCP")
        assert trunk.connections == 1

    async def test_requests_of_the_trunk_come_on_it(self, trunk: Trunk) -> None:
        async with Registered(trunk.port) as one:
            await one.registered()
            writer = await trunk.writers.get()
            options = text("OPTIONS sip:1001@127.0.0.1 SIP/2.0", [
                f"Via: SIP/2.0/TCP 127.0.0.1:{trunk.port};rport;branch=z9hG4bKo", "From: <sip:a@x>;tag=1",
                "To: <sip:b@y>", "Call-ID: o", "CSeq: 1 OPTIONS",
            ])  # fmt: skip
            writer.write(options)
            assert b"CSeq: 1 OPTIONS" in await trunk.until(b"SIP/2.0 200")

    async def test_a_ping_is_answered(self, trunk: Trunk) -> None:
        """RFC 5626, 4.4.1."""
        async with Registered(trunk.port) as one:
            await one.registered()
            (await trunk.writers.get()).write(PING)
            assert await trunk.until(PONG) == PONG

    async def test_who_answered_pings_and_stops_is_left(
        self, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RFC 5626, 4.4.1: no pong, so the flow is dead; registered anew over another."""
        monkeypatch.setattr(streams, "PONG_WAIT", 0.1)
        async with Registered(trunk.port, keepalive=0.05) as one:
            await one.registered()
            await trunk.until(PING)
            (await trunk.writers.get()).write(PONG)
            async with asyncio.timeout(LIMIT_S):
                await trunk.writers.get()
            await trunk.until(b"REGISTER")

    async def test_a_stream_that_can_t_be_followed_is_closed(self, trunk: Trunk) -> None:
        """RFC 3261, 18.3: without Content-Length nobody knows where the next message begins."""
        async with Registered(trunk.port) as one:
            await one.registered()
            (await trunk.writers.get()).write(b"OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\nTo: x\r\n\r\n")
            async with asyncio.timeout(LIMIT_S):
                await trunk.writers.get()
            await one.registered()

    async def test_a_message_that_does_not_end_is_not_waited_for_for_ever(
        self, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "MESSAGE_WAIT", 0.05)
        async with Registered(trunk.port) as one:
            await one.registered()
            (await trunk.writers.get()).write(b"OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\nContent-Length: 9\r\n")
            async with asyncio.timeout(LIMIT_S):
                await trunk.writers.get()

    async def test_each_message_has_its_own_time_to_end(self) -> None:
        """On a busy connection one that has begun is always there."""
        taken: list[bytes] = []
        shell = SimpleNamespace(made=lambda *a, **k: None, take=lambda data, hop: taken.append(data))
        connection = streams.Connection(shell, Hop("192.0.2.10", 5060, "tcp"))  # type: ignore[arg-type]
        message = b"OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n"
        connection.data_received(message[:20])
        first = connection._timer
        connection.data_received(message[20:] + message[:20])
        assert first is not None
        assert first.cancelled()
        assert connection._timer is not None
        assert not connection._timer.cancelled()
        connection.data_received(message[20:])
        assert connection._timer is None
        assert taken == [message, message]

    async def test_an_unanswered_request_fails_with_its_connection(
        self, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RFC 3261, 18.4: told at once, not after timer F."""
        trunk.answers = False
        async with Registered(trunk.port) as one:
            await trunk.until(b"REGISTER")
            (await trunk.writers.get()).transport.abort()
            assert "is gone" in await one.failed()


class TestListening:
    async def test_the_trunk_may_connect_to_us_and_nobody_else(self, trunk: Trunk) -> None:
        """RFC 3261, 18.1.1: the port in Via takes connections too."""
        options = text("OPTIONS sip:1001@127.0.0.1 SIP/2.0", [
            "Via: SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bKo", "From: <sip:a@x>;tag=1",
            "To: <sip:b@y>", "Call-ID: o", "CSeq: 1 OPTIONS",
        ])  # fmt: skip
        async with Registered(trunk.port, register=False) as one, asyncio.timeout(LIMIT_S):
            where = one.phone.listening[:2]
            reader, writer = await asyncio.open_connection(*where, local_addr=("127.0.0.1", 0))
            writer.write(options)
            assert (await reader.readline()).startswith(b"SIP/2.0 200")
            writer.close()
            reader, writer = await asyncio.open_connection(*where, local_addr=("127.0.0.9", 0))
            writer.write(options)
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
            writer.close()


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.mark.parametrize(
        ("names", "days", "why"),
        [
            (("127.0.0.1",), (-2.0, -1.0), "has expired"),
            (("127.0.0.1",), (0.5, 1.0), "is not valid yet: check this machine's clock"),
            (("trunk.example", "127.0.0.2"), (-1.0, 1.0), "is not for 127.0.0.1: check trunk.server"),
        ],
    )
    async def test_a_certificate_that_does_not_fit(
        self, authority: Authority, names: tuple[str, ...], days: tuple[float, float], why: str
    ) -> None:
        """RFC 5922, 7; RFC 5280, 4.1.2.5: one sentence that says what is wrong."""
        trunk = await Trunk().open(authority.issue(*names, days=days))
        async with Registered(trunk.port, "tls", tls=TlsTerms(str(authority.ca))) as one:
            assert why in await one.failed()
        trunk.close()

    async def test_no_tls_at_the_other_end(self, trunk: Trunk, authority: Authority) -> None:
        async def greet() -> None:
            (await trunk.writers.get()).write(b"SIP/2.0 400 Bad Request\r\n\r\n")

        greeting = asyncio.create_task(greet())
        async with Registered(trunk.port, "tls", tls=TlsTerms(str(authority.ca))) as one:
            assert "does not speak TLS: check the port (5061 is usual)" in await one.failed()
        await greeting

    async def test_no_tls_below_1_2(self, authority: Authority) -> None:
        assert TlsTerms(str(authority.ca)).context().minimum_version is ssl.TLSVersion.TLSv1_2

    async def test_nobody_there(self, trunk: Trunk) -> None:
        trunk.close()
        async with Registered(trunk.port, "tcp") as one:
            assert "refuses connections: check the port and trunk.transport" in await one.failed()

    async def test_one_that_never_says_hello(
        self, trunk: Trunk, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "CONNECT_WAIT", 0.1)
        async with Registered(trunk.port, "tls", tls=TlsTerms(str(authority.ca))) as one:
            assert "no connection with 127.0.0.1" in await one.failed()

    async def test_registered_over_tls(self, authority: Authority) -> None:
        trunk = await Trunk().open(authority.issue("127.0.0.1"))
        async with Registered(trunk.port, "tls", tls=TlsTerms(str(authority.ca))) as one:
            await one.registered()
            register = Message(await trunk.until(b"REGISTER"))
            assert register.via.transport == "TLS"
            assert ";transport=tls>" in (register.get("Contact") or "")
        trunk.close()


class TestBounds:
    @pytest.fixture
    async def ours(self) -> AsyncIterator[tuple[Streams, list[tuple[Hop, str]]]]:
        failures: list[tuple[Hop, str]] = []
        made = Streams("127.0.0.1", TlsTerms().context, lambda hop: hop.host)
        made.on_failed = lambda hop, why: failures.append((hop, why))
        yield made, failures
        made.close()

    async def test_connections(self, trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
        """The one that was silent for longest makes room."""
        monkeypatch.setattr(streams, "MAX_CONNECTIONS", 3)
        gone: list[Hop] = []
        ours = Streams("127.0.0.1", TlsTerms().context, lambda hop: hop.host)
        ours.on_failed = lambda hop, why: gone.append(hop)
        others = [await Trunk().open() for _ in range(6)]
        for other in others:
            ours.send(b"x", Hop("127.0.0.1", other.port, "tcp"))
            await other.until(b"x")
        assert len(ours) <= 3
        assert gone == [Hop("127.0.0.1", other.port, "tcp") for other in others[:3]]
        ours.close()
        for other in others:
            other.close()

    async def test_what_waits_for_a_connection(
        self, ours: tuple[Streams, list[tuple[Hop, str]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "MAX_QUEUED", 4)
        hop = Hop("127.0.0.1", 9, "tcp")
        for _ in range(100):
            ours[0].send(b"x", hop)
        assert len(ours[0]._opening[hop]) == 4

    async def test_what_a_far_end_leaves_unread(
        self, ours: tuple[Streams, list[tuple[Hop, str]]]
    ) -> None:
        kept: list[asyncio.StreamWriter] = []  # one that nobody holds is closed

        def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kept.append(writer)
            writer.transport.pause_reading()  # type: ignore[attr-defined]

        deaf = await asyncio.start_server(listen, "127.0.0.1", 0)
        hop = Hop("127.0.0.1", deaf.sockets[0].getsockname()[1], "tcp")
        async with asyncio.timeout(LIMIT_S):
            while not ours[1]:
                ours[0].send(b"x" * 60_000, hop)
                await asyncio.sleep(0)
        assert ours[1] == [(hop, f"the connection with {hop} is gone (it does not read what we send)")]
        kept[0].close()
        deaf.close()

    async def test_idle_ones_are_closed_but_the_trunks(
        self, trunk: Trunk, ours: tuple[Streams, list[tuple[Hop, str]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "IDLE", -1.0)
        other = await Trunk().open()
        kept, left = Hop("127.0.0.1", trunk.port, "tcp"), Hop("127.0.0.1", other.port, "tcp")
        for hop, far in ((kept, trunk), (left, other)):
            ours[0].send(b"x", hop)
            await far.until(b"x")
        ours[0].kept = lambda: kept
        ours[0].keep_alive()
        await trunk.until(PING)
        async with asyncio.timeout(LIMIT_S):
            while ours[0].connected(left):
                await asyncio.sleep(0)
        assert ours[0].connected(kept)
        other.close()
