"""A station of several trunks: what one that can't be opened does to the rest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from engine import station as station_module
from engine import wire
from engine.cli.register import describe, exit_status, until_settled
from engine.config import SetupError
from engine.config_file import load
from engine.sip.phone import Phone
from engine.sip.resolver import ResolveError
from engine.station import Station

SETTINGS = [
    "trunk.server=127.0.0.1:9", "trunk.username=1", "trunk.register=false", "sip.listen=127.0.0.1:0",
    "trunks.b.server=127.0.0.1:9", "trunks.b.username=2", "trunks.b.register=false", "audio.input=none",
    "audio.output=none", "rtp.ports=31400-31420",
]  # fmt: skip


@pytest.fixture
async def stations() -> AsyncIterator[list[Station]]:
    made: list[Station] = []
    yield made
    for station in made:
        await station.close()


def make(stations: list[Station], *more: str) -> Station:
    stations.append(Station(load(None, [*SETTINGS, *more], {})))
    return stations[-1]


def without_address(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> None:
    """The phones of these trunks find no address while they are in `names`."""
    really = Phone.open

    async def open_or_not(phone: Phone) -> None:
        if phone.name in names:
            raise ResolveError(f"{phone.name}.example has no address")
        await really(phone)

    monkeypatch.setattr(Phone, "open", open_or_not)


async def test_every_trunk_has_a_socket_of_its_own(stations: list[Station]) -> None:
    station = make(stations)
    await station.open(sound=False)
    ports = {phone.listening.port for phone in station.phones.values()}
    assert len(ports) == 2
    assert station.line.registered
    assert await until_settled(station, 1, every=True) is station.phone


async def test_one_without_an_address_is_told_and_tried_again(
    stations: list[Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"b"}
    without_address(monkeypatch, missing)
    monkeypatch.setattr(station_module, "OPEN_AGAIN", 0.02)
    station = make(stations)
    opened = asyncio.Event()
    station.on_registration = lambda phone: opened.set() if phone.agent is not None else None
    await station.open(sound=False)
    b = station.phones["b"]
    assert station.line.registered
    assert (wire.trunk(b).state, wire.trunk(b).detail) == ("failed", "b.example has no address")
    assert describe(b) == "not registered at 127.0.0.1:9: b.example has no address"
    assert exit_status(b) == 4
    assert not b.usable
    missing.clear()
    async with asyncio.timeout(10):
        await opened.wait()
    assert b.usable
    assert wire.trunk(b).state == "off"


async def test_one_that_is_being_tried_again_is_not_opened_after_the_end(
    stations: list[Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"b"}
    without_address(monkeypatch, missing)
    monkeypatch.setattr(station_module, "OPEN_AGAIN", 0.02)
    station = make(stations)
    await station.open(sound=False)
    trying, waited = asyncio.Event(), asyncio.Event()

    async def open_slowly(phone: Phone) -> None:
        trying.set()
        try:
            await asyncio.Event().wait()
        finally:
            waited.set()

    monkeypatch.setattr(Phone, "open", open_slowly)
    async with asyncio.timeout(10):
        await trying.wait()
        await station.close()
        await waited.wait()
    assert station.phones["b"].agent is None


async def test_with_no_address_at_all_the_first_is_named(
    stations: list[Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_address(monkeypatch, {"trunk", "b"})
    with pytest.raises(SetupError, match=r"^trunk\.server: trunk\.example has no address$"):
        await make(stations).open(sound=False)


async def test_a_port_that_is_taken_is_a_mistake_of_its_own_key(stations: list[Station]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"^trunks\.b\.listen: 127\.0\.0\.1:{port} can't be used"):
            await make(stations, f"trunks.b.listen=127.0.0.1:{port}").open(sound=False)
