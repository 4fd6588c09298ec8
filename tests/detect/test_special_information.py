from __future__ import annotations

import numpy as np
import pytest
from line_sounds import MILLIWATT_RMS, Pcm

from engine.detect.analyzer import Analyzer
from engine.detect.types import Tone
from engine.media import codec

KINDS = {
    "intercept": ((913.8, 274), (1370.6, 274), (1776.7, 380)),
    "vacant code": ((985.2, 380), (1370.6, 274), (1776.7, 380)),
    "reorder: all trunks of this network": ((913.8, 274), (1428.5, 380), (1776.7, 380)),
    "reorder: all trunks of another network": ((985.2, 274), (1428.5, 274), (1776.7, 380)),
    "no circuit: all circuits of this network": ((985.2, 380), (1428.5, 380), (1776.7, 380)),
    "no circuit: all circuits of another network": ((913.8, 380), (1370.6, 380), (1776.7, 380)),
    "special information tones": ((950.0, 330), (1400.0, 330), (1800.0, 330)),
}


def sequence(kind: str, dbm0: float = -24.0, speed: float = 1.0, joined_ms: int = 0) -> Pcm:
    parts = []
    for hz, ms in KINDS[kind]:
        t = np.arange(round(8 * ms / speed)) / 8000
        parts += [np.sin(2 * np.pi * hz * speed * t), np.zeros(32)]
    x = MILLIWATT_RMS * 2**0.5 * 10 ** (dbm0 / 20) * np.concatenate(parts)
    lead = np.zeros(0 if joined_ms else 2400)
    return np.concatenate((lead, x[8 * joined_ms :], np.zeros(8000))).astype(np.int16)


def told(pcm: Pcm) -> list[tuple[int, str]]:
    analyzer = Analyzer("us")
    found = []
    for at in range(0, len(pcm) - 159, 160):
        found += [(analyzer.now_ms, d) for d in analyzer.feed(pcm[at : at + 160]) if d.tone is Tone.SIT]
    return [(when, d.why.split(": ", 1)[1]) for when, d in found]


def noisy(pcm: Pcm, dbm0: float) -> Pcm:
    noise = np.random.default_rng(7).normal(0, MILLIWATT_RMS * 10 ** (dbm0 / 20), len(pcm))
    return np.clip(pcm + noise, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
def test_each_sequence_is_told_with_its_meaning_before_it_ends(kind):
    (at, meaning), = told(sequence(kind))
    assert meaning.startswith(kind)
    assert at <= 300 + 1050


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("speed", [0.98, 1.02])
def test_a_line_whose_speed_is_off_does_not_change_the_meaning(kind, speed):
    assert [m.startswith(kind) for _, m in told(sequence(kind, speed=speed))] == [True]


@pytest.mark.parametrize("kind", KINDS)
def test_noise_as_strong_as_the_tones_does_not_hide_them(kind):
    assert [m.startswith(kind) for _, m in told(noisy(sequence(kind), -24.0))] == [True]


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_very_faint_sequence_is_told(kind, law):
    pcm = codec.decode(law, codec.encode(law, sequence(kind, -50.0)))
    assert [m.startswith(kind) for _, m in told(pcm)] == [True]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_joined_in_its_first_tone_is_told_with_its_meaning(kind):
    assert [m.startswith(kind) for _, m in told(sequence(kind, joined_ms=150))] == [True]


def test_tones_in_another_order_or_far_apart_are_none():
    one = sequence("intercept")
    assert told(one[::-1].copy()) == []
    first, rest = one[: 8 * (300 + 276)], one[8 * (300 + 276) :]
    assert told(np.concatenate((first, np.zeros(8 * 200, np.int16), rest))) == []


def test_three_notes_of_which_one_is_too_long_are_none():
    notes = (950, 80), (1440, 452), (1814, 330)
    parts = [4000 * np.sin(2 * np.pi * hz * np.arange(8 * ms) / 8000) for hz, ms in notes]
    assert told(noisy(np.concatenate((np.zeros(3200), *parts)).astype(np.int16), -30.0)) == []
