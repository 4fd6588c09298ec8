"""The headset's two ends in a bridge or a conference: no click for the operator, none for the other side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from media_rig import PCMA, PCMU, sine
from test_crossfade import AMPLITUDE, MUSIC, TONE, VOICES, A, B, C, Line, bound, check, hears, level

from engine.media.orders import SOUND, Bridge, Conference, Gain, Member, Mute, Play, StopPlay, Unbridge


class Headset:
    """In place of the sound card's two queues: says a tone, and keeps what is played to the ear."""

    def __init__(self, line: Line, hertz: float) -> None:
        self._voice = itertools.cycle(sine(hertz, 80000, AMPLITUDE).reshape(-1, 160))
        self.played: list[np.ndarray] = []
        sound = line.simulation.board.sound
        sound._input = sound._output = self

    def pull(self) -> np.ndarray:
        return next(self._voice)

    def push(self, pcm: np.ndarray) -> None:
        self.played.append(pcm)

    def pcm(self, last: int) -> np.ndarray:
        return np.concatenate(self.played[-last:]).astype(int)

    def hears(self, *hertz: float) -> bool:
        pcm = self.pcm(15)
        return all((level(pcm, hz) > 0.8) == (hz in hertz) and (level(pcm, hz) < 0.2) == (hz not in hertz)
                   for hz in (*VOICES, TONE))

    def check(self, limit: float) -> None:
        jumps = np.abs(np.diff(self.pcm(0)))
        where = int(jumps.argmax())
        assert jumps[where] <= limit, f"a jump of {jumps[where]} in frame {where // 160}"


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.simulation.close()


def test_the_headset_takes_over_from_the_tone_and_mutes_without_a_click(line: Line) -> None:
    (callee,) = line.open(PCMA)
    headset = Headset(line, C)
    line.play(line.names[0])
    line.run()
    line.order(Bridge(line.names[0], SOUND))
    line.run()
    assert hears(callee, C)
    assert headset.hears(A)
    line.order(Mute(SOUND, True))
    line.run()
    assert hears(callee)
    line.order(Mute(SOUND, False))
    line.run()
    line.order(Unbridge(SOUND))
    line.run()
    assert hears(callee)
    assert headset.hears()
    check(callee, bound(TONE, C))
    headset.check(bound(A))


def test_what_is_played_to_the_operator_gives_way_to_the_callee(line: Line) -> None:
    line.open(PCMA)
    headset = Headset(line, C)
    line.order(Play(SOUND, line.simulation.source(MUSIC), loop=True))
    line.run()
    assert headset.hears(TONE)
    line.order(Bridge(line.names[0], SOUND))
    line.run()
    assert headset.hears(A)
    line.order(Play(SOUND, line.simulation.source(MUSIC), loop=True))
    line.run()
    assert headset.hears(TONE)
    line.order(StopPlay(SOUND))
    line.run()
    assert headset.hears(A)
    headset.check(bound(TONE, A))


def test_three_way_with_the_headset_and_back(line: Line) -> None:
    callee, agent = line.open(PCMA, PCMU)
    headset = Headset(line, C)
    line.order(Bridge(line.names[0], SOUND))
    line.run()
    three = (SOUND, *line.names)
    line.order(Conference("x", tuple(map(Member, three))))
    line.run()
    assert [headset.hears(A, B), hears(callee, B, C), hears(agent, A, C)] == [True] * 3
    line.order(Conference("x", (Member(SOUND), Member(line.names[0], hears=(line.names[1],)),
                                Member(line.names[1]))))  # the operator speaks to the agent alone
    line.run()
    assert [headset.hears(A, B), hears(callee, B), hears(agent, A, C)] == [True] * 3
    line.order(Conference("x", ()))
    line.order(Bridge(line.names[0], SOUND))
    line.run()
    assert [headset.hears(A), hears(callee, C), hears(agent)] == [True] * 3
    headset.check(bound(A, B))
    check(callee, bound(B, C))
    check(agent, bound(A, C))


def test_gain_of_the_headset_is_of_the_microphone_and_the_loudspeaker(line: Line) -> None:
    (callee,) = line.open(PCMA)
    headset = Headset(line, C)
    line.order(Bridge(line.names[0], SOUND))
    line.order(Gain(SOUND, received_db=-12.0, sent_db=-20.0))
    line.run()
    assert level(callee.pcm(15), C) == pytest.approx(0.25, abs=0.02)
    assert level(headset.pcm(15), A) == pytest.approx(0.1, abs=0.02)
