"""Calls that come in, and everything else that a trunk or a stranger sends, as sequence charts."""

from __future__ import annotations

import pytest
from charts import LOCAL, TRUNK, Chart, sdp
from pyVoIP.VoIP import CallState, InvalidStateError

from engine.legs import HangupCause, LegState
from engine.sip.account import Account

STRANGER = ("203.0.113.9", 5060)


class TestRinging:
    def test_an_invite_from_the_trunk_rings(self, chart: Chart) -> None:
        call = chart.ringing()
        assert call.state is CallState.RINGING
        assert call.number == "+12125550199"
        ringing = chart.last("180")
        assert ringing.to.tag
        assert ringing.contact is not None
        assert ringing.contact.uri.address == LOCAL

    def test_the_response_carries_vias_and_record_routes_back(self, chart: Chart) -> None:
        chart.ringing(headers=[
            "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKinner", "Record-Route: <sip:192.0.2.10;lr>",
        ])  # fmt: skip
        ringing = chart.last("180")
        assert [v.split(";")[0] for v in ringing.all("Via")] == [
            "SIP/2.0/UDP 192.0.2.10:5060", "SIP/2.0/UDP 10.0.0.1",
        ]  # fmt: skip
        assert "rport=5060" in ringing.all("Via")[0]
        assert ringing.all("Record-Route") == ["<sip:192.0.2.10;lr>"]

    def test_a_repeated_invite_is_answered_again_and_makes_no_second_call(self, chart: Chart) -> None:
        chart.ringing(branch="z9hG4bKone")
        chart.ringing(branch="z9hG4bKone")
        assert len(chart.inbound) == 1
        assert chart.take() == ["180 Ringing", "180 Ringing"]

    def test_the_same_call_over_another_path_is_a_loop(self, chart: Chart) -> None:
        chart.ringing()
        chart.ringing()
        assert chart.take() == ["180 Ringing", "482 Loop Detected"]

    def test_refused_calls_give_their_port_back(self, chart: Chart) -> None:
        call = chart.ringing()
        call.refuse()
        assert chart.take() == ["180 Ringing", "486 Busy Here"]
        assert call.progress is LegState.ENDED
        assert chart.media.ports == {}
        with pytest.raises(InvalidStateError):
            call.accept()

    @pytest.mark.parametrize("code", [200, 399, 700])
    def test_only_a_refusal_can_refuse(self, chart: Chart, code: int) -> None:
        call = chart.ringing()
        with pytest.raises(ValueError, match="400 to 699"):
            call.refuse(code)
        assert call.state is CallState.RINGING

    def test_a_refusal_is_repeated_until_its_ack(self, chart: Chart) -> None:
        call = chart.ringing(branch="z9hG4bKr")
        call.refuse(603)
        chart.clock.advance(1.6)
        assert chart.times("603") == [0.0, 0.5, 1.5]
        chart.request("ACK", branch="z9hG4bKr", to=str(chart.last("603").to))
        chart.sent.clear()
        chart.clock.advance(60)
        assert chart.take() == []

    def test_a_cancel_ends_it_with_487_and_both_carry_the_same_tag(self, chart: Chart) -> None:
        call = chart.ringing(branch="z9hG4bKc")
        chart.request("CANCEL", branch="z9hG4bKc")
        to_cancel, to_invite = chart.last("200"), chart.last("487")
        assert chart.take() == ["180 Ringing", "200 OK", "487 Request Terminated"]
        assert to_cancel.to.tag == to_invite.to.tag != ""
        assert call.cause is not None
        assert (call.cause.name, call.cause.by) == ("cancelled", "far")

    def test_a_cancel_of_nothing_is_481(self, chart: Chart) -> None:
        chart.request("CANCEL")
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]

    def test_a_cancel_after_the_answer_changes_nothing(self, chart: Chart) -> None:
        call = chart.ringing(branch="z9hG4bKc")
        call.accept()
        chart.request("CANCEL", branch="z9hG4bKc")
        assert chart.take() == ["180 Ringing", "200 OK", "200 OK"]
        assert call.progress is LegState.ANSWERED

    def test_without_a_free_port_it_is_refused_503(self, chart: Chart) -> None:
        for _ in range(4):
            chart.phone.dial("1")
        chart.sent.clear()
        chart.request("INVITE", body=sdp())
        assert chart.take() == ["503 Service Unavailable"]

    def test_switched_off_it_is_refused_480(self) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False, inbound=False))
        chart.request("INVITE", body=sdp())
        assert chart.take() == ["480 Temporarily Unavailable"]
        assert chart.inbound == []

    def test_a_damaged_one_is_refused_too_and_leaves_no_transaction(self, chart: Chart) -> None:
        chart.request("INVITE", headers=["Require: a\x01b"])
        assert chart.take() == ["420 Bad Extension"]
        chart.clock.advance(64)
        assert len(chart.agent.layer) == 0

    def test_an_extension_that_it_requires_is_refused_420(self, chart: Chart) -> None:
        chart.request("INVITE", body=sdp(), headers=["Require: 100rel, nothingSIPKnows, more"])
        assert chart.last().all("Unsupported") == ["nothingSIPKnows", "more"]
        assert chart.take() == ["420 Bad Extension"]

    def test_a_body_that_is_no_session_description_is_refused_415(self, chart: Chart) -> None:
        body = "<x/>"
        data = (
            "INVITE sip:1001@198.51.100.7 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKt\r\n"
            "f: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: x\r\nCSeq: 1 INVITE\r\nc: application/unknown\r\n"
            f"l: {len(body)}\r\n\r\n{body}"
        )
        chart.receive(data.encode())
        assert chart.last().get("Accept") == "application/sdp"
        assert chart.take() == ["415 Unsupported Media Type"]

    def test_too_many_at_once_are_busy(self, chart: Chart) -> None:
        chart.media._free = list(range(40000, 41000, 2))
        for n in range(17):
            chart.request("INVITE", call_id=f"many-{n}", body=sdp())
        assert chart.take() == ["180 Ringing"] * 16 + ["486 Busy Here"]


class TestAnswering:
    def test_the_answer_takes_codec_and_event_type_of_the_offer(self, chart: Chart) -> None:
        call = chart.ringing(body=sdp(port=41500, codecs="18 0 96"))
        call.accept()
        ok = chart.last("200")
        assert f"m=audio {chart.media.ports[call.id]} RTP/AVP 0 96\r\n".encode() in ok.sdp
        assert chart.media.connected[call.id] == ("192.0.2.30", 41500, (("PCMU", 0),), 96, "sendrecv")
        assert call.progress is LegState.ANSWERED

    def test_video_is_refused_in_its_place(self, chart: Chart) -> None:
        call = chart.ringing(body=sdp(extra="m=video 41002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"))
        call.accept()
        assert chart.last("200").sdp.endswith(b"m=video 0 RTP/AVP 99\r\n")

    def test_an_offer_without_a_codec_of_ours_is_refused_488_and_does_not_ring(self, chart: Chart) -> None:
        """RFC 3261, 13.3.1.3."""
        chart.request("INVITE", body=sdp(codecs="18"))
        assert chart.take() == ["488 Not Acceptable Here"]
        assert (chart.inbound, chart.media.ports) == ([], {})

    def test_without_an_offer_ours_is_in_the_answer_and_theirs_in_the_ack(self, chart: Chart) -> None:
        chart.request("INVITE")
        call = chart.inbound[-1]
        call.accept()
        assert b"RTP/AVP 8 0 101" in chart.last("200").sdp
        assert call.id not in chart.media.connected
        chart.request("ACK", call, body=sdp(port=41700, codecs="0"))
        assert chart.media.connected[call.id][1:3] == (41700, (("PCMU", 0),))

    @pytest.mark.parametrize("answer", ["", sdp(codecs="18")])
    def test_an_ack_without_an_answer_to_our_offer_ends_the_call(self, chart: Chart, answer: str) -> None:
        """RFC 3261, 13.2.1 and 13.3.1.4."""
        chart.request("INVITE")
        call = chart.inbound[-1]
        call.accept()
        chart.request("ACK", call, body=answer)
        assert chart.last().method == "BYE"
        assert call.cause is not None
        assert call.cause.name == "failed"

    def test_the_answer_is_repeated_until_its_ack(self, chart: Chart) -> None:
        call = chart.ringing()
        call.accept()
        chart.clock.advance(8)
        assert chart.times("200") == [0.0, 0.5, 1.5, 3.5, 7.5]
        chart.request("ACK", call)
        chart.sent.clear()
        chart.clock.advance(120)
        assert chart.take() == []
        assert call.progress is LegState.ANSWERED

    def test_an_answer_that_is_never_acknowledged_ends_with_bye(self, chart: Chart) -> None:
        call = chart.ringing()
        call.accept()
        chart.clock.advance(31.9)
        assert call.progress is LegState.ANSWERED
        chart.clock.advance(0.2)
        assert call.cause is not None
        assert call.cause.name == "timeout"
        assert chart.last().method == "BYE"

    def test_the_ack_of_another_request_does_not_stop_the_repeats(self, chart: Chart) -> None:
        call = chart.ringing()
        call.accept()
        chart.request("ACK", call, cseq=99)
        chart.clock.advance(0.6)
        assert chart.times("200") == [0.0, 0.5]

    def test_an_invite_that_comes_late_once_more_rings_no_second_call(self, chart: Chart) -> None:
        call = chart.ringing(branch="z9hG4bKlate")
        call.accept()
        chart.request("ACK", call)
        call.hangup_leg()
        chart.clock.advance(10)
        chart.sent.clear()
        chart.ringing(branch="z9hG4bKlate")
        assert len(chart.inbound) == 1
        assert chart.take() == []

    def test_a_hangup_right_after_the_answer_waits_for_its_ack(self, chart: Chart) -> None:
        call = chart.ringing()
        call.accept()
        call.hangup_leg()
        assert call.progress is LegState.ENDED
        assert chart.media.ports == {}
        assert chart.take() == ["180 Ringing", "200 OK"]
        chart.request("ACK", call)
        assert chart.take() == ["BYE"]
        chart.request("ACK", call)
        assert chart.take() == []

    def test_or_for_the_end_of_waiting_for_it(self, chart: Chart) -> None:
        call = chart.ringing()
        call.accept()
        call.hangup_leg()
        chart.clock.advance(33)
        assert chart.take()[-1] == "BYE"

    def test_our_bye_goes_back_along_the_recorded_route(self, chart: Chart) -> None:
        call = chart.ringing(headers=["Record-Route: <sip:192.0.2.10:5062;lr>, <sip:192.0.2.77;lr>"])
        call.accept()
        chart.request("ACK", call)
        call.hangup_leg()
        bye = chart.last_sent("BYE")
        assert bye.to == ("192.0.2.10", 5062)
        assert bye.message.all("Route") == ["<sip:192.0.2.10:5062;lr>", "<sip:192.0.2.77;lr>"]
        assert bye.message.to.tag == "far"

    def test_a_bye_before_our_answer_takes_the_invite_with_it(self, chart: Chart) -> None:
        call = chart.ringing()
        chart.request("BYE", call, cseq=2)
        assert chart.take() == ["180 Ringing", "200 OK", "487 Request Terminated"]
        assert call.progress is LegState.ENDED


class TestResponsesGoBack:
    def test_to_the_source_where_rport_was_asked_for(self, chart: Chart) -> None:
        chart.request("OPTIONS", source=("192.0.2.10", 33333))
        assert chart.last_sent().to == ("192.0.2.10", 33333)

    def test_to_the_port_in_via_where_it_was_not(self, chart: Chart) -> None:
        data = (
            "OPTIONS sip:1001@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP sbc.example:5062;branch=z9hG4bKv\r\n"
            "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
        chart.receive(data.encode(), ("192.0.2.10", 33333))
        sent = chart.last_sent("200")
        assert sent.to == ("192.0.2.10", 5062)
        assert sent.message.via.params["received"] == "192.0.2.10"


class TestOtherRequests:
    def test_options_outside_a_dialog_tells_what_we_can_do(self, chart: Chart) -> None:
        chart.request("OPTIONS")
        ok = chart.last("200")
        assert "INVITE" in ok.all("Allow")
        assert "application/sdp" in ok.all("Accept")
        assert ok.all("Supported") == ["100rel", "timer"]
        assert ok.to.tag

    def test_options_in_a_dialog(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("OPTIONS", call)
        assert chart.take() == ["200 OK"]

    def test_options_in_an_unknown_dialog(self, chart: Chart) -> None:
        chart.request("OPTIONS", to="<sip:1001@192.0.2.10>;tag=gone")
        assert chart.take() == ["481 Call/Transaction Does Not Exist"]

    @pytest.mark.parametrize(
        ("method", "code"),
        [("SUBSCRIBE", 405), ("MESSAGE", 405), ("NOTIFY", 481), ("INFO", 481), ("FROBNICATE", 501)],
    )
    def test_methods_that_we_do_not_do(self, chart: Chart, method: str, code: int) -> None:
        chart.request(method)
        assert chart.last().code == code
        assert "INVITE" in chart.last().all("Allow")

    def test_and_within_a_dialog(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("REFER", call)
        assert chart.last().code == 405
        assert call.progress is LegState.ANSWERED

    def test_another_protocol_version_is_refused_505(self, chart: Chart) -> None:
        data = (
            "OPTIONS sip:c@d SIP/7.0\r\nVia: {}/UDP x;branch=z9hG4bKkdjuw\r\nFrom: <sip:a@b>;tag=1\r\n"
            "To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
        chart.receive(data.format("SIP/2.0").encode())
        assert chart.last().code == 505
        chart.receive(data.format("SIP/7.0").encode())
        assert chart.raw[-1].startswith(b"SIP/2.0 505 ")

    @pytest.mark.parametrize("uri", ["soap.beep://192.0.2.1:3002", "nobody:knows-this"])
    def test_an_unknown_scheme_is_refused_416(self, chart: Chart, uri: str) -> None:
        chart.request("INVITE", uri=uri, body=sdp())
        assert chart.last().code == 416
        assert chart.inbound == []

    def test_options_that_require_what_we_lack_are_refused_too(self, chart: Chart) -> None:
        chart.request("OPTIONS", headers=["Require: nothingSIPKnows"])
        assert chart.last().code == 420

    def test_requests_out_of_order_are_refused(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("OPTIONS", call, cseq=5)
        chart.request("BYE", call, cseq=4)
        assert [sent.message.code for sent in chart.sent] == [200, 500]
        assert call.progress is LegState.ANSWERED

    def test_keep_alives_are_swallowed(self, chart: Chart) -> None:
        for data in (b"", b"\r\n\r\n", b"\0\0\0\0"):
            chart.receive(data)
        assert chart.take() == []
        assert chart.agent.malformed == 0

    def test_a_control_character_in_a_header_is_no_reason_not_to_answer(self, chart: Chart) -> None:
        chart.request("OPTIONS", from_='"a\x01\x7f" <sip:a@b>;tag=1')
        assert chart.take() == ["200 OK"]

    @pytest.mark.parametrize(
        ("old", "new"),
        [("Content-Length: 0", "Content-Length: 99"), ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
         ("CSeq: 1 OPTIONS\r\n", ""), ("Call-ID: x", "Call-ID: x\r\nCall-ID: y"),
         ("<sip:a@b>", '"open <sip:a@b>')],
    )  # fmt: skip
    def test_a_malformed_request_of_the_trunk_is_refused_400(self, chart: Chart, old: str, new: str) -> None:
        data = (
            "OPTIONS sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKm\r\nFrom: <sip:a@b>;tag=1\r\n"
            "To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        assert old in data
        chart.receive(data.replace(old, new).encode())
        start, via, *_ = chart.raw[-1].split(b"\r\n")
        assert start.startswith(b"SIP/2.0 400 Bad Request (")
        assert via == b"Via: SIP/2.0/UDP x;branch=z9hG4bKm"
        sent = len(chart.raw)
        chart.receive(data.replace(old, new).encode(), STRANGER, False)
        chart.receive(data.replace(old, new).replace("OPTIONS", "ACK", 1).encode())
        assert len(chart.raw) == sent

    def test_malformed_messages_are_counted_and_dropped(self, chart: Chart) -> None:
        chart.receive(b"INVITE sip:x SIP/2.0\r\nVia\r\n\r\n")
        chart.receive(b"\xff\xfe" * 100)
        assert chart.take() == []
        assert chart.agent.malformed == 2


class TestStrangers:
    @pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "BYE", "FROB", "CANCEL", "ACK"])
    def test_their_requests_are_dropped_in_silence(self, chart: Chart, method: str) -> None:
        chart.request(method, source=STRANGER, trusted=False)
        assert chart.take() == []
        assert chart.inbound == []

    def test_also_malformed_ones(self, chart: Chart) -> None:
        chart.receive(b"OPTIONS sip:x SIP/9.9\r\nVia: SIP/2.0/UDP a;branch=b\r\n\r\n", STRANGER, False)
        assert chart.take() == []

    def test_a_bye_of_a_dialog_of_ours_may_come_from_another_address(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("BYE", call, source=("192.0.2.20", 5080), trusted=False)
        assert chart.take() == ["200 OK"]
        assert call.progress is LegState.ENDED


class TestPolicy:
    def test_a_call_that_nobody_takes_rings_no_longer_than_set(self) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False, ring_timeout=20))
        call = chart.ringing()
        chart.clock.advance(19)
        assert chart.take() == ["180 Ringing"]
        chart.clock.advance(1)
        assert chart.last().code == 480
        assert call.cause == HangupCause("timeout", "us", 480, "nobody answered")

    @pytest.mark.parametrize("end", ["accept", "refuse"])
    def test_the_limit_ends_with_the_ringing(self, end: str) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False, ring_timeout=5))
        call = chart.ringing(branch="z9hG4bKlimit")
        getattr(call, end)()
        if end == "accept":
            chart.request("ACK", call)
        chart.sent.clear()
        chart.clock.advance(6)
        assert "480 Temporarily Unavailable" not in chart.take()

    def test_a_caller_may_be_turned_away_at_once(self, chart: Chart) -> None:
        asked: list[str] = []
        chart.phone.turn_away = lambda number: asked.append(number) or 486  # type: ignore[func-returns-value]
        chart.request("INVITE", body=sdp())
        assert chart.take() == ["486 Busy Here"]
        assert (asked, chart.inbound, chart.media.ports) == (["+12125550199"], [], {})

    @pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE", "REFER", "BYE", "XYZ"])
    def test_a_scanner_gets_not_one_byte(self, chart: Chart, method: str) -> None:
        """What does not come from the trunk's addresses is dropped in silence."""
        chart.request(method, source=STRANGER, trusted=False, body=sdp() if method == "INVITE" else "")
        chart.clock.advance(60)
        assert (chart.raw, chart.inbound) == ([], [])


class TestEarlyMedia:
    def test_the_caller_hears_before_the_answer_what_a_183_with_our_answer_lets_through(
        self, chart: Chart
    ) -> None:
        call = chart.ringing(sdp())
        call.early_media()
        call.early_media()
        early = chart.last("183")
        assert chart.take() == ["180 Ringing", "183 Session Progress"]
        assert (early.to.tag, early.get("Content-Type")) == (call.tag, "application/sdp")
        assert call.state is CallState.RINGING
        assert call.id in chart.media.connected  # its audio goes somewhere already
        call.accept()
        assert chart.last("200").sdp == early.sdp

    def test_without_an_offer_there_is_nothing_to_answer(self, chart: Chart) -> None:
        call = chart.ringing("")
        call.early_media()
        assert chart.take() == ["180 Ringing"]

    def test_a_refusal_may_say_what_was_heard_in_code_phrase_and_headers(self, chart: Chart) -> None:
        call = chart.ringing(sdp())
        call.early_media()
        call.refuse(433, [("Reason", 'SIP;cause=433;text="does not exist"')], "does not exist")
        final = chart.last("433")
        assert final.summary_line == "433 does not exist"
        assert final.get("Reason") == 'SIP;cause=433;text="does not exist"'
        assert call.cause == HangupCause("rejected", "us", 433, "does not exist")

    def test_a_call_hung_up_on_before_its_ack_says_why_all_the_same(self, chart: Chart) -> None:
        call = chart.ringing(sdp())
        call.accept()
        call.hangup_leg(told=[("Reason", "SIP;cause=442")])
        chart.request("ACK", call)
        assert chart.last("BYE").get("Reason") == "SIP;cause=442"
