"""RTCP over real sockets beside a stream's audio: where it goes, whom it hears, encrypted or not."""

from __future__ import annotations

import itertools
import os
import time

import pytest
from media_rig import PCMA, FarEnd, udp_socket

from engine.media import codec
from engine.media.network import rtcp, rtcp_session, rtp
from engine.media.network.rtcp import Compound, Report, ReportBlock
from engine.media.network.srtp import Decryption, Encryption
from engine.media.orders import (
    Bridge,
    CloseStream,
    Control,
    OpenStream,
    RtpStarted,
    SetRemote,
    SrtpKeys,
    StreamClosed,
)

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Reports ten times as often."""
    monkeypatch.setattr(rtcp_session, "INTERVAL_S", 0.5)


class Leg:
    """A stream with RTCP, and its far end's two sockets on neighbouring ports or not."""

    def __init__(self, rig, name: str = "leg", keys: SrtpKeys | None = None, **terms: object) -> None:
        ours, self.control = udp_socket(), udp_socket()
        ours.setblocking(False)
        self.name = name
        self.far = FarEnd(ours.getsockname(), PCMA, None)
        self.ours = self.control.getsockname()
        rig.far_ends.append(self.far)
        self.rtcp = udp_socket()
        rig.engine.order(OpenStream(name, ours, keys is not None, self.control))
        terms = {"port": self.rtcp.getsockname()[1]} | terms
        rig.engine.order(
            SetRemote(name, *self.far.address, (PCMA,), srtp=keys, control=Control(**terms))  # type: ignore[arg-type]
        )

    def receive(self) -> Compound:
        return rtcp.parse(self.rtcp.recv(2000))

    def until(self, wanted) -> Compound:
        for compound in itertools.islice(iter(self.receive, None), 30):
            if wanted(compound):
                return compound
        raise AssertionError("not among 30 reports")

    def tell(self, *blocks: ReportBlock, sock=None, **more) -> None:
        data = rtcp.serialize(Compound((Report(0x1234, blocks),), **more))
        (sock or self.rtcp).sendto(data, self.ours)


def wait_for(condition, timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_reports_go_to_the_port_that_sdp_names_and_tell_what_was_sent_and_heard(rig):
    leg = Leg(rig)
    for n in range(20):
        leg.far.send(codec.SILENCE["PCMA"], sequence=1000 + n + (n > 9))
    first = leg.until(lambda c: c.reports[0].blocks)
    (report,) = first.reports
    packet = leg.far.receive()
    assert report.ssrc == packet.ssrc
    assert report.sent is not None
    assert report.sent.octets == 160 * report.sent.packets > 0
    assert abs((report.sent.ntp >> 32) - 2208988800 - time.time()) < 60
    (block,) = report.blocks
    assert (block.ssrc, block.lost, block.highest) == (0x1234, 1, 1020)
    assert list(first.names) == [packet.ssrc]


def test_the_far_ends_answer_tells_round_trip_and_far_end_loss(rig):
    leg = Leg(rig)
    leg.far.send(codec.SILENCE["PCMA"])
    report = leg.until(lambda c: c.reports[0].sent).reports[0]
    last_sr = report.sent.ntp >> 16 & 0xFFFFFFFF
    leg.tell(ReportBlock(report.ssrc, 128, 5, 1, 160, last_sr, 0))
    session = rig.engine.stream(leg.name).control.session
    wait_for(lambda: session.round_trip_s is not None)
    assert session.round_trip_s < 5
    assert (session.far_lost, session.far_fraction, session.far_jitter_ms) == (5, 0.5, 20.0)


def test_a_goodbye_comes_at_the_streams_end(rig):
    leg = Leg(rig)
    ssrc = leg.far.receive().ssrc
    rig.engine.order(CloseStream(leg.name))
    assert leg.until(lambda c: c.goodbyes).goodbyes == (ssrc,)


def test_a_goodbye_of_the_far_end_does_not_end_what_is_heard(rig):
    leg = Leg(rig)
    leg.far.send(codec.SILENCE["PCMA"])
    rig.fact(RtpStarted)
    leg.tell(goodbyes=(0x1234,))
    reception = rig.engine.stream(leg.name).reception
    wait_for(lambda: reception.ssrc is None)
    leg.far.send(codec.SILENCE["PCMA"])
    wait_for(lambda: reception.received == 2)
    assert reception.lost == 0


def test_who_is_not_the_far_end_is_not_listened_to(rig):
    leg = Leg(rig)
    ssrc = leg.far.receive().ssrc
    thief = udp_socket("127.0.0.2")
    leg.tell(ReportBlock(ssrc, 255, 9999, 1, 1), sock=thief)
    control = rig.engine.stream(leg.name).control
    wait_for(lambda: control.foreign == 1)
    assert control.session.far_lost is None
    leg.tell(ReportBlock(ssrc, 0, 3, 1, 1))
    wait_for(lambda: control.session.far_lost == 3)
    leg.receive()  # reports go where they went
    thief.setblocking(False)
    with pytest.raises(BlockingIOError):
        thief.recv(2000)
    thief.close()


def test_a_flood_of_garbage_changes_nothing(rig):
    leg = Leg(rig)
    leg.far.receive()
    for n in range(2000):
        leg.rtcp.sendto(os.urandom(n % 300), leg.ours)
    ssrc = leg.receive().reports[0].ssrc
    control = rig.engine.stream(leg.name).control
    wait_for(lambda: control.session.discarded > 20)

    def told() -> bool:  # the kernel drops while the flood waits
        leg.tell(ReportBlock(ssrc, 0, 3, 1, 1))
        return control.session.far_lost == 3

    wait_for(told)


def test_multiplexed_reports_come_and_go_on_the_audios_port(rig):
    leg = Leg(rig, mux=True)
    for _ in range(200):
        data = leg.far.sock.recv(2000)
        if 192 <= data[1] <= 223:
            break
    report = rtcp.parse(data).reports[0]
    block = ReportBlock(report.ssrc, 0, 12, 1, 1)
    leg.far.sock.sendto(rtcp.serialize(Compound((Report(1, (block,)),))), leg.far.ours)
    session = rig.engine.stream(leg.name).control.session
    wait_for(lambda: session.far_lost == 12)


@pytest.mark.parametrize("suite", SUITES)
def test_reports_are_encrypted_where_the_audio_is(rig, suite):
    mine, theirs = os.urandom(30), os.urandom(30)
    leg = Leg(rig, keys=SrtpKeys(suite, mine, theirs))
    data = leg.rtcp.recv(2000)
    clear = rtcp.parse(Decryption(suite, mine).unprotect_rtcp(data))
    assert clear.reports[0].sent is not None
    assert next(iter(clear.names.values())).encode() not in data
    ssrc = clear.reports[0].ssrc
    leg.tell(ReportBlock(ssrc, 0, 5, 1, 1))  # in clear: forged
    control = rig.engine.stream(leg.name).control
    wait_for(lambda: control.foreign == 1)
    told = rtcp.serialize(Compound((Report(1, (ReportBlock(ssrc, 0, 6, 1, 1),)),)))
    secret = Encryption(suite, theirs).protect_rtcp(told)
    leg.rtcp.sendto(secret, leg.ours)
    wait_for(lambda: control.session.far_lost == 6)
    leg.rtcp.sendto(secret, leg.ours)  # a replay
    wait_for(lambda: control.foreign == 2)


def test_no_report_goes_where_sdp_wants_none(rig):
    leg = Leg(rig)
    rig.engine.order(SetRemote(leg.name, *leg.far.address, (PCMA,)))
    rig.engine.order(CloseStream(leg.name))
    rig.fact(StreamClosed)
    leg.rtcp.setblocking(False)
    try:
        while True:
            assert not rtcp.parse(leg.rtcp.recv(2000)).goodbyes
    except BlockingIOError:
        pass


def test_reports_follow_a_far_end_behind_nat(rig):
    """SDP names a port that its audio doesn't come from; its reports show where they should go."""
    leg = Leg(rig)
    moved = udp_socket()
    leg.tell(sock=moved)
    rtcp.parse(moved.recv(2000))
    moved.close()


def test_a_bridged_streams_reports_are_its_own(rig):
    """Each session has its own SSRC and counts, whatever it passes on (RFC 3550, 7.3)."""
    a, b = Leg(rig, "a"), Leg(rig, "b")
    rig.engine.order(Bridge("a", "b"))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        sent = a.far.send(codec.encode("PCMA", codec.SILENT_PCM + 100))
        b.far.send(codec.SILENCE["PCMA"], ssrc=0x99)
        got = b.far.receive()
        if got.payload == sent.payload and got.sequence % 25 == 0:
            break
    report = b.until(lambda c: c.reports[0].sent and c.reports[0].blocks).reports[0]
    assert report.ssrc == got.ssrc != sent.ssrc
    assert report.blocks[0].ssrc == 0x99
    newest = b.far.receive_until(lambda p: True)
    assert abs((report.sent.timestamp - newest.timestamp + 2**31) % 2**32 - 2**31) < 8000


def test_a_stream_of_a_single_port_goes_without(rig):
    _, far = rig.open()
    far.send(codec.SILENCE["PCMA"])
    assert isinstance(far.receive(), rtp.Packet)
