"""A telephone of raw sockets and string formatting, for testing the carrier with no SIP stack at all."""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import struct
import time
from dataclasses import dataclass

TIMEOUT = 10.0
"""How long anything that must happen may take."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    text: str

    @property
    def start(self) -> str:
        return self.text.split("\r\n", 1)[0]

    @property
    def code(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def body(self) -> str:
        return self.text.split("\r\n\r\n", 1)[1]

    def header(self, name: str) -> str:
        return self.headers(name)[0]

    def headers(self, name: str) -> list[str]:
        return re.findall(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.text)


@dataclass
class Rtp:
    at: float
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes


class Audio:
    """A port for RTP."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]

    def offer(self, direction: str = "sendrecv", version: int = 1, events: int = 101) -> str:
        return (
            f"v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 8 0 {events}\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:{events} telephone-event/8000\r\na=fmtp:{events} 0-15\r\na={direction}\r\n"
        )

    def send(self, to: int, payload_type: int, sequence: int, timestamp: int, payload: bytes,
             marker: bool = False) -> None:
        header = struct.pack("!BBHII", 0x80, marker << 7 | payload_type, sequence, timestamp, 0x1234)
        self.sock.sendto(header + payload, ("127.0.0.1", to))

    def receive(self, timeout: float = TIMEOUT) -> Rtp:
        self.sock.settimeout(timeout)
        data = self.sock.recv(2048)
        _, second, sequence, timestamp, _ = struct.unpack_from("!BBHII", data)
        return Rtp(time.monotonic(), bool(second & 0x80), second & 0x7F, sequence, timestamp, data[12:])

    def silent_for(self, seconds: float) -> bool:
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False

    def drain(self) -> None:
        while not self.silent_for(0.0001):
            pass

    def collect(self, count: int) -> list[Rtp]:
        return [self.receive() for _ in range(count)]


class Phone:
    """One user agent client; every method waits for what must come."""

    def __init__(self, carrier: str, user: str = "1001", password: str = "demo pass") -> None:
        host, port = carrier.split(":")
        self.carrier = (host, int(port))
        self.uri = f"sip:{carrier}"
        self.user, self.password = user, password
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.contact = f"sip:{user}@127.0.0.1:{self.sock.getsockname()[1]}"

    def send(self, text: str | bytes) -> None:
        self.sock.sendto(text if isinstance(text, bytes) else text.encode(), self.carrier)

    def receive(self, timeout: float = TIMEOUT) -> Message:
        self.sock.settimeout(timeout)
        return Message(self.sock.recv(65535).decode())

    def request(self, method: str, uri: str = "", *, to: str = "", call: str = "", cseq: int = 0,
                branch: str = "", extra: str = "", body: str = "", contact: str | None = None) -> str:
        """Build a request outside of a dialog, or within one when `to`, `call` and `cseq` are given."""
        uri = uri or self.uri
        number = next(_numbers)
        here = self.contact.split("@")[1]
        lines = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {here};branch={branch or f'z9hG4bK{number}'};rport",
            "Max-Forwards: 70", f"From: <sip:{self.user}@{self.carrier[0]}>;tag=phone",
            f"To: {to or f'<sip:{self.user}@{self.carrier[0]}>'}", f"Call-ID: {call or f'call-{number}'}",
            f"CSeq: {cseq or number} {method}",
            f"Contact: {f'<{self.contact}>' if contact is None else contact}",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join(lines) + f"\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"

    def ask(self, method: str, uri: str = "", **fields: str) -> Message:
        """Send a request outside of a dialog and give its final response."""
        self.send(self.request(method, uri, **fields))  # type: ignore[arg-type]
        while (response := self.receive()).code < 200:
            pass
        return response

    def credentials(self, challenge: Message, method: str, uri: str = "", algorithm: str = "MD5",
                    count: int = 1, password: str | None = None) -> str:
        """The header that answers one of the response's challenges (RFC 7616)."""
        uri = uri or self.uri
        proxy = challenge.code == 407
        offered = challenge.headers("Proxy-Authenticate" if proxy else "WWW-Authenticate")
        header = next(h for h in offered if f"algorithm={algorithm}" in h)
        found = dict(re.findall(r'(\w+)="([^"]*)"', header))
        hashed = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

        def h(text: str) -> str:
            return hashed(text.encode()).hexdigest()

        secret = h(f"{self.user}:{found['realm']}:{self.password if password is None else password}")
        nc = f"{count:08x}"
        response = h(f"{secret}:{found['nonce']}:{nc}:c0ffee:auth:{h(f'{method}:{uri}')}")
        return (
            f"{'Proxy-' if proxy else ''}Authorization: Digest username=\"{self.user}\", "
            f"realm=\"{found['realm']}\", nonce=\"{found['nonce']}\", uri=\"{uri}\", "
            f"response=\"{response}\", algorithm={algorithm}, qop=auth, nc={nc}, cnonce=\"c0ffee\"\r\n"
        )

    def register(self, extra: str = "", algorithm: str = "MD5", contact: str | None = None) -> Message:
        challenge = self.ask("REGISTER")
        answer = self.credentials(challenge, "REGISTER", algorithm=algorithm)
        self.send(self.request("REGISTER", extra=answer + extra, contact=contact))
        return self.receive()

    def dial(self, number: str, audio: Audio | None = None, events: int = 101) -> Dialog:
        return Dialog(self, number, audio or Audio(), events)


class Dialog:
    """An INVITE that went out with credentials, and what comes of it."""

    def __init__(self, phone: Phone, number: str, audio: Audio, events: int) -> None:
        self.phone, self.audio = phone, audio
        self.uri = f"sip:{number}@{phone.carrier[0]}:{phone.carrier[1]}"
        self.call, self.to, self.cseq = f"dialog-{next(_numbers)}", f"<{self.uri}>", 0
        self.target = self.uri
        self._branch = ""
        body = audio.offer(events=events)
        challenge = self._invite(body, "")
        while challenge.code == 100:
            challenge = phone.receive()
        assert challenge.code == 407, challenge.start
        self._ack_refusal(challenge)
        self._invite(body, phone.credentials(challenge, "INVITE", self.uri), wait=False)

    def _invite(self, body: str, extra: str, wait: bool = True) -> Message:
        self.cseq += 1
        self._branch = f"z9hG4bKinvite{next(_numbers)}"
        self.phone.send(self.phone.request("INVITE", self.target, to=self.to, call=self.call, cseq=self.cseq,
                                           branch=self._branch, extra=extra, body=body))
        return self.phone.receive() if wait else Message("")

    def until(self, *codes: int) -> Message:
        """The next response with one of these codes; others with a final code are a failure."""
        while True:
            response = self.phone.receive()
            if response.code in codes:
                break
            assert 100 <= response.code < 200, response.start
        if response.code >= 300:
            self._ack_refusal(response)
        elif response.code >= 200:
            self.to = response.header("To")
            self.target = re.search("<(.*?)>", response.header("Contact"))[1]  # type: ignore[index]
            self.ack()
        return response

    def ack(self) -> None:
        self.phone.send(self.phone.request("ACK", self.target, to=self.to, call=self.call, cseq=self.cseq))

    def _ack_refusal(self, response: Message) -> None:
        self.phone.send(self.phone.request("ACK", self.target, to=response.header("To"), call=self.call,
                                           cseq=self.cseq, branch=self._branch))

    def cancel(self) -> None:
        self.phone.send(self.phone.request("CANCEL", self.target, to=self.to, call=self.call,
                                           cseq=self.cseq, branch=self._branch))

    def reinvite(self, direction: str) -> Message:
        self._invite(self.audio.offer(direction, version=self.cseq + 1), "", wait=False)
        return self.until(200)

    def bye(self) -> None:
        self.cseq += 1
        self.phone.send(self.phone.request("BYE", self.target, to=self.to, call=self.call, cseq=self.cseq))

    def answer_to(self, request: Message, code: int = 200, reason: str = "OK", extra: str = "",
                  body: str = "") -> None:
        respond(self.phone, request, code, reason, extra, body)


def respond(phone: Phone, request: Message, code: int, reason: str, extra: str = "", body: str = "") -> None:
    """Answer a request of the carrier's."""
    copied = [f"Via: {v}" for v in request.headers("Via")]
    to = request.header("To")
    if "tag=" not in to:
        to += ";tag=phone"
    copied += [f"From: {request.header('From')}", f"To: {to}", f"Call-ID: {request.header('Call-ID')}",
               f"CSeq: {request.header('CSeq')}", f"Contact: <{phone.contact}>"]
    if body:
        copied.append("Content-Type: application/sdp")
    head = "\r\n".join([f"SIP/2.0 {code} {reason}", *copied])
    phone.send(f"{head}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}")


def media_port(message: Message) -> int:
    return int(re.search(r"m=audio (\d+) ", message.body)[1])  # type: ignore[index]
