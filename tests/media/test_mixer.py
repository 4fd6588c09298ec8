"""Conferences: mix-minus, who hears whom, and changes without a click; on frames alone, then over sockets."""

from __future__ import annotations

import struct
import threading

import numpy as np
import pytest
from media_rig import G722, PCMA, PCMU, sine

from engine.media import codec
from engine.media.mixer import Room
from engine.media.orders import Bridge, CloseStream, Conference, Gain, Hold, Member, Mute, ToneSource


class Voice:
    def __init__(self) -> None:
        self.frame = np.zeros(160, np.int16)

    def say(self, value: int) -> None:
        self.frame = np.full(160, value, np.int16)

    def heard(self):
        return self.frame


def room_of(**hears):
    microphone = Voice()
    room = Room(microphone)
    voices = {name: Voice() for name in hears}
    if "mic" in voices:
        voices["mic"] = microphone
    room.seat(dict(voices), hears)
    for n, voice in enumerate(voices.values()):
        voice.say(10 ** n)
    return room, voices


def heard(room) -> dict[str, int]:
    room.gather()
    room.gather()  # the first frame after a change is a cross-fade
    return {name: int(place.pcm()[-1]) for name, place in room.places.items()}


def test_everybody_hears_everybody_else_and_never_themselves():
    room, _ = room_of(a=None, b=None, c=None, d=None)
    assert heard(room) == {"a": 1110, "b": 1101, "c": 1011, "d": 111}


def test_who_listens_is_heard_by_nobody_and_who_whispers_by_one():
    room, _ = room_of(agent=("callee", "boss"), callee=("agent",), boss=("agent", "callee"))
    assert heard(room) == {"agent": 110, "callee": 1, "boss": 11}


def test_unknown_members_and_oneself_in_hears_count_for_nothing():
    room, _ = room_of(a=("a", "b", "nobody"), b=())
    assert heard(room) == {"a": 10, "b": 0}


def test_loud_voices_are_limited_and_never_wrap():
    room, voices = room_of(a=None, b=None, c=None, d=None)
    for voice in voices.values():
        voice.say(30_000)
    assert all(value > 32_000 for value in heard(room).values())


def test_members_that_hear_the_same_share_one_mix_and_its_encoding():
    room, _ = room_of(a=("b",), b=(), c=("b",))
    room.gather()
    room.gather()
    one, other = room.places["a"], room.places["c"]
    assert one.pcm() is other.pcm()
    assert one.octets("PCMA") is other.octets("PCMA")
    assert one.octets("PCMA") == codec.encode("PCMA", one.pcm())


def test_only_who_hears_the_microphone_waits_for_its_frame():
    room, voices = room_of(a=None, b=("a",), mic=None)
    assert [room.places[n].fresh for n in ("a", "b", "mic")] == [True, False, False]
    room.gather()
    room.gather()
    voices["mic"].say(500)  # pulled after the others' frames were summed
    assert room.places["a"].pcm()[0] == 510


def test_who_comes_in_and_who_leaves_is_faded():
    room, voices = room_of(a=None, b=None)
    voices["b"].say(10_000)
    pieces = []

    def tick() -> None:
        room.gather()
        pieces.append(room.places["a"].pcm())

    tick(), tick()
    third = Voice()
    third.say(10_000)
    room.seat({**voices, "c": third}, {})
    tick(), tick()
    room.leave("b")
    tick(), tick()
    out = np.concatenate(pieces[1:]).astype(int)
    assert np.abs(np.diff(out)).max() < 80
    assert (out[0], out[400], out[-1]) == (10_000, 20_000, 10_000)


def test_who_leaves_leaves_the_others_hearing_what_they_were_to_hear():
    room, _ = room_of(agent=("callee", "boss"), callee=("agent",), boss=("agent", "callee"))
    room.leave("callee")
    assert heard(room) == {"agent": 100, "boss": 1}


# --- over sockets ---------------------------------------------------------------------------------

HZ = (400, 700, 1100, 1600)


def conference(rig, laws):
    """Streams with their far ends, up."""
    opened = [rig.open(law) for law in laws]
    for _, far in opened:
        far.receive()
    return opened


def speak(opened, frames: int = 60):
    """Every far end speaks; the level of each tone at each of them once steady, relative to one voice."""
    voices = [sine(hz, frames * 160, 3000) for hz, _ in zip(HZ, opened, strict=False)]
    threads = [threading.Thread(target=far.send_pcm, args=(voice,))
               for (_, far), voice in zip(opened, voices, strict=True)]
    for _, far in opened:
        far.forget()
    for thread in threads:
        thread.start()
    heard = [far.receive_pcm((frames - 2) * 160)[-3200:] for _, far in opened]
    for thread in threads:
        thread.join()
    return [levels(pcm) for pcm in heard]


def levels(pcm) -> list[float]:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) / (3000 * len(pcm) / 4)
    return [round(float(spectrum[round(hz * len(pcm) / 8000) + np.arange(-2, 3)].max()), 1) for hz in HZ]


def test_three_legs_of_three_codecs_hear_each_other(rig):
    opened = conference(rig, (PCMA, PCMU, G722))
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    a, b, c = speak(opened)
    assert a == pytest.approx([0, 1, 1, 0], abs=0.15)
    assert b == pytest.approx([1, 0, 1, 0], abs=0.15)
    assert c == pytest.approx([1, 1, 0, 0], abs=0.15)


def test_a_supervisor_whispers_to_the_agent_alone_then_barges_in(rig):
    opened = conference(rig, (PCMA, PCMA, PCMA))
    agent, callee, boss = (name for name, _ in opened)
    rig.engine.order(Conference("x", (
        Member(agent), Member(callee, (agent,)), Member(boss),
    )))
    heard = speak(opened, 40)
    assert heard == [pytest.approx(row, abs=0.15) for row in ([0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0])]
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    assert speak(opened, 40)[1] == pytest.approx([1, 0, 1, 0], abs=0.15)


def test_who_is_muted_or_closed_is_heard_no_more_and_the_others_go_on(rig):
    opened = conference(rig, (PCMA, PCMA, PCMA, PCMA))
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    rig.engine.order(Mute(opened[1][0], True))
    rig.engine.order(CloseStream(opened[3][0]))
    heard = speak(opened[:3], 40)
    assert heard[0] == pytest.approx([0, 0, 1, 0], abs=0.15)
    assert heard[1] == pytest.approx([1, 0, 1, 0], abs=0.15)


def test_a_conference_that_ends_leaves_its_members_with_silence(rig):
    opened = conference(rig, (PCMA, PCMA, PCMA))
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    rig.engine.order(Conference("x", ()))
    assert speak(opened, 30) == [[0, 0, 0, 0]] * 3


def test_from_bridge_to_conference_and_back(rig):
    opened = conference(rig, (PCMA, PCMA, PCMA))
    a, b, c = (name for name, _ in opened)
    rig.engine.order(Bridge(a, b))
    rig.engine.order(Conference("x", (Member(a), Member(b), Member(c))))
    assert speak(opened, 40)[2] == pytest.approx([1, 1, 0, 0], abs=0.15)
    rig.engine.order(Conference("x", ()))
    rig.engine.order(Bridge(a, b))
    heard = speak(opened, 30)
    assert heard == [pytest.approx(row, abs=0.15) for row in ([0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0])]


def test_a_key_press_in_a_conference_reaches_each_of_the_others_once(rig):
    opened = conference(rig, (PCMA, PCMA, PCMU))
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    (_, a), (_, b), (_, c) = opened
    speak(opened, 12)
    stamp = a.timestamp & 0xFFFFFFFF
    for duration, end in ((160, 0), (320, 0), (480, 0), (640, 0x80), (640, 0x80), (640, 0x80)):
        a.send(struct.pack("!BBH", 7, end | 10, duration), 101, timestamp=stamp)
    for far in (b, c):
        got = [far.receive_until(lambda p: p.payload_type == 101) for _ in range(6)]
        assert [p.payload[0] for p in got] == [7] * 6
        assert len({p.timestamp for p in got}) == 1
    assert rig.digits(1) == "7"


def test_a_member_without_telephone_event_hears_the_others_while_a_key_is_pressed(rig):
    (_, a), (_, b) = opened = [rig.open(), rig.open(PCMU, event=None)]
    rig.engine.order(Conference("x", tuple(Member(name) for name, _ in opened)))
    stamp = a.timestamp & 0xFFFFFFFF
    for n in range(12):
        a.send(struct.pack("!BBH", 7, 10, 160 * (n + 1)), 101, timestamp=stamp)
        assert b.receive().payload_type == 0


def test_a_bridge_with_gain_is_as_much_louder_and_back_at_none_passes_payloads_untouched(rig):
    opened = conference(rig, (PCMA, PCMA))
    (first, a), (second, b) = opened
    rig.engine.order(Bridge(first, second))
    rig.engine.order(Gain(first, received_db=6.0, sent_db=-6.0))
    heard = speak(opened, 40)
    assert heard[1][0] == pytest.approx(2, abs=0.15)
    assert heard[0][1] == pytest.approx(0.5, abs=0.1)
    rig.engine.order(Gain(first))
    payload = codec.encode("PCMA", sine(513, 160, 4321))
    for _ in range(5):
        a.send(payload)
    b.receive_until(lambda p: p.payload == payload)


def test_who_is_on_hold_gets_its_music_and_nobody_hears_it(rig):
    opened = conference(rig, (PCMA, PCMA))
    (first, _), (second, b) = opened
    rig.engine.order(Bridge(first, second))
    rig.engine.order(Hold(second, ToneSource("us")))
    heard = speak(opened, 30)
    assert heard[0] == [0, 0, 0, 0]
    assert b.is_sound(b.receive_until(b.is_sound))
    rig.engine.order(Hold(second))
    rig.engine.order(Hold(first))
    speak(opened, 10)
    assert b.receive().payload == codec.SILENCE["PCMA"]
    rig.engine.order(Bridge(first, second))
    assert speak(opened, 30)[0] == pytest.approx([0, 1, 0, 0], abs=0.15)


def test_hold_music_that_cannot_be_read_is_told_and_silence_is_sent(rig):
    from engine.media.orders import PlaybackEnded, WavSource

    (name, far), *_ = conference(rig, (PCMA,))
    rig.engine.order(Hold(name, WavSource("/nonexistent/music.wav")))
    fact = rig.fact(PlaybackEnded)
    assert (fact.tag, "music.wav" in fact.error) == ("hold", True)
    assert far.receive().payload == codec.SILENCE["PCMA"]
