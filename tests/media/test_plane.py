"""Ports for streams: an even one with the next for RTCP, and what is done where those are scarce."""

from __future__ import annotations

import socket

import pytest
from media_rig import Rig
from pyVoIP.VoIP import NoPortsAvailableError

from engine.media.engine import MediaEngine
from engine.media.orders import CloseStream, OpenStream
from engine.media.plane import MediaPlane


class Orders:
    """In place of a media engine: what it is told."""

    def __init__(self) -> None:
        self.kept: list = []

    def order(self, order) -> None:
        self.kept.append(order)

    def close(self) -> None:
        for order in self.kept:
            if isinstance(order, OpenStream):
                order.sock.close()
                if order.control is not None:
                    order.control.close()


@pytest.fixture
def media():
    orders = Orders()
    yield orders
    orders.close()


@pytest.fixture
def low() -> int:
    """Six ports in a row that nobody uses, from an even one on."""
    for start in range(42000, 60000, 6):
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
        try:
            for n, sock in enumerate(socks):
                sock.bind(("127.0.0.1", start + n))
        except OSError:
            continue
        finally:
            for sock in socks:
                sock.close()
        return start
    raise AssertionError("no six ports are free")


def plane_of(media: Orders | MediaEngine, low: int, count: int, **options: bool) -> MediaPlane:
    return MediaPlane(media, "127.0.0.1", low, low + count - 1, **options)  # type: ignore[arg-type]


def test_a_stream_gets_an_even_port_and_the_next_for_rtcp(media, low):
    plane = plane_of(media, low, 6)
    ports = {plane.open(f"s{n}") for n in range(3)}
    assert ports == {low, low + 2, low + 4}
    for order in media.kept:
        assert order.control.getsockname()[1] == order.sock.getsockname()[1] + 1


def test_where_no_pair_is_left_one_port_does_without_rtcp(media, low):
    plane = plane_of(media, low + 1, 3)  # one pair and a single
    assert {plane.open("a"), plane.open("b")} == {low + 2, low + 1}
    assert [order.control is not None for order in media.kept] == [True, False]
    with pytest.raises(NoPortsAvailableError):
        plane.open("c")


def test_without_rtcp_every_port_is_a_streams(media, low):
    plane = plane_of(media, low, 6, rtcp=False)
    assert {plane.open(f"s{n}") for n in range(6)} == set(range(low, low + 6))
    assert all(order.control is None for order in media.kept)


def test_a_pair_whose_second_port_is_another_programs_is_passed_over(media, low):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", low + 1))
        plane = plane_of(media, low, 4)
        assert plane.open("a") == low + 2


def test_both_ports_are_free_again_after_the_streams_end(low):
    rig = Rig()
    plane = plane_of(rig.engine, low, 2)
    plane.open("a")
    plane.close("a")
    rig.engine.order(CloseStream("a"))
    rig.stop()
    for port in (low, low + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", port))
