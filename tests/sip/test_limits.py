"""Nothing that the network sends makes us keep without bound, and what was dropped is counted."""

from __future__ import annotations

import logging

import pytest
from charts import Chart, sdp
from pyVoIP.SIP import SIPParseError

from engine.legs import LegState
from engine.sip import layer
from engine.sip.message import (
    MAX_CALL_ID,
    MAX_CONTACTS,
    MAX_HEADERS,
    MAX_LINE,
    MAX_MESSAGE,
    MAX_ROUTES,
    MAX_VALUES,
    MAX_VIAS,
    Message,
)
from engine.sip.reception import MAX_INBOUND

STRANGER = ("203.0.113.66", 5060)
REQUEST = (
    "OPTIONS sip:1001@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;rport;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{}Content-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("Via: SIP/2.0/UDP h;branch=z9hG4bKb\r\n" * MAX_VIAS, "of Via"),
        ("Via: " + ", ".join(["SIP/2.0/UDP h;branch=z9hG4bKb"] * MAX_VIAS) + "\r\n", "of Via"),
        ("Record-Route: <sip:h;lr>\r\n" * (MAX_ROUTES + 1), "of Record-Route"),
        ("Contact: " + ",".join(["<sip:h>"] * (MAX_CONTACTS + 1)) + "\r\n", "of Contact"),
        ("Max-Forwards: 5\r\n", "2 of Max-Forwards"),
        ("X: y\r\n" * MAX_HEADERS, "headers"),
        (("Allow: " + ",".join("A" * 200) + "\r\n") * (MAX_VALUES // 200 + 1), "header values"),
        ("X: " + "y" * MAX_LINE + "\r\n", "too long"),
        ("X: y\r\n z" + "\r\n z" * MAX_LINE + "\r\n", "too long"),
        ("X: " + "y" * MAX_MESSAGE + "\r\n", "too long"),
    ],
    ids=["vias", "vias in one line", "routes", "contacts", "two Max-Forwards", "headers", "values", "line",
         "folded line", "message"],
)  # fmt: skip
def test_a_message_beyond_its_limits_is_refused(chart: Chart, more: str, what: str) -> None:
    with pytest.raises(SIPParseError, match=what):
        Message(REQUEST.format(more).encode())
    chart.receive(REQUEST.format(more).encode())
    assert chart.raw[-1].startswith(b"SIP/2.0 400 ")
    assert len(chart.raw[-1]) < MAX_MESSAGE
    assert chart.agent.malformed == 1


def test_a_call_id_beyond_its_limit_is_refused() -> None:
    with pytest.raises(SIPParseError, match="Call-ID"):
        Message(REQUEST.format("").replace("Call-ID: c", "Call-ID: " + "c" * (MAX_CALL_ID + 1)).encode())


def test_inbound_calls_at_once_are_bounded() -> None:
    """RFC 3261, 21.4.24: one more is busy."""
    chart = Chart()
    chart.media._free = list(range(40000, 40100, 2))
    for number in range(MAX_INBOUND + 3):
        chart.request("INVITE", body=sdp(), call_id=f"c{number}")
    assert len(chart.inbound) == MAX_INBOUND
    assert chart.take().count("486 Busy Here") == 3
    for call in chart.inbound:
        call.refuse(486)
    chart.clock.advance(64)
    assert len(chart.agent.layer) == 0


def test_transactions_of_the_far_end_are_bounded(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 3261, 8.2.7: more are answered without state."""
    monkeypatch.setattr(layer, "MAX_TRANSACTIONS", 10)
    for number in range(15):
        chart.request("OPTIONS", call_id=f"c{number}")
    assert len(chart.agent.layer) == 10
    assert chart.take() == ["200 OK"] * 10 + ["503 Service Unavailable"] * 5


def test_what_belongs_to_no_call_of_ours_leaves_no_state(chart: Chart) -> None:
    """RFC 3261, 8.2.7, 9.2 and 12.2.2: 481, the same each time, without a transaction."""
    for method in ("BYE", "INVITE", "UPDATE"):
        for _ in range(2):
            chart.request(method, to="<sip:b@h>;tag=made-up", call_id="nobody", branch=f"z9hG4bK{method}")
    for _ in range(2):
        chart.request("CANCEL", call_id="nobody", branch="z9hG4bKc")
    assert chart.take() == ["481 Call/Transaction Does Not Exist"] * 8
    assert chart.raw[-1].splitlines()[:-1] == chart.raw[-2].splitlines()[:-1]
    assert len(chart.agent.layer) == 0


def test_a_full_table_still_has_room_for_the_calls_that_are_up(
    chart: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer, "MAX_TRANSACTIONS", 10)
    call = chart.taken()
    for number in range(15):
        chart.request("OPTIONS", call_id=f"c{number}")
    assert "503 Service Unavailable" in chart.take()
    chart.request("BYE", call, cseq=9)
    assert chart.take() == ["200 OK"]
    assert call.progress is LegState.ENDED


def test_transactions_that_the_far_end_makes_us_begin_are_bounded(
    chart: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trunk that answers one INVITE by many forks has each of them hung up, but not without end."""
    monkeypatch.setattr(layer, "MAX_TRANSACTIONS", 10)
    call, invite = chart.dial()
    for number in range(30):
        chart.answer(invite, 200, tag=f"fork{number}", body=sdp())
    assert call.progress is LegState.ANSWERED
    assert chart.take().count("BYE") <= 10
    assert len(chart.agent.layer) <= 10
    call.hangup_leg()
    chart.clock.advance(100)
    assert len(chart.agent.layer) == 0
    assert not chart.agent.calls


def test_what_is_malformed_or_a_strangers_is_counted(chart: Chart, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(5):
        chart.receive(b"OPTIONS sip:x\x1b SIP/2.0\r\n\r\n")
    chart.request("OPTIONS", source=STRANGER, trusted=False)
    assert (chart.agent.malformed, chart.agent.ignored) == (5, 1)
    assert [r.getMessage()[:40] for r in caplog.records] == ["a malformed SIP message from 192.0.2.10:"]
    chart.clock.advance(61)
    chart.receive(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
    assert len(caplog.records) == 2
    assert "(6 so far)" in caplog.records[-1].getMessage()
