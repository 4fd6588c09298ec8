"""Keys in the audio: what a receiver must take, what it must refuse (ITU-T Q.23, Q.24), and what lines do."""

from __future__ import annotations

import numpy as np
import pytest
from key_sounds import (
    KEYS,
    SINE_AT_0_DBM0,
    hits,
    humming,
    key_sounds,
    keys_in,
    mobile,
    over_network,
    pieces_of,
    presses,
    shuffled,
    through,
)
from line_sounds import speech, with_noise

from engine.detect.dtmf import DtmfDetector, feed_many
from engine.detect.plans import plans
from engine.detect.synth import render_cycle

SENT = shuffled(48)


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
@pytest.mark.parametrize("level", [0, -10, -25, -36])
def test_every_key_is_heard_at_every_level(level, law):
    assert keys_in(key_sounds(SENT, level=level, law=law)) == SENT


@pytest.mark.parametrize("snr", [20, 15, 10, 5, 0])
def test_noise_as_strong_as_the_tones_hides_no_key(snr):
    assert keys_in(key_sounds(SENT, snr=snr)) == SENT


@pytest.mark.parametrize("twist", [-4, -2, 2, 4, 6, 8])
def test_either_tone_may_be_weaker_as_far_as_lines_make_it(twist):
    assert keys_in(key_sounds(SENT, twist=twist)) == SENT


@pytest.mark.parametrize("off", [-0.015, 0.015])
@pytest.mark.parametrize("snr", [None, 10])
def test_frequencies_one_and_a_half_percent_off_are_keys(off, snr):
    assert keys_in(key_sounds(SENT, off=off, snr=snr)) == SENT


@pytest.mark.parametrize("off", [-0.035, 0.035])
@pytest.mark.parametrize("snr", [None, 10])
def test_frequencies_three_and_a_half_percent_off_are_none(off, snr):
    assert keys_in(key_sounds(SENT, off=off, snr=snr)) == ""


@pytest.mark.parametrize("snr", [None, 15, 5])
def test_forty_milliseconds_on_and_forty_off_are_enough(snr):
    assert keys_in(key_sounds(SENT, on_ms=40, off_ms=40, snr=snr)) == SENT


@pytest.mark.parametrize("on_ms", [10, 15, 20, 22.9])
@pytest.mark.parametrize("snr", [None, 10])
def test_less_than_twenty_three_milliseconds_is_no_key(on_ms, snr):
    assert keys_in(key_sounds(SENT, on_ms=on_ms, snr=snr)) == ""


def test_all_the_edges_at_once():
    for twist, off in ((8, 0.015), (-4, -0.015)):
        assert keys_in(key_sounds(SENT, on_ms=40, off_ms=40, twist=twist, off=off, snr=15)) == SENT


@pytest.mark.parametrize(
    ("on_ms", "off_ms", "snr"), [(40, 40, None), (50, 60, None), (60, 40, 0), (300, 40, 5)]
)
def test_the_same_key_again_is_another_press(on_ms, off_ms, snr):
    sent = "".join(key * 3 for key in KEYS)
    assert keys_in(key_sounds(sent, on_ms=on_ms, off_ms=off_ms, snr=snr)) == sent


@pytest.mark.parametrize("gone_ms", [3, 5, 10])
@pytest.mark.parametrize("on_ms", [70, 100, 250])
def test_a_dropout_inside_a_key_does_not_double_it_nor_lose_it(on_ms, gone_ms):
    pcm = key_sounds(SENT, on_ms=on_ms).copy()
    rng = np.random.default_rng(2)
    for begin, end in pieces_of(pcm):
        at = int(rng.integers(begin + 120, end - 120 - gone_ms * 8))
        pcm[at : at + gone_ms * 8] = 0
    assert keys_in(pcm) == SENT


@pytest.mark.parametrize("gone", ["silence", "the frame before"])
def test_a_lost_packet_inside_a_longer_key_does_not_double_it(gone):
    pcm = key_sounds(SENT, on_ms=160).copy()
    for begin, end in pieces_of(pcm):
        at = (begin + end) // 2
        pcm[at : at + 160] = 0 if gone == "silence" else pcm[at - 160 : at]
    assert keys_in(pcm) == SENT


@pytest.mark.parametrize(("loss", "jitter_ms"), [(0.0, 60), (0.03, 30), (0.1, 0)])
def test_packets_lost_and_delayed_double_no_key_and_lose_few(loss, jitter_ms):
    sent = shuffled(96)
    right, false = hits(sent, keys_in(over_network(key_sounds(sent, on_ms=100, off_ms=100), loss, jitter_ms)))
    assert false == 0
    assert right >= len(sent) * (1 - loss / 4)


@pytest.mark.parametrize("cut_ms", [20, 40, 60])
def test_what_is_left_of_a_key_cut_short_at_its_beginning_is_heard(cut_ms):
    """The far end's audio begins anew within a press: at a 183, or at the 200 after it."""
    pcm = key_sounds("5", on_ms=100)
    (begin, _), = pieces_of(pcm)
    assert keys_in(np.concatenate((pcm[begin + cut_ms * 8 :], np.zeros(800, np.int16)))) == "5"


def test_an_echo_is_no_second_press():
    pcm = key_sounds(SENT).astype(np.float64)
    pcm[240:] += 0.1 * pcm[:-240]
    assert keys_in(through(pcm.astype(np.int16))) == SENT


@pytest.mark.parametrize("hz", [50, 60])
def test_hum_as_strong_as_the_tones_makes_no_difference(hz):
    assert keys_in(humming(key_sounds(SENT), 0, hz)) == SENT


@pytest.mark.parametrize("tones", [(350, 440), (425,), (400, 450)])
@pytest.mark.parametrize("twist", [-3, 0, 6])
def test_a_key_is_heard_over_a_dial_tone_as_loud_as_itself(tones, twist):
    pcm = key_sounds(SENT, twist=twist)
    t = np.arange(len(pcm)) / 8000
    dial = sum(np.sin(2 * np.pi * hz * t) for hz in tones) * SINE_AT_0_DBM0 * 10 ** (-12 / 20)
    assert keys_in(through(np.rint(pcm + dial).astype(np.int16))) == SENT


@pytest.mark.parametrize("snr", [None, 20, 15])
def test_a_mobiles_codec_hides_few_keys_and_makes_none(snr):
    """GSM 06.10 is made for voices: its noise is some 10 dB below the tones, and beside them."""
    sent = shuffled(96)
    right, false = hits(sent, keys_in(through(mobile(key_sounds(sent, snr=snr)))))
    assert right >= 0.97 * len(sent)
    assert false <= 1  # a key that the codec breaks in two


def test_a_key_is_told_when_it_is_certain_and_when_it_is_over():
    pcm = key_sounds("8", on_ms=200)
    (begin, end), = pieces_of(pcm)
    detector, told = DtmfDetector(), []
    for at in range(0, len(pcm) - 159, 160):
        told += [((at + 160) / 8, press) for press in detector.feed(pcm[at : at + 160])]
    (when, first), (_, last) = told
    assert (first.digit, first.over, last.digit, last.over) == ("8", False, "8", True)
    assert first.begin_ms == pytest.approx(begin / 8, abs=2)
    assert when - first.begin_ms <= 80
    assert last.begin_ms == first.begin_ms
    assert last.end_ms == pytest.approx(end / 8, abs=15)
    assert "852+1336 Hz" in first.why


def test_the_length_of_a_short_key_is_measured():
    for press in presses(key_sounds(SENT, on_ms=45, snr=20)):
        if press.over:
            assert press.end_ms - press.begin_ms == pytest.approx(45, abs=10)


def test_many_streams_at_once_are_heard_as_each_alone():
    streams = [key_sounds(shuffled(16, seed), snr=10, seed=seed) for seed in range(6)]
    count = min(map(len, streams)) // 160
    detectors = [DtmfDetector() for _ in streams]
    heard = [[] for _ in streams]
    for n in range(count):
        frames = np.stack([pcm[n * 160 : n * 160 + 160] for pcm in streams])
        for which, press in feed_many(detectors, frames):
            heard[which].append(press)
    assert heard == [presses(pcm[: count * 160]) for pcm in streams]
    assert all(heard)


@pytest.mark.parametrize("pitch", [100, 150, 210, 300])
def test_speech_holds_no_key(pitch):
    said = speech(60_000, pitch, pitch)
    assert keys_in(through(said)) == ""
    assert keys_in(through(mobile(said))) == ""


def test_noise_holds_no_key():
    assert keys_in(with_noise(np.zeros(8000 * 60, np.int16), -20)) == ""


@pytest.mark.parametrize("country", sorted(plans()))
def test_call_progress_tones_hold_no_key(country):
    for cadence in plans()[country].cadences:
        assert keys_in(np.tile(render_cycle(cadence, -10), 2)) == ""


@pytest.mark.parametrize(
    "hz", [(697,), (1209,), (697, 770), (1209, 1336), (697, 1209, 1477), (720, 1245), (600, 1209)]
)
def test_one_tone_or_two_of_a_group_or_others_are_no_key(hz):
    t = np.arange(8000) / 8000
    assert keys_in(sum(4000 * np.sin(2 * np.pi * f * t) for f in hz).astype(np.int16)) == ""


def test_a_steady_pair_that_is_no_key_is_not_measured_in_every_frame():
    detector, t = DtmfDetector(), np.arange(80_000) / 8000
    pcm = (4000 * (np.sin(2 * np.pi * 697 * 1.03 * t) + np.sin(2 * np.pi * 1209 * 1.03 * t))).astype(np.int16)
    for at in range(0, len(pcm), 160):
        detector.feed(pcm[at : at + 160])
    assert detector.measured <= 30


@pytest.mark.parametrize("hz", [712, 786, 833])
def test_a_note_and_its_octave_are_no_key(hz):
    t = np.arange(8 * 60) / 8000
    note = SINE_AT_0_DBM0 * (0.2 * np.sin(2 * np.pi * hz * t) + 0.08 * np.sin(4 * np.pi * hz * t))
    sound = np.concatenate((np.zeros(1600), note, np.zeros(1600)))
    assert keys_in(with_noise(sound.astype(np.int16), -50)) == ""
