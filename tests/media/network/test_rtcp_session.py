"""One side's RTCP on a clock of the test's own: intervals, reports, round trip, hostile input."""

from __future__ import annotations

import pytest

from engine.media.network import rtcp
from engine.media.network.outbound import Outbound
from engine.media.network.reception import Reception
from engine.media.network.rtcp import Compound, Report, ReportBlock, Sent
from engine.media.network.rtcp_session import BURST, PER_SECOND, RtcpSession, new_name, ntp_time
from engine.media.network.rtp import Packet

WALL = 1_700_000_000.0
FAR = 0x1234


class Side:
    """A session with its two halves; nothing is really sent."""

    def __init__(self) -> None:
        self.reception, self.out = Reception(), Outbound(-1)
        self.session = RtcpSession(self.reception, self.out)

    def hear(self, *sequences: int) -> None:
        for n in sequences:
            self.reception.take(Packet(8, n, n * 160, FAR, b""), 8000, n * 0.02)

    def report(self, now: float) -> Report:
        (report,) = rtcp.parse(self.session.report(now, WALL + now)).reports
        return report

    def told(self, now: float, *blocks: ReportBlock, sent: Sent | None = None, **more) -> bool:
        return self.session.receive(rtcp.serialize(Compound((Report(FAR, blocks, sent),), **more)), now)


@pytest.fixture
def side():
    return Side()


def test_the_first_report_comes_after_half_of_the_interval_and_all_are_spread():
    firsts, later = [], []
    for _ in range(200):
        side = Side()
        times, now = [], 0.0
        while len(times) < 2:
            if side.session.due(now):
                times.append(now)
                side.report(now)
            now += 0.1
        firsts.append(times[0])
        later.append(times[1] - times[0])
    # 6.2: 5 s, the first 2.5 s; 6.3.1: times 0.5 to 1.5, over e - 1.5
    assert 1.0 <= min(firsts) <= max(firsts) <= 3.3
    assert 2.0 <= min(later) <= max(later) <= 6.4
    assert max(later) - min(later) > 2


def test_who_sends_nothing_reports_as_a_receiver(side):
    side.hear(1, 2, 4)
    report = side.report(1.0)
    assert report.sent is None
    (block,) = report.blocks
    assert (block.ssrc, block.lost, block.highest, block.last_sr) == (FAR, 1, 4, 0)


def test_who_sends_reports_as_a_sender_until_it_was_silent_for_two_intervals(side):
    side.out.sent, side.out.octets = 100, 16000
    report = side.report(1.0)
    assert report.ssrc == side.out.ssrc
    assert report.sent == Sent(ntp_time(WALL + 1.0), side.out.position, 100, 16000)
    assert [side.report(n).sent is not None for n in (6.0, 11.0, 16.0)] == [True, False, False]
    side.out.sent += 1
    assert side.report(21.0).sent is not None


def test_ntp_time_counts_from_1900():
    assert ntp_time(0.5) == 2208988800 << 32 | 1 << 31


def test_every_report_carries_a_name_that_tells_nothing(side):
    (name,) = rtcp.parse(side.session.report(1.0, WALL)).names.values()
    assert len(name) == 16  # 96 random bits (RFC 7022)
    assert name != new_name()
    assert rtcp.parse(side.session.report(2.0, WALL)).names == {side.out.ssrc: name}


def test_the_round_trip_is_what_is_left_of_our_report_and_its_answer(side):
    side.out.sent = 1
    ntp = side.report(10.0).sent.ntp
    block = ReportBlock(side.out.ssrc, 32, 7, 100, 80, ntp >> 16 & 0xFFFFFFFF, int(2.5 * 65536))
    assert side.told(12.58, block)
    session = side.session
    assert session.round_trip_s == pytest.approx(0.08, abs=1e-3)
    assert (session.far_lost, session.far_fraction, session.far_jitter_ms) == (7, 32 / 256, 10.0)


def test_an_answer_to_a_report_that_we_never_sent_tells_no_round_trip(side):
    side.out.sent = 1
    side.report(10.0)
    assert side.told(12.0, ReportBlock(side.out.ssrc, 0, 0, 1, 0, 0xDEADBEEF, 0))
    assert side.session.round_trip_s is None
    assert side.session.far_lost == 0


def test_a_step_of_the_wall_clock_does_not_change_the_round_trip(side):
    side.out.sent = 1
    ntp = rtcp.parse(side.session.report(10.0, WALL)).reports[0].sent.ntp
    side.session.report(15.0, WALL - 86400)
    side.told(10.04, ReportBlock(side.out.ssrc, 0, 0, 1, 0, ntp >> 16 & 0xFFFFFFFF, 0))
    assert side.session.round_trip_s == pytest.approx(0.04, abs=1e-3)


def test_we_tell_how_long_ago_the_far_ends_report_came(side):
    side.hear(1, 2)
    side.told(3.0, sent=Sent(0x1111_2222_3333_4444, 0, 2, 320))
    (block,) = side.report(4.25).blocks
    assert (block.last_sr, block.delay) == (0x2222_3333, int(1.25 * 65536))


def test_blocks_of_other_sources_are_not_ours(side):
    side.told(1.0, ReportBlock(side.out.ssrc ^ 1, 255, 99, 1, 999))
    assert (side.session.far_lost, side.session.far_fraction) == (None, None)


def test_a_goodbye_ends_the_sources_figures(side):
    side.hear(1, 2)
    assert side.told(1.0, goodbyes=(FAR + 1,))
    assert side.report(1.0).blocks
    assert side.told(2.0, names={FAR: "far"}, goodbyes=(FAR,))
    assert side.report(3.0).blocks == ()
    assert side.session.far_name == "far"


def test_we_say_goodbye_where_somebody_has_heard_of_us(side):
    assert side.session.goodbye(1.0, WALL) is None
    side.out.sent = 1
    last = rtcp.parse(side.session.goodbye(1.0, WALL))
    assert last.goodbyes == (side.out.ssrc,)
    assert last.reports[0].sent is not None
    assert last.names


def test_a_flood_is_counted_and_discarded(side):
    taken = sum(side.told(100.0) for _ in range(1000))
    assert taken == BURST
    assert side.session.discarded == 1000 - BURST
    assert sum(side.told(101.0) for _ in range(100)) == PER_SECOND
    assert not side.session.receive(b"\x81\xc9garbage", 110.0)
