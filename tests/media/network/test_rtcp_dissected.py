"""Our RTCP as tshark's dissector sees it: another implementation's reading of every field."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from media_rig import Rig, udp_socket

from engine.media import codec
from engine.media.network import rtcp, rtcp_session
from engine.media.network.rtcp import Compound, Report, ReportBlock, Sent
from engine.media.orders import CloseStream, Control, OpenStream, SetRemote
from engine.sip.hop import Hop
from engine.sip.journal import Passed
from engine.sip.pcap import write_pcap

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")

OURS, FAR = Hop("127.0.0.1", 40001), Hop("127.0.0.1", 50001)
FIELDS = (
    "rtcp.pt", "rtcp.senderssrc", "rtcp.sender.packetcount", "rtcp.sender.octetcount", "rtcp.ssrc.identifier",
    "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.ssrc.ext_high", "rtcp.ssrc.jitter", "rtcp.ssrc.lsr",
    "rtcp.ssrc.dlsr", "rtcp.sdes.text", "rtcp.length_check", "_ws.expert.message",
)  # fmt: skip


def dissected(folder: Path, *datagrams: bytes) -> list[dict[str, list[str]]]:
    """Each datagram's fields, as tshark names them."""
    file = folder / "rtcp.pcap"
    write_pcap(file, [Passed(1_700_000_000.0 + n, True, OURS, FAR, data) for n, data in enumerate(datagrams)])
    options = [part for name in FIELDS for part in ("-e", name)]
    out = subprocess.run(
        ["tshark", "-r", str(file), "-d", "udp.port==50001,rtcp", "-T", "fields", "-E", "separator=|",
         *options],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    return [
        {name: cell.split(",") if cell else [] for name, cell in zip(FIELDS, line.split("|"), strict=True)}
        for line in out.splitlines()
    ]


def test_every_field_is_where_another_implementation_looks_for_it(tmp_path):
    block = ReportBlock(0xAABBCCDD, 64, 300, 70000, 120, 0x12345678, 98765)
    sent = Sent(rtcp_session.ntp_time(1_700_000_000), 16000, 10, 1600)
    full = Compound((Report(0x01020304, (block,), sent),), {0x01020304: "name"}, (0x01020304,))
    alone = Compound((Report(7, (block,)),))
    found, bare = dissected(tmp_path, rtcp.serialize(full), rtcp.serialize(alone))
    assert found["rtcp.pt"] == ["200", "202", "203"]
    assert found["rtcp.senderssrc"][0] == "0x01020304"
    assert (found["rtcp.sender.packetcount"], found["rtcp.sender.octetcount"]) == (["10"], ["1600"])
    for each in (found, bare):
        assert each["rtcp.ssrc.identifier"][0] == "0xaabbccdd"
        assert (each["rtcp.ssrc.fraction"], each["rtcp.ssrc.cum_nr"]) == (["64"], ["300"])
        assert each["rtcp.ssrc.ext_high"] == ["70000"]
        assert each["rtcp.ssrc.jitter"] == ["120"]
        assert each["rtcp.ssrc.dlsr"] == ["98765"]
        assert each["rtcp.length_check"] == ["1"] or each["rtcp.length_check"] == ["True"]
    assert found["rtcp.sdes.text"] == ["name"]


def test_what_an_engine_sent_and_took_in_a_call_is_well_formed(tmp_path, monkeypatch):
    monkeypatch.setattr(rtcp_session, "INTERVAL_S", 0.4)
    rig = Rig()
    ours, control, theirs = udp_socket(), udp_socket(), udp_socket()
    _, far = rig.open(remote=False)
    rig.engine.order(OpenStream("call", ours, control=control))
    port = theirs.getsockname()[1]
    rig.engine.order(SetRemote("call", *far.address, (far.law,), control=Control(port=port)))
    far.ours = ours.getsockname()
    for _ in range(10):
        far.send(codec.SILENCE["PCMA"])
    datagrams = [theirs.recv(2000) for _ in range(3)]
    rig.engine.order(CloseStream("call"))
    while 203 not in datagrams[-1][-8:-6]:
        datagrams.append(theirs.recv(2000))
    rig.stop()
    theirs.close()
    rows = dissected(tmp_path, *datagrams)
    assert len(rows) == len(datagrams)
    assert all(row["rtcp.pt"][:2] == ["200", "202"] for row in rows)
    assert rows[-1]["rtcp.pt"] == ["200", "202", "203"]
    assert not [row["_ws.expert.message"] for row in rows if "alformed" in str(row["_ws.expert.message"])]
    assert len({row["rtcp.senderssrc"][0] for row in rows}) == 1
    assert [int(row["rtcp.sender.packetcount"][0]) for row in rows] == sorted(
        int(row["rtcp.sender.packetcount"][0]) for row in rows
    )
    assert rows[-1]["rtcp.ssrc.cum_nr"] == ["0"]
