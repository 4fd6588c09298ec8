"""Session descriptions with SIPp as the far end: what trunks write into them, and SRTP keys."""

from __future__ import annotations

import asyncio

from peers import Sipp, phone_to

from engine.legs import LegState


async def test_descriptions_as_trunks_write_them(sipp: Sipp) -> None:
    """RFC 8866, 5 and 6; RFC 3264, 6: rtpmaps without a number in m=, long o= numbers, bandwidth, candidates,
    comfort noise, ptime; then an offer of four streams whose third is taken in its place.
    """
    sipp.start("descriptions")
    async with phone_to(sipp.port) as (phone, until):
        call = phone.dial("5551234")
        await until(lambda: call.negotiated is not None)
        first = call.negotiated
        assert first is not None
        assert (first.codecs, first.event_payload_type, first.ptime) == ((("PCMA", 8),), 96, 30)
        await until(lambda: call.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
        second = call.negotiated
        assert second is not None
        assert (second.codecs, second.event_payload_type, second.index) == ((("PCMU", 97),), 126, 2)


async def test_the_second_key_offered_is_taken(sipp: Sipp) -> None:
    """RFC 4568, 5.1 and 6.1: the tag chooses, with a lifetime and an MKI."""
    sipp.start("srtp")
    async with phone_to(sipp.port, srtp="required") as (phone, until):
        call = phone.dial("5551234")
        await until(lambda: call.progress is LegState.ENDED)
        await asyncio.to_thread(sipp.wait)
        assert call.negotiated is not None
        keys = call.negotiated.keys
        assert keys is not None
        assert (keys.ours.tag, keys.ours.suite) == (2, "AES_CM_128_HMAC_SHA1_32")
        assert (keys.theirs.key, keys.theirs.mki) == (bytes(range(30)), 4)
