"""Messages: tolerant in, strict out, and never an exception but SIPParseError (RFC 3261, 7, 20)."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyVoIP.SIP import SIPParseError, SIPStatus

from engine.sip.fields import Via
from engine.sip.message import MAX_HEADERS, MAX_LINE, MAX_MESSAGE, Message, build, response_to

INVITE = (
    b"INVITE sip:1001@198.51.100.7 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Ada, of X" <sip:ada@x.example>;tag=1\r\n'
    b"To: <sip:1001@y.example>\r\n"
    b"Call-ID: abc@x\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:ada@192.0.2.10;transport=udp>\r\n"
    b'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n%s"
)
SDP = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
    b"m=audio 41000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
)
VALID = INVITE % (len(SDP), SDP)
REPLY = (
    b"SIP/2.0 183 Session Progress\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKb\r\nFrom: <sip:a@h>;tag=1\r\n"
    b"To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 9 INVITE\r\n\r\n"
)


def with_header(line: bytes) -> Message:
    return Message(REPLY.replace(b"CSeq", line + b"\r\nCSeq"))


class TestTolerance:
    def test_a_request(self) -> None:
        message = Message(VALID)
        assert message.is_request
        assert (message.method, message.uri_text, message.version) == (
            "INVITE", "sip:1001@198.51.100.7", "SIP/2.0",
        )  # fmt: skip
        assert (message.cseq, message.cseq_method, message.call_id) == (1, "INVITE", "abc@x")
        assert message.from_.display == "Ada, of X"
        assert message.sdp == SDP

    def test_a_response(self) -> None:
        message = Message(REPLY)
        assert (message.code, message.reason) == (183, "Session Progress")
        assert message.status is SIPStatus.SESSION_PROGRESS
        assert message.content == b""

    def test_compact_names_any_case_and_no_blank_after_the_colon(self) -> None:
        message = Message(
            b"INVITE sip:x SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bKa\r\nF:<sip:a@h>;tag=1\r\n"
            b"t :<sip:b@h>\r\nI:c\r\ncseq:1 INVITE\r\nCONTACT:<sip:a@h>\r\nm: <sip:second@h>\r\nl:0\r\n\r\n"
        )
        assert message.call_id == "c"
        assert message.all("Contact") == ["<sip:a@h>", "<sip:second@h>"]
        assert message.from_.tag == "1"

    def test_folded_lines(self) -> None:
        assert with_header(b"Subject: first\r\n  second\r\n\tthird").get("Subject") == "first second third"

    def test_bare_line_feeds(self) -> None:
        message = Message(VALID.replace(b"\r\n", b"\n").replace(b"Content-Length", b"X-Length"))
        assert message.cseq == 1
        assert message.sdp.startswith(b"v=0\n")

    def test_bare_line_feeds_above_a_body_with_blank_lines(self) -> None:
        message = Message(REPLY.replace(b"\r\n", b"\n") + b"one\r\n\r\ntwo")
        assert message.content == b"one\r\n\r\ntwo"

    def test_empty_lines_before_the_message(self) -> None:
        assert Message(b"\r\n\r\n" + VALID).method == "INVITE"

    def test_without_an_empty_line_at_the_end(self) -> None:
        assert Message(REPLY.rstrip()).code == 183

    def test_lists_are_split_but_not_in_quotes_or_brackets(self) -> None:
        message = with_header(b'Contact: "a,b" <sip:x@h;y="1,2">;q=1 , <sip:z@h>')
        assert message.all("Contact") == ['"a,b" <sip:x@h;y="1,2">;q=1', "<sip:z@h>"]

    def test_tel_and_sips_uris(self) -> None:
        data = VALID.replace(b"<sip:ada@x.example>", b"<tel:+12125550100>")
        message = Message(data.replace(b"sip:1001@y", b"sips:1@y"))
        assert message.from_.uri.number == "+12125550100"
        assert message.to.uri.scheme == "sips"

    def test_a_multipart_body(self) -> None:
        body = (
            b'--Ab\r\nContent-Type: text/plain\r\n\r\nhello\r\n--Ab\r\nContent-Type: application/sdp\r\n\r\n'
            + SDP + b"\r\n--Ab--\r\n"
        )  # fmt: skip
        kind = b'multipart/mixed;boundary="Ab"\r\nContent-L'
        data = (INVITE % (len(body), body)).replace(b"application/sdp\r\nContent-L", kind, 1)
        assert Message(data).sdp == SDP

    def test_a_reason_that_is_missing_or_in_another_script(self) -> None:
        assert Message(REPLY.replace(b" Session Progress", b"")).reason == ""
        assert Message(REPLY.replace(b"Session Progress", "занято".encode())).reason == "занято"

    def test_a_status_that_nobody_knows_counts_as_its_class(self) -> None:
        message = Message(REPLY.replace(b"183", b"499"))
        assert message.code == 499
        assert message.status is SIPStatus.BAD_REQUEST

    def test_octets_beyond_the_content_length_are_ignored(self) -> None:
        assert Message(VALID + b"INVITE more").sdp == SDP

    def test_a_method_may_be_any_token(self) -> None:
        data = VALID.replace(b"INVITE", b"!interesting-Method0123456789_*+`.%indeed'~")
        assert Message(data).method.startswith("!interesting")

    def test_semicolons_in_the_user_part(self) -> None:
        message = Message(VALID.replace(b"sip:ada@", b"sip:ada;par=u%40example.net@"))
        assert message.from_.uri.user == "ada;par=u%40example.net"
        assert message.from_.uri.host == "x.example"


class TestRefusal:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"Via: ", b"X-Via: "), (b"CSeq: 1 INVITE", b"X: y"), (b"From: ", b"X: "), (b"To: ", b"X: "),
            (b"Call-ID: ", b"X: "), (b"CSeq: 1 INVITE", b"CSeq: 1 ACK"), (b"CSeq: 1", b"CSeq: 4294967296"),
            (b"CSeq: 1", b"CSeq: -1"), (b"Call-ID: abc@x", b"Call-ID: a\r\ni: b"),
            (b"To: ", b"t: <sip:x@y>\r\nTo: "), (b"Content-Type", b"l: 0\r\nContent-Type"),
            (b"CSeq: 1", "CSeq: ١".encode()),
            (b"SIP/2.0\r\nVia", b"HTTP/1.1\r\nVia"), (b"INVITE sip", b"INV ITE sip"),
            (b"SIP/2.0/UDP 192.0.2.10", b"SIP/2.0/UDP"),
            (b"Content-Length: ", b"Content-Length: -"), (b"Content-Length: ", b"Content-Length: 9"),
            (b"<sip:1001@y.example>", b"<sip:1001@y.example"), (b'of X"', b"of X"),
            (b"Max-Forwards", b"Max Forwards"), (b"Max-Forwards: 70", b"no colon here"),
        ],
    )  # fmt: skip
    def test_messages_that_cannot_be_answered_rightly(self, old: bytes, new: bytes) -> None:
        assert old in VALID
        with pytest.raises(SIPParseError):
            Message(VALID.replace(old, new, 1))

    @pytest.mark.parametrize("status", [b"SIP/2.0 099", b"SIP/2.0 700", b"SIP/2.0 4294967301", b"SIP/2.0 "])
    def test_statuses_out_of_range(self, status: bytes) -> None:
        with pytest.raises(SIPParseError):
            Message(REPLY.replace(b"SIP/2.0 183", status, 1))

    def test_another_version_is_read_so_that_it_can_be_refused(self) -> None:
        assert Message(VALID.replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1)).version == "SIP/7.0"


class TestBounds:
    def test_size_and_number_of_headers(self) -> None:
        with pytest.raises(SIPParseError, match="too long"):
            Message(VALID + b"x" * MAX_MESSAGE)
        with pytest.raises(SIPParseError, match="too many"):
            with_header(b"\r\n".join(b"X-Many: y" for _ in range(MAX_HEADERS)))
        with pytest.raises(SIPParseError, match="too long"):
            with_header(b"X-Long: " + b"y" * MAX_LINE)
        assert with_header(b"X-Long: " + b"y" * 3000).get("X-Long") == "y" * 3000

    @pytest.mark.parametrize(
        "line",
        [
            b"Via: SIP/2.0/UDP h" + b" " * 8000 + b"x;branch=1",
            b"Authorization: " + b"a" * 8000,
            b"WWW-Authenticate: " + b"a " * 4000,
            b'Contact: "' + b"\\" * 8000,
            b"Contact: " + b"<" * 8000,
            b"Route: " + b"," * 8000,
            b"Supported: " + b"a;" * 4000,
        ],
        ids=lambda line: line[:12].decode(),
    )
    def test_no_header_makes_parsing_slow(self, line: bytes) -> None:
        data = REPLY.replace(b"CSeq", b"\r\n".join([line] * 7) + b"\r\nCSeq")
        assert len(data) < MAX_MESSAGE
        began = time.process_time()
        try:
            Message(data)
        except SIPParseError:
            pass
        assert time.process_time() - began < 0.5  # quadratic matching takes several seconds

    @settings(max_examples=300, deadline=None)
    @given(st.binary())
    @example(b"\r\n\r\n")
    @example(b"SIP/2.0 200")
    def test_any_bytes(self, data: bytes) -> None:
        try:
            Message(data)
        except SIPParseError:
            pass

    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from([VALID, REPLY, VALID.replace(b"\r\n", b"\n")]),
        st.lists(
            st.tuples(
                st.integers(0, 700),
                st.integers(0, 12),
                st.one_of(
                    st.binary(max_size=8),
                    st.sampled_from([
                        b"\r\n", b"\r", b"\0", b'"', b"<", b">", b";", b",", b"%", b":", b"9" * 5000,
                        "²".encode(), "٣".encode(), b"\xff\xfe", b"m=audio 1 RTP/AVP 8",
                        b"a=rtpmap:8 x/" + b"1" * 4400,
                    ]),
                ),
            ),
            min_size=1,
            max_size=6,
        ),
    )  # fmt: skip
    def test_a_valid_message_with_damage(self, data: bytes, damage: list[tuple[int, int, bytes]]) -> None:
        for at, length, replacement in damage:
            data = data[:at] + replacement + data[at + length :]
        try:
            message = Message(data)
        except SIPParseError:
            return
        assert message.contact is None or message.contact.uri
        if message.is_request:
            assert Message(response_to(message, 200, to_tag="t").raw).call_id == message.call_id

    @pytest.mark.parametrize("digits", ["²", "٣", "9" * 5000])
    @pytest.mark.parametrize(
        ("old", "new"),
        [("o=- 1 2", "o=- 1 {}"), ("41000", "{}"), ("RTP/AVP 8", "RTP/AVP {} 8"), ("rtpmap:8", "rtpmap:{}"),
         ("PCMA/8000", "PCMA/{}"), ("a=sendrecv", "a=ptime:{}")],
    )  # fmt: skip
    def test_odd_numbers_in_a_description(self, old: str, new: str, digits: str) -> None:
        assert old in SDP.decode()
        body = SDP.decode().replace(old, new.format(digits)).encode()
        assert Message(INVITE % (len(body), body)).sdp == body


class TestBuilding:
    FIELDS = (
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKa"), ("From", "<sip:a@h>;tag=1"), ("To", "<sip:b@h>"),
        ("Call-ID", "c"), ("CSeq", "1 OPTIONS"),
    )  # fmt: skip

    def test_the_content_length_is_the_contents(self) -> None:
        message = build("OPTIONS sip:x SIP/2.0", self.FIELDS, "ä".encode())
        assert message.get("Content-Length") == "2"
        assert message.raw.endswith(b"\r\n\r\n" + "ä".encode())

    @pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nX: 1", "a\rb", "a\x00b", "a\x7f", "a\x1b[2J"])
    def test_no_value_can_add_a_header(self, text: str) -> None:
        with pytest.raises(SIPParseError, match="control character"):
            build("OPTIONS sip:x SIP/2.0", [*self.FIELDS, ("Subject", text)])
        request = build("OPTIONS sip:x SIP/2.0", self.FIELDS)
        with pytest.raises(SIPParseError, match="control character"):
            response_to(request, 200, text)
        with pytest.raises(SIPParseError, match="control character"):
            response_to(request, 200, extra=[("Warning", text)])

    @pytest.mark.parametrize("start", ["OPTIONS sip:x\r\nX: SIP/2.0", "OPTIONS sip:x y SIP/2.0"])
    def test_nor_can_a_start_line(self, start: str) -> None:
        with pytest.raises(SIPParseError):
            build(start, self.FIELDS)

    def test_a_response_copies_what_it_must(self) -> None:
        request = Message(VALID.replace(b"Max", b"Via: SIP/2.0/UDP b\r\nRecord-Route: <sip:p;lr>\r\nMax"))
        response = response_to(request, 180, to_tag="t")
        assert response.all("Via") == request.all("Via")
        assert response.all("Record-Route") == ["<sip:p;lr>"]
        assert response.get("From") == request.get("From")
        assert response.to.tag == "t"
        assert (response.call_id, response.get("CSeq")) == (request.call_id, "1 INVITE")
        assert response.reason == "Ringing"

    def test_a_tag_that_is_there_stays(self) -> None:
        request = Message(VALID.replace(b"y.example>", b"y.example>;tag=ours"))
        assert response_to(request, 200, to_tag="other").to.tag == "ours"


class TestVia:
    def test_odd_blanks_and_ipv6(self) -> None:
        via = Via("SIP / 2.0 / UDP [2001:db8::1] : 5070 ; branch=z9hG4bKa ;received=192.0.2.1; rport")
        assert via.sent_by == ("2001:db8::1", 5070)
        assert via.params == {"branch": "z9hG4bKa", "received": "192.0.2.1", "rport": None}

    def test_the_default_port(self) -> None:
        assert Via("sip/2.0/tls h").sent_by == ("h", 5060)


class TestPyvoipsFields:
    """Code written for pyVoIP reads these."""

    def test_headers_and_body_are_as_pyvoip_fills_them(self) -> None:
        message = Message(VALID)
        assert message.headers["Via"][0]["address"] == ("192.0.2.10", "5060")
        assert message.headers["Via"][0]["branch"] == "z9hG4bKa"
        assert message.headers["From"]["number"] == "ada"
        assert message.headers["From"]["tag"] == "1"
        assert message.headers["CSeq"] == {"check": "1", "method": "INVITE"}
        assert message.headers["Content-Length"] == len(SDP)
        assert message.body["m"][0]["port"] == 41000
        assert message.body["m"][0]["attributes"]["101"]["rtpmap"]["name"] == "telephone-event"
        assert message.body["c"][0]["address"] == "192.0.2.30"
        assert message.authentication == {"realm": "r", "nonce": "n"}
        assert "INVITE" in message.summary()

    def test_a_via_parameter_cannot_pose_as_the_address(self) -> None:
        message = Message(VALID.replace(b";rport", b";address=evil;type=x"))
        assert message.headers["Via"][0]["address"] == ("192.0.2.10", "5060")
