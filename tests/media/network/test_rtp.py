from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.network.rtp import MAX_PACKET, Packet, RtpError, parse, plain, serialize

packets = st.builds(
    Packet, st.integers(0, 127), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), st.binary(max_size=400), st.booleans(),
    st.lists(st.integers(0, 2**32 - 1), max_size=15).map(tuple),
    st.none()
    | st.tuples(st.integers(0, 2**16 - 1), st.lists(st.binary(min_size=4, max_size=4)).map(b"".join)),
)


@given(packets)
def test_what_is_serialized_parses_to_itself(packet):
    assert parse(serialize(packet)) == packet


@given(packets, st.integers(1, 255))
def test_padding_is_taken_off(packet, count):
    data = bytearray(serialize(packet))
    data[0] |= 0x20
    assert parse(bytes(data) + bytes(count - 1) + bytes([count])) == packet


@given(st.binary(max_size=200))
def test_any_octets_parse_or_are_refused(data):
    try:
        packet = parse(data)
    except RtpError:
        return
    assert len(packet.payload) <= len(data) - 12


@pytest.mark.parametrize("data", [
    b"", bytes(11), bytes(12), b"\x40" + bytes(11), b"\x8f" + bytes(20), b"\x90" + bytes(13),
    b"\x90" + bytes(11) + b"\0\0\xff\xff", b"\xa0" + bytes(11) + b"\0", b"\xa0" + bytes(11) + b"\x09",
    b"\x80" + bytes(MAX_PACKET),
], ids=["empty", "short", "version 0", "version 1", "csrc", "no extension", "extension", "padding 0",
        "padding", "huge"])
def test_a_datagram_that_is_no_rtp_is_refused(data):
    with pytest.raises(RtpError):
        parse(data)


def test_the_short_way_to_serialize_gives_the_same_octets():
    packet = Packet(8, 65535, 2**32 - 1, 7, b"abc", True)
    assert plain(8, True, 65535, 2**32 - 1, 7, b"abc") == serialize(packet)
