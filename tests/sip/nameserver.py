"""A DNS server on loopback that knows what a test tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """`asked` holds the questions, as "SRV _sip._udp.a.example"."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.asked: list[str] = []
        self.silent = False

    @classmethod
    async def open(cls) -> NameServer:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return made

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def add(self, name: str, kind: str, *values: str, ttl: int = 300) -> None:
        self._records[name.lower(), kind] = (ttl, list(values))

    def resolver(self) -> dns.asyncresolver.Resolver:
        made = dns.asyncresolver.Resolver(configure=False)
        made.nameservers = ["127.0.0.1"]
        made.port = self._transport.get_extra_info("sockname")[1]
        return made

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        if self.silent:
            return
        reply = dns.message.make_response(query, recursion_available=True)
        if found := self._records.get((name.lower(), kind)):
            reply.answer.append(dns.rrset.from_text(question.name, found[0], "IN", kind, *found[1]))
        elif not any(known == name.lower() for known, _ in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(reply.to_wire(want_shuffle=False), addr)

    def close(self) -> None:
        self._transport.close()
