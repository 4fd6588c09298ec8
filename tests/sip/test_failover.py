"""A request along the hops of its target: silence, refusal, dead transports, large ones (RFC 3263, 4.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charts import TRUNK, Chart, answer, sdp

from engine.legs import HangupCause, LegState
from engine.sip.account import Account
from engine.sip.dialog import SavedInvite
from engine.sip.hop import Hop, Target
from engine.sip.registration import RegistrationState

ONE, TWO = Hop(*TRUNK), Hop("192.0.2.11", 5070)
TCP = ONE._replace(transport="tcp")
ACCOUNT = Account("trunk.example", 0, username="1001", password="demo pass", register=False)


def chart_with(*hops: Hop, **more: object) -> Chart:
    """A phone whose trunk has these hops; the one that answered comes first, as a resolver has it."""
    chart = Chart(replace(ACCOUNT, register=False, **more))  # type: ignore[arg-type]
    order = list(hops)
    chart.agent.flow = order[0]
    trunk = chart.account.next_hop
    chart.agent.locate = lambda target, found: found(list(order) if target == trunk else [target.hop], "")

    def answered(hop: Hop) -> None:
        if hop in order:
            order.insert(0, order.pop(order.index(hop)))

    chart.agent.on_answered = answered
    return chart


@pytest.fixture
def two() -> Chart:
    return chart_with(ONE, TWO)


class TestNextHop:
    def test_a_silent_hop_is_left_after_four_seconds_with_a_new_branch(self, two: Chart) -> None:
        """RFC 3263, 4.3: the same request, but for its branch."""
        _, first = two.dial()
        two.clock.advance(3.9)
        assert {sent.hop for sent in two.sent} == {ONE}
        two.clock.advance(0.2)
        sent = two.last_sent("INVITE")
        second = sent.message
        assert sent.hop == TWO
        assert second.via.branch != first.via.branch
        assert [f for f in second.fields if f[0] != "Via"] == [f for f in first.fields if f[0] != "Via"]
        two.sent.clear()
        two.clock.advance(2)
        assert {sent.hop for sent in two.sent} == {TWO}

    def test_the_last_hop_has_all_the_time_of_timer_b(self, two: Chart) -> None:
        """RFC 3261, 17.1.1.2."""
        call, _ = two.dial()
        two.clock.advance(4 + 31.9)
        assert call.progress is LegState.DIALING
        two.clock.advance(0.2)
        assert call.cause == HangupCause("no_response", "network", None, "no answer from the trunk")

    def test_a_provisional_response_keeps_it(self, two: Chart) -> None:
        _, invite = two.dial()
        two.answer(invite, 100, tag=None)
        two.sent.clear()
        two.clock.advance(30)
        assert two.sent == []

    def test_503_leads_on_at_once(self, two: Chart) -> None:
        """RFC 3263, 4.3."""
        call, invite = two.dial()
        two.answer(invite, 503)
        assert two.take()[-2:] == ["ACK", "INVITE"]
        two.clock.advance(0.5)
        again = two.last_sent("INVITE")
        assert again.hop == TWO
        two.answer(again.message, 503)
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("rejected", 503)

    def test_486_does_not(self, two: Chart) -> None:
        call, invite = two.dial()
        two.answer(invite, 486)
        assert two.take() == ["INVITE", "ACK"]
        assert call.progress is LegState.ENDED

    def test_an_error_of_the_transport_leads_on_at_once_and_is_told_in_the_end(self) -> None:
        """RFC 3261, 8.1.3.1 and 18.4."""
        chart = chart_with(TCP, TWO._replace(transport="tcp"))
        call, _ = chart.dial()
        chart.agent.failed(TCP, "refused there")
        assert chart.last_sent("INVITE").hop == TWO._replace(transport="tcp")
        chart.agent.failed(TWO._replace(transport="tcp"), "refused here too")
        assert call.cause == HangupCause("no_response", "network", None, "refused here too")

    def test_a_hop_that_wakes_up_late_is_cancelled(self, two: Chart) -> None:
        call, first = two.dial()
        two.clock.advance(4.1)
        second = two.last("INVITE")
        two.sent.clear()
        two.receive(answer(first, 180, tag="late"))
        assert call.progress is LegState.DIALING
        cancel = two.last_sent("CANCEL")
        assert cancel.hop == ONE
        assert cancel.message.get("Via") == first.get("Via")
        two.receive(answer(first, 487, tag="late"))
        assert two.last_sent("ACK").hop == ONE
        two.answer(second, 200, body=sdp())
        assert call.progress is LegState.ANSWERED

    def test_or_its_answer_acknowledged_and_ended(self, two: Chart) -> None:
        """RFC 3261, 13.2.2.4: nobody is left on a line that nobody hears."""
        call, first = two.dial()
        two.clock.advance(4.1)
        two.answer(two.last("INVITE"), 200, body=sdp())
        two.sent.clear()
        two.receive(answer(first, 200, tag="late", body=sdp()))
        assert two.take() == ["ACK", "BYE"]
        assert call.progress is LegState.ANSWERED

    def test_nothing_is_left_of_either(self, two: Chart) -> None:
        call, _ = two.dial()
        two.clock.advance(4.1)
        two.answer(two.last("INVITE"), 200, body=sdp())
        call.hangup_leg()
        two.answer(two.last("BYE"), 200)
        two.clock.advance(64)
        assert len(two.agent.layer) == 0
        assert two.clock.pending == 0

    def test_the_credentials_go_where_the_challenge_came_from(self, two: Chart) -> None:
        two.dial()
        two.clock.advance(4.1)
        challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
        two.answer(two.last("INVITE"), 401, headers=[challenge])
        assert two.last_sent("INVITE").hop == TWO
        assert two.last("INVITE").get("Authorization")

    def test_cancel_goes_where_the_invite_went(self, two: Chart) -> None:
        """RFC 3261, 9.1: the same hop, Request-URI and Via as the INVITE that it takes back."""
        call, _ = two.dial()
        two.clock.advance(4.1)
        invite = two.last("INVITE")
        two.answer(invite, 180)
        call.hangup_leg()
        cancel = two.last_sent("CANCEL")
        assert cancel.hop == TWO
        assert cancel.message.get("Via") == invite.get("Via")

    def test_a_call_that_is_given_up_tries_no_further_hop(self, two: Chart) -> None:
        call, _ = two.dial()
        call.hangup_leg()
        two.sent.clear()
        two.clock.advance(10)
        assert {sent.hop for sent in two.sent} == {ONE}

    def test_what_an_engine_that_restarts_must_take_back_is_the_last_try(self, two: Chart) -> None:
        call, _ = two.dial()
        two.clock.advance(4.1)
        saved = two.saved[call.id]
        assert isinstance(saved, SavedInvite)
        assert (saved.host, saved.port, saved.transport) == TWO
        assert saved.invite == two.last("INVITE").raw.decode()

    def test_a_registration_moves_to_the_hop_that_answers_and_stays(self) -> None:
        chart = chart_with(ONE, TWO._replace(transport="tcp"))
        chart.agent.registration.state = RegistrationState.REGISTERING
        chart.agent.registration.start()
        chart.clock.advance(4.1)
        sent = chart.last_sent("REGISTER")
        assert sent.message.via.transport == "TCP"
        assert ";transport=" not in (sent.message.get("Contact") or "")
        chart.answer(sent.message, 200, headers=["Expires: 60"])
        assert chart.agent.flow == TWO._replace(transport="tcp")
        chart.clock.advance(0.01)
        again = chart.last("REGISTER")
        assert ";transport=tcp>" in (again.get("Contact") or "")
        chart.answer(again, 200, headers=["Expires: 60"])
        chart.sent.clear()
        chart.clock.advance(31)
        assert chart.last_sent("REGISTER").hop == TWO._replace(transport="tcp")

    def test_a_name_that_leads_nowhere_is_told(self, chart: Chart) -> None:
        chart.agent.locate = lambda target, found: found([], "trunk.example has no address")
        call, _ = chart.phone.dial("5551234"), None
        chart.clock.advance(0.01)
        assert call.cause == HangupCause("no_response", "network", None, "trunk.example has no address")

    def test_a_call_taken_back_while_its_name_is_asked_for_never_leaves(self, chart: Chart) -> None:
        waiting = []
        chart.agent.locate = lambda target, found: waiting.append(found)
        call = chart.phone.dial("5551234")
        call.hangup_leg()
        chart.clock.advance(0.01)
        assert call.progress is LegState.ENDED
        waiting[0]([ONE], "")
        assert chart.sent == []


class TestLargeRequests:
    @pytest.fixture
    def large(self) -> Chart:
        return chart_with(ONE, display_name="x" * 1200)

    def test_above_1300_bytes_tcp_is_taken(self, large: Chart) -> None:
        """RFC 3261, 18.1.1; what belongs to it (ACK, CANCEL) goes the same way."""
        large.dial()
        sent = large.last_sent("INVITE")
        assert len(sent.message.raw) > 1300
        assert (sent.hop, sent.message.via.transport) == (TCP, "TCP")
        large.answer(sent.message, 486)
        assert large.last_sent("ACK").hop == TCP

    def test_what_is_smaller_stays_with_udp(self, large: Chart) -> None:
        call, invite = large.answered()
        call.hangup_leg()
        assert len(large.last("BYE").raw) <= 1300 or large.last_sent("BYE").hop.transport == "tcp"
        assert large.last("BYE").via.branch != invite.via.branch

    def test_udp_after_all_where_tcp_finds_nobody(self, large: Chart) -> None:
        """RFC 3261, 18.1.1: "the element SHOULD retry the request, using UDP"."""
        large.dial()
        first = large.last("INVITE")
        large.agent.failed(TCP, "refused")
        sent = large.last_sent("INVITE")
        assert (sent.hop, sent.message.via.transport) == (ONE, "UDP")
        assert sent.message.via.branch != first.via.branch
        large.dial()
        assert large.last_sent("INVITE").hop == ONE
        large.clock.advance(601)
        large.dial()
        assert large.last_sent("INVITE").hop == TCP

    def test_a_connection_that_does_not_come_about_is_not_waited_for(self, large: Chart) -> None:
        large.agent.layer.connected = lambda hop: hop.transport == "udp"
        large.dial()
        large.clock.advance(1.9)
        assert large.last_sent("INVITE").hop == TCP
        large.clock.advance(0.2)
        assert large.last_sent("INVITE").hop == ONE

    def test_one_that_stands_and_is_silent_is_no_reason_to_ask_twice(self, large: Chart) -> None:
        large.agent.layer.connected = lambda hop: True
        call, _ = large.dial()
        large.clock.advance(32.1)
        assert {sent.hop for sent in large.sent} == {TCP}
        assert call.cause is not None
        assert call.cause.name == "no_response"


class TestWay:
    @pytest.mark.parametrize(
        ("contact", "hop"),
        [
            ("<sip:callee@192.0.2.20:5080>", Hop("192.0.2.20", 5080)),
            ("<sip:callee@192.0.2.20;transport=tcp>", Hop("192.0.2.20", 5060, "tcp")),
            ("<sip:callee@192.0.2.20:5071;transport=TLS>", Hop("192.0.2.20", 5071, "tls")),
            ("<sips:callee@192.0.2.20>", Hop("192.0.2.20", 5061, "tls")),
            ("<sip:callee@[2001:db8::9]:5080>", Hop("2001:db8::9", 5080)),
            ("<tel:+12125550100>", ONE),
        ],
    )
    def test_the_remote_target_says_how_requests_go(self, contact: str, hop: Hop) -> None:
        """RFC 3261, 12.2.1.1 and 19.1.1; RFC 3263, 4.1: transport, port and scheme of the URI."""
        chart = chart_with(ONE)
        call, _ = chart.answered(contact=contact)
        call.hangup_leg()
        assert chart.last_sent("BYE").hop == hop
        assert chart.last("BYE").via.transport == hop.transport.upper()

    @pytest.mark.parametrize("route", ["sip:192.0.2.10;lr", "sip:trunk.example;lr"])
    def test_the_trunk_without_a_transport_is_reached_as_ever(self, route: str) -> None:
        """Many trunks leave ;transport= out of Record-Route: the connection that stands is taken."""
        chart = chart_with(TCP)
        call, _ = chart.answered(headers=[f"Record-Route: <{route}>"])
        call.hangup_leg()
        assert chart.last_sent("BYE").hop == TCP

    def test_calls_take_the_route_that_the_registrar_gave(self) -> None:
        """RFC 3608, 5.1 and 6.1: Service-Route is the preloaded route of what begins a dialog."""
        chart = chart_with(ONE)
        chart.agent.registration.state = RegistrationState.REGISTERING
        chart.agent.registration.start()
        routes = "<sip:192.0.2.40:5090;lr>, <sip:orig@core.example;lr>"
        register = chart.last("REGISTER")
        chart.answer(register, 200, headers=["Expires: 600", f"Service-Route: {routes}"])
        _, invite = chart.dial()
        assert invite.all("Route") == routes.split(", ")
        assert invite.uri_text == "sip:5551234@trunk.example"
        assert chart.last_sent("INVITE").hop == Hop("192.0.2.40", 5090)
        chart.answer(invite, 486)
        ack = chart.last_sent("ACK")
        assert (ack.hop, ack.message.all("Route")) == (Hop("192.0.2.40", 5090), routes.split(", "))
        chart.clock.advance(570)
        assert chart.last("REGISTER").all("Route") == []
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 600"])
        _, invite = chart.dial()
        assert (chart.last_sent("INVITE").hop, invite.all("Route")) == (ONE, [])

    @pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
    def test_via_and_contact_name_the_transport(self, transport: str) -> None:
        """RFC 3261, 18.1.1 and 20.10."""
        chart = chart_with(Hop("192.0.2.10", 5061, transport))  # type: ignore[arg-type]
        _, invite = chart.dial()
        assert invite.via.transport == transport.upper()
        assert invite.get("Contact") == (
            "<sip:1001@198.51.100.7:5070>" if transport == "udp"
            else f"<sip:1001@198.51.100.7:5070;transport={transport}>"
        )  # fmt: skip

    def test_a_request_by_a_stream_is_answered_on_it(self, chart: Chart) -> None:
        """RFC 3261, 18.2.2: the connection that the request came by, whatever Via says."""
        chart.agent.layer.connected = lambda hop: True
        chart.request("OPTIONS", source=("192.0.2.10", 40000, "tcp"))  # type: ignore[arg-type]
        assert chart.last_sent("200").hop == Hop("192.0.2.10", 40000, "tcp")

    def test_or_once_that_is_gone_at_the_port_of_via(self, chart: Chart) -> None:
        chart.agent.layer.connected = lambda hop: hop.port == 5060
        data = chart.request("OPTIONS", branch="z9hG4bKgone").replace(b"192.0.2.10:5060;rport", b"192.0.2.10")
        chart.receive(data.replace(b"gone", b"new"), ("192.0.2.10", 40000, "tcp"))  # type: ignore[arg-type]
        assert chart.last_sent("200").hop == Hop("192.0.2.10", 5060, "tcp")

    def test_targets_without_dns(self) -> None:
        assert Target("192.0.2.1").hop == Hop("192.0.2.1", 5060, "udp")
        assert Target("192.0.2.1", 0, "tls").hop == Hop("192.0.2.1", 5061, "tls")
        assert str(Hop("2001:db8::1", 5061, "tls")) == "[2001:db8::1]:5061 (TLS)"


class TestReliable:
    """RFC 3261, 17.1.1.2, 17.1.2.2, 17.2.1, 17.2.2: over TCP nothing is repeated nor waited for."""

    def test_no_retransmissions_of_requests(self) -> None:
        chart = chart_with(TCP)
        call, _ = chart.dial()
        chart.clock.advance(31.9)
        assert chart.take() == ["INVITE"]
        assert call.progress is LegState.DIALING
        chart.clock.advance(0.2)
        assert call.progress is LegState.ENDED

    def test_timers_d_and_k_are_zero(self) -> None:
        chart = chart_with(TCP)
        _, invite = chart.dial()
        chart.answer(invite, 486)
        assert len(chart.agent.layer) == 0
        call, _ = chart.answered()
        chart.agent.flow = TCP
        call.hangup_leg()
        chart.answer(chart.last("BYE"), 200)
        chart.clock.advance(32.1)
        assert len(chart.agent.layer) == 0

    def test_timers_j_and_i_are_zero_and_g_is_not_set(self, chart: Chart) -> None:
        source = ("192.0.2.10", 40000, "tcp")
        chart.request("OPTIONS", source=source)  # type: ignore[arg-type]
        assert len(chart.agent.layer) == 0
        call = chart.ringing(source=source)
        call.refuse(486)
        chart.clock.advance(10)
        assert chart.take() == ["200 OK", "180 Ringing", "486 Busy Here"]
        assert len(chart.agent.layer) == 1
        chart.clock.advance(22.1)
        assert len(chart.agent.layer) == 0

    def test_a_2xx_is_repeated_all_the_same(self, chart: Chart) -> None:
        """RFC 3261, 13.3.1.4: until its ACK, over every transport: the next hop may use another."""
        call = chart.ringing(source=("192.0.2.10", 40000, "tcp"))
        call.accept()
        chart.clock.advance(1.6)
        assert chart.take() == ["180 Ringing", "200 OK", "200 OK", "200 OK"]

    def test_a_connection_that_was_dead_already_is_replaced_once(self) -> None:
        """It stood for long, perhaps for nobody: the request goes by a new one before anybody is told."""
        chart = chart_with(TCP)
        chart.agent.layer.connected = lambda hop: True
        call, invite = chart.dial()
        chart.agent.failed(TCP, "gone")
        again = chart.last("INVITE")
        assert again.via.branch != invite.via.branch
        assert call.progress is LegState.DIALING
        chart.agent.failed(TCP, "gone again")
        assert call.cause == HangupCause("no_response", "network", None, "gone again")

    def test_an_invite_that_rings_outlives_its_connection(self) -> None:
        """Its answer may come by another one (RFC 3261, 18.2.2)."""
        chart = chart_with(TCP)
        call, invite = chart.dial()
        chart.answer(invite, 180)
        chart.agent.failed(TCP, "gone")
        assert call.progress is LegState.RINGING
        chart.answer(invite, 200, body=sdp())
        assert call.progress is LegState.ANSWERED

    def test_a_binding_is_renewed_at_once_when_its_connection_dies(self) -> None:
        """RFC 5626, 4.4: but not over and over where each dies at once."""
        chart = chart_with(TCP)
        chart.agent.registration.state = RegistrationState.REGISTERING
        chart.agent.registration.start()
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 600"])
        chart.clock.advance(100)
        chart.sent.clear()
        chart.agent.failed(TCP, "gone")
        chart.clock.advance(0.01)
        waits = []
        for _ in range(7):
            chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 600"])
            at = chart.clock.time()
            count = len(chart.sent)
            chart.agent.failed(TCP, "gone")
            while len(chart.sent) == count:
                chart.clock.advance(0.5)
            waits.append(chart.clock.time() - at)
        assert waits == [2, 4, 8, 16, 32, 60, 60]
