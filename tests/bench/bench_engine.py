"""An engine-like process: a MediaEngine playing to given ports, and an asyncio loop that works beside it.

    python bench_engine.py PRIORITY PORT [PORT ...]

PRIORITY is `raised`: what the media thread asks for and gets, or `unprivileged`: what anybody gets.

The loop parses SIP messages that come over loopback, 50 a second, and encodes events, as signalling
and control do. Ends when stdin closes, and prints the priority that the media thread had.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.media import engine as media_engine
from engine.media.engine import MediaEngine
from engine.media.orders import Codec, OpenStream, Play, SetRemote, ToneSource
from engine.media.timing.priority import raise_priority

MESSAGE = (
    "OPTIONS sip:bench@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{n};rport\r\n"
    "Max-Forwards: 70\r\nTo: <sip:bench@127.0.0.1>\r\nFrom: <sip:bench@127.0.0.1>;tag={n}\r\n"
    "Call-ID: {n}@127.0.0.1\r\nCSeq: {n} OPTIONS\r\nContact: <sip:bench@127.0.0.1>\r\n"
    "Content-Length: 0\r\n\r\n"
)
MESSAGES_A_SECOND = 50


class Signalling(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events: list[bytes] = []

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        headers = {}
        for line in data.decode().split("\r\n")[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = [part.strip() for part in value.split(";")]
        event = {"name": "sip", "headers": headers, "at": asyncio.get_running_loop().time()}
        self.events.append(json.dumps(event).encode())
        del self.events[:-100]


async def work() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Signalling, local_addr=("127.0.0.1", 0))
    address = transport.get_extra_info("sockname")
    ended = loop.run_in_executor(None, sys.stdin.read)
    number = 0
    while not ended.done():
        number += 1
        transport.sendto(MESSAGE.format(n=number).encode(), address)
        await asyncio.sleep(1 / MESSAGES_A_SECOND)
    transport.close()


def main() -> None:
    if sys.argv[1] == "unprivileged":
        media_engine.raise_priority = lambda: raise_priority(ask=False)
    engine = MediaEngine(lambda fact: None)
    engine.start()
    if sys.argv[1] != "unprivileged":
        engine.neighbours.join()  # as the engine's loop does
    for port in sys.argv[2:]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        engine.order(OpenStream(port, sock))
        engine.order(SetRemote(port, "127.0.0.1", int(port), (Codec("PCMA", 8),)))
        engine.order(Play(port, ToneSource("cn"), loop=True))
    asyncio.run(work())
    print(engine.priority)
    engine.stop()


if __name__ == "__main__":
    main()
