"""From one source of audio to another: what a far end receives has no click, no gap and one time axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from media_rig import G722, OPUS, PCMA, PCMU, sine
from simulation import Simulation, Talker

from engine.media.orders import (
    Bridge,
    Codec,
    Conference,
    Gain,
    Hold,
    Member,
    Mute,
    Play,
    SendDigits,
    StopPlay,
    Unbridge,
)
from engine.media.splice import Splice, mirrored

AMPLITUDE = 8000
VOICES = (131, 173, 211)
TONE = 97
"""Hertz: so low that no sample is far from the one before."""
STEP = 2 * np.pi / 8000
FADE = AMPLITUDE / 160
A, B, C = VOICES
MUSIC = sine(TONE, 80000, AMPLITUDE)


def bound(*hertz: float) -> float:
    """The largest jump between two samples of these tones at once, each being faded; 300 is G.711's own. A
    tone cut off at its peak jumps by 8000.
    """
    return sum(AMPLITUDE * STEP * hz + FADE for hz in hertz) + 300


class Line:
    """A simulation with far ends that each say their own tone."""

    def __init__(self) -> None:
        self.simulation = Simulation()
        self.order = self.simulation.order
        self.names: list[str] = []

    def open(self, *laws: Codec, ptime_ms: int = 20) -> list[Talker]:
        talkers = []
        for n, law in enumerate(laws):
            voice = sine(VOICES[n], 80000, AMPLITUDE)
            name, talker = self.simulation.open(law, voice, (0.007, 0.013, 0.002)[n], ptime_ms)
            self.names.append(name)
            talkers.append(talker)
        self.simulation.run(0.2)
        return talkers

    def play(self, name: str) -> None:
        self.order(Play(name, self.simulation.source(MUSIC), loop=True))

    def run(self, seconds: float = 0.5) -> None:
        self.simulation.run(seconds)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.simulation.close()


def level(pcm: np.ndarray, hertz: float) -> float:
    """Of one tone, relative to a voice's."""
    turn = np.exp(-1j * STEP * hertz * np.arange(len(pcm))) * np.hanning(len(pcm))
    return float(abs(pcm @ turn) * 4 / len(pcm) / AMPLITUDE)


def hears(talker: Talker, *hertz: float) -> bool:
    """Whether these tones and no others are what was heard last."""
    pcm = talker.pcm(15)
    return all((level(pcm, hz) > 0.8) == (hz in hertz) and (level(pcm, hz) < 0.2) == (hz not in hertz)
               for hz in (*VOICES, TONE))


def check(talker: Talker, limit: float, size: int = 160) -> None:
    """No click, no gap, no time twice."""
    packets = [each.packet for each in talker.heard]
    units = 6 if talker.far.law is OPUS else 1
    steps = {((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF)
             for a, b in itertools.pairwise(packets)}
    assert steps == {(1, size * units)}
    gap = max(b.at - a.at for a, b in itertools.pairwise(talker.heard))
    assert gap <= size / 8000 + 0.005
    jumps = np.abs(np.diff(talker.pcm()))
    where = int(jumps.argmax())
    assert jumps[where] <= limit, f"a jump of {jumps[where]} in packet {where // size} of {len(packets)}"


@pytest.mark.parametrize("other", [PCMA, PCMU, G722, OPUS], ids=lambda law: law.name)
def test_wait_tone_to_bridge_to_silence_and_back_to_tone(line: Line, other: Codec) -> None:
    callee, agent = line.open(PCMA, other)
    line.play(line.names[0])
    line.run()
    assert hears(callee, TONE)
    line.order(Bridge(*line.names))
    line.run()
    assert hears(callee, B)
    assert hears(agent, A)
    line.order(Unbridge(line.names[1]))
    line.run()
    assert hears(callee)
    assert hears(agent)
    line.play(line.names[0])
    line.run()
    assert hears(callee, TONE)
    line.order(StopPlay(line.names[0]))
    line.run(0.1)
    check(callee, bound(TONE, B))
    check(agent, bound(A))


@pytest.mark.parametrize("law", [G722, OPUS], ids=lambda law: law.name)
def test_between_two_of_a_wide_codec_the_tone_ends_before_the_voice_begins(line: Line, law: Codec) -> None:
    callee, agent = line.open(law, law)
    line.play(line.names[0])
    line.run()
    line.order(Bridge(*line.names))
    line.run()
    assert hears(callee, B)
    assert hears(agent, A)
    check(callee, 2 * bound(TONE, B))  # the far end's decoder meets another encoder's state


def test_the_first_packet_of_the_bridge_holds_the_end_of_the_tone_and_all_others_pass_untouched(
    line: Line,
) -> None:
    callee, agent = line.open(PCMA, PCMA)
    line.play(line.names[0])
    line.run(0.1)
    line.order(Bridge(*line.names))
    before = len(callee.heard)
    sent = []
    send = agent.far.send
    agent.far.send = lambda payload: sent.append(payload) or send(payload)
    line.run(0.4)  # the packet that waited for the order came first
    first, *others = callee.heard[before:]
    assert [each.packet.payload for each in others] == sent
    assert 0.3 < level(first.pcm, TONE) < 0.8


def test_bridge_to_hold_music_and_back(line: Line) -> None:
    callee, agent = line.open(PCMA, PCMA)
    line.order(Bridge(*line.names))
    line.run()
    line.order(Hold(line.names[0], line.simulation.source(MUSIC)))
    line.run()
    assert hears(callee, TONE)
    assert hears(agent)
    line.order(Bridge(*line.names))
    line.run()
    assert hears(callee, B)
    assert hears(agent, A)
    check(callee, bound(TONE, B))
    check(agent, bound(A))


@pytest.mark.parametrize("laws", [(PCMA, PCMA, PCMA), (PCMA, PCMU, G722)], ids=["one codec", "three"])
def test_bridge_to_conference_and_back(line: Line, laws: tuple[Codec, ...]) -> None:
    a, b, c = line.open(*laws)
    two = line.names[:2]
    line.order(Bridge(*two))
    line.run()
    line.order(Conference("x", tuple(map(Member, line.names))))
    line.run()
    assert [hears(a, B, C), hears(b, A, C), hears(c, A, B)] == [True] * 3
    line.order(Conference("x", ()))
    line.order(Bridge(*two))
    line.run()
    assert [hears(a, B), hears(b, A), hears(c)] == [True] * 3
    check(a, bound(B, C))
    check(b, bound(A, C))
    check(c, bound(A, B))
    for talker, other in ((a, B), (b, A)):
        heard = talker.pcm()[12 * 160 + 800 :]
        throughout = [level(heard[at : at + 640], other) for at in range(0, len(heard) - 640, 320)]
        assert min(throughout) > 0.25  # where its delay changes, it meets itself


def test_mute_in_a_bridge(line: Line) -> None:
    callee, _ = line.open(PCMA, PCMA)
    line.order(Bridge(*line.names))
    line.run()
    line.order(Mute(line.names[1], True))
    line.run()
    assert hears(callee)
    line.order(Mute(line.names[1], False))
    line.run()
    assert hears(callee, B)
    check(callee, bound(B))


def test_gain_in_a_bridge(line: Line) -> None:
    callee, _ = line.open(PCMA, PCMA)
    line.order(Bridge(*line.names))
    line.run()
    line.order(Gain(line.names[1], received_db=-12.0))
    line.run()
    assert 0.2 < level(callee.pcm(10), B) < 0.3
    line.order(Gain(line.names[1]))
    line.run()
    assert hears(callee, B)
    check(callee, bound(B, B))


def test_tones_of_keys_take_over_from_a_bridge_and_give_way_again(line: Line) -> None:
    callee, _ = line.open(PCMA, PCMA)
    line.order(Bridge(*line.names))
    line.run()
    line.order(SendDigits(line.names[0], "1", 100, 60, inband=True))
    line.run()
    assert hears(callee, B)
    check(callee, limit=20_000)  # these tones are steep themselves


def test_packets_of_30_ms_lose_nothing_of_the_tone(line: Line) -> None:
    callee, _ = line.open(PCMA, PCMA, ptime_ms=30)
    line.play(line.names[0])
    line.run(0.5)
    line.order(Bridge(*line.names))
    line.run(0.5)
    packets = [each.packet for each in callee.heard]
    ends = [(p.timestamp + len(p.payload)) & 0xFFFFFFFF for p in packets]
    assert ends[:-1] == [p.timestamp for p in packets[1:]]
    assert np.abs(np.diff(callee.pcm())).max() <= bound(TONE, B)


def test_a_bridge_whose_other_side_is_silent_ends_the_tone_within_a_second(line: Line) -> None:
    callee, silent = line.open(PCMA, PCMA)
    silent.voice = silent.voice[:0]
    line.play(line.names[0])
    line.run(0.5)
    line.order(Bridge(*line.names))
    line.run(0.8)
    assert hears(callee, TONE)
    line.run(0.6)
    assert hears(callee)
    check(callee, bound(TONE))


@pytest.mark.parametrize("after_tick_ms", [1, 8, 16, 19])
def test_the_first_packet_of_all_leaves_at_once_and_the_next_in_25_ms(line: Line, after_tick_ms: int) -> None:
    simulation = line.simulation
    name, callee = simulation.open(PCMA, MUSIC[:0], phase_s=0.0)
    simulation.now += 0.01 + after_tick_ms / 1000 - 0.02  # run ends 10 ms after a tick
    asked = simulation.now
    line.play(name)
    callee.listen(simulation.now)
    assert [each.at for each in callee.heard] == [asked]
    simulation.now = 1000.0
    line.run(0.5)
    check(callee, bound(TONE))
    late = [each.at - asked - 0.02 * n for n, each in enumerate(callee.heard)]
    assert min(late) >= -0.0151
    assert max(late) <= 0.0051


@pytest.mark.parametrize("law", [PCMA, G722, OPUS], ids=lambda law: law.name)
def test_packets_of_any_size_at_the_moment_of_the_bridge_do_no_harm(line: Line, law: Codec) -> None:
    callee, agent = line.open(PCMA if law is G722 else law, law)
    line.play(line.names[0])
    line.run(0.2)
    voice, agent.voice = agent.voice, agent.voice[:0]
    for size in (0, 1, 7, 100, 1900, 2):
        line.order(Bridge(*line.names))
        for _ in range(3):
            agent.far.send(bytes(size))
            line.run(0.06)
        line.order(Unbridge(line.names[0]))
        line.run(0.06)
    agent.voice = voice
    line.order(Bridge(*line.names))
    line.run()
    assert hears(callee, B)
    assert not line.simulation.board.reported


def test_many_bridges_one_after_the_other_send_no_more_time_than_goes_by(line: Line) -> None:
    for talker in line.open(PCMA, PCMA):
        began = talker.heard[-1]
        for _ in range(5):
            line.order(Bridge(*line.names))
            line.run(0.3)
            line.order(Unbridge(line.names[0]))
            line.run(1.0)
        ended = talker.heard[-1]
        sent = ((ended.packet.timestamp - began.packet.timestamp) & 0xFFFFFFFF) / 8000
        assert abs(sent - (ended.at - began.at)) < 0.025


def test_a_standing_agent_gets_no_old_audio_at_the_bridge(line: Line) -> None:
    callee, agent = line.open(PCMA, PCMA)
    line.run(1.0)
    before = len(agent.heard)
    line.order(Bridge(*line.names))
    line.run(0.2)
    assert len(agent.heard) - before <= 11
    check(agent, bound(A))
    said = callee.voice[callee._at - 160 : callee._at].astype(int)
    assert np.abs(agent.heard[-1].pcm - said).max() < 300


# --- the splice itself ----------------------------------------------------------------------------


def test_a_splice_of_packets_of_any_length_fades_over_20_ms():
    splice = Splice()
    splice.begin(np.full(160, 10_000, np.int16), rise=True)
    pieces = []
    for length in (80, 30, 80, 160):
        pieces.append(splice.apply(np.full(length, -10_000, np.int16)))
    out = np.concatenate(pieces).astype(int)
    assert np.abs(np.diff(out)).max() < 130
    assert (out[0] > 9800, out[-1]) == (True, -10_000)
    assert not splice.pending


def test_what_ended_quietly_needs_no_end_and_what_begins_quietly_no_beginning():
    assert mirrored(np.full(160, 8, np.int16)) is None
    splice = Splice()
    splice.begin(None, rise=True)
    begins = sine(300, 160)
    assert splice.apply(begins) is begins


def test_the_end_made_of_the_last_samples_joins_on():
    last = sine(300, 155)
    end = mirrored(last)
    assert end is not None
    assert end[0] == last[-1]
    assert len(end) == 155
