"""Credentials on every kind of request, checked as a server would (RFC 3261, 22; RFC 7616, 3.4)."""

from __future__ import annotations

from charts import Chart, sdp
from server_side import parameters, server_side

from engine.legs import LegState
from engine.sip.message import Message

CONTACT = "<sip:far@192.0.2.20:5080;ob?X=y>"


def checked(request: Message) -> dict[str, str]:
    """The parameters of a request's credentials, which are right for it."""
    value = request.get("Proxy-Authorization") or request.get("Authorization") or ""
    found = parameters(value)
    assert found["response"] == server_side(value, request.method, "demo pass", request.content)
    assert found["uri"] == request.uri_text
    return found


def test_one_nonce_is_counted_through_all_requests_to_a_trunk(chart: Chart) -> None:
    """RFC 7616, 3.4: nc counts the requests sent with a nonce. INVITE, re-INVITE and BYE, each challenged."""
    asks = ['Proxy-Authenticate: Digest realm="r", nonce="one", algorithm=SHA-256, qop="auth"']
    call, invite = chart.dial()
    chart.answer(invite, 407, headers=asks)
    again = chart.last("INVITE")
    assert again.cseq == invite.cseq + 1
    counts = [checked(again)["nc"]]
    chart.answer(again, 200, body=sdp(), contact=CONTACT)
    assert call.progress is LegState.ANSWERED
    call.hold(True)
    chart.answer(chart.last("INVITE"), 407, headers=asks)
    counts.append(checked(chart.last("INVITE"))["nc"])
    chart.answer(chart.last("INVITE"), 200, body=sdp(direction="recvonly"), contact=CONTACT)
    assert call.held
    call.hangup_leg()
    chart.answer(chart.last("BYE"), 407, headers=asks)
    counts.append(checked(chart.last("BYE"))["nc"])
    assert counts == ["00000001", "00000002", "00000003"]


def test_the_ack_of_a_success_repeats_the_credentials_of_its_invite(chart: Chart) -> None:
    """RFC 3261, 13.2.2.4 and 22.1; the ACK of a failure carries none."""
    _, invite = chart.dial()
    chart.answer(invite, 407, headers=['Proxy-Authenticate: Digest realm="r", nonce="one"'])
    assert chart.last("ACK").get("Proxy-Authorization") is None
    again = chart.last("INVITE")
    chart.answer(again, 200, body=sdp())
    assert chart.last("ACK").get("Proxy-Authorization") == again.get("Proxy-Authorization")
    assert chart.last("ACK").cseq == again.cseq


def test_a_proxy_and_the_callee_are_both_answered_and_stay_so(chart: Chart) -> None:
    """RFC 3261, 22.3: whoever was satisfied once is satisfied again in the next try."""
    _, invite = chart.dial()
    chart.answer(invite, 407, headers=['Proxy-Authenticate: Digest realm="p", nonce="p1", qop="auth"'])
    chart.answer(
        chart.last("INVITE"), 401, headers=['WWW-Authenticate: Digest realm="u", nonce="u1", qop="auth"']
    )
    last = chart.last("INVITE")
    assert parameters(last.get("Proxy-Authorization") or "")["nc"] == "00000002"
    assert parameters(last.get("Authorization") or "")["nonce"] == "u1"
    chart.answer(last, 407, headers=['Proxy-Authenticate: Digest realm="p", nonce="p2", stale=true'])
    last = chart.last("INVITE")
    assert parameters(last.get("Proxy-Authorization") or "")["nonce"] == "p2"
    assert parameters(last.get("Authorization") or "")["nonce"] == "u1"


def test_a_body_is_protected_where_the_server_offers_nothing_else(chart: Chart) -> None:
    """RFC 7616, 3.4.3: auth-int."""
    _, invite = chart.dial()
    chart.answer(
        invite, 401, headers=['WWW-Authenticate: Digest realm="r", nonce="n", qop="auth-int"']
    )
    assert checked(chart.last("INVITE"))["qop"] == "auth-int"


def test_a_call_refused_for_its_password_is_not_tried_for_ever(chart: Chart) -> None:
    call, invite = chart.dial()
    chart.answer(invite, 407, headers=['Proxy-Authenticate: Digest realm="r", nonce="1"'])
    chart.answer(chart.last("INVITE"), 407, headers=['Proxy-Authenticate: Digest realm="r", nonce="2"'])
    assert call.cause is not None
    assert call.cause.name == "unauthorized"
    assert chart.take().count("INVITE") == 2
