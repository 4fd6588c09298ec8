"""Known announcements are recognised while they play, on bad lines too, and nothing else is."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from many_samples import many_samples
from speech_like import speech_like

from engine.detect.announcements import Announcements, Match
from engine.detect.candidates import MOST, TAKEN, Candidates
from engine.detect.landmarks import TABLES
from engine.detect.prints import Library, Sample, bands_of, fingerprint

Pcm = npt.NDArray[np.int16]
NOT_TAKEN = 100


@pytest.fixture(scope="module")
def library() -> Library:
    return Library((Sample(f"s{n}", category=2 + n % 19), fingerprint(speech_like(n))) for n in range(20))


def heard(library: Library, sound: npt.NDArray[np.floating | np.integer]) -> list[tuple[str, float, Match]]:
    """Each match: the sample's uniqueid, and the second at which it was told."""
    announcements = Announcements(library)
    x = np.clip(np.rint(sound), -32768, 32767).astype(np.float32)
    found = []
    for at in range(0, len(x) - 159, 160):
        match = announcements.feed(x[at : at + 160])
        if match is not None:
            found.append((library.samples[match.number].uniqueid, (at + 160) / 8000, match))
    return found


def names(library: Library, sound: npt.NDArray[np.floating | np.integer]) -> list[str]:
    return [name for name, _, _ in heard(library, sound)]


def test_each_is_told_once_soon_and_with_what_was_measured(library: Library) -> None:
    quiet = np.zeros(4000)
    for n in range(0, 20, 5):
        [(name, at, match)] = heard(library, np.concatenate((quiet, speech_like(n), quiet)))
        assert name == f"s{n}"
        assert at < 0.5 + 2.0
        assert match.score > 0.9
        assert match.voice > 0.75


def test_strangers_are_not_taken_for_any(library: Library) -> None:
    for n in range(NOT_TAKEN, NOT_TAKEN + 10):
        assert names(library, speech_like(n)) == []


def test_noise_and_tones_are_none(library: Library) -> None:
    rng = np.random.default_rng(1)
    assert names(library, rng.normal(0, 1000, 32000)) == []
    assert names(library, 8000 * np.sin(np.arange(32000) * 0.35)) == []


def worse(kind: str, x: Pcm) -> npt.NDArray[np.float64]:
    """A sound as a line changes it."""
    rng = np.random.default_rng(7)
    y = x.astype(np.float64)
    if kind == "quiet":
        return y / 30
    if kind == "overdriven":
        return np.clip(y * 6, -20000, 20000)
    if kind == "noise 8 dB":
        return y + rng.normal(0, np.sqrt(np.mean(y**2)) * 10 ** (-8 / 20), len(y))
    if kind == "2 % fast":
        return soxr.resample(y, 8160, 8000)
    if kind == "2 % slow":
        return soxr.resample(y, 7840, 8000)
    if kind == "10 % lost":
        for at in range(0, len(y) - 160, 160):
            if rng.random() < 0.1:
                y[at : at + 160] = 0
        return y
    assert kind == "off the grid"
    return np.concatenate((np.zeros(77), y))


@pytest.mark.parametrize(
    "kind", ["quiet", "overdriven", "noise 8 dB", "2 % fast", "2 % slow", "10 % lost", "off the grid"]
)
def test_bad_lines_change_nothing(library: Library, kind: str) -> None:
    for n in (3, 8):
        found = heard(library, worse(kind, speech_like(n)))
        assert [name for name, _, _ in found] == [f"s{n}"]
        assert found[0][1] < 3.5


def test_one_joined_in_the_middle_is_recognised(library: Library) -> None:
    assert names(library, speech_like(4)[12000:]) == ["s4"]


def test_the_noise_before_one_that_is_joined_in_the_middle_does_not_count(library: Library) -> None:
    sound = np.concatenate((np.zeros(12000), speech_like(4)[12000:]))
    [(name, at, _)] = heard(library, sound + np.random.default_rng(1).normal(0, 300, len(sound)))
    assert name == "s4"
    assert at < 1.5 + 1.9


def test_one_that_loops_is_told_each_time(library: Library) -> None:
    loop = np.concatenate((speech_like(4), np.zeros(8000, np.int16)))
    assert names(library, np.tile(loop, 3)) == ["s4"] * 3


def test_one_follows_another(library: Library) -> None:
    assert names(library, np.concatenate((speech_like(4), speech_like(9)))) == ["s4", "s9"]


def test_those_that_share_their_opening_are_told_apart_once_they_differ() -> None:
    opening = speech_like(50, 3.0)
    ends = [np.concatenate((opening, speech_like(n, 3.0))) for n in (51, 52)]
    library = Library((Sample(f"s{n}"), fingerprint(x)) for n, x in enumerate(ends))
    for n, x in enumerate(ends):
        found = heard(library, x)
        assert [name for name, _, _ in found] == [f"s{n}"]
        assert 3.0 < found[0][1] < 6.0


def test_the_same_words_in_another_voice_are_another_announcement(library: Library) -> None:
    """Its bands have the same course; its harmonics lie elsewhere."""
    x = speech_like(6).astype(np.float64)
    higher = soxr.resample(x, 8000, 7000)  # another voice: every frequency higher, and as long as before
    size = 160
    grains = [higher[round(at * 7 / 8) :][:size] for at in range(0, len(x) - 2 * size, size)]
    assert names(library, np.concatenate(grains)) == []


def test_the_same_recording_twice_is_told_as_soon_as_one_alone() -> None:
    """An operator has taught it from two calls."""
    once = speech_like(1)
    again = (once / 3 + np.random.default_rng(1).normal(0, 60, len(once))).astype(np.int16)
    twice = Library((Sample(f"s{n}", category=2), fingerprint(x)) for n, x in enumerate((once, again)))
    [(_, at, _)] = heard(twice, worse("2 % slow", speech_like(1)))
    assert at < 2.5


def test_of_two_that_mean_something_else_but_are_alike_one_is_told_in_the_end() -> None:
    sound = speech_like(1)
    clash = Library((Sample(f"s{n}", category=n), fingerprint(sound)) for n in (2, 3))
    [(_, at, _)] = heard(clash, sound)
    assert 3.0 < at < 4.0


@pytest.mark.parametrize("slip", [-320, -160, 80, 320])
def test_what_a_jitter_buffer_leaves_out_or_repeats_delays_little(library: Library, slip: int) -> None:
    x, at = speech_like(4), 8000
    slipped = np.concatenate((x[:at], x[at + slip :]))  # as much is left out, or heard again
    [(name, told, _)] = heard(library, slipped)
    assert name == "s4"
    assert told <= 3.4


def test_a_short_one_is_told() -> None:
    short = speech_like(60, 1.2)
    library = Library([(Sample("short"), fingerprint(short))])
    for lead in (0, 900, 2100):
        sound = np.concatenate((np.zeros(lead), short, np.zeros(4000)))
        sound += np.random.default_rng(1).normal(0, 30, len(sound))
        assert names(library, sound) == ["short"]


def test_an_empty_library_hears_nothing() -> None:
    assert heard(Library(), speech_like(1)) == []


def test_what_a_sample_says_travels_with_it(library: Library) -> None:
    [(_, _, match)] = heard(library, speech_like(2))
    assert library.samples[match.number] == replace(Sample("s2"), category=4)


def cpu(library: Library, sounds: list[Pcm]) -> float:
    """Seconds to listen to all of them, the least of three times."""
    took = []
    for _ in range(3):
        began = time.process_time()
        for sound in sounds:
            heard(library, sound)
        took.append(time.process_time() - began)
    return min(took)


@pytest.mark.slow
def test_ten_thousand_samples_slow_no_verdict_and_cost_little_more(library: Library) -> None:
    known = list(zip(library.samples, library.prints, strict=True))
    few = Library([*known, *many_samples(20, seed=2)])
    large = Library([*known, *many_samples(10_000 - len(known))])
    for n in (3, 8, 13):
        [(_, alone, _)] = heard(few, speech_like(n))
        [(name, among, _)] = heard(large, speech_like(n))
        assert name == f"s{n}"
        assert among <= 1.1 * alone
    assert names(large, speech_like(NOT_TAKEN)) == []
    sounds = [speech_like(n) for n in (3, 8, 13, *range(NOT_TAKEN, NOT_TAKEN + 6))]
    assert cpu(large, sounds) < 2.5 * cpu(few, sounds)  # measured: 1.3


def test_a_block_costs_no_more_however_many_samples_sound_alike() -> None:
    """A hundred of the same recording: what is compared and laid over it stays bounded."""
    same = fingerprint(speech_like(1))
    library = Library((Sample(f"s{n}"), same) for n in range(300))
    near = library.near(np.zeros((TABLES, 32), np.int64) + np.arange(32), MOST)
    assert len(near) <= MOST + len(same.landmarks) * len(library)
    block = same.landmarks[10:11]
    keys = np.repeat(block.view(np.uint16)[:, :TABLES].astype(np.int64).T, 32, axis=1)
    assert len(library.near(keys, MOST)) <= MOST + 300
    assert len(Candidates(library).look(bands_of(same, slice(0, 78)), 78)) <= TAKEN
