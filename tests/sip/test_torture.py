"""The torture messages of RFC 4475, each through the whole user agent.

`torture/expected.tsv` says for each what the RFC asks and what we answer: a status, or `-` where a message is
dropped. The classes below look into the messages that parse.
"""

from __future__ import annotations

import csv
import logging
import re
from pathlib import Path

import pytest
import torture_table
from charts import TRUNK, Chart
from pyVoIP.SIP import SIPParseError

from engine.legs import LegState
from engine.sip.fields import Via
from engine.sip.message import Message

FOLDER = Path(__file__).parent / "torture"
with (FOLDER / "expected.tsv").open(newline="") as table:
    TABLE = list(csv.DictReader(table, delimiter="\t"))
NAMES = [row["message"] for row in TABLE]
PASSWORD = "demo pass"


def torture(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def parsed(name: str) -> Message:
    return Message(torture(name))


def head(data: bytes) -> bytes:
    return data.split(b"\r\n\r\n")[0]


def header(data: bytes, *names: str) -> list[bytes]:
    """The values of a header in raw octets, unfolded."""
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", head(data)).split(b"\r\n")[1:]
    pairs = [line.partition(b":") for line in unfolded]
    wanted = {name.lower().encode() for name in names}
    return [value.strip() for name, _, value in pairs if name.strip().lower() in wanted]


def test_the_whole_set_is_here() -> None:
    assert len(TABLE) == 49
    assert {file.stem for file in FOLDER.glob("*.dat")} == set(NAMES)


def test_the_page_tells_what_is_asserted_here() -> None:
    page = Path(__file__).parents[2] / "docs" / "torture.md"
    assert page.read_text("utf-8") == torture_table.page(), "write it anew: torture_table.py"


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_each_is_answered_as_the_rfc_asks(
    row: dict[str, str], chart: Chart, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 4475, section 3: what goes back, that it copies what it must (RFC 3261, 8.2.6.2), and that nothing
    is left behind."""
    caplog.set_level(logging.DEBUG)
    data = torture(row["message"])
    chart.receive(data)
    if row["ours"] == "-":
        assert not chart.raw
        assert not chart.inbound
    else:
        (answer,) = chart.raw
        start = head(answer).split(b"\r\n")[0]
        assert start.startswith(f"SIP/2.0 {row['ours']} ".encode())
        assert header(answer, "Call-ID", "i")[:1] == header(data, "Call-ID", "i")[:1]
        assert header(answer, "From", "f")[:1] == header(data, "From", "f")[:1]
        for to in header(answer, "To", "t"):
            assert b"tag" in to
        assert len(chart.inbound) == (row["ours"] == "180")
        if row["ours"] not in ("400", "505"):
            reply, request = Message(answer), Message(data)
            for sent, got in zip(reply.all("Via")[1:], request.all("Via")[1:], strict=True):
                assert sent == got
            assert (reply.cseq, reply.cseq_method) == (request.cseq, request.method)
    for call in chart.inbound:
        call.refuse(486)
    chart.clock.advance(64)
    assert len(chart.agent.layer) == 0
    assert not chart.media.ports
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert PASSWORD not in caplog.text
    assert not any(PASSWORD.encode() in sent for sent in chart.raw)


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_each_from_a_stranger_gets_no_answer(row: dict[str, str], chart: Chart) -> None:
    chart.receive(torture(row["message"]), ("203.0.113.66", 5060), trusted=False)
    chart.clock.advance(64)
    assert not chart.raw
    assert not chart.inbound


@pytest.mark.parametrize("name", NAMES)
def test_each_cut_short_anywhere_does_no_harm(name: str, chart: Chart) -> None:
    data = torture(name)
    for end in range(0, len(data), 7):
        chart.receive(data[:end])
        for call in list(chart.agent.calls.values()):
            call.refuse(486)
    chart.clock.advance(64)
    assert len(chart.agent.layer) == 0


class TestValid:
    def test_wsinv_folding_blanks_and_long_and_short_names(self) -> None:
        """RFC 4475, 3.1.1.1."""
        message = parsed("wsinv")
        assert str(message.uri) == "sip:vivekg@chair-dnrc.example.com;unknownparam"
        assert (message.to.uri.user, message.to.tag) == ("vivekg", "1918181833n")
        assert message.from_.display == 'J Rosenberg \\"'
        assert message.from_.tag == "98asjd8"
        assert message.get("Max-Forwards") == "0068"
        assert (message.cseq, message.cseq_method) == (9, "INVITE")
        assert message.get("Subject") == ""
        assert message.get("Newfangledheader") == "newfangled value continued newfangled value"
        assert message.get("Unknownheaderwithunusualvalue") == ";;,,;;,;"
        vias = [Via(value) for value in message.all("Via")]
        assert [(v.transport, v.host, v.branch) for v in vias] == [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
        assert message.contact is not None
        assert message.contact.display == 'Quoted string ""'
        assert message.contact.param("newparam") == "newvalue"
        assert message.contact.param("q") == "0.33"
        assert message.get("Route") == "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"
        assert len(message.content) == 150

    def test_intmeth_every_character_that_is_legal(self) -> None:
        """RFC 4475, 3.1.1.2."""
        message = parsed("intmeth")
        assert message.method == "!interesting-Method0123456789_*+`.%indeed'~" == message.cseq_method
        assert message.uri.host == "example.com"
        assert message.uri.user.startswith("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,")
        assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
        assert message.from_.display == "token1~` token2'+_ token3*%!.-"
        assert message.from_.tag == "_token~1'+`*%!-."
        assert message.from_.param("fromparam''~+*_!.-%") == '"работающий"'
        assert message.call_id == r"""intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"""
        assert "\ufeff大停電" in [value for _, value in message.fields]

    def test_esc01_escapes_are_kept_as_they_came(self) -> None:
        """RFC 4475, 3.1.1.3."""
        message = parsed("esc01")
        assert message.uri.user == "sips%3Auser%40example.com"
        assert message.uri.scheme == "sip"
        assert message.uri.host == "example.net"
        assert message.to.uri.user == "%75se%72"
        assert message.to.uri.number == "user"
        assert message.from_.uri.number == "I have spaces"
        assert message.contact is not None
        assert message.contact.uri.params == (("%6C%72", None), ("n%61me", "v%61lue%25%34%31"))
        assert message.contact.uri.param("lr") is None, "an escaped name is not unescaped twice"

    def test_escnull_escaped_nulls_stay_escaped(self) -> None:
        """RFC 4475, 3.1.1.4."""
        message = parsed("escnull")
        assert message.to.uri.user == "null-%00-null"
        assert message.all("Contact") == ["<sip:%00@host5.example.com>", "<sip:%00%00@host5.example.com>"]

    def test_esc02_a_percent_sign_in_a_token_is_only_that(self) -> None:
        """RFC 4475, 3.1.1.5."""
        message = parsed("esc02")
        assert message.method == "RE%47IST%45R"
        assert message.to.display == "%Z%45"
        assert message.via.branch == "z9hG4bK209%fzsnel234"
        assert message.all("Contact") == ["<sip:alias1@host1.example.com>", "<sip:alias3@host3.example.com>"]

    def test_lwsdisp_no_blank_before_the_bracket(self) -> None:
        """RFC 4475, 3.1.1.6."""
        assert parsed("lwsdisp").from_.display == "caller"

    def test_longreq_long_values(self) -> None:
        """RFC 4475, 3.1.1.7."""
        message = parsed("longreq")
        vias = message.all("Via")
        assert len(vias) == 34
        assert [Via(v).host for v in vias[:2]] == ["sip33.example.com", "sip32.example.com"]
        assert len(Via(vias[-1]).branch) > 200
        assert len(message.from_.tag) > 100
        assert message.to.uri.port == 6000

    def test_dblreq_what_follows_the_message_is_ignored(self) -> None:
        """RFC 4475, 3.1.1.8."""
        message = parsed("dblreq")
        assert (message.method, message.content) == ("REGISTER", b"")

    def test_semiuri_parameters_of_the_user_part(self) -> None:
        """RFC 4475, 3.1.1.9."""
        message = parsed("semiuri")
        assert (message.uri.user, message.uri.host) == ("user;par=u%40example.net", "example.com")
        assert message.all("Accept") == [
            "application/sdp", "application/pkcs7-mime", "multipart/mixed", "multipart/signed",
            "message/sip", "message/sipfrag",
        ]  # fmt: skip

    def test_transports_known_and_unknown(self) -> None:
        """RFC 4475, 3.1.1.10."""
        assert [Via(v).transport for v in parsed("transports").all("Via")] == [
            "UDP", "SCTP", "TLS", "UNKNOWN", "TCP",
        ]  # fmt: skip

    def test_mpart01_a_binary_body(self) -> None:
        """RFC 4475, 3.1.1.11."""
        message = parsed("mpart01")
        assert len(message.content) == 553
        assert message.content.endswith(b"--7a9cbec02ceef655--\r\n")
        assert message.sdp == b""

    def test_zeromf_and_regescrt_and_cparam(self) -> None:
        """RFC 4475, 3.3.11 to 3.3.14."""
        assert parsed("zeromf").get("Max-Forwards") == "0"
        outside, inside = parsed("cparam01").contact, parsed("cparam02").contact
        assert outside is not None
        assert inside is not None
        assert (outside.uri.params, outside.params) == ((), (("unknownparam", None),))
        assert (inside.uri.params, inside.params) == ((("unknownparam", None),), ())
        escaped = parsed("regescrt").contact
        assert escaped is not None
        assert escaped.uri.headers == "Route=%3Csip:sip.example.com%3E"


def as_answer(name: str, to: Message) -> bytes:
    """A response of the set as it would answer a request of ours."""
    data = torture(name)
    ours = {"Via": to.get("Via"), "Call-ID": to.call_id, "From": to.get("From"), "CSeq": to.get("CSeq")}
    for field, value in ours.items():
        line = f"{field}: {value}\r\n".encode()
        old = re.compile(rb"^%s:[^\n]*\n" % field.encode(), re.M)
        data = old.sub(lambda match, line=line: line, data)
    return data


class TestResponses:
    """The set's responses, as answers to a call of ours."""

    def test_noreason_is_a_100(self, chart: Chart) -> None:
        """RFC 4475, 3.1.1.13."""
        call, invite = chart.dial()
        chart.receive(as_answer("noreason", invite))
        assert call.progress is LegState.TRYING

    def test_unreason_answers_the_call(self, chart: Chart) -> None:
        """RFC 4475, 3.1.1.12."""
        call, invite = chart.dial()
        chart.receive(as_answer("unreason", invite))
        assert call.progress is LegState.ANSWERED
        assert chart.media.connected[call.stream][:2] == ("192.0.2.198", 49217)

    @pytest.mark.parametrize("name", ["bigcode", "scalarlg"])
    def test_a_number_out_of_range_is_discarded(self, name: str, chart: Chart) -> None:
        """RFC 4475, 3.1.2.5 and 3.1.2.19."""
        with pytest.raises(SIPParseError):
            parsed(name)
        _, invite = chart.dial()
        data = as_answer(name, invite).replace(invite.get("CSeq").encode(), b"9292394834772304023312 INVITE")  # type: ignore[union-attr]
        chart.receive(data)
        chart.clock.advance(1)
        assert chart.take() == ["INVITE", "INVITE"], "still asked, as if nothing had come"

    def test_bcast_is_discarded_though_it_names_us(self, chart: Chart) -> None:
        """RFC 4475, 3.3.10; RFC 3261, 8.1.3.3."""
        call, invite = chart.dial()
        second = b"Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\n"
        chart.receive(as_answer("unreason", invite).replace(b"Call-ID", second + b"Call-ID", 1))
        assert call.progress is LegState.DIALING
        chart.receive(as_answer("unreason", invite))
        assert call.progress is LegState.ANSWERED


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("badinv01", "Via"), ("clerr", "Content-Length 9999"), ("ncl", "Content-Length"),
            ("scalar02", "CSeq"), ("quotbal", "unterminated quote"), ("lwsruri", "start line"),
            ("mismatch01", "CSeq is for"), ("mismatch02", "CSeq is for"), ("insuf", "no From, To, Call-ID"),
            ("multi01", "2 of"), ("mcl01", "Content-Length values that differ"),
        ],
    )  # fmt: skip
    def test_the_reason_says_what_is_wrong(self, name: str, what: str, chart: Chart) -> None:
        """RFC 3261, 21.4.1."""
        chart.receive(torture(name))
        assert what in chart.raw[0].split(b"\r\n")[0].decode()

    def test_a_repeated_one_gets_the_same_answer(self, chart: Chart) -> None:
        """RFC 3261, 8.2.7: the same To tag, though nothing was kept."""
        for _ in range(2):
            chart.receive(torture("clerr"))
        assert chart.raw[0] == chart.raw[1]
        assert len(chart.agent.layer) == 0

    def test_bext01_names_what_is_not_supported(self, chart: Chart) -> None:
        """RFC 4475, 3.3.5."""
        chart.receive(torture("bext01"))
        assert chart.last().all("Unsupported") == ["nothingSupportsThis", "nothingSupportsThisEither"]

    def test_invut_names_what_is_accepted(self, chart: Chart) -> None:
        """RFC 4475, 3.3.6."""
        chart.receive(torture("invut"))
        assert chart.last().all("Accept") == ["application/sdp"]

    def test_an_encoded_body_names_what_is_accepted(self, chart: Chart) -> None:
        """RFC 3261, 8.2.3."""
        chart.receive(torture("sdp01").replace(b"Accept: text/nobodyKnowsThis", b"Content-Encoding: gzip"))
        assert chart.last().code == 415
        assert chart.last().get("Accept-Encoding") == "identity"

    def test_a_body_that_may_be_ignored_is_ignored(self, chart: Chart) -> None:
        """RFC 3261, 8.2.3 and 20.11."""
        data = torture("invut").replace(
            b"Content-Length", b"Content-Disposition: x; handling=optional\r\nContent-Length"
        )
        chart.receive(data)
        assert chart.last().code == 180

    def test_badbranch_two_requests_are_two(self, chart: Chart) -> None:
        """RFC 4475, 3.2.1: a branch of nothing but the cookie tells no transactions apart."""
        data = torture("badbranch")
        chart.receive(data)
        chart.receive(data)
        assert len(chart.agent.layer) == 1
        chart.receive(data.replace(b"CSeq: 8", b"CSeq: 9"))
        assert len(chart.agent.layer) == 2
        assert chart.last().cseq == 9

    def test_badvers_is_answered_in_our_version(self, chart: Chart) -> None:
        """RFC 4475, 3.1.2.16."""
        chart.receive(torture("badvers"))
        assert chart.raw[0].startswith(b"SIP/2.0 505 ")
        assert header(chart.raw[0], "Via") == [b"SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw"]


def test_inv2543_is_a_call(chart: Chart) -> None:
    """RFC 4475, 3.4.1: no branch, no tag, no Content-Length, no Contact."""
    chart.receive(torture("inv2543"), TRUNK)
    call = chart.inbound[0]
    assert call.number == "+13035551111"
    assert chart.last("180").all("Record-Route") == ["<sip:UserB@example.com;maddr=ss1.example.com>"]
    call.accept()
    ok = chart.last("200")
    ack = torture("inv2543").replace(b"INVITE", b"ACK").split(b"\r\nContent-Type")[0]
    ack = ack.replace(b";user=phone\r\nCall-ID", b";user=phone;tag=" + ok.to.tag.encode() + b"\r\nCall-ID")
    chart.receive(ack + b"\r\n\r\n")
    assert call.progress is LegState.ANSWERED
    sent = len(chart.raw)
    chart.clock.advance(40)
    assert len(chart.raw) == sent, "the 200 was acknowledged, so it is not repeated"
    call.hangup_leg()
    assert chart.last("BYE").to.uri.user == "+13035551111"
