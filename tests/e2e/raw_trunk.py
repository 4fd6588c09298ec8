"""A trunk of raw sockets and string formatting: for what no well-behaved stack can be made to send."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from dataclasses import dataclass
from typing import Any

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    text: str

    @property
    def method(self) -> str:
        """Of a request; empty for a response."""
        first = self.text.split(" ", 1)[0]
        return "" if first == "SIP/2.0" else first

    @property
    def code(self) -> int:
        return 0 if self.method else int(self.text.split(" ", 2)[1])

    @property
    def number(self) -> str:
        """Who is called."""
        return self.text.split(" ", 2)[1].removeprefix("sip:").split("@")[0]

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.text)
        return found[1] if found else ""

    @property
    def rtp_port(self) -> int:
        found = re.search(r"m=audio (\d+)", self.body)
        assert found, self.text
        return int(found[1])


class RawTrunk(asyncio.DatagramProtocol):
    """Tells what the engine sends; answers only what the test has it answer."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.engine: tuple[str, int] = ("", 0)
        self._new = asyncio.Event()
        self._transport: Any = None

    @classmethod
    async def open(cls) -> RawTrunk:
        loop = asyncio.get_running_loop()
        _, trunk = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return trunk

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._transport.get_extra_info("sockname"))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.engine = addr
        if data.strip():
            self.heard.append(Message(data.decode()))
            self._new.set()

    def send(self, data: str | bytes) -> None:
        self._transport.sendto(data if isinstance(data, bytes) else data.encode(), self.engine)

    async def next(self, method: str = "", code: int = 0, timeout: float = 10, **headers: str) -> Message:
        """The first message not fetched yet of that method or code, each one once."""
        async with asyncio.timeout(timeout):
            while True:
                for message in self.heard:
                    if (message.method, message.code) == (method, code) and all(
                        value in message.header(name.replace("_", "-")) for name, value in headers.items()
                    ):
                        self.heard = [m for m in self.heard if m.text != message.text]  # and its repeats
                        return message
                self._new.clear()
                await self._new.wait()

    def reply(self, request: Message, code: int, body: str = "", tag: str = "far", *headers: str) -> None:
        to = request.header("To")
        lines = [
            f"SIP/2.0 {code} Whatever",
            *(f"{name}: {request.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")),
            f"To: {to if 'tag=' in to else f'{to};tag={tag}'}",
            f"Contact: <sip:far@{self.address}>", *headers,
        ]  # fmt: skip
        self.send(_with_body(lines, body))

    def invite(self, caller: str, body: str, *headers: str) -> None:
        """Call the engine, whose first datagram must have come; the Call-ID is `from-` and the caller."""
        host, port = self.engine
        lines = [
            f"INVITE sip:1001@{host}:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};rport;branch=z9hG4bKraw{next(_numbers)}",
            "Max-Forwards: 70", f"From: <sip:{caller}@127.0.0.1>;tag=caller", "To: <sip:1001@127.0.0.1>",
            f"Call-ID: from-{caller}", "CSeq: 1 INVITE", f"Contact: <sip:{caller}@{self.address}>", *headers,
        ]  # fmt: skip
        self.send(_with_body(lines, body))

    def cancel(self, provisional: Message, *headers: str) -> None:
        """The CANCEL of our INVITE that a provisional response came to."""
        via = re.sub(r";(received|rport)=[^;]*", "", provisional.header("Via"))
        to = provisional.header("To").split(";")[0]
        host, port = self.engine
        lines = [
            f"CANCEL sip:1001@{host}:{port} SIP/2.0", f"Via: {via}", "Max-Forwards: 70",
            f"From: {provisional.header('From')}", f"To: {to}",
            f"Call-ID: {provisional.header('Call-ID')}", "CSeq: 1 CANCEL", *headers,
        ]  # fmt: skip
        self.send(_with_body(lines, ""))

    def acknowledge(self, ok: Message) -> None:
        """The ACK of the engine's 200 to our INVITE."""
        contact = re.search(r"<sip:([^>]+)>", ok.header("Contact"))
        assert contact
        lines = [
            f"ACK sip:{contact[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};rport;branch=z9hG4bKraw{next(_numbers)}",
            "Max-Forwards: 70", f"From: {ok.header('From')}", f"To: {ok.header('To')}",
            f"Call-ID: {ok.header('Call-ID')}", "CSeq: 1 ACK",
        ]  # fmt: skip
        self.send(_with_body(lines, ""))

    def request(
        self, method: str, of: Message, cseq: int, body: str = "", tag: str = "far",
        headers: tuple[str, ...] = (), kind: str = "application/sdp",
    ) -> None:  # fmt: skip
        """A request of the callee's within the dialog of the engine's INVITE `of`."""
        contact = re.search(r"<sip:([^>]+)>", of.header("Contact"))
        assert contact
        lines = [
            f"{method} sip:{contact[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};rport;branch=z9hG4bKraw{next(_numbers)}",
            "Max-Forwards: 70", f"From: {of.header('To')};tag={tag}", f"To: {of.header('From')}",
            f"Call-ID: {of.header('Call-ID')}", f"CSeq: {cseq} {method}",
            f"Contact: <sip:far@{self.address}>", *headers,
        ]  # fmt: skip
        self.send(_with_body(lines, body, kind))

    async def answer(self, number: str, body: str) -> Message:
        """Take the engine's INVITE to a number and answer it; the INVITE."""
        while (invite := await self.next("INVITE")).number != number:
            self.heard.append(invite)
            await asyncio.sleep(0.01)
        self.reply(invite, 180)
        self.reply(invite, 200, body)
        await self.next("ACK", Call_ID=invite.header("Call-ID"))
        return invite

    def close(self) -> None:
        self._transport.close()


def _with_body(lines: list[str], body: str, kind: str = "application/sdp") -> str:
    if body:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join(lines) + f"\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"


def sdp(port: int, direction: str = "sendrecv", version: int = 1) -> str:
    return (
        f"v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na={direction}\r\n"
    )


def udp_port() -> socket.socket:
    """A socket for RTP."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock
