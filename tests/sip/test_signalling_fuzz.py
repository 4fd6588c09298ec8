"""Damaged messages at every point of a call: nothing raises, and no call, port or timer is left behind."""

from __future__ import annotations

import random

import pytest
from charts import Chart, answer, sdp
from pyVoIP.VoIP import InvalidStateError, NoPortsAvailableError

from engine.legs import LegState
from engine.sip.message import Message

PIECES = [
    b"", b"\r\n", b"\r\n ", b" ", b"\t", b"\x00", b"\x1b[31m", b"\xff\xfe", b"\xe2\x80\xae",
    b"<", b">",
    b'"', b";", b",", b":", b"@", b"=", b"%", b"%zz", b"[", b"]", b"sip:", b"tel:+1", b"sips:[::1", b";tag=",
    b";branch=z9hG4bK", b"999999999999", b"-1", b"0", b"m=audio 0 RTP/AVP 8\r\n",
    b"m=audio 70000 RTP/AVP 8\r\n",
    b"c=IN IP4 0.0.0.0\r\n", b"c=IN IP6 ::1\r\n", b"a=rtpmap:8 x/0\r\n", b"a=sendonly\r\n", b"a=inactive\r\n",
    b"Record-Route: <sip:;lr>\r\n", b"Record-Route: <tel:1>\r\n", b"Route: x\r\n", b"Require: 100rel\r\n",
    b"Contact: <sip:>\r\n", b"Contact: *\r\n", b"Proxy-Authenticate: Digest realm=\r\n",
    b'WWW-Authenticate: Digest nonce="a", realm="b", qop="auth-int"\r\n',
]  # fmt: skip


def damaged(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0:
                data = data[:at] + dice.choice(PIECES) + data[at:]
            case 1:
                data = data[:at] + data[at + dice.randrange(1, 30) :]
            case 2:
                lines = data.split(b"\r\n")
                lines.insert(dice.randrange(len(lines)), dice.choice(lines))
                data = b"\r\n".join(lines)
            case 3:
                lines = data.split(b"\r\n")
                del lines[dice.randrange(len(lines))]
                data = b"\r\n".join(lines)
            case 4:
                data = data[:at] + dice.randbytes(3) + data[at + 3 :]
    return data


EXTRAS = [
    ["Require: 100rel", "RSeq: 1"], ["Require: 100rel", "RSeq: 2"], ["RAck: 1 1 INVITE"],
    ["Supported: timer, 100rel", "Session-Expires: 90;refresher=uas"], ["Session-Expires: 2;refresher=uac"],
    ["Min-SE: 4000"], ["Contact: <sip:1@192.0.2.10>;q=0.2, <tel:+1555>"], ["Reason: Q.850;cause=16"],
    ["Retry-After: 5"], ["Allow: INVITE, UPDATE"], ["Record-Route: <sip:192.0.2.9>"],
]  # fmt: skip


def extras(dice: random.Random) -> list[str]:
    return [line for lines in dice.sample(EXTRAS, dice.choice((0, 0, 1, 2))) for line in lines]


def step(chart: Chart, dice: random.Random, codes: tuple[int, ...], heard: list[bytes]) -> None:
    """One thing that the trunk, a stranger or the operator does; `heard` gets what the trunk sends."""
    calls = list(chart.agent.calls.values())
    call = dice.choice(calls) if calls else None
    sent = [s.message for s in chart.sent[-20:]]
    what = dice.randrange(11)
    caught: list[bytes] = []

    def receive(data: bytes) -> None:
        heard.append(data)
        chart.receive(data)

    def catch(data: bytes, *args: object) -> None:
        caught.append(data)

    if what == 0:
        try:
            chart.phone.dial(dice.choice(["100", "+12125550100", "a b", "1;x=y"]))
        except (ValueError, NoPortsAvailableError):
            pass
    elif what in (1, 2) and sent:
        request = dice.choice(sent)
        if request.is_request and request.method != "ACK":
            body = sdp(direction=dice.choice(["sendrecv", "sendonly"])) if dice.random() < 0.7 else ""
            tag = dice.choice(["far", "far", "fork", None])
            response = answer(request, dice.choice(codes), body=body, tag=tag, headers=extras(dice))
            receive(damaged(response, dice))
    elif what in (3, 4):
        method = dice.choice(
            ["INVITE", "INVITE", "BYE", "ACK", "CANCEL", "OPTIONS", "UPDATE", "INFO", "PRACK", "UPDATE"]
        )
        kept = chart.agent.receive
        chart.agent.receive = catch  # type: ignore[method-assign]
        try:
            within = call if call is not None and call.dialog is not None and dice.random() < 0.7 else None
            body = sdp() if method in ("INVITE", "ACK", "PRACK", "UPDATE") and dice.random() < 0.7 else ""
            if method == "INFO":
                body = dice.choice(["", "5", "Signal=5"])
            kind = "application/dtmf" if method == "INFO" else "application/sdp"
            number = dice.randrange(1, 30)
            chart.request(
                method, within, cseq=number, body=body, call_id=f"in-{number % 5}",
                branch=f"z9hG4bK{number}" if dice.random() < 0.5 else "", headers=extras(dice), kind=kind,
            )  # fmt: skip
        finally:
            chart.agent.receive = kept  # type: ignore[method-assign]
        receive(damaged(caught[0], dice))
    elif what == 5 and call is not None:
        call.hangup_leg()
    elif what == 6 and call is not None:
        try:
            dice.choice([call.accept, call.refuse, lambda: call.hold(True), lambda: call.hold(False),
                         lambda: call.info.send("12")])()  # fmt: skip
        except InvalidStateError:
            pass
    elif what == 7 and heard:  # late, twice, out of its order
        receive(dice.choice(heard[-30:]))
    elif what == 8 and heard:
        before = len(chart.raw)
        data = dice.choice(heard).replace(b"Call-ID: ", b"Call-ID: " + b"x" * 200)
        data = data.replace(b"branch=z9hG4bK", b"branch=z9hG4bK" + b"x" * 200)
        chart.receive(damaged(data, dice), ("203.0.113.66", 5060), trusted=False)
        assert len(chart.raw) == before, "an answer to a stranger"
    else:
        chart.clock.advance(dice.choice([0.01, 0.5, 3.0, 33.0]))


def check(seed: int) -> None:
    dice = random.Random(seed)
    chart = Chart()
    chart.phone.on_redirect = lambda call, number: True
    heard: list[bytes] = []
    for _ in range(60):
        step(chart, dice, (100, 180, 183, 199, 200, 200, 302, 401, 407, 422, 481, 486, 487, 491, 503), heard)
    for call in list(chart.agent.calls.values()):
        call.hangup_leg()
        assert call.progress is LegState.ENDED or call.caller is not None
    chart.clock.advance(400)  # longer than every timer of RFC 3261
    assert not chart.agent.calls
    assert not chart.media.ports
    assert len(chart.agent.layer) == 0
    assert not chart.agent._leaving
    assert chart.clock.pending == 0
    assert not {leg for leg, saved in chart.saved.items() if saved is not None}
    for sent in chart.raw:
        if not sent.startswith((b"SIP/2.0 400", b"SIP/2.0 505")):  # which repeats what was damaged
            Message(sent)  # what we send parses, whatever it was made from


@pytest.mark.parametrize("part", range(4))
def test_damaged_messages_leave_nothing_behind(part: int) -> None:
    for seed in range(part * 50, part * 50 + 50):
        check(seed)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_many_damaged_messages_leave_nothing_behind() -> None:
    for seed in range(1000, 4000):
        check(seed)
