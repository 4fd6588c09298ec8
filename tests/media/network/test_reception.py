"""Reception statistics (RFC 3550, A.1, A.3 and A.8), fed packet by packet."""

from __future__ import annotations

import random

import pytest

from engine.media.network.reception import MAX_DROPOUT, MAX_MISORDER, Reception
from engine.media.network.rtp import Packet


def packet(sequence: int, ssrc: int = 1, timestamp: int | None = None) -> Packet:
    at = sequence * 160 if timestamp is None else timestamp
    return Packet(8, sequence % 2**16, at % 2**32, ssrc, b"")


def feed(reception: Reception, sequences, ssrc: int = 1) -> list[bool]:
    return [reception.take(packet(n, ssrc), 8000, n * 0.02) for n in sequences]


def test_a_whole_stream_is_whole_over_two_wraps_of_the_sequence():
    reception = Reception()
    assert all(feed(reception, range(65000, 65000 + 2 * 65536)))
    assert (reception.lost, reception.received) == (0, 2 * 65536)
    report = reception.report()
    assert report.highest == 65000 + 2 * 65536 - 1  # two cycles and the number itself
    assert (report.fraction, report.lost, report.jitter) == (0, 0, 0)


def test_loss_is_counted_whole_and_as_a_fraction_since_the_last_report():
    reception = Reception()
    feed(reception, (n for n in range(65500, 65600) if n % 4))
    first = reception.report()
    assert (first.lost, first.fraction) == (24, 24 * 256 // 99)  # the first was lost before we knew
    feed(reception, range(65600, 65700))
    second = reception.report()
    assert (second.lost, second.fraction) == (24, 0)
    assert reception.lost == 24


def test_a_report_without_a_packet_since_the_last_says_nothing_was_lost():
    reception = Reception()
    feed(reception, range(10))
    reception.report()
    assert reception.report().fraction == 0


def test_duplicates_are_told_and_counted_apart():
    reception = Reception()
    assert feed(reception, [1, 2, 2, 3, 1]) == [True, True, False, True, False]
    assert (reception.received, reception.duplicates, reception.lost) == (3, 2, 0)


def test_reordered_packets_are_not_lost():
    reception = Reception()
    sequences = list(range(65500, 65560))
    random.Random(3).shuffle(sequences)
    assert all(feed(reception, sequences))
    assert (reception.lost, reception.duplicates) == (0, 0)
    assert reception.reordered > 10


def test_a_packet_that_is_far_outside_of_the_sequence_is_a_stray():
    reception = Reception()
    feed(reception, range(1000, 1100))
    assert not reception.take(packet(1099 + MAX_DROPOUT), 8000, 22.0)
    assert not reception.take(packet(1099 - MAX_MISORDER), 8000, 22.0)
    assert all(feed(reception, range(1100, 1110)))
    assert (reception.strays, reception.restarts, reception.lost) == (2, 0, 0)


def test_two_packets_in_sequence_after_a_leap_are_a_restart():
    reception = Reception()
    feed(reception, range(100))
    taken = [reception.take(packet(n), 8000, 2.0) for n in (40000, 40001, 40002)]
    assert taken == [False, True, True]
    assert (reception.restarts, reception.lost) == (1, 0)


def test_after_a_pause_a_leap_is_a_restart_at_once():
    reception = Reception()
    feed(reception, range(100))
    assert reception.take(packet(40000), 8000, 5.0)
    assert reception.restarts == 1


def test_another_ssrc_is_heard_from_its_first_packet_and_counts_go_on():
    reception = Reception()
    feed(reception, [1, 2, 4])
    assert all(feed(reception, [500, 501, 503], ssrc=2))
    assert (reception.lost, reception.received, reception.restarts) == (2, 6, 1)
    report = reception.report()
    assert (report.ssrc, report.lost) == (2, 1)  # a report block is of one source


def test_a_goodbye_ends_a_sources_figures_and_not_the_counts():
    reception = Reception()
    feed(reception, [1, 2, 4])
    reception.end(7)
    assert reception.report() is not None
    reception.end(1)
    assert reception.report() is None
    assert reception.lost == 1
    assert all(feed(reception, [9000, 9001]))
    assert reception.lost == 1


@pytest.mark.parametrize("clock", [8000, 48000])
def test_jitter_is_the_rfcs_smoothed_difference_of_transit_times(clock):
    reception, rng = Reception(), random.Random(11)
    expected, before = 0.0, None
    for n in range(400):
        late = rng.uniform(0, 0.03)
        sent, now = n * clock // 50 + 2**32 - 5000, 1000 + n * 0.02 + late
        reception.take(Packet(8, n, sent % 2**32, 1, b""), clock, now)
        transit = now - n * 0.02
        if before is not None:
            expected += (abs(transit - before) - expected) / 16
        before = transit
    assert reception.jitter_ms == pytest.approx(expected * 1000, abs=0.3)
    assert reception.report().jitter == pytest.approx(expected * clock, abs=clock * 0.0003)


def test_packets_without_audio_and_leaps_of_the_timestamp_are_no_jitter():
    reception = Reception()
    feed(reception, range(10))
    for n in range(10, 20):  # a telephone-event's packets share one timestamp
        assert reception.take(packet(n, timestamp=1600), 0, n * 0.02)
    assert reception.take(packet(20, timestamp=5_000_000), 8000, 0.4)
    assert (reception.jitter_ms, reception.lost) == (0, 0)
