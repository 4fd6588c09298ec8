"""What pyVoIP 1.6.8 does wrong on a real trunk, and that our classes, which extend it, do not.

Each test shows the fault on pyVoIP's own class first, so that it tells when a fault is gone upstream,
and then the same situation on ours. Here signalling; audio is in test_pyvoip_audio_defects.py.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from charts import TRUNK, Chart, answer, sdp
from pyVoIP.SIP import SIPClient, SIPMessage
from pyVoIP.VoIP import CallState, InvalidStateError
from stock import Blocked, StockPhone, reply

from engine.legs import LegState
from engine.sip.message import Message

TRYING = reply(100, "Trying", tag=None)


class TestProvisionalResponses:
    def test_a_183_that_comes_first_blocks_pyvoip_and_is_early_media_here(self, chart: Chart) -> None:
        stock = StockPhone(reply(183, "Session Progress", body=sdp()))
        with pytest.raises(Blocked):
            stock.call()

        call, invite = chart.dial()
        chart.answer(invite, 183, body=sdp())
        assert call.progress is LegState.EARLY
        assert call.id in chart.media.connected
        chart.phone.dial("5550000")  # and the phone goes on

    def test_180_and_183_are_ignored_by_pyvoip_and_followed_here(self, chart: Chart) -> None:
        stock = StockPhone(TRYING)
        stock_call = stock.call()
        stock.receive(answer(stock.sent[0], 180, "Ringing"))
        assert stock_call.state is CallState.DIALING
        assert stock_call.RTPClients == []

        call, invite = chart.dial()
        chart.answer(invite, 180, "Ringing")
        assert call.progress is LegState.RINGING
        chart.answer(invite, 183, body=sdp())
        assert call.progress is LegState.EARLY


class TestFailures:
    @pytest.mark.parametrize("code", [486, 480, 603, 487, 408])
    def test_refusals_leave_pyvoip_dialing_with_the_port_taken_and_end_the_leg_here(
        self, chart: Chart, code: int
    ) -> None:
        stock = StockPhone(TRYING)
        stock_call = stock.call()
        stock.receive(answer(stock.sent[0], code))
        assert stock_call.state is CallState.DIALING
        assert len(stock.phone.assignedPorts) == 1
        assert [m.method for m in stock.sent] == ["INVITE"]  # not even an ACK

        call, invite = chart.dial()
        chart.answer(invite, code)
        assert call.state is CallState.ENDED
        assert chart.media.ports == {}
        assert chart.take() == ["INVITE", "ACK"]

    def test_407_blocks_pyvoip_and_is_answered_here(self, chart: Chart) -> None:
        asks = ['Proxy-Authenticate: Digest realm="r", nonce="n"']
        stock = StockPhone(reply(407, headers=asks))
        with pytest.raises(Blocked):
            stock.call()
        assert [m.method for m in stock.sent] == ["INVITE"]

        _, invite = chart.dial()
        chart.answer(invite, 407, headers=asks)
        assert chart.last("INVITE").get("Proxy-Authorization")

    def test_pyvoip_cannot_take_a_call_back_and_we_send_cancel(self, chart: Chart) -> None:
        stock_call = StockPhone(TRYING).call()
        with pytest.raises(InvalidStateError):
            stock_call.hangup()

        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg()
        assert chart.last().method == "CANCEL"


class TestAcknowledgement:
    ROUTES = ("Record-Route: <sip:192.0.2.99:5999;lr>, <sip:192.0.2.10:5062;lr>",)

    def test_acks_go_to_the_answers_contact_along_its_routes(self, chart: Chart) -> None:
        stock = StockPhone(TRYING)
        stock.call()
        invite = stock.sent[0]
        ok = answer(invite, 200, body=sdp(), headers=self.ROUTES)
        ack = Message(stock.phone.sip.gen_ack(SIPMessage(ok)).encode())
        assert ack.uri_text == "sip:5551234@192.0.2.10"  # the number dialled, not the Contact
        assert ack.to.tag != "far"
        assert ack.via.branch == invite.via.branch
        assert ack.all("Route") == []

        _, ours = chart.dial()
        chart.answer(ours, 200, body=sdp(), headers=self.ROUTES)
        sent = chart.last_sent("ACK")
        assert sent.message.uri_text == "sip:callee@192.0.2.20:5080"
        assert sent.message.to.tag == "far"
        assert sent.message.via.branch != ours.via.branch
        assert len(sent.message.all("Route")) == 2
        assert sent.to == ("192.0.2.10", 5062)

    def test_byes_do_too(self, chart: Chart) -> None:
        stock = StockPhone(TRYING)
        stock_call = stock.call()
        bye = Message(stock.phone.sip.gen_bye(stock_call.request).encode())
        assert bye.uri_text == "sip:1001@127.0.0.1:5060"  # itself
        assert bye.to.tag == ""
        assert bye.via.branch == stock.sent[0].via.branch

        call, _ = chart.dial()
        chart.answer(chart.last(), 200, body=sdp(), headers=self.ROUTES)
        call.hangup_leg()
        sent = chart.last_sent("BYE")
        assert sent.message.uri_text == "sip:callee@192.0.2.20:5080"
        assert sent.message.to.tag == "far"
        assert len(sent.message.all("Route")) == 2

    def test_a_second_answer_is_not_taken_for_another_call(self, chart: Chart) -> None:
        call, invite = chart.answered()
        chart.answer(invite, 200, tag="fork", body=sdp(port=49000))
        assert chart.take() == ["ACK", "BYE"]
        assert chart.media.connected[call.id][1] == 41000


class TestReliability:
    def test_pyvoip_sends_once_and_we_repeat(self, chart: Chart) -> None:
        stock = StockPhone()
        with pytest.raises(Blocked):
            stock.call()
        assert len(stock.sent) == 1

        chart.dial()
        chart.clock.advance(4)
        assert chart.times("INVITE") == [0.0, 0.5, 1.5, 3.5]

    def test_identifiers_are_the_same_in_every_run_of_pyvoip_and_never_here(self) -> None:
        def stock() -> tuple[str, str]:
            client = SIPClient(*TRUNK, "1001", "x", phone=None, myIP="127.0.0.1")
            return client.gen_call_id(), client.gen_call_id()

        assert stock() == stock()

        def ours() -> set[str]:
            chart = Chart()
            _, invite = chart.dial()
            agent = chart.agent
            made = {agent.gen_call_id(), agent.gen_tag(), agent.gen_branch()}
            return made | {invite.call_id, invite.via.branch, invite.from_.tag}

        assert not ours() & ours()
        assert len(ours()) == 6


BASE = (
    "INVITE sip:1001@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa\r\n"
    "From: <sip:ada@x>;tag=1\r\nTo: <sip:1001@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:ada@192.0.2.10>\r\nContent-Type: application/sdp\r\n\r\n" + sdp()
)
MULTIPART = (
    BASE.replace("application/sdp", "multipart/mixed;boundary=b").split("\r\n\r\n")[0]
    + "\r\n\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp() + "\r\n--b--\r\n"
)  # fmt: skip


class TestParser:
    def test_both_read_what_pyvoip_expects(self) -> None:
        for read in (SIPMessage, Message):
            message = read(BASE.encode())
            assert message.headers["From"]["tag"] == "1"
            assert message.body["m"][0]["port"] == 41000

    @pytest.mark.parametrize(
        "text",
        [
            BASE.replace("Content-Type", "content-type").replace("From", "from").replace("Via", "via"),
            BASE.replace("Content-Type", "c").replace("From", "f").replace("Via", "v"),
            BASE.replace("From: ", "From:").replace("Via: ", "Via:"),
            BASE.replace("<sip:ada@x>", "<tel:+12125550100>"),
            BASE.replace("<sip:ada@x>", "<sips:ada@x>"),
            MULTIPART,
        ],
        ids=["lowercase", "compact", "no blank", "tel", "sips", "multipart"],
    )
    def test_pyvoip_raises_on_what_trunks_send_and_we_read_it(self, text: str) -> None:
        with pytest.raises((KeyError, IndexError, ValueError)):
            SIPMessage(text.encode())

        message = Message(text.encode())
        assert message.from_.tag == "1"
        assert message.via.branch == "z9hG4bKa"
        assert message.body["m"][0]["port"] == 41000
        assert message.headers["From"]["tag"] == "1"


class TestManners:
    def test_pyvoip_prints_to_stdout_and_we_do_not(
        self, chart: Chart, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stock = StockPhone(TRYING)
        stock.call()
        stock.receive(answer(stock.sent[0], 486))
        assert "TODO" in capsys.readouterr().out

        call, invite = chart.dial()
        chart.receive(b"garbage")
        for code in (180, 183, 486):
            chart.answer(invite, code)
        assert call.state is CallState.ENDED
        captured = capsys.readouterr()
        assert captured.out + captured.err == ""

    @pytest.mark.parametrize(
        ("module", "works"),
        [("pyVoIP.SIP", False), ("engine.sip.message", True), ("engine.sip.agent", True),
         ("engine.sip.phone", True), ("engine.sip.sdp", True), ("engine.media.stream", True)],
    )  # fmt: skip
    def test_any_module_of_ours_may_be_imported_first(self, module: str, works: bool) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"import {module}"],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is works, done.stderr.decode()
