"""pyVoIP 1.6.8 as it comes, on sockets that only write down: what its classes do by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.SIP alone is a circular import
from charts import TRUNK, answer
from pyVoIP.SIP import SIPMessage
from pyVoIP.VoIP import VoIPCall, VoIPPhone

from engine.sip.message import Message


class Blocked(Exception):
    """pyVoIP waits for a datagram that never comes."""


class Wire:
    """Stands in for pyVoIP's socket. `replies` are made from the last request sent."""

    def __init__(self, replies: list[Callable[[Message], bytes]]) -> None:
        self.sent: list[bytes] = []
        self._replies = replies

    def sendto(self, data: bytes, address: Any) -> None:
        self.sent.append(data)

    def recv(self, size: int) -> bytes:
        if not self._replies:
            raise Blocked
        return self._replies.pop(0)(Message(self.sent[-1]))

    def setblocking(self, on: bool) -> None: ...


class StockPhone:
    """A `VoIPPhone` that has started, without its socket and threads."""

    def __init__(self, *replies: Callable[[Message], bytes]) -> None:
        self.phone = VoIPPhone(
            *TRUNK, "1001", "demo pass", myIP="127.0.0.1", rtpPortLow=42000, rtpPortHigh=42003
        )
        self.wire = Wire(list(replies))
        self.phone.sip.s = self.phone.sip.out = self.wire
        self.phone.sip.NSD = True

    def call(self) -> VoIPCall:
        return self.phone.call("5551234")

    @property
    def sent(self) -> list[Message]:
        return [Message(data) for data in self.wire.sent]

    def receive(self, data: bytes) -> None:
        self.phone.sip.parse_message(SIPMessage(data))


def reply(code: int, reason: str = "Reason", **more: Any) -> Callable[[Message], bytes]:
    return lambda request: answer(request, code, reason, **more)
