"""What a look at a stream costs and gives: received frames, as columns of a spectrogram."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from media_rig import PCMA, sine
from simulation import Simulation

from engine.media.orders import Bridge, Look
from engine.media.strip import COLUMN_S, KEPT_FRAMES, Strip, levels


def loudest(column: str) -> int:
    return int(np.argmax([int(digit, 16) for digit in column]))


@pytest.mark.parametrize("hz", [125, 375, 1000, 1100, 2600, 3900])
def test_a_tone_is_loudest_in_its_band_and_faint_two_bands_away(hz: int) -> None:
    column = levels(sine(hz, 800, 8000))
    band = loudest(column)
    assert band in (hz // 250, (hz - 1) // 250)
    far = [int(digit, 16) for place, digit in enumerate(column) if abs(place - band) > 1]
    assert max(far) <= 3


@pytest.mark.parametrize(("dbm0", "digit"), [(-14.1, "d"), (-30.1, "9"), (-62.1, "1"), (-70.0, "0")])
def test_levels_are_dbm0_in_steps_of_four(dbm0: float, digit: str) -> None:
    amplitude = 32768 * 10 ** ((dbm0 - 3.17) / 20)
    tone = np.rint(amplitude * np.sin(2 * np.pi * 1125 * np.arange(800) / 8000)).astype(np.int16)
    assert levels(tone)[4] == digit


def test_silence_is_nothing_in_every_law() -> None:
    assert levels(np.zeros(800, np.int16)) == "0" * 16
    assert levels(np.full(800, 8, np.int16)) == "0" * 16  # A-law's


def test_a_column_begins_anew_after_frames_were_lost() -> None:
    strip, frame = Strip(), sine(440, 160)
    columns = [strip.feed(place * 0.02, frame) for place in (0, 1, 2, 60, 61, 62, 63, 64)]
    assert [column.at for column in columns if column] == [1.2]
    assert len([column for column in columns if column]) == 1


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    simulation = Simulation()
    yield simulation
    simulation.close()


def test_only_a_stream_that_is_looked_at_is_kept_and_no_longer_than_it_is(simulation: Simulation) -> None:
    name, _ = simulation.open(PCMA, sine(1000, 80000, 8000))
    stream = simulation.board.named[name] = simulation.board.streams[name]
    simulation.run(0.4)
    assert simulation.engine.looked_at(name) == []
    assert not stream.listening.active
    simulation.order(Look(name, True))
    simulation.run(1.0)
    strip = Strip()
    columns = [c for at, frame in simulation.engine.looked_at(name) if (c := strip.feed(at, frame))]
    assert all(loudest(column.levels) in (3, 4) for column in columns[-6:])
    assert columns[1].at - columns[0].at == pytest.approx(COLUMN_S, abs=0.001)
    simulation.order(Look(name, False))
    simulation.run(0.1)
    assert not stream.listening.active
    assert simulation.engine.looked_at(name) == []


def test_what_nobody_fetches_is_bounded_and_the_latest_stays(simulation: Simulation) -> None:
    name, _ = simulation.open(PCMA, sine(1000, 80000, 8000))
    simulation.board.named[name] = simulation.board.streams[name]
    simulation.order(Look(name, True))
    simulation.run(3.0)
    frames = simulation.engine.looked_at(name)
    assert len(frames) == KEPT_FRAMES
    assert simulation.now - frames[-1][0] < 0.05


def test_packets_of_a_bridge_that_is_looked_at_pass_as_before(simulation: Simulation) -> None:
    voice = sine(1000, 80000, 8000)
    (a, first), (b, second) = simulation.open(PCMA, voice), simulation.open(PCMA, voice, 0.013)
    simulation.board.named[a] = simulation.board.streams[a]
    simulation.run(0.2)
    simulation.order(Bridge(a, b))
    simulation.order(Look(a, True))
    before = len(second.heard)
    simulation.run(0.6)
    assert simulation.board.streams[a].passes_untouched
    assert len(second.heard) - before >= 29
    assert len(simulation.engine.looked_at(a)) > 20
    assert first.heard
