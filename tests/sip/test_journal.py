"""What is remembered of a call's messages: bounded, masked, and readable as a ladder and by other tools."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from charts import sdp, text

from engine.sip.hop import Hop
from engine.sip.journal import MAX_BYTES, MAX_ENDED, MAX_MESSAGES, Journal, Passed
from engine.sip.ladder import in_full, ladder
from engine.sip.pcap import pcap, write_pcap

US, TRUNK, FAR = Hop("198.51.100.7", 5070), Hop("192.0.2.10", 5060), Hop("192.0.2.20", 5080)
NASTY = "\x1b[2J\u202e\x07"


def message(
    start: str, call_id: str = "c@h", cseq: str = "1 INVITE", extra: str = "", body: str = ""
) -> bytes:
    lines = [
        "Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bKa", "From: <sip:1001@h>;tag=1", "To: <sip:2@h>",
        f"Call-ID: {call_id}", f"CSeq: {cseq}",
    ]  # fmt: skip
    return text(start, [*lines, *([extra] if extra else [])], body)


INVITE = message("INVITE sip:2@h SIP/2.0", body=sdp())


def passed(data: bytes, at: float = 1000.0, sent: bool = True, remote: Hop = TRUNK) -> Passed:
    return Passed(at, sent, US._replace(transport=remote.transport), remote, data)


def call() -> list[Passed]:
    ringing = message("SIP/2.0 183 Session Progress", body=sdp(direction="sendonly"))
    return [
        passed(INVITE),
        passed(INVITE, 1000.5),
        passed(message("SIP/2.0 100 Trying"), 1000.52, False),
        passed(ringing, 1000.75, False),
        passed(message("SIP/2.0 200 OK", body=sdp()), 1003.0, False),
        passed(message("ACK sip:2@h SIP/2.0", cseq="1 ACK"), 1003.001, True, FAR),
        passed(message(f"BYE sip:1001@h{NASTY} SIP/2.0", cseq="2 BYE"), 1009.0, False, FAR),
    ]


class TestJournal:
    def test_a_calls_messages_are_found_by_leg_number_call_id_or_as_the_last(self) -> None:
        journal = Journal()
        journal.add(passed(message("REGISTER sip:h SIP/2.0", "reg", "1 REGISTER")))
        for number in (1, 2):
            journal.open(f"c{number}@h", f"leg{number}", f"555000{number}")
            journal.add(passed(INVITE.replace(b"c@h", f"c{number}@h".encode())))
        journal.close("c1@h")
        for what in ("leg1", "5550001", "c1@h"):
            ring = journal.find(what)
            assert ring is not None
            assert [b"c1@h" in m.data for m in ring] == [True]
        assert journal.find("last") is journal.find("leg2")
        assert journal.find("leg3") is None
        assert len(journal.trunk) == 1
        assert journal.find("trunk") is journal.trunk

    def test_the_invite_that_begins_an_inbound_call_is_the_calls(self) -> None:
        journal = Journal()
        journal.add(passed(INVITE, sent=False))
        journal.open("c@h", "leg", "2")
        journal.add(passed(message("SIP/2.0 180 Ringing")))
        ring = journal.find("leg")
        assert ring is not None
        assert len(ring) == 2
        assert not len(journal.trunk)

    def test_strangers_fill_no_other_ring(self) -> None:
        journal = Journal()
        for number in range(MAX_MESSAGES + 10):
            journal.add(passed(INVITE.replace(b"c@h", b"s%d" % number), sent=False), trusted=False)
        assert len(journal.strangers) == MAX_MESSAGES
        assert not len(journal.trunk)

    def test_it_is_bounded(self) -> None:
        journal = Journal()
        for number in range(MAX_ENDED + 20):
            journal.open(f"c{number}", f"leg{number}", "5")
            for _ in range(MAX_MESSAGES + 5):
                journal.add(passed(message("OPTIONS sip:2@h SIP/2.0", f"c{number}")))
            journal.close(f"c{number}")
        assert journal.find("leg19") is None
        ring = journal.find("leg20")
        assert ring is not None
        assert (len(ring), ring.lost) == (MAX_MESSAGES, 5)
        journal.open("big", "big", "5")
        for _ in range(20):
            journal.add(passed(message("OPTIONS sip:2@h SIP/2.0", "big", extra="X: " + "y" * 60_000)))
        ring = journal.find("big")
        assert ring is not None
        assert sum(len(m.data) for m in ring) <= MAX_BYTES
        assert ring.lost

    def test_credentials_and_keys_are_masked_as_they_are_stored(self) -> None:
        """RFC 4568, 7 and 9: whoever is sent a trace must not be able to decrypt the call."""
        journal = Journal()
        journal.open("c@h", "leg", "2")
        auth = 'Proxy-Authorization: Digest username="u5er", realm="r", nonce="n0nce", response="r3sponse"'
        key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\r\n"
        journal.add(passed(message("INVITE sip:2@h SIP/2.0", extra=auth, body=sdp(extra=key))))
        ring = journal.find("leg")
        assert ring is not None
        (kept,) = ring
        for secret in (b"u5er", b"n0nce", b"r3sponse", b"d0Rmdm"):
            assert secret not in kept.data
        assert "audio 192.0.2.30:41000" in ladder([kept])[1], "still a message that parses"


class TestLadder:
    def test_a_call(self) -> None:
        lines = ladder(call())
        assert lines[0].split() == ["198.51.100.7:5070", "192.0.2.10:5060", "192.0.2.20:5080"]
        assert [line.split()[0] for line in lines[1:]] == [
            "0.000", "0.500", "0.520", "0.750", "3.000", "3.001", "9.000",
        ]  # fmt: skip
        assert "- INVITE -" in lines[1]
        assert lines[1].rstrip().endswith("audio 192.0.2.30:41000 PCMA PCMU")
        assert lines[2].endswith("repeated")
        assert " 100 Trying " in lines[3]
        assert lines[4].endswith("sendonly")
        sent, received = lines[1], lines[3]
        assert sent.index(">") > sent.index("INVITE")
        assert received.index("<") < received.index("100")
        first, second = lines[1].index(">"), lines[6].index(">")
        assert second - first == 30, "the second far end has a column of its own"
        assert len(ladder(call()[:1])[1]) <= 80, "a call with one far end fits a small terminal"

    def test_what_the_network_sent_is_escaped(self) -> None:
        for line in [*ladder(call()), *in_full(call())]:
            assert not set(line) & {"\x1b", "\u202e", "\x07", "\n", "\r"}

    def test_more_far_ends_than_columns_and_messages_that_do_not_parse(self) -> None:
        many = [passed(b"\x00\x1b garbage\r\n", remote=Hop(f"192.0.2.{n}", 5060)) for n in range(20)]
        lines = ladder(many)
        assert len(lines) == 21
        assert lines[-1].endswith("malformed")
        assert ladder([]) == []


def tshark(file: Path, *fields: str) -> list[list[str]]:
    ran = subprocess.run(
        ["tshark", "-r", str(file), "-Y", "sip", "-T", "fields", "-E", "separator=|",
         *(part for field in fields for part in ("-e", field))],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [line.split("|") for line in ran.stdout.splitlines()]


class TestPcap:
    @pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
    def test_tshark_reads_it(self, tmp_path: Path) -> None:
        file = tmp_path / "call.pcap"
        write_pcap(file, call())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        rows = tshark(
            file, "frame.time_epoch", "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "sip.Method",
            "sip.Status-Code", "ip.checksum.status", "udp.checksum.status",
        )  # fmt: skip
        assert [row[5] or row[6] for row in rows] == ["INVITE", "INVITE", "100", "183", "200", "ACK", "BYE"]
        assert rows[0][:5] == ["1000.000000000", "198.51.100.7", "5070", "192.0.2.10", "5060"]
        assert rows[2][:5] == ["1000.520000000", "192.0.2.10", "5060", "198.51.100.7", "5070"]
        assert rows[6][1:5] == ["192.0.2.20", "5080", "198.51.100.7", "5070"]
        assert not any("0" in row[7:] for row in rows), "a checksum that is wrong"

    @pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
    def test_tshark_reads_ipv6_tcp_and_tls(self, tmp_path: Path) -> None:
        us = Hop("2001:db8::7", 5070)
        tcp, tls = Hop("2001:db8::10", 5060, "tcp"), Hop("2001:db8::10", 5061, "tls")
        udp = Hop("2001:db8::10", 5060)
        giant = message("SIP/2.0 200 OK", extra="X-Long: " + "y" * 8000)
        log = []
        for remote in (tcp, tls, udp):
            local = us._replace(transport=remote.transport)
            log += [Passed(5.0, True, local, remote, INVITE), Passed(5.1, False, local, remote, giant)]
        file = tmp_path / "call.pcap"
        write_pcap(file, log)
        rows = tshark(file, "ipv6.src", "sip.Method", "sip.Status-Code", "sdp.connection_info.address")
        assert [row[1] or row[2] for row in rows] == ["INVITE", "200"] * 3
        assert [row[0] for row in rows] == ["2001:db8::7", "2001:db8::10"] * 3
        assert rows[0][3] == "192.0.2.30"

    @pytest.mark.skipif(not shutil.which("sngrep"), reason="sngrep is not installed")
    def test_sngrep_reads_it(self, tmp_path: Path) -> None:
        file, out = tmp_path / "call.pcap", tmp_path / "out.pcap"
        write_pcap(file, call())
        subprocess.run(["sngrep", "-N", "-q", "-I", str(file), "-O", str(out)], timeout=30, check=True,
                       capture_output=True)  # fmt: skip
        assert out.read_bytes().count(b"Call-ID: c@h") == 7

    def test_a_name_that_was_never_resolved_and_two_families(self) -> None:
        strange = [passed(INVITE, remote=Hop("trunk.example", 5060)), passed(INVITE, remote=Hop("::1", 5060))]
        assert len(pcap(strange)) > 2 * len(INVITE)
