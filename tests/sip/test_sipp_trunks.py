"""Registrars and challenges as SIPp plays them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import Sipp, call, offhook


def at_backup(backup: Sipp, *more: str) -> list[str]:
    """Settings of a second trunk."""
    keys = [f"server=127.0.0.1:{backup.port}", "username=2002", "password=demo pass", "expires=60", *more]
    return [word for key in keys for word in ("--set", f"trunks.backup.{key}")]


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Sipp]:
    (folder := tmp_path / "backup").mkdir()
    made = Sipp(folder)
    yield made
    made.close()


def test_a_registrar_that_does_it_all(sipp: Sipp) -> None:
    """RFC 3261, 10.2.4 (our own Contact among several), 10.2.8 (423); RFC 7616, 3.3 to 3.6 (stale, nextnonce,
    nonce count); RFC 8760, 2.4 (the topmost challenge); a challenged farewell."""
    sipp.start("registrar")
    status, events = offhook("register --for 2", sipp.port, register=True)
    sipp.wait()
    assert status == 0
    assert {event["state"] for event in events} == {"registered"}


def test_proxy_and_callee_both_challenge_and_so_does_the_bye(sipp: Sipp) -> None:
    """RFC 3261, 22.1 (the ACK's credentials), 22.3 (both answered); RFC 7616, 3.4 (uri is the Request-URI,
    the count goes on through all requests)."""
    sipp.start("challenged_throughout")
    status, result, _ = call(sipp, "--hangup-after", "0.2")
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


def test_a_call_goes_to_the_next_trunk_where_the_first_takes_none(sipp: Sipp, backup: Sipp) -> None:
    """RFC 3261, 21.5.4 (503): the same leg, by the second trunk's own account."""
    sipp.start("out_of_service")
    backup.start("far_bye")
    more = at_backup(backup, "register=false", "user_phone=true")
    status, events = offhook("call 5551234", sipp.port, *more)
    sipp.wait()
    backup.wait()
    assert (status, events[-1]["cause"]) == (0, "normal")
    legs = [event for event in events if event["type"] == "leg"]
    assert len({leg["id"] for leg in legs}) == 1
    assert list(dict.fromkeys(leg["trunk"] for leg in legs)) == ["trunk", "backup"]
    assert "ended" not in [leg["state"] for leg in legs[:-1]]


def test_every_trunk_is_registered_at_and_left(sipp: Sipp, backup: Sipp) -> None:
    sipp.start("register")
    backup.start("register")
    more = at_backup(backup, "username=1001")
    status, events = offhook("register --for 0.8", sipp.port, *more, register=True)
    sipp.wait()
    backup.wait()
    assert status == 0
    states = {(event["name"], event["state"]) for event in events}
    assert states >= {("trunk", "registered"), ("backup", "registered")}
