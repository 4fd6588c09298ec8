"""Ten thousand requests a second at the SIP port of a call that is up: its audio goes on, and it ends."""

from __future__ import annotations

import asyncio

import pytest
from bench import sip_flood


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("INVITE", "127.0.0.1"),
        ("INVITE", "127.0.0.2"),
        pytest.param("BYE", "127.0.0.1", marks=pytest.mark.slow),
    ],
    ids=["the trunk's INVITEs", "a stranger's INVITEs", "the trunk's BYEs"],
)
async def test_a_flood_disturbs_no_call(method: str, source: str) -> None:
    """RFC 3261, 26.1.5 (denial of service). `tests/bench/sip_flood.py` tells the figures; what is asserted
    here is far above them and far below what a flood does that is let in."""
    flooded = await asyncio.to_thread(sip_flood.run, method, source, 10_000, 3.0)
    assert flooded.sent_a_second > 2000, "this machine could not send a flood"
    assert flooded.timing.lost == 0
    assert flooded.timing.p99 < 20, flooded
    assert flooded.hangup_s is not None
    assert flooded.hangup_s < 5
    assert flooded.status == 0
    assert flooded.peak_kib < 200 * 1024
