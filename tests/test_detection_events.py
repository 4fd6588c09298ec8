"""What is heard on a leg, as programs on the wire are told of it."""

from __future__ import annotations

from dataclasses import asdict

from engine import wire
from engine.detect.outcome import FinishCause, Outcome
from engine.detect.prints import Sample
from engine.detect.types import Detection, Tone
from engine.media import orders

SAMPLE = Sample(
    "cn-001", "空号", "does not exist", "您拨打的号码是空号", "twice", "zh", "taught", "13800000000", 3
)


def test_a_known_announcement_is_told_with_all_its_fields() -> None:
    heard = Detection(Tone.SAMPLE, 100, 1700, 0.9, "1.6 s of sample cn-001", sample=SAMPLE)
    told = wire.detection("L1", 5.0, orders.Detected("s", 1.0, heard))
    assert (told.tone, told.begin_ms, told.end_ms) == ("sample", 100, 1700)
    assert told.sample is not None
    assert {name: getattr(told.sample, name) for name in asdict(SAMPLE)} == asdict(SAMPLE)


def test_control_characters_of_a_sample_do_not_reach_a_terminal() -> None:
    told = wire.sample(asdict(Sample("x", alias="\x1b[31mred")))
    assert told is not None
    assert "\x1b" not in told.alias


def test_what_came_of_listening_is_told_in_mod_da2s_words() -> None:
    outcome = Outcome(FinishCause.STOPTONE, 0x12, "sample", "sample", 5, 6, "hold on")
    told = wire.listened("L1", 5.0, outcome).hearing
    assert (told.finish_cause, told.all_tone, told.last_tone) == ("stoptone", 0x12, "sample")
    assert (told.category, told.correction, told.result, told.status) == (5, 6, "hold on", "")
