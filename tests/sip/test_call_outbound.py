"""Calls that we make, as sequence charts on a virtual clock (RFC 3261, 9, 13, 15)."""

from __future__ import annotations

import pytest
from charts import CALLEE, LOCAL, TRUNK, Chart, answer, sdp
from pyVoIP.VoIP import CallState, NoPortsAvailableError

from engine.legs import LegState
from engine.sip.account import Account
from engine.sip.dialog import SavedDialog, SavedInvite
from engine.sip.hop import Hop, Target
from engine.sip.layer import Found

CHALLENGE = 'Digest realm="trunk.example", nonce="{}", algorithm=MD5, qop="auth"'


def challenge(chart: Chart, nonce: str, extra: str = "", code: int = 407) -> None:
    header = "Proxy-Authenticate" if code == 407 else "WWW-Authenticate"
    value = CHALLENGE.format(nonce) + extra
    chart.answer(chart.last("INVITE"), code, headers=[f"{header}: {value}"])


class TestProgress:
    def test_the_invite_holds_what_a_trunk_needs(self, chart: Chart) -> None:
        call, invite = chart.dial("+12125551234")
        assert chart.last_sent("INVITE").to == TRUNK
        assert invite.uri_text == "sip:+12125551234@192.0.2.10"
        assert str(invite.to.uri) == "sip:+12125551234@192.0.2.10"
        assert invite.to.tag == ""
        assert invite.from_.tag
        assert invite.via.branch.startswith("z9hG4bK")
        assert "rport" in invite.via.params
        assert invite.get("Max-Forwards") == "70"
        assert invite.contact is not None
        assert invite.contact.uri.address == LOCAL
        assert f"m=audio {chart.media.ports[call.id]} RTP/AVP 8 0 101".encode() in invite.sdp
        assert call.progress is LegState.DIALING

    def test_100_then_180_then_200(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 100, "Trying", tag=None)
        chart.answer(invite, 180, "Ringing")
        chart.answer(invite, 200, "OK", body=sdp())
        assert chart.states == [LegState.TRYING, LegState.RINGING, LegState.ANSWERED]
        assert call.state is CallState.ANSWERED
        assert (call.sip_code, call.reason) == (200, "OK")

    def test_a_183_that_comes_first_is_early_media(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183, "Session Progress", body=sdp(port=41234, codecs="0 96"))
        assert call.progress is LegState.EARLY
        assert chart.media.connected[call.id] == ("192.0.2.30", 41234, (("PCMU", 0),), 96, "sendrecv")

    def test_a_name_for_the_audios_address_is_looked_up_first(self, chart: Chart) -> None:
        """RFC 8866, 5.7."""
        asked: list[tuple[Target, Found]] = []
        call, invite = chart.dial()
        chart.agent.locate = lambda target, found: asked.append((target, found))
        chart.answer(invite, 183, body=sdp(host="media.example", port=41234))
        assert call.progress is LegState.EARLY
        assert call.id not in chart.media.connected
        ((target, found),) = asked
        assert target == Target("media.example", 41234, "udp")
        found([Hop("192.0.2.77", 41234)], "")
        assert chart.media.connected[call.id][:2] == ("192.0.2.77", 41234)

    def test_a_name_that_came_too_late_moves_nothing(self, chart: Chart) -> None:
        asked: list[Found] = []
        call, invite = chart.dial()
        chart.agent.locate = lambda target, found: asked.append(found)
        chart.answer(invite, 183, body=sdp(host="media.example"))
        chart.answer(invite, 200, body=sdp(host="192.0.2.30", version=2))
        asked[0]([Hop("192.0.2.77", 1)], "")
        assert chart.media.connected[call.id][0] == "192.0.2.30"

    def test_audio_at_a_name_that_leads_nowhere_ends_the_call(self, chart: Chart) -> None:
        call, invite = chart.dial()
        asked: dict[str, Found] = {}
        chart.agent.locate = lambda target, found: asked.setdefault(target.host, found)
        chart.answer(invite, 200, body=sdp(host="media.example"))
        asked["media.example"]([], "media.example has no address")
        assert call.progress is LegState.ENDED
        assert call.cause is not None
        assert call.cause.name == "failed"
        assert "media.example has no address" in (call.cause.reason or "")

    def test_media_learns_where_signalling_goes(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp())
        assert chart.media.agreed[call.id].signalling == TRUNK[0]

    def test_events_go_out_on_the_far_ends_payload_type_and_come_in_on_ours(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 200, body=sdp(codecs="8 96"))
        assert chart.media.agreed[call.id].event_payload_type == 96
        assert chart.media.agreed[call.id].events == ((96, 8000), (101, 8000))

    def test_180_without_a_description_after_early_media_leaves_it_early(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp())
        chart.answer(invite, 180)
        assert call.progress is LegState.EARLY

    def test_183_without_a_description_is_not_early_media(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183)
        assert call.progress is LegState.TRYING
        assert call.id not in chart.media.connected

    def test_an_answer_with_another_tag_and_port_than_the_183_moves_the_audio(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183, tag="early", body=sdp(port=41000))
        chart.answer(invite, 200, tag="final", body=sdp(host="192.0.2.31", port=41010))
        assert call.progress is LegState.ANSWERED
        assert chart.media.connected[call.id][:2] == ("192.0.2.31", 41010)
        assert chart.last("ACK").to.tag == "final"

    def test_an_answer_without_a_description_keeps_the_early_one(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp(port=41000))
        chart.answer(invite, 200)
        assert call.progress is LegState.ANSWERED
        assert chart.media.connected[call.id][1] == 41000

    def test_an_answer_with_no_description_at_all_is_acknowledged_and_hung_up(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.sent.clear()
        chart.answer(invite, 200)
        assert chart.take() == ["ACK", "BYE"]
        assert call.cause is not None
        assert call.cause.name == "failed"

    def test_an_answer_in_a_codec_that_we_did_not_offer_is_hung_up(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.sent.clear()
        chart.answer(invite, 200, body=sdp(codecs="18"))
        assert chart.take() == ["ACK", "BYE"]
        assert call.cause is not None
        assert "PCMA" in call.reason

    def test_a_number_with_spaces_and_brackets_cannot_add_a_header(self, chart: Chart) -> None:
        chart.dial("12 <x>;a=b@c")
        assert chart.last("INVITE").uri_text == "sip:12%20%3Cx%3E;a=b%40c@192.0.2.10"

    @pytest.mark.parametrize("number", ["", "1\r\nX-Evil: 1", "1\x00", "9" * 65])
    def test_a_number_that_cannot_be_dialled_is_refused_and_takes_no_port(
        self, chart: Chart, number: str
    ) -> None:
        with pytest.raises(ValueError, match="number"):
            chart.phone.dial(number)
        assert chart.media.ports == {}
        assert chart.take() == []

    def test_a_caller_id_must_be_one_of_the_trunks_own(self) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False, caller_ids=("+12125550100",)))
        chart.phone.dial("5551234", "+12125550100")
        assert chart.last("INVITE").from_.uri.number == "+12125550100"
        with pytest.raises(ValueError, match=r"trunk\.caller_ids"):
            chart.phone.dial("5551234", "+19005550100")
        assert len(chart.media.ports) == 1

    def test_when_every_port_is_taken_the_next_call_is_refused_and_a_hangup_frees_one(self) -> None:
        chart = Chart()
        calls = [chart.phone.dial("1") for _ in range(4)]
        with pytest.raises(NoPortsAvailableError):
            chart.phone.dial("2")
        for sent in [s.message for s in chart.sent]:
            if sent.call_id == calls[0].call_id:
                chart.answer(sent, 486)
        chart.phone.dial("2")


class TestAck:
    def test_the_ack_of_an_answer_goes_to_its_contact_with_a_branch_of_its_own(self, chart: Chart) -> None:
        _, invite = chart.dial()
        chart.answer(invite, 200, body=sdp(), contact="<sip:callee@192.0.2.20:5080;x=1>")
        ack = chart.last_sent("ACK")
        assert ack.to == ("192.0.2.20", 5080)
        assert ack.message.uri_text == "sip:callee@192.0.2.20:5080;x=1"
        assert ack.message.via.branch != invite.via.branch
        assert ack.message.cseq == invite.cseq
        assert ack.message.to.tag == "far"

    def test_a_repeated_answer_gets_the_same_ack_again(self, chart: Chart) -> None:
        call, invite = chart.answered()
        chart.answer(invite, 200, body=sdp())
        chart.answer(invite, 200, body=sdp())
        first, second = (sent.message.raw for sent in chart.sent)
        assert first == second
        assert first.startswith(b"ACK ")
        assert call.progress is LegState.ANSWERED

    def test_behind_record_routing_proxies_ack_and_bye_follow_the_route_set(self, chart: Chart) -> None:
        routes = ["Record-Route: <sip:192.0.2.99:5999;lr;p=2>, <sip:192.0.2.10:5062;lr;p=1>"]
        call, _ = chart.dial()
        chart.answer(chart.last(), 200, body=sdp(), headers=routes)
        call.hangup_leg()
        for method in ("ACK", "BYE"):
            sent = chart.last_sent(method)
            assert sent.to == ("192.0.2.10", 5062)
            assert sent.message.uri_text == "sip:callee@192.0.2.20:5080"
            routes = sent.message.all("Route")
            assert routes == ["<sip:192.0.2.10:5062;lr;p=1>", "<sip:192.0.2.99:5999;lr;p=2>"]

    def test_a_second_answer_from_another_fork_is_acknowledged_and_hung_up(self, chart: Chart) -> None:
        call, invite = chart.answered()
        chart.answer(invite, 200, tag="other", body=sdp(port=49999), contact="<sip:other@192.0.2.66>")
        assert chart.take() == ["ACK", "BYE"]
        assert call.progress is LegState.ANSWERED
        assert chart.media.connected[call.id][1] == 41000

    def test_each_fork_is_hung_up_at_its_own_address(self, chart: Chart) -> None:
        _, invite = chart.answered()
        chart.answer(invite, 200, tag="other", body=sdp(), contact="<sip:other@192.0.2.66>")
        bye = chart.last_sent("BYE")
        assert bye.to == ("192.0.2.66", 5060)
        assert bye.message.to.tag == "other"
        assert bye.message.cseq > invite.cseq

    def test_a_refusal_is_acknowledged_in_its_own_transaction(self, chart: Chart) -> None:
        _, invite = chart.dial()
        chart.answer(invite, 486, "Busy Here")
        ack = chart.last_sent("ACK")
        assert ack.to == TRUNK
        assert ack.message.via.branch == invite.via.branch
        assert ack.message.uri_text == invite.uri_text
        chart.sent.clear()
        chart.answer(invite, 486, "Busy Here")
        assert chart.take() == ["ACK"]

    def test_a_contact_without_a_host_leaves_the_trunk_itself(self, chart: Chart) -> None:
        chart.answer(chart.dial()[1], 200, body=sdp(), contact="<tel:+12125550199>")
        assert chart.last_sent("ACK").to == TRUNK


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [(302, "Moved"), (404, "Not Found"), (408, "Request Timeout"), (480, "Temporarily Unavailable"),
         (486, "Busy Here"), (487, "Request Terminated"), (503, "Service Unavailable"), (603, "Decline")],
    )
    def test_every_final_response_ends_the_leg_with_its_code_and_gives_the_port_back(
        self, chart: Chart, code: int, reason: str
    ) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        chart.answer(invite, code, reason)
        assert call.progress is LegState.ENDED
        assert call.state is CallState.ENDED
        assert call.cause is not None
        assert (call.cause.name, call.cause.by, call.cause.sip_code, call.cause.reason) == (
            "rejected", "far", code, reason,
        )
        assert chart.media.ports == {}
        assert chart.phone.calls == {}

    def test_silence_is_repeated_for_32_s_and_ends_as_no_response(self, chart: Chart) -> None:
        call, _ = chart.dial()
        chart.clock.advance(31.9)
        assert call.progress is LegState.DIALING
        chart.clock.advance(0.2)
        assert chart.times("INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("no_response", None)
        assert chart.media.ports == {}

    def test_after_trying_the_invite_is_not_repeated_and_waits_for_the_callers_own_patience(
        self, chart: Chart
    ) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 100, tag=None)
        chart.clock.advance(180)
        assert chart.times("INVITE") == [0.0]
        assert call.progress is LegState.TRYING


class TestChallenges:
    def test_407_is_acknowledged_and_answered_in_a_new_transaction(self, chart: Chart) -> None:
        _, first = chart.dial()
        challenge(chart, "n1")
        again = chart.last("INVITE")
        assert chart.take() == ["INVITE", "ACK", "INVITE"]
        assert again.cseq == first.cseq + 1
        assert again.via.branch != first.via.branch
        assert (again.call_id, again.from_.tag) == (first.call_id, first.from_.tag)
        credentials = again.get("Proxy-Authorization") or ""
        assert 'nonce="n1"' in credentials
        assert f'uri="{again.uri_text}"' in credentials

    def test_a_stale_nonce_is_replaced(self, chart: Chart) -> None:
        call, _ = chart.dial()
        challenge(chart, "n1")
        challenge(chart, "n2", ", stale=TRUE")
        credentials = chart.last("INVITE").get("Proxy-Authorization") or ""
        assert 'nonce="n2"' in credentials
        assert "nc=00000001" in credentials
        assert call.progress is not LegState.ENDED

    def test_407_twice_is_unauthorized(self, chart: Chart) -> None:
        call, _ = chart.dial()
        challenge(chart, "n1")
        challenge(chart, "n2")
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("unauthorized", 407)
        assert chart.times("INVITE") == [0.0, 0.0]
        assert chart.media.ports == {}

    def test_403_to_our_credentials_is_unauthorized(self, chart: Chart) -> None:
        call, _ = chart.dial()
        challenge(chart, "n1")
        chart.answer(chart.last("INVITE"), 403, "Forbidden")
        assert call.cause is not None
        assert (call.cause.name, call.cause.sip_code) == ("unauthorized", 403)

    def test_403_without_a_challenge_is_the_callees_refusal(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 403, "Forbidden")
        assert call.cause is not None
        assert call.cause.name == "rejected"

    def test_a_proxy_and_a_callee_that_both_ask_get_both_answers(self, chart: Chart) -> None:
        call, _ = chart.dial()
        challenge(chart, "proxy")
        challenge(chart, "callee", code=401)
        last = chart.last("INVITE")
        assert 'nonce="proxy"' in (last.get("Proxy-Authorization") or "")
        assert "nc=00000002" in (last.get("Proxy-Authorization") or "")
        assert 'nonce="callee"' in (last.get("Authorization") or "")
        chart.answer(last, 200, body=sdp())
        assert call.progress is LegState.ANSWERED

    def test_a_challenge_without_a_password_of_ours_is_unauthorized(self) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False))
        call, _ = chart.dial()
        challenge(chart, "n1")
        assert call.cause is not None
        assert call.cause.name == "unauthorized"


class TestCancel:
    def test_cancel_is_held_back_until_the_first_provisional_response(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.sent.clear()
        call.hangup_leg()
        chart.clock.advance(0.4)
        assert chart.take() == []
        chart.answer(invite, 100, tag=None)
        cancel = chart.last("CANCEL")
        assert cancel.via.branch == invite.via.branch
        assert cancel.cseq == invite.cseq
        assert cancel.uri_text == invite.uri_text
        assert cancel.to.tag == ""

    def test_what_was_heard_is_told_as_the_reason(self, chart: Chart) -> None:
        """RFC 3326: in CANCEL before the answer."""
        call, invite = chart.dial()
        call.hangup_leg("cancelled", told=[("Reason", 'SIP;cause=433;text="does not exist"'), ("X-Why", "1")])
        chart.answer(invite, 183)
        cancel = chart.last("CANCEL")
        assert (cancel.get("Reason"), cancel.get("X-Why")) == ('SIP;cause=433;text="does not exist"', "1")

    def test_and_in_bye_after_it(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 200, body=sdp())
        call.hangup_leg("normal", told=[("Reason", 'SIP;cause=442;text="call reminder"')])
        assert chart.last("BYE").get("Reason") == 'SIP;cause=442;text="call reminder"'

    def test_487_ends_it_as_cancelled(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg()
        call.hangup_leg()
        chart.answer(chart.last("CANCEL"), 200)
        assert call.progress is LegState.RINGING
        chart.answer(invite, 487, "Request Terminated")
        assert chart.take() == ["INVITE", "CANCEL", "ACK"]
        assert call.cause is not None
        assert (call.cause.name, call.cause.by, call.cause.sip_code) == ("cancelled", "us", 487)
        assert chart.media.ports == {}

    def test_a_ring_timeout_keeps_its_name(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg("timeout")
        chart.answer(invite, 487)
        assert call.cause is not None
        assert call.cause.name == "timeout"

    def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg()
        chart.sent.clear()
        chart.answer(invite, 200, body=sdp())
        assert chart.take() == ["ACK", "BYE"]
        assert call.cause is not None
        assert call.cause.name == "cancelled"
        assert LegState.ANSWERED not in chart.states

    def test_an_answer_before_any_provisional_response_of_a_cancelled_call_too(self, chart: Chart) -> None:
        call, invite = chart.dial()
        call.hangup_leg()
        chart.sent.clear()
        chart.answer(invite, 200, body=sdp())
        assert chart.take() == ["ACK", "BYE"]
        assert call.progress is LegState.ENDED

    def test_a_trunk_that_never_answers_the_cancel_holds_the_leg_for_4_s(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg()
        chart.clock.advance(3.9)
        assert call.progress is LegState.RINGING
        chart.clock.advance(0.2)
        assert call.progress is LegState.ENDED
        assert chart.media.ports == {}
        chart.sent.clear()
        chart.answer(invite, 200, body=sdp())
        assert chart.take() == ["ACK", "BYE"]

    def test_a_call_given_up_before_it_was_sent_is_never_sent(self, chart: Chart) -> None:
        call = chart.phone.prepare("5551234")
        call.hangup_leg()
        call.begin()
        assert chart.take() == []
        assert call.progress is LegState.ENDED
        assert chart.media.ports == {}

    def test_a_challenge_is_not_answered_once_cancelled(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 100, tag=None)
        call.hangup_leg()
        challenge(chart, "n1")
        assert chart.times("INVITE") == [0.0]
        assert call.cause is not None
        assert call.cause.name == "cancelled"


class TestEnd:
    def test_our_bye_carries_the_dialog(self, chart: Chart) -> None:
        call, invite = chart.answered()
        call.hangup_leg()
        bye = chart.last_sent("BYE")
        assert bye.to == ("192.0.2.20", 5080)
        assert bye.message.uri_text == CALLEE.strip("<>")
        assert bye.message.cseq == invite.cseq + 1
        assert (bye.message.from_.tag, bye.message.to.tag) == (invite.from_.tag, "far")
        assert call.cause is not None
        assert (call.cause.name, call.cause.by) == ("normal", "us")
        assert chart.media.ports == {}

    def test_a_lost_bye_is_repeated(self, chart: Chart) -> None:
        call, _ = chart.answered()
        began = chart.clock.time() - chart.started
        call.hangup_leg()
        chart.clock.advance(3.6)
        assert [at - began for at in chart.times("BYE")] == [0.0, 0.5, 1.5, 3.5]
        chart.answer(chart.last("BYE"), 200)
        chart.sent.clear()
        chart.clock.advance(60)
        assert chart.take() == []

    def test_a_bye_that_crosses_ours_is_answered_200(self, chart: Chart) -> None:
        """RFC 5407, 3.3.1: until ours is answered the dialog is there, and not after."""
        call, _ = chart.answered()
        call.hangup_leg()
        bye = chart.last("BYE")
        chart.request("BYE", call, cseq=1)
        assert chart.last().summary_line == "200 OK"
        chart.answer(bye, 200)
        chart.request("BYE", call, cseq=2)
        assert chart.last().code == 481
        assert len(chart.agent.past) == 0
        assert not chart.agent.knows(call.call_id)

    def test_a_challenged_bye_is_sent_again_with_one_set_of_credentials(self, chart: Chart) -> None:
        call, _ = chart.answered()
        call.hangup_leg()
        headers = [f"Proxy-Authenticate: {CHALLENGE.format('b1')}"]
        chart.answer(chart.last("BYE"), 407, headers=headers)
        headers = [f"Proxy-Authenticate: {CHALLENGE.format('b2')}, stale=true"]
        chart.answer(chart.last("BYE"), 407, headers=headers)
        byes = [sent.message for sent in chart.sent]
        credentials = [[v.split('nonce="')[1][:2] for v in bye.all("Proxy-Authorization")] for bye in byes]
        assert credentials == [[], ["b1"], ["b2"]]
        assert [bye.cseq for bye in byes] == sorted({bye.cseq for bye in byes})

    def test_the_far_ends_bye_is_answered_and_ends_the_leg(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("BYE", call, cseq=1, headers=['Reason: Q.850;cause=16;text="normal"'])
        assert chart.take() == ["200 OK"]
        assert call.cause is not None
        assert (call.cause.name, call.cause.by) == ("normal", "far")
        assert (call.cause.q850, call.cause.reason) == (16, "normal")
        assert chart.media.ports == {}

    def test_a_repeated_bye_is_answered_again(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("BYE", call, branch="z9hG4bKsame")
        call_id = call.call_id
        chart.request(
            "BYE", call_id=call_id, to=str(call.dialog and call.dialog.local),
            from_=str(call.dialog and call.dialog.remote), branch="z9hG4bKsame",
        )
        assert chart.take() == ["200 OK", "200 OK"]

    def test_a_bye_of_an_unknown_dialog_is_answered_481(self, chart: Chart) -> None:
        chart.request("BYE", to="<sip:1001@192.0.2.10>;tag=unknown")
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]

    def test_a_bye_with_another_tag_does_not_end_the_call(self, chart: Chart) -> None:
        call, _ = chart.answered()
        assert call.dialog is not None
        chart.request(
            "BYE", call_id=call.call_id, to=str(call.dialog.local), from_="<sip:x@192.0.2.10>;tag=forged"
        )
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]
        assert call.progress is LegState.ANSWERED


class TestSaved:
    def test_an_invite_is_saved_before_it_is_sent_and_forgotten_at_the_end(self, chart: Chart) -> None:
        seen: list[int] = []
        chart.phone.on_dialog = lambda leg, saved: seen.append(len(chart.sent))
        chart.dial()
        assert seen == [0]

    def test_what_is_saved_follows_the_call(self, chart: Chart) -> None:
        call, invite = chart.dial()
        assert isinstance(chart.saved[call.id], SavedInvite)
        chart.answer(invite, 200, body=sdp())
        assert isinstance(chart.saved[call.id], SavedDialog)
        call.hangup_leg()
        assert chart.saved[call.id] is None

    def test_after_a_restart_a_saved_dialog_gets_its_bye(self, chart: Chart) -> None:
        call, invite = chart.dial()
        routes = ["Record-Route: <sip:192.0.2.10:5062;lr>"]
        chart.answer(invite, 200, body=sdp(), headers=routes)
        saved = chart.saved[call.id]
        assert isinstance(saved, SavedDialog)
        restarted = Chart(local=(LOCAL[0], 5999))
        restarted.agent.hang_up_saved(saved)
        bye = restarted.last_sent("BYE")
        assert bye.to == ("192.0.2.10", 5062)
        assert bye.message.call_id == invite.call_id
        assert (bye.message.from_.tag, bye.message.to.tag) == (invite.from_.tag, "far")
        assert bye.message.cseq > invite.cseq + 1

    def test_after_a_restart_a_saved_invite_gets_its_cancel_and_its_487_an_ack(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        saved = chart.saved[call.id]
        assert isinstance(saved, SavedInvite)
        restarted = Chart(local=(LOCAL[0], 5999))
        restarted.agent.hang_up_saved(saved)
        cancel = restarted.last_sent("CANCEL")
        assert cancel.to == TRUNK
        assert (cancel.message.via.branch, cancel.message.cseq) == (invite.via.branch, invite.cseq)
        restarted.answer(cancel.message, 200)
        restarted.answer(invite, 487)
        assert restarted.take() == ["CANCEL", "ACK"]

    def test_after_a_restart_an_invite_that_was_answered_meanwhile_is_hung_up(self, chart: Chart) -> None:
        call, _ = chart.dial()
        saved = chart.saved[call.id]
        assert isinstance(saved, SavedInvite)
        restarted = Chart(local=(LOCAL[0], 5999))
        restarted.agent.hang_up_saved(saved)
        restarted.answer(chart.last("INVITE"), 200, body=sdp())
        assert restarted.take() == ["CANCEL", "ACK", "BYE"]

    def test_a_stray_answer_is_acknowledged_along_its_route_and_hung_up_once(self, chart: Chart) -> None:
        _, invite = Chart().dial()
        routes = ["Record-Route: <sip:192.0.2.10:5062;lr>"]
        stray = answer(invite, 200, body=sdp(), headers=routes)
        chart.receive(stray)
        assert [s.to for s in chart.sent] == [("192.0.2.10", 5062)] * 2
        assert chart.take() == ["ACK", "BYE"]
        chart.receive(stray)
        assert chart.take() == ["ACK"]

    def test_a_strangers_stray_answer_makes_us_send_nothing(self, chart: Chart) -> None:
        _, invite = Chart().dial()
        chart.receive(answer(invite, 200, body=sdp()), ("203.0.113.9", 5060), trusted=False)
        assert chart.take() == []
