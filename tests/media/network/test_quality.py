"""The E-model's figures (ITU-T G.107) and what is measured of a stream, by hand and over real sockets."""

from __future__ import annotations

import time

import pytest
from media_rig import sine

from engine.media import codec
from engine.media.network import emodel
from engine.media.network.outbound import Outbound
from engine.media.network.quality import QualityWatch
from engine.media.network.reception import Reception
from engine.media.network.rtcp_session import RtcpSession
from engine.media.orders import Bridge, CloseStream, Quality, StreamClosed
from engine.media.playout import PlayoutFigures


def test_an_ideal_call_has_the_recommendations_default_rating():
    assert emodel.rating(0, 0) == pytest.approx(93.2, abs=0.05)  # G.107, 7.7
    assert emodel.opinion(93.2) == pytest.approx(4.41, abs=0.01)


@pytest.mark.parametrize(
    ("delay_ms", "rating"), [(50, 92.0), (100, 90.8), (150, 89.6), (200, 85.9), (250, 79.2), (300, 72.5)]
)
def test_delay_costs_what_its_known_approximation_says(delay_ms, rating):
    """Id = 0.024 d + 0.11 (d - 177.3) above 177.3 ms, fitted to G.107 by Cole and Rosenbluth (2001)."""
    assert emodel.rating(delay_ms, 0) == pytest.approx(rating, abs=0.3)


@pytest.mark.parametrize(("loss", "impairment"), [(0.01, 3.64), (0.03, 10.14), (0.05, 15.78), (0.1, 27.07)])
def test_loss_costs_what_the_formula_gives_for_g711_with_concealment(loss, impairment):
    """G.107, 7.5, with G.113's Ie = 0 and Bpl = 25.1."""
    assert emodel.rating(0, 0) - emodel.rating(0, loss) == pytest.approx(impairment, abs=0.02)


def test_bursts_are_worse_than_chance():
    assert emodel.rating(0, 0.05, 2.0) < emodel.rating(0, 0.05) - 1


@pytest.mark.parametrize(
    ("rating", "score"), [(0, 1), (6.5, 1), (50, 2.58), (60, 3.1), (70, 3.6), (80, 4.03), (100, 4.5)]
)
def test_the_score_of_a_rating_is_annex_bs(rating, score):
    assert emodel.opinion(rating) == pytest.approx(score, abs=0.01)


def test_scores_never_leave_their_scale():
    for delay_ms in (-1, 0, 99, 101, 5000, 1e9):
        for loss in (-1, 0, 0.5, 1, 2):
            assert 1 <= emodel.opinion(emodel.rating(delay_ms, loss)) <= 4.5


class Watched:
    def __init__(self) -> None:
        self.reception = Reception()
        self.session = RtcpSession(self.reception, Outbound(-1))
        self.watch = QualityWatch(self.reception, self.session)
        self.next = 0

    def second(self, lost: set[int] = frozenset(), late: int = 0, depth_ms: float | None = 40.0) -> Quality:
        for n in range(50):
            if n not in lost:
                at = self.next + n
                self.reception.count(1, at, at * 160, 8000, at * 0.02)
        self.next += 50
        figures = None
        if depth_ms is not None:
            figures = PlayoutFigures(depth_ms, depth_ms, late, 0, 0, 0, 60, 0, 0)
        found = self.watch.measure(figures, "PCMA")
        assert found is not None
        return found


def test_before_anything_came_there_is_no_quality():
    assert Watched().watch.measure(None, "PCMA") is None


def test_loss_passes_from_the_present_and_stays_in_the_whole():
    watched = Watched()
    assert watched.second().loss == 0
    bad = watched.second(lost=set(range(10, 20)))
    assert bad.loss == pytest.approx(10.0)
    assert bad.mos < 3.6
    for _ in range(6):
        good = watched.second()
    assert good.loss == 0
    assert good.mos > 4.3
    assert good.overall_loss == pytest.approx(10 / 400 * 100, abs=0.01)
    assert good.overall_mos < good.mos
    assert (good.lost, good.received) == (10, 390)


def test_what_came_too_late_is_lost_to_the_ear():
    watched = Watched()
    watched.second()
    assert watched.second(late=5).loss == pytest.approx(5.0)


def test_a_long_way_and_a_deep_buffer_cost():
    watched = Watched()
    near = watched.second()
    watched.session.round_trip_s = 0.5
    far = watched.second(depth_ms=120)
    assert far.mos < near.mos - 0.5
    assert (far.round_trip_ms, far.depth_ms) == (500, 120)
    assert (near.round_trip_ms, near.far_loss) == (None, None)


@pytest.mark.parametrize("bridged", [False, True])
def test_a_streams_quality_is_measured_once_a_second_and_kept_at_its_end(rig, bridged):
    name, far = rig.open()
    other, _ = rig.open()
    if bridged:
        rig.engine.order(Bridge(name, other))
    else:
        rig.engine.stream(name).read(0, blocking=False)
    tone = codec.encode("PCMA", sine(400, 160))
    start = time.monotonic()
    for n in range(75):
        if n % 10 == 9:
            far.sequence += 1
            far.timestamp += 160
        else:
            far.send(tone)
        time.sleep(max(0.0, start + n * 0.02 - time.monotonic()))
    live = rig.engine.quality(name)
    assert live.loss == pytest.approx(10, abs=3)
    assert live.mos < 4.0
    assert live.jitter_ms < 15
    assert (live.depth_ms is None) is bridged
    rig.engine.order(CloseStream(name))
    last = rig.fact(StreamClosed).stats.quality
    assert (last.received, last.lost) == (68, 7)
    assert rig.engine.quality(name) == last
