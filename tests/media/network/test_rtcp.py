"""RTCP packets (RFC 3550 section 6): what is written reads back, and what is no RTCP is refused."""

from __future__ import annotations

import random
import struct

import pytest

from engine.media.network import rtcp
from engine.media.network.rtcp import Compound, Report, ReportBlock, RtcpError, Sent

BLOCK = ReportBlock(0xAABBCCDD, 64, -3, 70000, 120, 0x12345678, 65536)
FULL = Compound(
    (Report(7, (BLOCK, ReportBlock(9, 0, 0x7FFFFF, 1, 2)), Sent(0xE4000000_80000000, 160, 10, 1600)),),
    {7: "Zm9vYmFyYmF6cXV4"}, (7,), "good night",
)  # fmt: skip


def test_a_compound_packet_reads_back_as_it_was_written():
    assert rtcp.parse(rtcp.serialize(FULL)) == FULL


def test_a_receiver_report_without_blocks_is_eight_octets():
    assert rtcp.serialize(Compound((Report(7),))) == bytes.fromhex("80c90001 00000007")


def test_the_octets_of_a_sender_report_are_the_rfcs():
    data = rtcp.serialize(Compound((Report(1, (BLOCK,), Sent(2 << 32 | 3, 4, 5, 6)),)))
    assert data == bytes.fromhex(
        "81c8000c 00000001 00000002 00000003 00000004 00000005 00000006"
        "aabbccdd 40fffffd 00011170 00000078 12345678 00010000"
    )


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "abcd", "x" * 255])
def test_names_of_any_length_are_padded_to_words(name):
    data = rtcp.serialize(Compound((Report(7),), {7: name, 8: "other"}))
    assert len(data) % 4 == 0
    assert rtcp.parse(data).names == {7: name, 8: "other"}


def test_app_feedback_and_extended_reports_are_skipped():
    start = rtcp.serialize(Compound((Report(7),)))
    for kind in (204, 205, 206, 207):
        other = struct.pack("!BBHII", 0x80, kind, 2, 7, 1)
        assert rtcp.parse(start + other).reports == (Report(7),)


def test_padding_at_the_end_is_taken_off():
    data = rtcp.serialize(Compound((Report(7),), {7: "a"}, (7,)))
    padded = bytearray(data + b"\0\0\0\4")
    padded[-12] |= 0x20
    padded[-9] += 1
    assert rtcp.parse(bytes(padded)).goodbyes == (7,)


GOOD = rtcp.serialize(Compound((Report(7, (BLOCK,)),), {7: "name"}, (7,)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:7],
        GOOD[:-1],
        GOOD[:-8] + b"\x82" + GOOD[-7:],  # more goodbyes than there are
        b"\x40" + GOOD[1:],  # version 1
        b"\xa1" + GOOD[1:],  # padding in the first packet
        b"\x82" + GOOD[1:],  # more blocks than there are
        GOOD[:2] + b"\xff\xff" + GOOD[4:],  # longer than the datagram
        GOOD[32:],  # begins with no report
        GOOD[:32] * 17,
        GOOD[:32] + bytes(1500),
        bytes.fromhex("80c90001 00000007 81ca0002 00000007 01ff6162"),  # a name past the end
        bytes.fromhex("80c90001 00000007 81ca0000"),  # a chunk that is not there
        bytes.fromhex("80c80001 00000007"),  # a sender report without its figures
        bytes.fromhex("80c90001 00000007 a0cb0001 00000009"),  # padding longer than the packet
    ],
)
def test_what_is_no_compound_packet_is_refused(data):
    with pytest.raises(RtcpError):
        rtcp.parse(data)


def test_no_damage_gets_anything_but_a_refusal_out_of_it():
    rng = random.Random(7)
    for _ in range(4000):
        data = bytearray(rtcp.serialize(FULL))
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            rtcp.parse(bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data))
        except RtcpError:
            pass


def test_more_than_thirty_one_blocks_do_not_fit():
    with pytest.raises(RtcpError):
        rtcp.serialize(Compound((Report(1, (BLOCK,) * 32),)))
