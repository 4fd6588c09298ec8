"""The UDP socket, on loopback: who is heard, how often, and that nothing ends it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from charts import FakeMedia, sdp, text
from pyVoIP.SIP import SIPParseError

from engine.legs import LegState
from engine.sip import gate
from engine.sip.account import Account
from engine.sip.hop import Hop, Target
from engine.sip.message import Message, build, response_to
from engine.sip.network import Network
from engine.sip.phone import Phone
from engine.sip.registration import RegistrationState
from engine.sip.resolver import Resolver
from engine.sip.streams import Streams
from engine.sip.tls import TlsTerms
from engine.sip.transport import UdpTransport, local_address_towards

OPTIONS = text("OPTIONS sip:1001@127.0.0.1 SIP/2.0", [
    "Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{n}", "From: <sip:a@x>;tag=1", "To: <sip:b@y>",
    "Call-ID: c{n}", "CSeq: 1 OPTIONS",
]).decode()  # fmt: skip


class Peer:
    """A socket that speaks SIP by hand."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.address = self.socket.getsockname()

    async def receive(self) -> Message:
        async with asyncio.timeout(10):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65535)
                try:
                    return Message(data)
                except SIPParseError:
                    pass  # a keep-alive, or the refusal of a damaged request

    async def until(self, what: str) -> Message:
        while not (message := await self.receive()).summary_line.startswith(what):
            pass
        return message

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        self.socket.sendto(data, to[:2])

    def options(self, n: int = 1) -> bytes:
        return OPTIONS.replace("{port}", str(self.address[1])).replace("{n}", str(n)).encode()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.socket.close()


@pytest.fixture
def stranger() -> Iterator[Peer]:
    made = Peer("127.0.0.9")
    yield made
    made.socket.close()


@pytest.fixture
async def phone(peer: Peer) -> AsyncIterator[Phone]:
    account = Account(*peer.address, username="1001", password="x", register=False)
    made = Phone(*peer.address, "1001", "x", "127.0.0.1", None, 0, account=account, media=FakeMedia())
    await made.open()
    yield made
    await made.close()


class TestSocket:
    async def test_the_trunk_is_answered(self, phone: Phone, peer: Peer) -> None:
        peer.send(peer.options(), phone.listening)
        assert (await peer.until("200")).cseq_method == "OPTIONS"

    async def test_strangers_get_no_answer(self, phone: Phone, peer: Peer, stranger: Peer) -> None:
        stranger.send(stranger.options(1), phone.listening)
        peer.send(peer.options(2), phone.listening)
        assert (await peer.until("200")).call_id == "c2"
        with pytest.raises(BlockingIOError):
            stranger.socket.recv(65535)

    async def test_malformed_datagrams_never_end_it(self, phone: Phone, peer: Peer) -> None:
        for data in (b"\xff" * 1400, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", b"", peer.options()[:40]):
            peer.send(data, phone.listening)
        peer.send(peer.options(), phone.listening)
        await peer.until("200")
        assert phone.agent is not None
        assert phone.agent.malformed == 4

    async def test_nor_does_a_fault_of_ours(self, peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
        seen: list[bytes] = []

        def receive(data: bytes, source: Hop, trusted: bool) -> None:
            seen.append(data)
            if data == b"1":
                raise RuntimeError("a fault")
            done.set()

        done = asyncio.Event()
        made = await UdpTransport.open(("127.0.0.1", 0), receive)
        with caplog.at_level(logging.CRITICAL, "engine.sip.transport"):
            peer.send(b"1", made.bound)
            peer.send(b"2", made.bound)
            await asyncio.wait_for(done.wait(), 10)
        made.close()
        assert seen == [b"1", b"2"]

    async def test_sending_where_nobody_listens_never_ends_it(self, phone: Phone, peer: Peer) -> None:
        closed = Peer()
        nobody = closed.address
        closed.socket.close()
        assert phone._network is not None
        for to in (nobody, ("255.255.255.255", 9), ("127.0.0.1", 0)):
            phone._network.udp.send(b"x" * 10, Hop(*to))
        phone._network.udp.send(b"x" * 70000, Hop(*peer.address))
        peer.send(peer.options(), phone.listening)
        await peer.until("200")

    async def test_a_taken_port_is_told(self, phone: Phone) -> None:
        with pytest.raises(OSError, match="in use"):
            await UdpTransport.open(phone.listening[:2], lambda data, source, trusted: None)


class TestRates:
    async def test_a_strangers_flood_is_dropped_unread_and_the_trunk_is_still_heard(
        self, peer: Peer, stranger: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[bool] = []
        done = asyncio.Event()

        def receive(data: bytes, source: Hop, trusted: bool) -> None:
            seen.append(trusted)
            if trusted:
                done.set()

        made = await UdpTransport.open(("127.0.0.1", 0), receive)
        made.trusted = {"127.0.0.1"}
        for _ in range(100):
            stranger.send(b"flood", made.bound)
        peer.send(b"trunk", made.bound)
        await asyncio.wait_for(done.wait(), 10)
        made.close()
        assert gate.STRANGER_BURST <= seen.count(False) < 100
        assert made.gate.dropped == 100 - seen.count(False)


class TestAddress:
    def test_the_address_that_packets_to_the_trunk_leave_from(self) -> None:
        assert local_address_towards(Hop("127.0.0.5", 5060)) == "127.0.0.1"


class TestPhone:
    async def test_listening_on_every_address_it_names_the_one_towards_the_trunk(self, peer: Peer) -> None:
        account = Account(*peer.address, username="1001", register=False)
        made = Phone(*peer.address, "1001", "", "0.0.0.0", None, 0, account=account, media=FakeMedia())
        await made.open()
        made.dial("5551234")
        invite = await peer.until("INVITE")
        assert invite.via.host == "127.0.0.1"
        assert b"c=IN IP4 127.0.0.1" in invite.sdp
        peer.send(response_to(invite, 486, to_tag="t").raw, made.listening)
        await peer.until("ACK")
        await made.close()

    async def test_keep_alives_leave_at_the_interval_set(self, peer: Peer) -> None:
        account = Account(*peer.address, username="1001", register=False, keepalive=0.05)
        made = Phone(*peer.address, "1001", "", "127.0.0.1", None, 0, account=account, media=FakeMedia())
        await made.open()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            for _ in range(3):
                assert await loop.sock_recv(peer.socket, 100) == b"\r\n\r\n"
        await made.close()

    async def test_another_address_of_this_machine_is_registered_by_itself(
        self, peer: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RFC 3261, 10.2.4: after a change of network the binding is the new address's."""
        account = Account(*peer.address, username="1001", password="x", keepalive=0.05)
        made = Phone(*peer.address, "1001", "x", "0.0.0.0", None, 0, account=account, media=FakeMedia())
        await made.open()
        register = await peer.until("REGISTER")
        monkeypatch.setattr("engine.sip.registration.LASTING", 0.0)
        monkeypatch.setattr("engine.sip.phone.local_address_towards", lambda hop: "127.0.0.77")
        contact = register.get("Contact") or ""
        assert "@127.0.0.1:" in contact
        peer.send(response_to(register, 200, to_tag="t", extra=[("Contact", contact)]).raw, made.listening)
        again = await peer.until("REGISTER")
        assert "@127.0.0.77:" in (again.get("Contact") or "")
        assert again.via.host == "127.0.0.77"
        leaving = asyncio.create_task(made.close())
        while not leaving.done():
            peer.send(response_to(again, 200, to_tag="t").raw, made.listening)
            if again.get("Expires") == "0":
                await leaving
            else:
                again = await peer.until("REGISTER")

    async def test_a_trunk_that_has_gone_holds_up_the_exit_for_two_seconds_only(self, peer: Peer) -> None:
        account = Account(*peer.address, username="1001", password="x")
        made = Phone(*peer.address, "1001", "x", "127.0.0.1", None, 0, account=account, media=FakeMedia())
        await made.open()
        register = await peer.until("REGISTER")
        peer.send(response_to(register, 200, to_tag="t", extra=[("Expires", "300")]).raw, made.listening)
        assert made.agent is not None
        while made.agent.registration.state is not RegistrationState.REGISTERED:
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await made.close()
        assert 1.9 <= asyncio.get_running_loop().time() - began < 6
        assert (await peer.until("REGISTER")).get("Expires") == "0"

    async def test_a_bye_whose_answer_was_lost_is_answered_again_on_the_way_out(
        self, phone: Phone, peer: Peer
    ) -> None:
        call = phone.dial("5551234")
        invite = await peer.until("INVITE")
        extra = [("Contact", f"<sip:far@127.0.0.1:{peer.address[1]}>"), ("Content-Type", "application/sdp")]
        ok = response_to(invite, 200, to_tag="t", extra=extra, content=sdp().encode())
        peer.send(ok.raw, phone.listening)
        ack = await peer.until("ACK")
        bye = build(f"BYE {invite.contact and invite.contact.uri} SIP/2.0", [
            ("Via", f"SIP/2.0/UDP 127.0.0.1:{peer.address[1]};rport;branch=z9hG4bKbye"),
            ("From", ack.get("To") or ""), ("To", ack.get("From") or ""), ("Call-ID", ack.call_id),
            ("CSeq", "1 BYE"), ("Max-Forwards", "70"),
        ])  # fmt: skip
        peer.send(bye.raw, phone.listening)
        await peer.until("200")
        assert call.progress is LegState.ENDED
        leaving = asyncio.create_task(phone.close())
        peer.send(bye.raw, phone.listening)
        await peer.until("200")
        await asyncio.wait_for(leaving, 10)

    async def test_a_call_over_a_real_socket(self, phone: Phone, peer: Peer) -> None:
        ended = asyncio.Event()
        phone.on_call_change = lambda call: ended.set() if call.progress is LegState.ENDED else None
        phone.dial("5551234")
        invite = await peer.until("INVITE")
        peer.send(response_to(invite, 180, to_tag="t").raw, phone.listening)
        peer.send(response_to(invite, 603, to_tag="t").raw, phone.listening)
        assert (await peer.until("ACK")).via.branch == invite.via.branch
        await asyncio.wait_for(ended.wait(), 10)


class TestNobodyThere:
    async def test_a_call_to_a_port_that_nobody_has_open_fails_at_the_third_report(
        self, phone: Phone, peer: Peer
    ) -> None:
        """RFC 3261, 18.4: what ICMP tells is a failure to send, long before timer B."""
        ended = asyncio.Event()
        phone.on_call_change = lambda call: ended.set() if call.progress is LegState.ENDED else None
        peer.socket.close()
        call = phone.dial("5551234")
        await asyncio.wait_for(ended.wait(), 20)
        assert call.cause is not None
        assert call.cause.name == "no_response"
        assert call.cause.reason.startswith("nothing answers at 127.0.0.1:")
        assert "check the address, the port" in call.cause.reason

    async def test_a_trunk_that_starts_again_in_time_gets_the_call(self, phone: Phone, peer: Peer) -> None:
        """RFC 3261, 17.1.1.2: a retransmission finds it."""
        peer.socket.close()
        call = phone.dial("5551234")
        again = Peer.__new__(Peer)
        again.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.socket.bind(peer.address)
        again.socket.setblocking(False)
        invite = await again.until("INVITE")
        assert call.progress is LegState.DIALING
        again.send(response_to(invite, 486, to_tag="t").raw, phone.listening)
        await again.until("ACK")
        again.socket.close()

    async def test_a_trunk_that_is_gone_does_not_hold_up_the_exit(self, peer: Peer) -> None:
        account = Account(*peer.address, username="1001", password="x")
        made = Phone(*peer.address, "1001", "x", "127.0.0.1", None, 0, account=account, media=FakeMedia())
        await made.open()
        register = await peer.until("REGISTER")
        peer.send(response_to(register, 200, to_tag="t", extra=[("Expires", "300")]).raw, made.listening)
        assert made.agent is not None
        while made.agent.registration.state is not RegistrationState.REGISTERED:
            await asyncio.sleep(0.01)
        peer.socket.close()
        began = asyncio.get_running_loop().time()
        await made.close()
        assert asyncio.get_running_loop().time() - began < 1.5


async def test_an_opening_that_is_given_up_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = asyncio.Event()

    async def listen(streams: Streams, host: str, port: int) -> None:
        listening.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Streams, "listen", listen)
    network = Network(lambda *_: None, [Target("127.0.0.1")], TlsTerms(), Resolver("IPv4"))
    opening = asyncio.create_task(network.open(("127.0.0.1", 0), tcp=True))
    await listening.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(tuple(network.udp.bound[:2]))
