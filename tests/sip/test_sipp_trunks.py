"""Registrars and challenges as SIPp plays them."""

from __future__ import annotations

from peers import Sipp, call, offhook


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
